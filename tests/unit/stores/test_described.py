"""All tables and views are described, as they are."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smart_llmrouter.stores.described import DESCRIBED
from smart_llmrouter.stores.sqlite_schema import RELATIONS
from tests.support.ledger import StateDirectory, state_in


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def test_every_view_and_table_has_the_columns_that_are_described(
    state: StateDirectory,
) -> None:
    """What is documented is what is there, in this order, and nothing else."""
    with closing(sqlite3.connect(state.database)) as connection:
        found = {
            name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            for name in RELATIONS
        }

    assert found == {
        name: [column.name for column in table.columns]
        for name, table in DESCRIBED.items()
    }
    assert len(RELATIONS) == len(DESCRIBED)


def test_no_column_holds_more_than_one_value(state: StateDirectory) -> None:
    """Numbers, truth values and texts: no JSON, no array, no bytes."""
    plain = {"BIGINT", "INTEGER", "BOOLEAN", "VARCHAR", "DOUBLE"}

    with closing(sqlite3.connect(state.database)) as connection:
        kinds = {
            (name, row[1], row[2])
            for name in RELATIONS
            for row in connection.execute(f"PRAGMA table_info({name})")
        }
    described = {str(c.type) for t in DESCRIBED.values() for c in t.columns}

    # What a view computes has no declared type.
    assert [each for each in sorted(kinds) if each[2] not in {*plain, ""}] == []
    assert described <= plain
