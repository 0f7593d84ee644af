"""What one caller has used, out of the rows of all."""

import time
from pathlib import Path

import pytest

from smart_llmrouter.ledger.caller_usage import (
    DAY_MS,
    Amounts,
    CallerUsage,
    UsageLine,
    UsageUnread,
)
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.stores.sqlite import sqlite_url
from tests.support.clock import Clock
from tests.support.ledger import StateDirectory, a_record, state_in

DAY = 20_000


def at(day: int, ms: int, **fields: object) -> UsageRecord:
    """Return a record of a call so many milliseconds after a day has begun."""
    return a_record(ms % DAY_MS, ts_ms=day * DAY_MS + ms, **fields)


def caught_up(state: StateDirectory) -> None:
    """Bring all records into the database."""
    ingester = state.ingester()
    while ingester.advance().more:
        pass


def filled(directory: Path, *records: UsageRecord) -> StateDirectory:
    """Return a state directory with these records in its database."""
    state = state_in(directory)
    state.journalled(records)
    caught_up(state)
    return state


def book(url: str, *, day: int = DAY + 9, hour: int = 0) -> CallerUsage:
    """Return what reads a database at some time; all calls end within half an hour."""
    wall_s = day * DAY_MS / 1000 + hour * 3600
    return CallerUsage(
        url, settled_after_s=1800, now=time.monotonic, wall=lambda: wall_s
    )


def lines(
    directory: Path, *records: UsageRecord, days: range = range(DAY, DAY + 1)
) -> list[UsageLine]:
    """Write records down, and return what the usual caller has used on these days."""
    state = filled(directory, *records)
    usage = book(state.url)
    settled = usage.of("alice-search-dev", days, within_s=10, complete=True)
    young = book(state.url, day=DAY - 9).of(
        "alice-search-dev", days, within_s=10, complete=True
    )
    assert settled is not None
    assert settled == young
    return settled


def test_days_groups_and_kinds(tmp_path: Path) -> None:
    """Calls add up by day and group; what is unknown of them adds nothing."""
    known = {
        "input_tokens": 100,
        "cached_input_tokens": 40,
        "cache_write_5m_tokens": 5,
        "cache_write_1h_tokens": 6,
        "output_tokens": 10,
        "reasoning_tokens": 3,
        "total_cost_nusd": 7,
    }
    found = lines(
        tmp_path,
        at(DAY, 1, resolved_group="chat", **known),
        at(DAY, 2, resolved_group="chat", **known, client="codex"),
        at(DAY, 3, resolved_group="chat", status=502, error_code="upstream-failed"),
        at(DAY, 4, resolved_group="code"),
        at(DAY, 5, status=403, error_code="model-not-allowed"),
        at(DAY + 1, 6, resolved_group="chat", input_tokens=1),
        days=range(DAY, DAY + 2),
    )

    assert found == [
        UsageLine(DAY, None, Amounts(calls=1, errors=1)),
        UsageLine(DAY, "chat", Amounts(3, 1, 200, 80, 10, 12, 20, 6, 14)),
        UsageLine(DAY, "code", Amounts(calls=1)),
        UsageLine(DAY + 1, "chat", Amounts(calls=1, input_tokens=1)),
    ]


def test_days_are_half_open(tmp_path: Path) -> None:
    """The first millisecond of a day belongs to it, and that of the next does not."""
    found = lines(
        tmp_path,
        at(DAY, -1),
        at(DAY, 0),
        at(DAY, DAY_MS - 1),
        at(DAY, DAY_MS),
    )

    assert found == [UsageLine(DAY, None, Amounts(calls=2))]


def test_nobody_elses_calls_are_among_them(tmp_path: Path) -> None:
    """Not even of the same owner, project and token's beginning."""
    found = lines(
        tmp_path,
        at(DAY, 1, caller_id="alice-search-dev2"),
        at(DAY, 2, caller_id="alice"),
        at(DAY, 3, caller_id="alice-search-de_"),
    )

    assert found == []


def test_no_database_is_told(tmp_path: Path) -> None:
    """It is not made, either."""
    path = tmp_path / "usage.sqlite"

    with pytest.raises(UsageUnread, match="No such file or directory"):
        book(sqlite_url(path)).of("a", range(1), within_s=10, complete=True)

    assert not path.exists()


def test_reading_gets_further_each_time(tmp_path: Path) -> None:
    """What does not fit into the time is gone on with, and not begun anew."""
    state = filled(
        tmp_path,
        *(at(DAY + number % 3, number) for number in range(9000)),
    )
    clock = Clock()

    def passing() -> float:
        clock.turn(0.01)
        return clock()

    usage = CallerUsage(
        state.url,
        settled_after_s=0,
        now=passing,
        wall=lambda: (DAY + 9) * DAY_MS / 1000,
    )

    found = [
        usage.of("alice-search-dev", range(DAY, DAY + 3), within_s=0.1, complete=True)
        for _ in range(40)
    ]

    whole = [UsageLine(DAY + day, None, Amounts(calls=3000)) for day in range(3)]
    assert found[0] is None
    assert found[-1] == whole
    assert all(each in (None, whole) for each in found)


@pytest.mark.parametrize(
    ("complete", "by_day"),
    [(True, {DAY: 1, DAY + 1: 1}), (False, {DAY: 2, DAY + 1: 2})],
)
def test_what_is_settled_is_read_once(
    tmp_path: Path, *, complete: bool, by_day: dict[int, int]
) -> None:
    """A day, and each hour of the last one, for all callers; but not what may grow."""
    state = filled(tmp_path, at(DAY, 0))
    usage = book(state.url, day=DAY + 1, hour=2)
    days = range(DAY, DAY + 2)
    usage.of("bob", days, within_s=10, complete=complete)
    hour_ms = DAY_MS // 24

    state.journalled([at(DAY, 1), at(DAY + 1, 2), at(DAY + 1, hour_ms + 3)])
    caught_up(state)
    lines = usage.of("alice-search-dev", days, within_s=10, complete=complete)

    assert lines == [
        UsageLine(day, None, Amounts(calls=calls)) for day, calls in by_day.items()
    ]
