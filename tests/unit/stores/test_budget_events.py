"""Budgets that were reset by hand are rows that nobody changes."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from smart_llmrouter.stores.budget_events import (
    BudgetReset,
    MadeReset,
    add_reset,
    events_until,
    last_resets,
    resets_after,
)
from smart_llmrouter.stores.unusable import SchemaMismatch
from tests.support.ledger import StateDirectory, state_in

RESET = BudgetReset(
    scope_kind="group-caller",
    scope_name="chat/alice",
    period="day",
    at_ms=5_000,
    actor="operator",
    used_requests=1,
    used_tokens=2,
    used_nusd=3,
)


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def test_a_reset_says_who_did_what_and_when(state: StateDirectory) -> None:
    """And what had been used until then."""
    add_reset(state.url, RESET, ts_ms=6_000)

    with closing(sqlite3.connect(state.database)) as connection:
        found = connection.execute("SELECT * FROM budget_events").fetchall()

    assert found == [
        (1, 6000, "reset", "group-caller", "chat/alice", "day", 5000, "operator",
         1, 2, 3)
    ]  # fmt: skip


def test_the_last_reset_of_each_budget_counts(state: StateDirectory) -> None:
    """Whatever the order in which they were written."""
    for at_ms in (5_000, 9_000, 7_000):
        add_reset(state.url, msgspec.structs.replace(RESET, at_ms=at_ms), ts_ms=1)
    add_reset(state.url, msgspec.structs.replace(RESET, period="month"), ts_ms=1)

    with closing(sqlite3.connect(state.database)) as connection:
        found = last_resets(connection, at_ms=9_000)
        earlier = last_resets(connection, at_ms=6_000)

    key = "group-caller:chat/alice"
    assert found == {(key, "day"): 9_000, (key, "month"): 5_000}
    assert earlier == {(key, "day"): 5_000, (key, "month"): 5_000}


def test_new_resets_are_found_by_those_who_look_again(state: StateDirectory) -> None:
    """Each once, in their order."""
    add_reset(state.url, RESET, ts_ms=1)
    with closing(sqlite3.connect(state.database)) as connection:
        known = events_until(connection, at_ms=5_000)
        none = resets_after(connection, known)
        add_reset(state.url, msgspec.structs.replace(RESET, at_ms=8_000), ts_ms=2)

        new = resets_after(connection, known)

    assert (known, none) == (1, [])
    assert new == [MadeReset(2, "group-caller:chat/alice", "day", 8_000)]


def test_a_database_without_resets_has_no_event(state: StateDirectory) -> None:
    """The first one that comes is new."""
    with closing(sqlite3.connect(state.database)) as connection:
        assert events_until(connection, at_ms=1) == 0
        assert last_resets(connection, at_ms=1) == {}


def test_a_reset_whose_time_has_not_come_is_still_new(state: StateDirectory) -> None:
    """Whoever begins to look just before it is told of it."""
    add_reset(state.url, RESET, ts_ms=1)
    add_reset(state.url, msgspec.structs.replace(RESET, at_ms=8_000), ts_ms=2)

    with closing(sqlite3.connect(state.database)) as connection:
        known = events_until(connection, at_ms=7_999)
        new = resets_after(connection, known)

    assert [each.at_ms for each in new] == [8_000]


def test_another_schema_is_left_alone(state: StateDirectory) -> None:
    """A database of an older version takes no resets."""
    with closing(sqlite3.connect(state.database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'usage_0004'")
        connection.commit()

    with pytest.raises(SchemaMismatch, match="db upgrade"):
        add_reset(state.url, RESET, ts_ms=1)
