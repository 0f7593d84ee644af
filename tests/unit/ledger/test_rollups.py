"""Rolling up: sums that are those of the rows, or that say that they are stale."""

from pathlib import Path

import pytest

from smart_llmrouter.ledger.record import UsageRecord
from tests.support.ledger import StateDirectory, state_in
from tests.support.rollups import (
    DAY,
    MIDNIGHT,
    a_call,
    added,
    brute_sums,
    covered_sums,
    rolled_up,
)

BY = ("caller_id", "resolved_group", "target_model", "status", "error_code")


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def two_days() -> list[UsageRecord]:
    """Return calls of two days, one each 17 minutes."""
    return [
        a_call(number, MIDNIGHT + number * 17 * 60_000)
        for number in range(2 * DAY // (17 * 60_000))
    ]


def test_hours_days_and_months_add_up_what_the_rows_say(state: StateDirectory) -> None:
    """Whatever the longest period is that is read, the sums are the same."""
    calls = two_days()
    added(state.url, calls)

    rolled_up(state.url, now_ms=MIDNIGHT + 40 * DAY)

    expected = brute_sums(calls, BY)
    edges = (MIDNIGHT - 30 * DAY, MIDNIGHT + 30 * DAY)
    assert covered_sums(state.url, edges, BY, longest="hour") == expected
    assert covered_sums(state.url, edges, BY, longest="day") == expected
    assert covered_sums(state.url, edges, BY, longest="month") == expected
