"""What was used of budgets, read from the rows of calls."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.config.allowances import Allowances, PeriodName
from smart_llmrouter.ledger.budget_sums import (
    Periods,
    Used,
    budget_uses,
    charged_of,
)
from smart_llmrouter.ledger.catch_up import all_rows
from smart_llmrouter.ledger.ingester_loop import ingester_lock
from smart_llmrouter.ledger.record import UsageRecord, encode_record
from smart_llmrouter.stores.budget_events import Resets
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.usage_store import DatabaseAway
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.spending import flat, with_budgets

NOON_MS = 1_793_707_200_000
"""2026-11-03 12:00 UTC."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EVERY: tuple[PeriodName, ...] = ("day", "month", "lifetime")
OF_ALICE = Allowances(callers={"alice-search-dev": with_budgets(*EVERY)})


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


@contextmanager
def rows(state: StateDirectory) -> Iterator[Queries]:
    """Open the database when all records are in it."""
    with all_rows(
        state.path,
        state.url,
        sleep=time.sleep,
        monotonic=time.monotonic,
        longest_wait_s=0.05,
    ) as connection:
        yield connection


def a_call(number: int, *, ago_ms: int = 0, **fields: object) -> UsageRecord:
    """Return the record of a call of one token and one nano-dollar."""
    usual: dict[str, object] = {
        "ts_ms": NOON_MS - ago_ms,
        "resolved_group": "chat",
        "input_tokens": 1,
        "output_tokens": 0,
        "total_cost_nusd": 1,
    }
    return a_record(number, **(usual | fields))


def used(
    state: StateDirectory,
    allowances: Allowances = OF_ALICE,
    *,
    at_ms: int = NOON_MS,
    resets: Resets | None = None,
) -> dict[tuple[str, PeriodName], Used]:
    """Return what was used of each budget, where anything was."""
    with rows(state) as connection:
        periods = Periods(at_ms, resets or {}, bounds_ms)
        return flat(budget_uses(connection, allowances, periods))


def test_a_call_counts_in_its_day_its_month_and_for_ever(
    state: StateDirectory,
) -> None:
    """Yesterday's counts in the month only, and last month's in all."""
    agos = (0, HOUR_MS, DAY_MS, 40 * DAY_MS)
    state.journalled(a_call(n, ago_ms=ago) for n, ago in enumerate(agos))

    found = used(state)

    assert found == {
        ("caller:alice-search-dev", "day"): Used(2, 2, 2),
        ("caller:alice-search-dev", "month"): Used(3, 3, 3),
        ("caller:alice-search-dev", "lifetime"): Used(4, 4, 4),
    }


def test_a_call_counts_in_each_scope_that_has_budgets(state: StateDirectory) -> None:
    """Caller, owner, project, environment, group, and the caller's part of a group."""
    each = with_budgets("lifetime")
    allowances = Allowances(
        callers={"alice-search-dev": each, "bob": each},
        owners={"alice": each},
        projects={"search": each},
        environments={("search", "dev"): each, ("search", "prod"): each},
        groups={"chat": each},
        per_caller={"chat": each},
    )
    state.journalled([a_call(1), a_call(2, resolved_group="mail")])

    found = used(state, allowances)

    once, twice = Used(1, 1, 1), Used(2, 2, 2)
    assert found == {
        ("caller:alice-search-dev", "lifetime"): twice,
        ("owner:alice", "lifetime"): twice,
        ("project:search", "lifetime"): twice,
        ("environment:search/dev", "lifetime"): twice,
        ("group:chat", "lifetime"): once,
        ("group-caller:chat/alice-search-dev", "lifetime"): once,
    }


def test_what_came_out_of_the_cache_counts_as_a_request(state: StateDirectory) -> None:
    """It has used no tokens and no dollars."""
    free: dict[str, Any] = {"attempts": 0, "input_tokens": None, "output_tokens": None}
    hit = a_call(1, cache="hit", total_cost_nusd=0, **free)
    state.journalled([hit, a_call(2, cache="bypass", cache_reason="tools")])

    found = used(state)
    with rows(state) as connection:
        charged = charged_of(connection, [hit.request_id], since_ms=0)

    assert set(found.values()) == {Used(2, 1, 1)}
    assert charged == {hit.request_id: Used(1, 0, 0)}


def test_days_begin_in_the_time_zone_of_their_budget(state: StateDirectory) -> None:
    """At noon in Greenwich it is tomorrow already on Kiritimati."""
    east = with_budgets("day", "month", timezone="Pacific/Kiritimati")
    allowances = Allowances(
        callers={"alice-search-dev": with_budgets("day")}, groups={"chat": east}
    )
    state.journalled([a_call(1), a_call(2, ago_ms=3 * HOUR_MS)])

    found = used(state, allowances)

    assert found == {
        ("caller:alice-search-dev", "day"): Used(2, 2, 2),
        ("group:chat", "day"): Used(1, 1, 1),
        ("group:chat", "month"): Used(2, 2, 2),
    }


def test_what_was_charged_counts_instead_of_what_is_known(
    state: StateDirectory,
) -> None:
    """A call that was cut off is charged what it may have used."""
    state.journalled(
        [
            a_call(1, charged_tokens=100, charged_cost_nusd=500),
            a_call(2, charged_tokens=0, charged_cost_nusd=0),
            a_call(3, output_tokens=None, total_cost_nusd=None),
        ]
    )

    found = used(state)

    assert found["caller:alice-search-dev", "day"] == Used(3, 100, 500)


def test_a_call_that_asked_nobody_has_used_nothing(state: StateDirectory) -> None:
    """Refused calls and those whose names are unknown are on record, and are free."""
    state.journalled(
        [
            a_call(1, attempts=0, status=429, refused_by="caller:rpm"),
            a_call(2, attempts=0, resolved_group=None),
        ]
    )

    assert used(state) == {}


def test_what_began_before_a_reset_counts_no_more(state: StateDirectory) -> None:
    """In the period that was reset; the others go on."""
    state.journalled(a_call(n, ago_ms=n * HOUR_MS) for n in range(4))
    reset: Resets = {("caller:alice-search-dev", "day"): NOON_MS - HOUR_MS}

    found = used(state, resets=reset)

    assert found["caller:alice-search-dev", "day"] == Used(2, 2, 2)
    assert found["caller:alice-search-dev", "month"] == Used(4, 4, 4)


def test_a_reset_of_an_earlier_day_changes_nothing(state: StateDirectory) -> None:
    """The day began after it."""
    state.journalled(a_call(n, ago_ms=n * HOUR_MS) for n in range(4))
    reset: Resets = {("caller:alice-search-dev", "day"): NOON_MS - 2 * DAY_MS}

    assert used(state, resets=reset) == used(state)


def test_calls_of_after_a_moment_can_be_left_out(state: StateDirectory) -> None:
    """Whoever counts from then on counts them itself."""
    state.journalled(a_call(n, ago_ms=n * HOUR_MS) for n in range(4))

    with rows(state) as connection:
        uses = budget_uses(
            connection,
            OF_ALICE,
            Periods(NOON_MS, {}, bounds_ms),
            before_ms=NOON_MS - HOUR_MS,
        )

    assert flat(uses)["caller:alice-search-dev", "day"] == Used(2, 2, 2)


def test_the_last_line_of_a_router_that_was_killed_is_counted(
    state: StateDirectory,
) -> None:
    """And the half of a line behind it, whose call had no answer, is not."""
    state.journalled(a_call(n) for n in range(3))
    [name] = state.segments()
    with (state.journal / name).open("ab") as segment:
        segment.write(encode_record(a_call(9))[:-20])

    assert used(state)["caller:alice-search-dev", "day"] == Used(3, 3, 3)


def test_rows_that_cannot_be_had_are_not_taken_for_none(state: StateDirectory) -> None:
    """Somebody holds the journal, and does nothing: there is no sum."""
    state.journalled([a_call(1)])

    with ingester_lock(state.path) as acquired:
        assert acquired()
        with pytest.raises(DatabaseAway, match="of the journal cannot be ingested"):
            used(state)


def test_what_single_calls_were_charged(state: StateDirectory) -> None:
    """By their ids, of those that are on record."""
    state.journalled(
        [a_call(1), a_call(2, charged_tokens=7), a_call(3, attempts=0), a_call(4)]
    )
    ids = [a_call(n).request_id for n in (1, 2, 3, 9)]

    with rows(state) as connection:
        charged = charged_of(connection, ids, since_ms=NOON_MS)
        later = charged_of(connection, ids, since_ms=NOON_MS + 1)

    assert charged == {ids[0]: Used(1, 1, 1), ids[1]: Used(1, 7, 1), ids[2]: Used()}
    assert later == {}
