"""Rows and positions: together or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from smart_llmrouter.stores.usage_store import (
    DatabaseAway,
    Row,
    UnstorableRows,
    UsageStore,
)
from tests.support.ledger import StateDirectory, a_record, state_in


def row(number: int, **fields: object) -> Row:
    """Return a row as the ingester makes them."""
    return msgspec.structs.astuple(a_record(number, **fields))


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


@pytest.fixture
def store(state: StateDirectory) -> Iterator[UsageStore]:
    """Return a store on that database."""
    store = UsageStore(state.url)
    yield store
    store.close()


def test_rows_and_position_arrive_together(
    state: StateDirectory, store: UsageStore
) -> None:
    """One call adds the rows and moves the position."""
    new = store.add([row(1), row(2)], segment="s", end_offset=10)
    again = store.add([], segment="s", end_offset=20)

    assert (new, again) == (2, 0)
    assert len(state.request_ids()) == 2
    assert store.positions() == {"s": 20}


def test_a_known_request_is_not_added_twice(
    state: StateDirectory, store: UsageStore
) -> None:
    """The first row wins, and the answer counts only what is new."""
    store.add([row(1, client="first")], segment="s", end_offset=1)

    new = store.add([row(1, client="second"), row(2)], segment="t", end_offset=1)

    assert new == 1
    assert state.rows("client") == [("first",), ("openai-python",)]


def test_a_value_that_fits_nowhere_commits_nothing(
    state: StateDirectory, store: UsageStore
) -> None:
    """The caller learns which rows to leave out, and the rest can be added."""
    rows = [row(1), row(2, latency_us=1 << 70), row(3)]

    with pytest.raises(UnstorableRows) as caught:
        store.add(rows, segment="s", end_offset=1)

    assert caught.value.indexes == {1}
    assert state.request_ids() == []
    assert store.positions() == {}
    assert store.add([rows[0], rows[2]], segment="s", end_offset=1) == 2


def test_settled_rows_survive_and_forgotten_positions_do_not(
    state: StateDirectory, store: UsageStore
) -> None:
    """Settling keeps everything; forgetting drops positions only."""
    store.add([row(1)], segment="s", end_offset=1)

    store.settle("s")
    store.forget(["s", "never-there"])
    store.forget([])

    assert store.positions() == {}
    assert len(state.request_ids()) == 1


def test_a_locked_database_is_away_and_comes_back(
    state: StateDirectory, store: UsageStore
) -> None:
    """While another writer holds the lock nothing is added, and nothing is lost."""
    with closing(sqlite3.connect(state.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseAway) as caught:
            store.add([row(1)], segment="s", end_offset=1)
        other.execute("ROLLBACK")

    assert caught.value.reason == "database is locked"
    assert store.add([row(1)], segment="s", end_offset=1) == 1


def test_a_database_that_was_moved_away_gets_no_rows(
    state: StateDirectory, store: UsageStore
) -> None:
    """Rows never go to a file that has no name any more."""
    store.add([row(1)], segment="s", end_offset=1)
    elsewhere = state.path / "elsewhere.sqlite"
    state.database.rename(elsewhere)

    with pytest.raises(DatabaseAway) as caught:
        store.add([row(2)], segment="s", end_offset=2)
    elsewhere.rename(state.database)

    assert caught.value.reason == "No such file or directory"
    assert store.positions() == {"s": 1}


def test_a_database_with_another_schema_is_away(
    state: StateDirectory, store: UsageStore
) -> None:
    """The ingester never writes into a schema that it does not know."""
    with closing(sqlite3.connect(state.database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'other'")
        connection.commit()

    with pytest.raises(DatabaseAway, match="has schema other"):
        store.positions()
