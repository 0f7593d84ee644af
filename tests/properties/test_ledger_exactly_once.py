"""Law: after any history of appends, crashes and restarts, one row for each record."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from smart_llmrouter.ledger.ingester import Ingester
from smart_llmrouter.ledger.journal_events import encode_event
from smart_llmrouter.stores.event_rows import EventRow
from smart_llmrouter.stores.journal import JournalWriter
from smart_llmrouter.stores.sqlite_store import SqliteStore
from smart_llmrouter.stores.usage_store import Decided, Labels, Measures
from tests.support.accesses import a_refusal
from tests.support.decisions import kept_decisions, various_decision, various_line
from tests.support.ledger import (
    StateDirectory,
    a_record,
    kept_of,
    state_in,
    various_record,
)


class Killed(BaseException):
    """Stands for `kill -9`: nothing after it runs."""


class FragileStore(SqliteStore):
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
        segment: str,
        end_offset: int,
        decided_offset: int | None = None,
        events: Sequence[EventRow] = (),
    ) -> int:
        """Add rows, or die trying."""
        self._live(before=True)
        new = super().add(
            measures,
            labels,
            segment=segment,
            end_offset=end_offset,
            decided_offset=decided_offset,
            events=events,
        )
        self._live(before=False)
        return new

    def add_decisions(
        self, decided: Sequence[Decided], *, segment: str, decided_offset: int
    ) -> None:
        """Add decisions, or die trying."""
        self._live(before=True)
        super().add_decisions(decided, segment=segment, decided_offset=decided_offset)
        self._live(before=False)

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
            self.writer.append(various_line(n))
            self.writer.append(encode_event(a_refusal(n)))
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
        """At any time a decision is that of a row, and there once."""
        decided = self.state.decided_ids()
        assert len(decided) == len(set(decided))
        assert set(decided) <= set(self.state.request_ids())

    @invariant()
    def no_event_is_doubled_or_invented(self) -> None:
        """At any time there are no more than happened."""
        assert self.state.count("security_access_events") <= self.answered

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
            answered = range(self.answered)
            assert kept_decisions(self.state, answered) == [
                various_decision(n) for n in answered
            ]
            assert self.state.count("security_access_events") == self.answered
            assert self.state.segments() == []
            reasons = {str(entry["reason"]) for entry in self.state.rejected()}
            assert reasons == ({"torn"} if self.torn else set())
        finally:
            shutil.rmtree(self.directory)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=1500 if os.environ.get("SMART_LLMROUTER_SOAK") else 40,
    stateful_step_count=20,
    deadline=None,
)
