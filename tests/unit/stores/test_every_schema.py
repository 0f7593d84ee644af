"""Every schema that a file of SQLite ever had can be brought to this version's."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from smart_llmrouter.stores.backends import condition, create_or_check_schema
from smart_llmrouter.stores.database import migrate, upgrade
from smart_llmrouter.stores.sqlite_schema import HEAD_REVISION, OLDER_REVISIONS
from smart_llmrouter.stores.unusable import SchemaMismatch
from tests.support.ledger import StateDirectory, a_record, state_in

_COLUMNS = (
    'SELECT m.name, p.name, p.type, p."notnull", p.pk FROM sqlite_master AS m '
    "JOIN pragma_table_info(m.name) AS p WHERE m.name NOT LIKE 'sqlite_%'"
)


def at_revision(path: Path, revision: str) -> StateDirectory:
    """Return a state directory with a database of this schema that was in use."""
    state = StateDirectory(path)
    path.mkdir()
    engine = create_engine("sqlite:///" + str(state.database))
    with engine.connect() as connection:
        migrate(connection, revision)
        connection.exec_driver_sql(
            "INSERT INTO journal_positions (segment, end_offset) VALUES ('s', 7)"
        )
        connection.commit()
    engine.dispose()
    return state


def columns(state: StateDirectory) -> list[tuple[object, ...]]:
    """Return the columns of all tables and views."""
    with closing(sqlite3.connect(state.database)) as connection:
        return sorted(connection.execute(_COLUMNS))


@pytest.mark.parametrize("revision", sorted(OLDER_REVISIONS))
def test_it_is_refused_and_upgraded_and_takes_rows(
    tmp_path: Path, revision: str
) -> None:
    """Afterwards it is what a new one is, and it takes what the journal holds."""
    state = at_revision(tmp_path / "old", revision)

    with pytest.raises(SchemaMismatch, match="smart-llmrouter db upgrade"):
        create_or_check_schema(state.url)
    done = upgrade(state.url)
    state.journalled([a_record(1)])
    ingested = state.ingester().advance()

    assert done == (revision, HEAD_REVISION)
    assert condition(state.url) == "ok"
    assert columns(state) == columns(state_in(tmp_path / "new"))
    assert ingested.records == 1
