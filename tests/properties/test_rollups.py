"""Law: whatever is rolled up, removed, held or comes late, no sum loses anything."""

import shutil
import tempfile
from math import inf
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smart_llmrouter.config.allowances import (
    Allowance,
    Allowances,
    Budgets,
    Cap,
    PeriodName,
)
from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.budget_sums import Periods, Used, budget_uses
from smart_llmrouter.ledger.holds import NewHold, add_hold, release_hold
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.stores.budget_events import BudgetReset, add_reset, last_resets
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.writing import transaction
from tests.conftest import SOAK
from tests.support.ledger import StateDirectory, state_in
from tests.support.rollups import (
    DAY,
    HOUR,
    MIDNIGHT,
    a_call,
    added,
    brute_sums,
    covered_sums,
    retained,
    rolled_up,
    row_ids,
)

SPAN = 80 * DAY
BY = ("caller_id", "caller_user", "resolved_group", "target_model", "error_code")
MOMENTS = st.integers(0, SPAN // (HOUR // 4)).map(lambda n: MIDNIGHT + n * HOUR // 4)
CALLERS = st.sampled_from(["alice", "bob", "carol"])
POLICIES = st.builds(
    Retention,
    usage_detail_days=st.integers(2, 30),
    usage_diagnostics_days=st.none() | st.integers(2, 30),
    rollup_hourly_days=st.none() | st.integers(32, 50),
    rollup_daily_days=st.none() | st.integers(50, 70),
    batch_rows=st.integers(1, 9),
)
LIFETIME = Allowances(
    callers={
        name: Allowance(budgets=Budgets(caps={"lifetime": Cap(requests=1)}))
        for name in ("alice", "bob", "carol")
    }
)


def for_ever(_period: PeriodName, _at_ms: float, _zone: str) -> tuple[float, float]:
    """Return the bounds of a lifetime."""
    return -inf, inf


class Ledgers(RuleBasedStateMachine):
    """Interleave calls, roll-ups, retention, holds and resets, at moments at random."""

    def __init__(self) -> None:
        """Begin with an empty database."""
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="ledgers"))
        self.state: StateDirectory = state_in(self.directory)
        self.calls: list[UsageRecord] = []
        self.resets: dict[str, int] = {}
        self.now_ms = MIDNIGHT
        self.holds = 0
        self.held: dict[int, str] = {}

    @rule(moments=st.lists(MOMENTS, min_size=1, max_size=12), odd_ms=st.integers(0, 7))
    def calls_end(self, moments: list[int], odd_ms: int) -> None:
        """Some calls are ingested, in any order, of any time."""
        new = [
            a_call(len(self.calls) + n, moment + odd_ms)
            for n, moment in enumerate(moments)
        ]
        self.calls += new
        added(self.state.url, new)

    @rule(now_ms=MOMENTS, slice_rows=st.integers(1, 5))
    def hours_are_rolled_up(self, now_ms: int, slice_rows: int) -> None:
        """The clock may be set back: then there is less to do."""
        self.now_ms = now_ms
        rolled_up(self.state.url, now_ms=now_ms, slice_rows=slice_rows)

    @rule(now_ms=MOMENTS)
    def drafts_are_made(self, now_ms: int) -> None:
        """Somebody does not want to wait."""
        rolled_up(self.state.url, now_ms=now_ms, drafts_until_ms=now_ms)

    @rule(policy=POLICIES, later_ms=MOMENTS, first=st.booleans())
    def old_rows_go(self, policy: Retention, later_ms: int, *, first: bool) -> None:
        """Retention runs, by any policy, mostly when what is old is rolled up."""
        self.now_ms = later_ms + 30 * DAY
        if first:
            rolled_up(self.state.url, now_ms=self.now_ms, slice_rows=50)
        retained(self.state.url, policy, now_ms=self.now_ms)

    @rule(caller=CALLERS, from_ms=MOMENTS, days=st.integers(1, 40))
    def a_hold_is_made(self, caller: str, from_ms: int, days: int) -> None:
        """Nothing that there is of it may go from here on."""
        hold = NewHold(
            scope_kind="caller",
            scope_name=caller,
            from_ms=from_ms,
            to_ms=from_ms + days * DAY,
            reason="a case",
        )
        with transaction(self.state.url) as writing:
            add_hold(writing, hold, now_ms=0, actor="somebody")
        self.holds += 1

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def a_hold_is_released(self, data: st.DataObject) -> None:
        """What it held may go with the next run."""
        number = data.draw(st.integers(1, self.holds))
        with transaction(self.state.url) as writing:
            release_hold(writing, number, now_ms=1, actor="somebody", reason=None)

    @rule(caller=CALLERS, odd_ms=st.integers(1, HOUR))
    def a_budget_is_reset(self, caller: str, odd_ms: int) -> None:
        """It is of now, so nothing of its hour is gone yet."""
        at_ms = max([self.now_ms, *(call.ts_ms for call in self.calls)]) + odd_ms
        reset = BudgetReset(
            scope_kind="caller",
            scope_name=caller,
            period="lifetime",
            at_ms=at_ms,
            actor="somebody",
            used_requests=0,
            used_tokens=0,
            used_nusd=0,
        )
        add_reset(self.state.url, reset, ts_ms=at_ms)
        self.resets[caller] = max(at_ms, self.resets.get(caller, 0))

    @invariant()
    def budgets_forget_nothing(self) -> None:
        """A router that starts now would count what all calls were charged."""
        with connect_for_reading(self.state.url) as reading:
            resets = last_resets(reading, at_ms=1 << 60)
            periods = Periods(0, resets, for_ever)
            uses = budget_uses(reading, LIFETIME, periods)
        found = {
            key.removeprefix("caller:"): use.periods["lifetime"].used
            for key, use in uses.items()
        }
        counted = [
            call
            for call in self.calls
            if call.attempts
            and call.resolved_group
            and call.ts_ms >= self.resets.get(call.caller_id, 0)
        ]
        expected = {
            str(caller): Used(
                sums["calls"], sums["charged_tokens"], sums["charged_cost_nusd"]
            )
            for (caller,), sums in brute_sums(counted, ("caller_id",)).items()
        }
        assert {name: used for name, used in found.items() if used.requests} == expected

    @invariant()
    def no_sum_loses_anything(self) -> None:
        """Whatever is read of rows and of roll-ups: together it is all calls."""
        edges = (MIDNIGHT - 40 * DAY, MIDNIGHT + SPAN + 40 * DAY)
        assert covered_sums(self.state.url, edges, BY) == brute_sums(self.calls, BY)

    def teardown(self) -> None:
        """Each day by itself is right, too, where its hours are still known."""
        try:
            ids = set(row_ids(self.state.url))
            assert ids <= {call.request_id for call in self.calls}
        finally:
            shutil.rmtree(self.directory)


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(
    max_examples=300 if SOAK else 6, stateful_step_count=10, deadline=None
)
