"""What is SQLite's alone: its file, and its one lock."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smart_llmrouter.stores.sqlite_store import SqliteStore
from smart_llmrouter.stores.usage_store import DatabaseAway, UsageStore
from tests.support.ledger import StateDirectory, a_record, add, state_in


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


@pytest.fixture
def store(state: StateDirectory) -> Iterator[UsageStore]:
    """Return a store on that database."""
    store = SqliteStore(state.url)
    yield store
    store.close()


def test_a_locked_database_is_away_and_comes_back(
    state: StateDirectory, store: UsageStore
) -> None:
    """While another writer holds the lock nothing is added, and nothing is lost."""
    with closing(sqlite3.connect(state.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseAway) as caught:
            add(store, a_record(1))
        other.execute("ROLLBACK")

    assert caught.value.reason == "database is locked"
    assert add(store, a_record(1)) == 1


def test_a_database_that_was_moved_away_gets_no_rows(
    state: StateDirectory, store: UsageStore
) -> None:
    """Rows never go to a file that has no name any more."""
    add(store, a_record(1))
    elsewhere = state.path / "elsewhere.sqlite"
    state.database.rename(elsewhere)

    with pytest.raises(DatabaseAway) as caught:
        add(store, a_record(2), segment="s", end_offset=2)
    elsewhere.rename(state.database)

    assert caught.value.reason == "No such file or directory"
    assert store.positions() == {"s": 1}
