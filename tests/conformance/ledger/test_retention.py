"""Retention: what goes, what stays, and what is never forgotten."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path

import pytest

from smart_llmrouter.bootstrap.recorded import on_record
from smart_llmrouter.config.allowances import (
    Allowance,
    Allowances,
    Budgets,
    Cap,
    PeriodName,
)
from smart_llmrouter.config.policies import Retention
from smart_llmrouter.config.snapshot import State
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.ledger.budget_sums import Periods, Used, budget_uses
from smart_llmrouter.ledger.caller_usage import CallerUsage
from smart_llmrouter.ledger.holds import (
    HOLD_KINDS,
    HoldKind,
    NewHold,
    add_hold,
    release_hold,
)
from smart_llmrouter.ledger.importing import (
    import_journals,
    journal_files,
    removed_hours,
)
from smart_llmrouter.ledger.periods import Span
from smart_llmrouter.ledger.removing import DIAGNOSTICS
from smart_llmrouter.ledger.retention import JobOrder, is_due, run_retention
from smart_llmrouter.ledger.retention_report import count_old, last_results
from smart_llmrouter.ledger.verify import Verified, verify
from smart_llmrouter.stores.columns import METADATA
from smart_llmrouter.stores.decision_tables import DECISIONS
from smart_llmrouter.stores.event_tables import SECURITY_ACCESS_EVENTS
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.rollup_tables import ROLLUP_PERIODS
from smart_llmrouter.stores.usage_store import open_store
from smart_llmrouter.stores.writing import Writing, drop_empty_days, transaction
from tests.support.databases import KINDS, state_with
from tests.support.decisions import various_line
from tests.support.ledger import StateDirectory
from tests.support.rollups import (
    DAY,
    HOUR,
    MIDNIGHT,
    a_call,
    added,
    brute_sums,
    count_of,
    covered_sums,
    retained,
    rolled_up,
    row_ids,
)

BY = ("caller_id", "resolved_group", "target_model")
NOW = MIDNIGHT + 10 * DAY
A_WEEK = Retention(usage_detail_days=7, batch_rows=4)
CALLS = [
    a_call(number, MIDNIGHT + number // 8 * DAY + number % 8 // 4 * 5 * HOUR + number)
    for number in range(72)
]
OLD = [call for call in CALLS if call.ts_ms < NOW - 7 * DAY]
EDGES = (MIDNIGHT - DAY, NOW)


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_with(request.param, tmp_path)


@pytest.fixture
def state(empty: StateDirectory) -> StateDirectory:
    """Return a state directory with nine days of calls, rolled up."""
    added(empty.url, CALLS)
    rolled_up(empty.url, now_ms=NOW, slice_rows=1000)
    return empty


def held(state: StateDirectory, kind: HoldKind, name: str, from_ms: int = 0) -> int:
    """Make a hold; return its number."""
    hold = NewHold(
        scope_kind=kind, scope_name=name, from_ms=from_ms, to_ms=NOW, reason="a case"
    )
    with transaction(state.url) as writing:
        return add_hold(writing, hold, now_ms=NOW, actor="somebody")


def wrong(state: StateDirectory) -> list[tuple[str, str]]:
    """Return what `usage verify` finds."""
    with connect_for_reading(state.url) as reading:
        for each in verify(reading, Span(0, NOW)):
            if isinstance(each, Verified):
                return [(found.where, found.what) for found in each.wrong]
    raise AssertionError("it has no end")


def test_old_rows_go_and_no_sum_changes(state: StateDirectory) -> None:
    """Whole days of UTC go, and what they add up to stays."""
    before = covered_sums(state.url, EDGES, BY)

    did = retained(state.url, A_WEEK, now_ms=NOW)

    assert did == (len(OLD), len(OLD), 0, 0)
    assert row_ids(state.url) == [c.request_id for c in CALLS if c not in OLD]
    assert before == covered_sums(state.url, EDGES, BY) == brute_sums(CALLS, BY)
    assert wrong(state) == []


def test_a_dry_run_counts_what_a_run_does(state: StateDirectory) -> None:
    """And each class that was asked for is written down."""
    policy = Retention(
        usage_detail_days=7, usage_diagnostics_days=3, security_access_days=2
    )
    held(state, "caller", "bob")

    with connect_for_reading(state.url) as reading:
        counted = count_old(reading, policy, now_ms=NOW)
    retained(state.url, policy, now_ms=NOW)

    with connect_for_reading(state.url) as reading:
        assert last_results(reading) == counted
    assert counted[0].did.held == sum(call.caller_id == "bob" for call in OLD)


def test_nothing_goes_before_its_roll_up_is_final(empty: StateDirectory) -> None:
    """Rows whose hour was never rolled up, or is stale, are blocked."""
    state = empty
    added(state.url, CALLS)

    unrolled = retained(state.url, A_WEEK, now_ms=NOW)
    rolled_up(state.url, now_ms=NOW, slice_rows=1000)
    added(state.url, [a_call(99, OLD[0].ts_ms + 1)])
    stale = retained(state.url, A_WEEK, now_ms=NOW)

    assert unrolled == (len(OLD), 0, 0, len(OLD))
    assert stale == (len(OLD) + 1, len(OLD) - 4, 0, 5)


def test_a_call_that_comes_after_its_hour_has_gone_counts(
    state: StateDirectory,
) -> None:
    """Its row is read, then rolled up, then it goes, too."""
    retained(state.url, A_WEEK, now_ms=NOW)
    late = a_call(99, OLD[0].ts_ms + 1)
    expected = brute_sums([*CALLS, late], BY)

    added(state.url, [late])
    as_row = covered_sums(state.url, EDGES, BY)
    rolled_up(state.url, now_ms=NOW)
    as_sum = covered_sums(state.url, EDGES, BY)
    did = retained(state.url, A_WEEK, now_ms=NOW)

    assert as_row == as_sum == covered_sums(state.url, EDGES, BY) == expected
    assert did.removed == 1
    assert wrong(state) == []


NAMES = {
    "caller": ("caller_id", "bob"),
    "user": ("caller_user", "alice"),
    "project": ("caller_project", "search"),
    "environment": ("caller_environment", "dev"),
    "group": ("resolved_group", "chat"),
}


@pytest.mark.parametrize("kind", HOLD_KINDS)
def test_what_is_held_stays(state: StateDirectory, kind: HoldKind) -> None:
    """Whoever is named, and only calls of the time that is named."""
    column, name = NAMES.get(kind, ("caller_id", ""))
    from_ms = MIDNIGHT + DAY
    number = held(state, kind, name, from_ms)

    retained(state.url, A_WEEK, now_ms=NOW)
    kept = row_ids(state.url)
    with transaction(state.url) as writing:
        release_hold(writing, number, now_ms=NOW, actor="somebody", reason="done")
    retained(state.url, A_WEEK, now_ms=NOW)

    assert kept == [
        call.request_id
        for call in CALLS
        if call not in OLD
        or (call.ts_ms >= from_ms and (kind == "all" or getattr(call, column) == name))
    ]
    assert row_ids(state.url) == [c.request_id for c in CALLS if c not in OLD]
    assert covered_sums(state.url, EDGES, BY) == brute_sums(CALLS, BY)


def for_ever(_period: PeriodName, _at_ms: float, _zone: str) -> tuple[float, float]:
    """Return the bounds of a lifetime."""
    return -inf, inf


def test_a_budget_remembers_what_retention_has_removed(state: StateDirectory) -> None:
    """A router that starts again counts on from all that was ever charged."""
    allowances = Allowances(
        callers={"bob": Allowance(budgets=Budgets(caps={"lifetime": Cap(nusd=1)}))}
    )
    rolled_up(state.url, now_ms=NOW + 90 * DAY, slice_rows=1000)
    policy = Retention(usage_detail_days=7, rollup_hourly_days=32, rollup_daily_days=32)

    retained(state.url, policy, now_ms=NOW + 90 * DAY)

    with connect_for_reading(state.url) as reading:
        uses = budget_uses(reading, allowances, Periods(NOW, {}, for_ever))
    charged = [
        call
        for call in CALLS
        if call.caller_id == "bob" and call.attempts and call.resolved_group
    ]
    sums = brute_sums(charged, ("caller_id",))[("bob",)]
    assert count_of(state.url, "request_measures") == 0
    assert count_of(state.url, "usage_rollup_daily") == 0
    assert uses["caller:bob"].periods["lifetime"].used == Used(
        sums["calls"], sums["charged_tokens"], sums["charged_cost_nusd"]
    )


def test_a_caller_is_told_of_days_whose_rows_have_gone(state: StateDirectory) -> None:
    """By day and by group, as before."""
    days = range(MIDNIGHT // DAY, NOW // DAY)

    def told() -> object:
        usage = CallerUsage(
            state.url, settled_after_s=0, now=lambda: 0.0, wall=lambda: NOW / 1000
        )
        return usage.of("bob", days, within_s=9, complete=True)

    before = told()
    retained(state.url, A_WEEK, now_ms=NOW)

    assert told() == before


def test_a_router_that_starts_after_retention_counts_on(state: StateDirectory) -> None:
    """What its counters begin with is what they would have without retention."""
    allowances = Allowances(
        callers={
            name: Allowance(budgets=Budgets(caps={"lifetime": Cap(nusd=1)}))
            for name in ("alice", "bob", "carol")
        }
    )
    serving = State(
        directory=state.path,
        database_url=Secret(state.url, source="the test"),
        journal_sync="interval",
    )
    before = on_record(serving, allowances).uses

    retained(state.url, A_WEEK, now_ms=NOW)

    assert len(row_ids(state.url)) < len(CALLS)
    assert on_record(serving, allowances).uses == before
    assert sum(use.periods["lifetime"].used.nusd for use in before.values()) > 0


def test_a_day_whose_rows_have_gone_takes_no_room(state: StateDirectory) -> None:
    """Its partition is dropped, where there are any, and a late call makes it anew."""
    retained(state.url, A_WEEK, now_ms=NOW)
    before_ms = NOW - 7 * DAY

    dropped = drop_empty_days(state.url, before_ms)
    again = drop_empty_days(state.url, before_ms)
    late = a_call(99, OLD[0].ts_ms + 1)
    added(state.url, [late])

    assert dropped == (
        0 if state.url.startswith("sqlite") else before_ms // DAY - MIDNIGHT // DAY
    )
    assert again == 0
    assert covered_sums(state.url, EDGES, BY) == brute_sums([*CALLS, late], BY)


class Killed(BaseException):
    """Stands for `kill -9`: nothing after it runs."""


class Fragile:
    """A transaction that dies at a chosen statement."""

    def __init__(self, writing: Writing, left: list[int]) -> None:
        """Die when nothing is left."""
        self._writing = writing
        self._left = left

    def __getattr__(self, name: str) -> object:
        """Count down, and do what was asked."""
        self._left[0] -= 1
        if self._left[0] < 0:
            raise Killed
        return getattr(self._writing, name)


@pytest.mark.parametrize("statements", range(1, 70, 9))
def test_a_crash_at_any_statement_leaves_every_sum_right(
    state: StateDirectory, statements: int
) -> None:
    """And the next run removes what is left."""
    left = [statements]

    @contextmanager
    def fragile() -> Iterator[Writing]:
        with transaction(state.url) as writing:
            yield Fragile(writing, left)  # type: ignore[misc]  # it has what is asked

    order = JobOrder(NOW, "somebody", "1")
    with pytest.raises(Killed):
        list(run_retention(fragile, A_WEEK, order, now=lambda: NOW))
    after = covered_sums(state.url, EDGES, BY)
    retained(state.url, A_WEEK, now_ms=NOW)

    assert after == covered_sums(state.url, EDGES, BY) == brute_sums(CALLS, BY)
    assert len(row_ids(state.url)) == len(CALLS) - len(OLD)
    assert wrong(state) == []


def test_what_hangs_on_a_call_goes_with_it(empty: StateDirectory) -> None:
    """No decision is left whose call nobody knows."""
    state = empty
    writer = state.writer()
    for number in range(30):
        writer.append(various_line(number))
    writer.close()
    while state.ingester().advance().more:
        continue
    before = [count_of(state.url, table) for table in DIAGNOSTICS]
    later_ms = 1_790_000_000_000 + 40 * DAY
    rolled_up(state.url, now_ms=later_ms)

    retained(state.url, A_WEEK, now_ms=later_ms)

    assert min(before) > 0
    assert [count_of(state.url, table) for table in DIAGNOSTICS] == [0] * len(before)
    assert count_of(state.url, "request_measures") == 0


def test_diagnostics_may_go_before_their_calls(empty: StateDirectory) -> None:
    """But those that are held stay."""
    state = empty
    writer = state.writer()
    for number in range(30):
        writer.append(various_line(number))
    writer.close()
    while state.ingester().advance().more:
        continue
    later_ms = 1_790_000_000_000 + 40 * DAY
    policy = Retention(usage_diagnostics_days=7, batch_rows=7)
    number = held(state, "user", "alice")
    with transaction(state.url) as writing:
        writing.execute("UPDATE legal_holds SET to_ms = ?", (later_ms,))

    kept = retained(state.url, policy, now_ms=later_ms)
    with transaction(state.url) as writing:
        release_hold(writing, number, now_ms=NOW, actor="somebody", reason=None)
    removed = retained(state.url, policy, now_ms=later_ms)

    assert kept.removed == 0
    assert removed.removed == removed.looked_at == kept.held > 0
    assert count_of(state.url, "request_measures") == 30


def test_every_table_of_single_calls_is_known_to_retention() -> None:
    """A new one may not be forgotten."""
    for table in (ROLLUP_PERIODS, DECISIONS, SECURITY_ACCESS_EVENTS):
        assert table.metadata is METADATA

    of_calls = {
        table.name for table in METADATA.tables.values() if "request_id" in table.c
    }

    assert of_calls == {*DIAGNOSTICS, "request_measures", "security_access_events"}


def test_the_daily_job_is_due_once_a_day(state: StateDirectory) -> None:
    """Also where the clock was set back, and never where nothing is to go."""
    at_four = Retention(usage_detail_days=7, at_minute=4 * 60)

    def due(now_ms: int, policy: Retention = at_four) -> bool:
        with connect_for_reading(state.url) as reading:
            return is_due(reading, policy, now_ms=now_ms)

    def ran(now_ms: int) -> None:
        order = JobOrder(now_ms, "ingester", "1", automatic=True)
        list(
            run_retention(
                lambda: transaction(state.url), at_four, order, now=lambda: now_ms
            )
        )

    assert due(NOW)
    assert not due(NOW, Retention())
    ran(NOW + DAY + 5 * HOUR)
    assert not due(NOW + DAY + 6 * HOUR)
    assert not due(NOW + 2 * DAY + 3 * HOUR)
    assert due(NOW + 2 * DAY + 4 * HOUR)
    assert due(NOW + 6 * HOUR)


def test_jobs_are_recorded_and_one_that_died_is_told(state: StateDirectory) -> None:
    """Each with who ran it, when it began and how it ended."""
    order = JobOrder(NOW, "somebody", "1")
    died = run_retention(lambda: transaction(state.url), A_WEEK, order, now=lambda: NOW)
    next(died)

    retained(state.url, A_WEEK, now_ms=NOW + 1)

    with connect_for_reading(state.url) as reading:
        jobs = [
            tuple(row)
            for row in reading.execute(
                "SELECT started_ms, ended_ms, status, actor FROM retention_jobs "
                "ORDER BY id"
            )
        ]
    assert jobs == [
        (NOW, None, "interrupted", "somebody"),
        (NOW + 1, NOW + 2, "done", "somebody"),
    ]


def test_an_import_counts_nothing_again_whose_rows_are_gone(
    state: StateDirectory, tmp_path: Path
) -> None:
    """The ids of removed calls are known no more, and their sums stand."""
    retained(state.url, A_WEEK, now_ms=NOW)
    before = covered_sums(state.url, EDGES, BY)
    other = StateDirectory(tmp_path / "other")
    other.journalled(CALLS)
    store = open_store(state.url, journal=state.journal)
    with closing(store), connect_for_reading(state.url) as reading:
        done = import_journals(
            journal_files([other.path]),
            store=store,
            removed=lambda: removed_hours(reading),
            state_directory=state.path,
            sleep=lambda _: None,
        )

    assert (done.records, done.removed) == (0, len(OLD))
    assert done.duplicates == len(CALLS) - len(OLD)
    assert covered_sums(state.url, EDGES, BY) == before
