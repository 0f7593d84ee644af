"""Opening the database: created once, checked always, never guessed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from smart_llmrouter.stores import database
from smart_llmrouter.stores.database import (
    HEAD_REVISION,
    DatabaseMissing,
    SchemaMismatch,
    UnsupportedDatabase,
    create_or_check_schema,
    database_path,
    open_database,
    open_for_reading,
    sqlite_url,
)
from smart_llmrouter.stores.tables import METADATA, REQUEST_USAGE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database shall be: a place with odd characters."""
    return tmp_path / "a b%41?#" / "usage.sqlite"


def test_a_new_database_is_created_private_and_in_wal_mode(path: Path) -> None:
    """The first start makes the directory, the file and the schema."""
    create_or_check_schema(sqlite_url(path))

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_a_second_start_keeps_what_is_there(path: Path) -> None:
    """Checking changes nothing."""
    create_or_check_schema(sqlite_url(path))
    before = path.read_bytes()

    create_or_check_schema(sqlite_url(path))

    assert path.read_bytes() == before


def test_a_crash_in_the_middle_of_creating_leaves_nothing_half_made(
    path: Path,
) -> None:
    """What an interrupted first start left is thrown away by the next."""
    path.parent.mkdir()
    path.with_name("usage.sqlite.new").write_bytes(b"half a database")
    path.touch()

    create_or_check_schema(sqlite_url(path))

    assert list(path.parent.iterdir()) == [path]


def test_migrations_make_exactly_the_tables(path: Path) -> None:
    """What the migrations build is what the tables module says, to the column."""
    create_or_check_schema(sqlite_url(path))
    engine = open_database(sqlite_url(path))

    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, METADATA)

    engine.dispose()
    assert differences == []


def test_the_known_revision_is_the_last_migration() -> None:
    """`HEAD_REVISION` may not be forgotten when a migration is added."""
    config = Config()
    folder = Path(database.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))

    assert ScriptDirectory.from_config(config).get_heads() == [HEAD_REVISION]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = 'usage_9999'", "usage_9999"),
        ("DROP TABLE alembic_version", "of another program"),
        ("DELETE FROM alembic_version", "unknown"),
        ("ALTER TABLE request_usage DROP COLUMN client", "missing"),
        ("DROP TABLE journal_positions", "missing"),
    ],
)
def test_another_schema_is_refused_with_a_remedy(
    path: Path, statement: str, said: str
) -> None:
    """A database of another version or program is never worked on."""
    create_or_check_schema(sqlite_url(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()

    with pytest.raises(SchemaMismatch) as caught:
        create_or_check_schema(sqlite_url(path))

    assert said in str(caught.value)
    assert HEAD_REVISION in str(caught.value)
    assert "move the file away" in str(caught.value)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """Somebody's notes are not overwritten."""
    path.parent.mkdir()
    path.write_text("shopping list " * 100)

    with pytest.raises(SchemaMismatch, match="not an SQLite database"):
        create_or_check_schema(sqlite_url(path))

    assert path.read_text().startswith("shopping list")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://router:hunter2@db/usage", "not built yet"),
        ("postgresql+asyncpg://router:hunter2@db/usage", "not built yet"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("hunter2", "not a database URL"),
    ],
)
def test_other_databases_are_refused_without_their_password(
    url: str, said: str
) -> None:
    """The message says what to do, and repeats nothing of the URL."""
    with pytest.raises(UnsupportedDatabase, match=said) as caught:
        create_or_check_schema(url)

    assert "hunter2" not in str(caught.value)


def test_a_url_leads_to_its_file(path: Path) -> None:
    """Spaces and percent signs in a path survive the URL."""
    assert database_path(sqlite_url(path)) == path


def test_a_reader_cannot_write(path: Path) -> None:
    """Reports open the database read-only."""
    create_or_check_schema(sqlite_url(path))
    engine = open_for_reading(sqlite_url(path))

    with engine.connect() as connection:
        found = connection.execute(select(REQUEST_USAGE)).all()
        with pytest.raises(OperationalError, match="readonly"):
            connection.exec_driver_sql("DELETE FROM request_usage")

    assert found == []


def test_reading_before_the_first_start_says_so(path: Path) -> None:
    """Nothing is created by looking."""
    with pytest.raises(DatabaseMissing, match="smart-llmrouter serve"):
        open_for_reading(sqlite_url(path))

    assert not path.exists()


def test_a_writer_never_makes_an_empty_database(path: Path) -> None:
    """A database that went away stays away until it is back."""
    engine = open_database(sqlite_url(path))

    with pytest.raises(OperationalError, match="unable to open"):
        engine.connect()

    assert not path.exists()
