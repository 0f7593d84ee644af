"""Law: after any history of appends, crashes and restarts, one row for each record."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from smart_llmrouter.config.policies import Diagnostics
from smart_llmrouter.core.decisions import Decision
from smart_llmrouter.ledger.decision_line import with_decision
from smart_llmrouter.ledger.explained import explained
from smart_llmrouter.ledger.ingester import Ingester
from smart_llmrouter.ledger.record import encode_record
from smart_llmrouter.stores.database import open_for_reading
from smart_llmrouter.stores.decision_rows import KeptDecision
from smart_llmrouter.stores.journal import JournalWriter
from smart_llmrouter.stores.usage_store import (
    NO_DECISIONS,
    Labels,
    Measures,
    UsageStore,
)
from tests.support.decisions import various_decision
from tests.support.ledger import (
    StateDirectory,
    a_record,
    kept_of,
    state_in,
    various_record,
)


def line_of(number: int) -> bytes:
    """Return the line of a call; of most, with how it was decided."""
    line, decision = encode_record(various_record(number)), various_decision(number)
    return line if decision is None else with_decision(line, decision, Diagnostics())


class Killed(BaseException):
    """Stands for `kill -9`: nothing after it runs."""


class FragileStore(UsageStore):
    """A real store whose process dies at a chosen call, before or after it works."""

    def __init__(self, url: str, *, calls_to_live: int, after: bool) -> None:
        """Die at the call after `calls_to_live` others; `after` it has committed."""
        super().__init__(url)
        self._left = calls_to_live
        self._after = after

    def add(
        self,
        measures: Sequence[Measures],
        labels: Sequence[Labels],
        *,
        decisions: Mapping[int, KeptDecision] = NO_DECISIONS,
        segment: str,
        end_offset: int,
    ) -> int:
        """Add rows, or die trying."""
        self._live(before=True)
        new = super().add(
            measures,
            labels,
            decisions=decisions,
            segment=segment,
            end_offset=end_offset,
        )
        self._live(before=False)
        return new

    def settle(self, segment: str) -> None:
        """Settle, or die trying."""
        self._live(before=True)
        super().settle(segment)
        self._live(before=False)

    def forget(self, segments: Sequence[str]) -> None:
        """Forget, or die trying."""
        self._live(before=True)
        super().forget(segments)
        self._live(before=False)

    def _live(self, *, before: bool) -> None:
        if before == self._after:
            return
        self._left -= 1
        if self._left < 0:
            raise Killed


class Histories(RuleBasedStateMachine):
    """Interleave everything that routers and ingesters do, and their deaths."""

    def __init__(self) -> None:
        """Begin with an empty database."""
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="histories"))
        self.state: StateDirectory = state_in(self.directory)
        self.writer: JournalWriter | None = None
        self.answered = 0
        self.torn = 0

    @initialize()
    def start_a_router(self) -> None:
        """Open a writer with small segments, so that they rotate often."""
        self.writer = self.state.writer(segment_bytes=2000)

    @rule(count=st.integers(1, 8))
    def answer_calls(self, count: int) -> None:
        """Journal some records, most of them with a decision."""
        assert self.writer is not None
        for n in range(self.answered, self.answered + count):
            self.writer.append(line_of(n))
        self.answered += count

    @rule()
    def sync(self) -> None:
        """Let the second's sync pass, which also releases full segments."""
        assert self.writer is not None
        self.writer.sync()

    @rule(torn=st.booleans())
    def kill_the_router(self, *, torn: bool) -> None:
        """Restart the router; perhaps it died in the middle of a line."""
        assert self.writer is not None
        self.writer.close()
        segments = self.state.segments()
        if torn and segments:
            with (self.state.journal / segments[-1]).open("ab") as file:
                file.write(b'{"request_id":"req_never_answered')
            self.torn += 1
        self.writer = self.state.writer(segment_bytes=2000)

    @rule(block_bytes=st.sampled_from([1, 300, 1000, 1 << 20]))
    def ingest(self, block_bytes: int) -> None:
        """A new ingester does one step."""
        self.state.ingester(block_bytes=block_bytes).advance()

    @rule(
        block_bytes=st.sampled_from([300, 1000, 1 << 20]),
        calls_to_live=st.integers(0, 6),
        after=st.booleans(),
    )
    def kill_an_ingester(
        self, block_bytes: int, calls_to_live: int, *, after: bool
    ) -> None:
        """A new ingester dies somewhere on its way."""
        store = FragileStore(self.state.url, calls_to_live=calls_to_live, after=after)
        ingester = Ingester(self.state.journal, store, block_bytes=block_bytes)
        try:
            ingester.advance()
        except Killed:
            store.close()

    @invariant()
    def no_decision_without_its_record(self) -> None:
        """At any time either is there with the other, and once."""
        decided = self.state.decided_ids()
        assert len(decided) == len(set(decided))
        assert decided == [
            request_id
            for request_id in self.state.request_ids()
            if various_decision(int(request_id.removeprefix("req_"), 16)) is not None
        ]

    @invariant()
    def no_row_is_doubled_or_invented(self) -> None:
        """At any time the rows are distinct answered calls."""
        rows = self.state.request_ids()
        assert len(rows) == len(set(rows))
        assert set(rows) <= {a_record(n).request_id for n in range(self.answered)}

    def teardown(self) -> None:
        """After a last start and step, exactly the answered calls are there."""
        if self.writer is not None:
            self.writer.close()
        while self.state.ingester().advance().more:
            continue
        try:
            assert self.state.kept() == [
                kept_of(various_record(n)) for n in range(self.answered)
            ]
            assert self.decisions() == [various_decision(n) for n in self.numbers()]
            assert self.state.segments() == []
            reasons = {str(entry["reason"]) for entry in self.state.rejected()}
            assert reasons == ({"torn"} if self.torn else set())
        finally:
            shutil.rmtree(self.directory)

    def numbers(self) -> range:
        """Return the numbers of all answered calls."""
        return range(self.answered)

    def decisions(self) -> list[Decision | None]:
        """Return how each answered call was decided, as the database has it."""
        found = []
        with open_for_reading(self.state.url).connect() as connection:
            for n in self.numbers():
                call = explained(connection, a_record(n).request_id)
                assert call is not None
                found.append(call.kept.decision if call.kept else None)
        return found


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=1500 if os.environ.get("SMART_LLMROUTER_SOAK") else 40,
    stateful_step_count=20,
    deadline=None,
)
