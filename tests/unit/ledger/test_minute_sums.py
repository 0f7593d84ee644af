"""What was used of the rolling minute, read from the rows of calls."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smart_llmrouter.config.allowances import Allowance, Allowances, Limits
from smart_llmrouter.ledger.minute_sums import Use, has_minutes, minute_uses
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.stores.reading import connect_for_reading
from smart_llmrouter.stores.sqlite import connect
from tests.support.allowances import shaped
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.spending import with_budgets

NOW_MS = 1_793_707_200_000
WHO = "alice-search-dev"
RPM = Allowance(limits=Limits(rpm=9))
TPM = Allowance(limits=Limits(tpm=9))


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def a_call(number: int, *, ago_ms: int = 0, **fields: object) -> UsageRecord:
    """Return the record of a call of three tokens."""
    usual: dict[str, object] = {
        "ts_ms": NOW_MS - ago_ms,
        "resolved_group": "chat",
        "input_tokens": 1,
        "output_tokens": 2,
    }
    return a_record(number, **(usual | fields))


def uses(
    state: StateDirectory, records: list[UsageRecord], allowances: Allowances
) -> dict[str, list[Use]]:
    """Return what these calls have used of each minute that is limited."""
    state.journalled(records)
    state.ingester().advance()
    with connect_for_reading(state.url) as connection:
        found = minute_uses(connection, allowances, now_ms=NOW_MS)
    return {each.scope.key: sorted(each.uses) for each in found}


def test_a_call_counts_where_a_minute_is_limited(state: StateDirectory) -> None:
    """In each such scope to which it belongs, and in no other."""
    allowances = Allowances(
        callers={WHO: RPM, "bob": RPM},
        owners={"alice": with_budgets("day")},
        groups={"chat": TPM},
        per_caller={"chat": Allowance(limits=Limits(concurrent=1))},
    )

    found = uses(
        state, [a_call(1), a_call(2, ago_ms=5, resolved_group="mail")], allowances
    )

    first, second = Use(NOW_MS + 1, 1, 3), Use(NOW_MS - 4, 1, 3)
    assert found == {f"caller:{WHO}": [second, first], "group:chat": [first]}


def test_calls_of_one_moment_are_one_use(state: StateDirectory) -> None:
    """Whatever else is different about them; what was charged counts."""
    calls = [
        a_call(1),
        a_call(2, charged_tokens=50, status=504),
        a_call(3, output_tokens=None),
    ]

    found = uses(state, calls, Allowances(owners={"alice": RPM}))

    assert found == {"owner:alice": [Use(NOW_MS + 1, 3, 53)]}


def test_what_came_out_of_the_cache_counts_as_a_request(state: StateDirectory) -> None:
    """It has used no tokens, and what only was to be looked up there counts not."""
    free: dict[str, Any] = {"attempts": 0, "input_tokens": None, "output_tokens": None}
    calls = [
        a_call(1, cache="hit", **free),
        a_call(2, cache="hit", cache_reason="waited", **free),
        a_call(3, cache="miss", cache_reason="error", status=429, **free),
    ]

    found = uses(state, calls, Allowances(owners={"alice": RPM}))

    assert found == {"owner:alice": [Use(NOW_MS + 1, 2, 0)]}


def test_only_calls_count_that_asked_a_provider(state: StateDirectory) -> None:
    """And were granted in the last minute, or in a step of it that is not over."""
    calls = [
        a_call(1, attempts=0, status=429),
        a_call(2, attempts=0, resolved_group=None),
        a_call(3, ago_ms=60_101),
        a_call(4, ago_ms=60_100),
        a_call(5, ago_ms=-60_000),
    ]

    found = uses(state, calls, Allowances(callers={WHO: RPM}))

    assert found == {f"caller:{WHO}": [Use(NOW_MS - 60_099, 1, 3)]}


def test_a_call_that_waited_for_its_turn_was_granted_later(
    state: StateDirectory,
) -> None:
    """Nobody can have waited longer than somebody may wait."""
    waits = shaped(1, wait_s=30)
    calls = [
        a_call(1, ago_ms=70_000, queued_us=20_000_500),
        a_call(2, ago_ms=70_000, queued_us=3000),
    ]

    found = uses(state, calls, Allowances(callers={WHO: RPM}, groups={"mail": waits}))

    assert found == {f"caller:{WHO}": [Use(NOW_MS - 49_998, 1, 3)]}


def test_rows_are_read_only_where_a_minute_is_limited() -> None:
    """Not even a table is needed where nothing is."""
    nothing = Allowances(callers={WHO: with_budgets("day")}, groups={"a": shaped(1)})

    with closing(sqlite3.connect(":memory:")) as connection:
        found = list(minute_uses(connection, nothing, now_ms=NOW_MS))

    assert (found, has_minutes(nothing)) == ([], False)
    assert has_minutes(Allowances(callers={WHO: RPM}))
    assert has_minutes(Allowances(per_caller={"chat": TPM}))


def test_the_rows_of_other_minutes_are_not_read(state: StateDirectory) -> None:
    """However many they are: rows are found by when they began."""
    state.journalled([a_call(1)])
    state.ingester().advance()
    plans: list[str] = []
    allowances = Allowances(callers={WHO: RPM})

    with closing(connect(state.database, mode="ro")) as connection:
        connection.set_trace_callback(plans.append)
        list(minute_uses(connection, allowances, now_ms=NOW_MS))
        connection.set_trace_callback(None)
        [query] = plans
        plan = " ".join(
            row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")
        )

    assert "SEARCH request_measures USING PRIMARY KEY (ts_ms>? AND ts_ms<?)" in plan
