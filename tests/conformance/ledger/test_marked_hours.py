"""Which hours have other rows than before: those that a row was added to, no other."""

from contextlib import closing

import pytest

from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.usage_store import DatabaseAway, open_store
from tests.support.databases import change
from tests.support.ledger import StateDirectory, add
from tests.support.rollups import DAY, HOUR, MIDNIGHT, a_call, added, rolled_up


def changes(state: StateDirectory) -> dict[int, int]:
    """Return how often each hour was said to have changed."""
    with connect_for_reading(state.url) as reading:
        query = "SELECT start_ms, changes FROM usage_rollup_periods WHERE period = ?"
        return dict(reading.execute(query, ("hour",)).fetchall())


def states(state: StateDirectory) -> list[tuple[object, ...]]:
    """Return all that is known of all periods."""
    with connect_for_reading(state.url) as reading:
        query = "SELECT * FROM usage_rollup_periods ORDER BY period, start_ms"
        return [tuple(row) for row in reading.execute(query)]


def of_hours(*hours: int, first: int = 0) -> list[UsageRecord]:
    """Return a call for each of some hours; some of them have rare measures."""
    return [
        a_call(first + index, MIDNIGHT + hour * HOUR + index * 1000)
        for index, hour in enumerate(hours)
    ]


def test_rows_that_are_there_already_change_no_hour(state: StateDirectory) -> None:
    """Who reads a journal again leaves roll-ups as they are."""
    calls = of_hours(*(number // 30 for number in range(90)))
    added(state.url, calls)
    rolled_up(state.url, now_ms=MIDNIGHT + 40 * DAY)
    before = states(state)

    added(state.url, calls)

    assert states(state) == before


def test_only_hours_of_new_rows_are_marked(state: StateDirectory) -> None:
    """However rows that are new and rows that are known, or come twice, are mixed."""
    known = of_hours(0, 1, 2, 0, 1, 2, 0, 1, 2, 5, 5, 5)
    added(state.url, known)
    new = of_hours(1, 1, 3, 3, 3, 4, first=100)
    before = changes(state)

    mixed = [*known[:5], *new[:3], *known[5:], *new[2:], new[0]]
    added(state.url, mixed)

    after = changes(state)
    assert {(start - MIDNIGHT) // HOUR for start in before} == {0, 1, 2, 5}
    assert {
        (start - MIDNIGHT) // HOUR: count - before.get(start, 0)
        for start, count in after.items()
    } == {0: 0, 1: 1, 2: 0, 3: 1, 4: 1, 5: 0}


def test_hours_of_a_batch_in_any_order_are_marked(state: StateDirectory) -> None:
    """Each of them once, also of before 1970 and at the ends of what a clock says."""
    most = (1 << 63) - 1
    times = [-1, 0, -HOUR, -HOUR - 1, HOUR - 1, HOUR, most, -most - 1]

    added(state.url, [a_call(index, ts_ms) for index, ts_ms in enumerate(times)])

    hours = {max(ts_ms // HOUR * HOUR, -most - 1) for ts_ms in times}
    assert changes(state) == dict.fromkeys(hours, 1)


def test_rows_without_their_mark_are_not_there(state: StateDirectory) -> None:
    """What goes wrong between the two takes the rows back, and the position."""
    calls = of_hours(0, 0, 1)
    break_marks(state)
    with closing(open_store(state.url)) as store:
        with pytest.raises(DatabaseAway):
            add(store, *calls)
        left = (state.request_ids(), store.positions(), changes(state))
        mend_marks(state)

        new = add(store, *calls)

        assert left == ([], {}, {})
        assert new == len(calls)
        assert changes(state) == {MIDNIGHT: 1, MIDNIGHT + HOUR: 1}


def break_marks(state: StateDirectory) -> None:
    """Let each mark fail."""
    trigger = "CREATE TRIGGER broken BEFORE INSERT ON usage_rollup_periods "
    if backend_of(state.url) == "sqlite":
        change(state.url, f"{trigger} BEGIN SELECT RAISE(FAIL, 'broken'); END")
        return
    change(
        state.url,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'broken'; END $$",
        f"{trigger} FOR EACH ROW EXECUTE FUNCTION fail()",
    )


def mend_marks(state: StateDirectory) -> None:
    """Let marks be made again."""
    on = "" if backend_of(state.url) == "sqlite" else " ON usage_rollup_periods"
    change(state.url, f"DROP TRIGGER broken{on}")
