"""The usage database for reports and migrations: engines of SQLAlchemy, and Alembic.

What the router and its ingester need of a database is in `stores.backends` and the
ports beside it, which do without both.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from smart_llmrouter.stores import sqlite
from smart_llmrouter.stores.sqlite_schema import HEAD_REVISION, OLDER_REVISIONS
from smart_llmrouter.stores.unusable import DatabaseMissing
from smart_llmrouter.stores.usage_store import DatabaseAway


def open_for_reading(url: str) -> Engine:
    """Return an engine that can only read; each transaction is one moment in time."""
    path = sqlite.database_path(url)
    sqlite.require_database(path)
    sqlite.require_sqlite(path)
    engine = _engine(path, mode="ro")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def check_schema(connection: Connection) -> None:
    """Raise `SchemaMismatch` unless `connection` leads to exactly our schema.

    Raise `DatabaseAway` where that cannot be known.
    """
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - for the types
    with _told():
        sqlite.check_schema(raw)


def upgrade(url: str) -> tuple[str, str]:
    """Bring the database to this version's schema, all of it or nothing.

    Return the revisions before and after. Nobody else may be working on the database.
    Raise `SchemaMismatch` where it is none of an older version's, and `DatabaseAway`
    where it cannot be used, or could not be upgraded and is as before.
    """
    path = sqlite.database_path(url)
    if not sqlite.has_content(path):
        raise DatabaseMissing(f"there is no usage database at {path} yet")
    sqlite.require_sqlite(path)
    with _told(), closing(sqlite.connect(path, mode="ro")) as raw:
        before = sqlite.revision_of(raw) or ""
        if before not in OLDER_REVISIONS:
            sqlite.check_schema(raw)
            return before, before
    engine = _engine(path, mode="rw")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with _told(), engine.connect() as connection:
            migrate(connection)
            connection.commit()
    finally:
        engine.dispose()
    return before, HEAD_REVISION


def migrate(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to `revision`, within the caller's transaction."""
    # Alembic is needed for this alone, and takes its time to load.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@contextmanager
def _told() -> Iterator[None]:
    """Raise `DatabaseAway` for what goes wrong with a database inside the block."""
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError) as error:
        cause = getattr(error, "orig", None) or error
        raise DatabaseAway(str(cause)) from error


def _engine(path: Path, *, mode: str) -> Engine:
    return create_engine(
        "sqlite://",
        creator=lambda: sqlite.connect(path, mode=mode),
        poolclass=NullPool,
    )
