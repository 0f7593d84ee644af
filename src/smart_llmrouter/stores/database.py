"""The usage database for reports and migrations: engines of SQLAlchemy, and Alembic.

What the router and its ingester need of a database is in `stores.backends` and the
ports beside it, which do without both.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from smart_llmrouter.stores import sqlite
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.sqlite_schema import HEAD_REVISION, OLDER_REVISIONS
from smart_llmrouter.stores.unusable import DatabaseMissing
from smart_llmrouter.stores.usage_store import DatabaseAway

_FOR_REPORTS: Final = """
SELECT set_config('jit', 'off', true),
    set_config('work_mem', greatest(setting::bigint, 65536)::text || 'kB', true)
FROM pg_settings WHERE name = 'work_mem'
"""
"""Compiling a report's statement takes longer than it does, and sorts fit in memory."""


def open_for_reading(url: str) -> Engine:
    """Return an engine that can only read; each transaction is one moment in time.

    Raises `DatabaseUnusable`, and when it is used, `DatabaseAway` where it cannot be
    reached.
    """
    if backend_of(url) == "postgresql":
        return _server_engine(url, read_only=True)
    path = sqlite.database_path(url)
    sqlite.require_database(path)
    sqlite.require_sqlite(path)
    return _file_engine(path, mode="ro", begin="BEGIN")


def check_schema(connection: Connection) -> None:
    """Raise `SchemaMismatch` unless `connection` leads to exactly our schema.

    Raise `DatabaseAway` where that cannot be known.
    """
    raw = connection.connection.driver_connection
    with _told():
        if isinstance(raw, sqlite3.Connection):
            sqlite.check_schema(raw)
        else:
            _postgres().check_schema(raw)


def upgrade(url: str) -> tuple[str, str]:
    """Bring the database to this version's schema, all of it or nothing.

    Return the revisions before and after. Nobody else may be working on a file; a
    server keeps others waiting meanwhile. Raise `SchemaMismatch` where it is none of an
    older version's, and `DatabaseAway` where it cannot be used, or could not be
    upgraded and is as before.
    """
    if backend_of(url) == "postgresql":
        return _upgrade_server(url)
    path = sqlite.database_path(url)
    if not sqlite.has_content(path):
        raise DatabaseMissing(f"there is no usage database at {path} yet")
    sqlite.require_sqlite(path)
    with _told(path), closing(sqlite.connect(path, mode="ro")) as raw:
        before = sqlite.revision_of(raw) or ""
        if before not in OLDER_REVISIONS:
            sqlite.check_schema(raw)
            return before, before
    _migrate_to_head(_file_engine(path, mode="rw", begin="BEGIN IMMEDIATE"))
    return before, HEAD_REVISION


def _upgrade_server(url: str) -> tuple[str, str]:
    postgres = _postgres()
    with postgres.translated(), postgres.connect(url) as raw:
        before = postgres.revision_of(raw) or ""
        if before not in postgres.OLDER_REVISIONS:
            postgres.check_schema(raw)
            return before, before
    _migrate_to_head(_server_engine(url, read_only=False))
    return before, HEAD_REVISION


def _migrate_to_head(engine: Engine) -> None:
    try:
        with _told(), engine.connect() as connection:
            migrate(connection)
            connection.commit()
    finally:
        engine.dispose()


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
def _told(at: Path | None = None) -> Iterator[None]:
    """Raise `DatabaseAway` for what goes wrong with a database inside the block."""
    try:
        yield
    except (sqlite3.Error, SQLAlchemyError) as error:
        cause = getattr(error, "orig", None) or error
        raise DatabaseAway(str(cause), at=at) from error


def _postgres() -> ModuleType:
    # Its driver is loaded where a URL names such a database, and need not be there.
    from smart_llmrouter.stores import postgres  # noqa: PLC0415

    return postgres


def _file_engine(path: Path, *, mode: str, begin: str) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite.connect(path, mode=mode),
        poolclass=NullPool,
    )
    event.listen(engine, "begin", lambda connection: _execute(connection, begin))
    return engine


def _server_engine(url: str, *, read_only: bool) -> Engine:
    postgres = _postgres()

    def connected() -> object:
        with postgres.translated():
            return postgres.connect(url, longest_s=None, read_only=read_only)

    def begin(connection: Connection) -> None:
        if read_only:
            _execute(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            _execute(connection, _FOR_REPORTS)
            return
        _execute(connection, "BEGIN")
        _execute(connection, f"SELECT pg_advisory_xact_lock({postgres.SCHEMA_LOCK})")

    engine = create_engine(
        "postgresql+psycopg://",
        creator=connected,
        poolclass=NullPool,
        use_native_hstore=False,
    )
    event.listen(engine, "begin", begin)
    return engine


def _execute(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
