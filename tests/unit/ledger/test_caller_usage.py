"""What one caller has used, out of the rows of all."""

import time
from pathlib import Path

import pytest

from smart_llmrouter.ledger.caller_usage import (
    DAY_MS,
    Amounts,
    UsageLine,
    UsageUnread,
    caller_usage,
)
from smart_llmrouter.ledger.record import UsageRecord
from tests.support.ledger import a_record, state_in

DAY = 20_000


def at(day: int, ms: int, **fields: object) -> UsageRecord:
    """Return a record of a call so many milliseconds after a day has begun."""
    return a_record(ms % DAY_MS, ts_ms=day * DAY_MS + ms, **fields)


def lines(
    directory: Path, *records: UsageRecord, days: range = range(DAY, DAY + 1)
) -> list[UsageLine]:
    """Write records down, and return what the usual caller has used on these days."""
    state = state_in(directory)
    state.journalled(records)
    ingester = state.ingester()
    while ingester.advance().more:
        pass
    return caller_usage(
        state.database, "alice-search-dev", days, within_s=10, now=time.monotonic
    )


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

    with pytest.raises(UsageUnread, match="OperationalError"):
        caller_usage(path, "a", range(1), within_s=1, now=time.monotonic)

    assert not path.exists()


def test_reading_ends_when_it_takes_too_long(tmp_path: Path) -> None:
    """However many rows there are."""
    state = state_in(tmp_path)
    state.journalled(at(DAY, number) for number in range(3000))
    ingester = state.ingester()
    while ingester.advance().more:
        pass

    with pytest.raises(UsageUnread):
        caller_usage(
            state.database,
            "alice-search-dev",
            range(DAY, DAY + 1),
            within_s=-1,
            now=time.monotonic,
        )
