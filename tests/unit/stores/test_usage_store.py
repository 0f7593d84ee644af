"""Rows and positions: together or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smart_llmrouter.ledger.record import UsageRecord, split_record
from smart_llmrouter.stores.usage_store import (
    DatabaseAway,
    UnstorableRows,
    UsageStore,
)
from tests.support.ledger import StateDirectory, a_record, state_in


def add(
    store: UsageStore, *records: UsageRecord, segment: str = "s", end_offset: int = 1
) -> int:
    """Add records as the ingester does."""
    rows = [split_record(record) for record in records]
    return store.add(
        [measures for measures, _ in rows],
        [labels for _, labels in rows],
        segment=segment,
        end_offset=end_offset,
    )


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
    new = add(store, a_record(1), a_record(2), segment="s", end_offset=10)
    again = add(store, segment="s", end_offset=20)

    assert (new, again) == (2, 0)
    assert len(state.request_ids()) == 2
    assert store.positions() == {"s": 20}


def test_a_known_request_is_not_added_twice(
    state: StateDirectory, store: UsageStore
) -> None:
    """The first row wins, and the answer counts only what is new."""
    add(store, a_record(1, client="first"))

    new = add(
        store, a_record(1, client="second"), a_record(2), segment="t", end_offset=1
    )

    assert new == 1
    assert state.rows("client") == [("first",), ("openai-python",)]


def test_a_value_that_fits_nowhere_commits_nothing(
    state: StateDirectory, store: UsageStore
) -> None:
    """The caller learns which rows to leave out, and the rest can be added."""
    rows = [a_record(1), a_record(2, latency_us=1 << 70), a_record(3)]

    with pytest.raises(UnstorableRows) as caught:
        add(store, *rows)

    assert caught.value.indexes == {1}
    assert state.request_ids() == []
    assert store.positions() == {}
    assert add(store, rows[0], rows[2]) == 2


@pytest.mark.parametrize("number", [1 << 70, -(1 << 63) - 1])
def test_labels_that_fit_nowhere_are_told_with_all_their_rows(
    state: StateDirectory, store: UsageStore, number: int
) -> None:
    """What is wrong with shared labels is wrong with each row that shares them."""
    rows = [a_record(1, status=number), a_record(2), a_record(3, status=number)]

    with pytest.raises(UnstorableRows) as caught:
        add(store, *rows)

    assert caught.value.indexes == {0, 2}
    assert add(store, rows[1]) == 1
    assert state.rows("request_id, status") == [(rows[1].request_id, 200)]


def test_labels_are_stored_once_and_found_again(
    state: StateDirectory, store: UsageStore
) -> None:
    """Calls that have everything but measures in common share one row of labels."""
    add(store, a_record(1), a_record(2, client="curl"), a_record(3))
    store.close()

    add(UsageStore(state.url), a_record(4), a_record(5, client="curl"), end_offset=2)

    with closing(sqlite3.connect(state.database)) as connection:
        query = "SELECT client FROM request_labels ORDER BY 1"
        assert connection.execute(query).fetchall() == [("curl",), ("openai-python",)]
    clients = [client for _, client in state.rows("ts_ms, client")]
    assert clients == [
        "openai-python", "curl", "openai-python", "openai-python", "curl",
    ]  # fmt: skip


def test_more_labels_than_are_remembered_change_nothing(
    state: StateDirectory, store: UsageStore
) -> None:
    """However many different labels come, each row has its own."""
    models = [f"model-{number % 5000}" for number in range(20_000)]
    for at in range(0, len(models), 1000):
        batch = [
            a_record(number, requested_model=models[number])
            for number in range(at, at + 1000)
        ]
        add(store, *batch, end_offset=at)

    assert [model for _, model in state.rows("ts_ms, requested_model")] == models


def test_settled_rows_survive_and_forgotten_positions_do_not(
    state: StateDirectory, store: UsageStore
) -> None:
    """Settling keeps everything; forgetting drops positions only."""
    add(store, a_record(1))

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


def test_a_database_with_another_schema_is_away(
    state: StateDirectory, store: UsageStore
) -> None:
    """The ingester never writes into a schema that it does not know."""
    with closing(sqlite3.connect(state.database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'other'")
        connection.commit()

    with pytest.raises(DatabaseAway, match="has schema other"):
        store.positions()
