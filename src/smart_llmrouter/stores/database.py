"""Opening the usage database, and never working on a schema that is not ours.

SQLite in WAL mode: one writer, readers that never wait for it. Commits use
`synchronous=NORMAL`: a loss of power may take the last of them back, rows and journal
position together, and the journal still holds the records. `UsageStore` asks for
more where a segment is about to be deleted.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from smart_llmrouter.stores.tables import METADATA

HEAD_REVISION: Final = "usage_0001"
BUSY_TIMEOUT_MS: Final = 1000
_SQLITE_BEGINS: Final = b"SQLite format 3\0"
_PRAGMAS: Final = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA cache_size=-8192",
    "PRAGMA wal_autocheckpoint=4000",
)


class DatabaseUnusable(Exception):
    """The database cannot be worked on; the text says why, in safe words."""


class UnsupportedDatabase(DatabaseUnusable):
    """The URL names a kind of database that this version cannot use."""


class DatabaseMissing(DatabaseUnusable):
    """There is no database yet at the place that the configuration names."""


class SchemaMismatch(DatabaseUnusable):
    """The database is not one that this version may work on."""


def database_path(url: str) -> Path:
    """Return the file behind a `sqlite:///` URL; `UnsupportedDatabase` for others."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        # The text of the URL may hold a password: nothing of it is repeated.
        raise UnsupportedDatabase("this is not a database URL") from None
    if parsed.get_backend_name() != "sqlite":
        raise UnsupportedDatabase(
            f"{parsed.get_backend_name()} databases are not built yet; "
            "use `state.database: sqlite`"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise UnsupportedDatabase(
            "an SQLite database in memory cannot be shared with the ingester; "
            "name a file"
        )
    return Path(parsed.database)


def sqlite_url(path: Path) -> str:
    """Return the URL of a database file; spaces and `%` in its path are escaped."""
    return f"sqlite:///{quote(str(path))}"


def open_database(url: str) -> Engine:
    """Return an engine that writes; transactions take the write lock at once.

    The file must exist: a database that went away is never replaced by an empty one.
    """
    engine = _engine(database_path(url), mode="rw")

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def open_for_reading(url: str) -> Engine:
    """Return an engine that can only read; each transaction is one moment in time."""
    path = database_path(url)
    if not _has_content(path):
        raise DatabaseMissing(
            f"there is no usage database at {path} yet; "
            "`smart-llmrouter serve` creates it"
        )
    _require_sqlite(path)
    engine = _engine(path, mode="ro")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _engine(path: Path, *, mode: str) -> Engine:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,  # transactions begin when the engine says so
            timeout=BUSY_TIMEOUT_MS / 1000,
            check_same_thread=False,
        )

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def create_or_check_schema(url: str) -> None:
    """Create the schema where there is no database yet, else check that it is ours.

    Raise `SchemaMismatch` for anything else than exactly this version's schema, and
    `UnsupportedDatabase` for URLs that are not a file of SQLite.
    """
    path = database_path(url)
    if _has_content(path):
        _require_sqlite(path)
    else:
        _create(path)
    with _connected(open_database(url)) as connection:
        check_schema(connection)


def check_schema(connection: Connection) -> None:
    """Raise `SchemaMismatch` unless `connection` leads to exactly our schema."""
    found = _revision_of(connection.connection.driver_connection)
    if found != HEAD_REVISION:
        raise SchemaMismatch(
            f"the usage database has schema {found or 'of another program'}, this "
            f"version needs {HEAD_REVISION}: run the version of the router that made "
            "it, or move the file away to begin a new one (`db upgrade` is not built "
            "yet)"
        )


def _revision_of(connection: object) -> str | None:
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101  # for the types
    names = {
        table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for table in (*METADATA.tables, "alembic_version")
    }
    if not names.pop("alembic_version"):
        return None
    revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    found = str(revisions[0][0]) if len(revisions) == 1 else "unknown"
    complete = all(
        {column.name for column in table.columns} <= names[table.name]
        for table in METADATA.tables.values()
    )
    if found == HEAD_REVISION and not complete:
        return f"{found} with tables or columns missing"
    return found


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _has_content(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_size > 0
    return False


def _require_sqlite(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_SQLITE_BEGINS)) != _SQLITE_BEGINS:
            raise SchemaMismatch(
                f"{path} is not an SQLite database; move the file away to begin a "
                "new one"
            )


def _create(path: Path) -> None:
    """Build the database beside its place and move it there when it is whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with _connected(_engine(unfinished, mode="rw")) as connection:
        _upgrade(connection)
    with closing(sqlite3.connect(unfinished)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
    unfinished.replace(path)


def _upgrade(connection: Connection) -> None:
    # Alembic is only needed on the first start: no later process pays for it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()
