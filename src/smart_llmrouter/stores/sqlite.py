"""Opening the usage database, and never working on a schema that is not ours.

SQLite in WAL mode: one writer, readers that never wait for it. Commits use
`synchronous=NORMAL`: a loss of power may take the last of them back, rows and journal
position together, and the journal still holds the records. `UsageStore` asks for
more where a segment is about to be deleted.

Only the standard library is needed here, because the router and its ingester load it;
`stores.database` has what reports and migrations need beyond that.
"""

import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from smart_llmrouter.stores.sqlite_schema import (
    HEAD_REVISION,
    OLDER_REVISIONS,
    RELATIONS,
    SCHEMA,
)
from smart_llmrouter.stores.unusable import (
    DatabaseMissing,
    DatabaseUnusable,
    SchemaMismatch,
    UnsupportedDatabase,
)

BUSY_TIMEOUT_MS: Final = 1000
OK: Final = "ok"
_SQLITE_BEGINS: Final = b"SQLite format 3\0"
_URL: Final = re.compile(r"(?P<backend>[a-z0-9]+)(\+[a-z0-9_]+)?://[^/]*(?P<path>/.*)?")
WRITING: Final = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA cache_size=-8192",
    "PRAGMA wal_autocheckpoint=4000",
)
"""What a connection that writes is told first."""


def database_path(url: str) -> Path:
    """Return the file behind a `sqlite:///` URL; `UnsupportedDatabase` for others."""
    parsed = _URL.fullmatch(url)
    if parsed is None:
        # The text of the URL may hold a password: nothing of it is repeated.
        raise UnsupportedDatabase("this is not a database URL")
    if parsed["backend"] != "sqlite":
        raise UnsupportedDatabase(f"{parsed['backend']} databases are no files")
    path = unquote((parsed["path"] or "/").partition("?")[0][1:])
    if path in {"", ":memory:"}:
        raise UnsupportedDatabase(
            "an SQLite database in memory cannot be shared with the ingester; "
            "name a file"
        )
    return Path(path)


def sqlite_url(path: Path) -> str:
    """Return the URL of a database file; spaces and `%` in its path are escaped."""
    return f"sqlite:///{quote(str(path))}"


def connect(path: Path, *, mode: str) -> sqlite3.Connection:
    """Open a database that exists, for reading (`ro`) or writing (`rw`).

    A database that went away is never replaced by an empty one. Transactions begin
    when the caller says so.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_MS / 1000,
        check_same_thread=False,
    )
    if mode == "rw":
        try:
            for pragma in WRITING:
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
    return connection


def create_or_check_schema(url: str) -> None:
    """Create the schema where there is no database yet, else check that it is ours.

    Raise `SchemaMismatch` for anything else than exactly this version's schema, and
    `UnsupportedDatabase` for URLs that are not a file of SQLite.
    """
    path = database_path(url)
    if has_content(path):
        require_sqlite(path)
    else:
        _create(path)
    with closing(connect(path, mode="rw")) as connection:
        check_schema(connection)


def check_schema(connection: sqlite3.Connection) -> None:
    """Raise `SchemaMismatch` unless `connection` leads to exactly our schema."""
    found = revision_of(connection)
    if found == HEAD_REVISION:
        return
    if found in OLDER_REVISIONS:
        remedy = "stop the router and run `smart-llmrouter db upgrade`"
    else:
        remedy = (
            "run the version of the router that made it, or move the file away to "
            "begin a new one"
        )
    raise SchemaMismatch(
        f"the usage database has schema {found or 'of another program'}, this "
        f"version needs {HEAD_REVISION}: {remedy}"
    )


def revision_of(connection: sqlite3.Connection) -> str | None:
    """Return which schema this is; `None` where it is none of any version of ours."""
    if not _columns(connection, "alembic_version"):
        return None
    revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    found = str(revisions[0][0]) if len(revisions) == 1 else "unknown"
    if found == HEAD_REVISION and not _is_complete(connection):
        return f"{found} with tables or columns missing"
    return found


def _is_complete(connection: sqlite3.Connection) -> bool:
    wanted = _wanted_columns()
    return all(wanted[name] <= _columns(connection, name) for name in RELATIONS)


@cache
def _wanted_columns() -> Mapping[str, set[str]]:
    """Return the columns of this version's schema: they stay the same."""
    with closing(sqlite3.connect(":memory:")) as ours:
        for statement in SCHEMA:
            ours.execute(statement)
        return {name: _columns(ours, name) for name in RELATIONS}


def _columns(connection: sqlite3.Connection, relation: str) -> set[str]:
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (relation,))
    try:
        return {name for (name,) in rows}
    except sqlite3.OperationalError:
        # A view over something that is not there has no columns to tell of.
        return set()


def condition(url: str) -> str:
    """Say `ok`, or in safe words why the database cannot be read now."""
    path = database_path(url)
    if not has_content(path):
        return "is missing"
    try:
        with closing(connect(path, mode="ro")) as connection:
            check_schema(connection)
    except SchemaMismatch:
        return "has another schema than this version's"
    except (sqlite3.Error, OSError):
        return "cannot be read"
    return OK


def bytes_on_disk(path: Path) -> int:
    """Return how large the file is, with what is not folded in yet."""
    parts = (path, path.with_name(path.name + "-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def damage(path: Path) -> int:
    """Return how many things are wrong with pages and indexes, as far as is known."""
    with closing(connect(path, mode="ro")) as connection:
        said = connection.execute("PRAGMA integrity_check(1000)").fetchall()
    return 0 if said == [("ok",)] else len(said)


def has_content(path: Path) -> bool:
    """Say whether there is a file with anything in it."""
    with suppress(FileNotFoundError):
        return path.stat().st_size > 0
    return False


def require_database(path: Path) -> None:
    """Raise `DatabaseMissing` where there is no file, or nothing in it."""
    if not has_content(path):
        raise DatabaseMissing(
            f"there is no usage database at {path} yet; "
            "`smart-llmrouter serve` creates it"
        )


def require_sqlite(path: Path) -> None:
    """Raise `SchemaMismatch` where the file is something else than a database.

    Raise `DatabaseUnusable` where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(len(_SQLITE_BEGINS))
    except OSError as error:
        raise DatabaseUnusable(
            f"the usage database {path} cannot be read: {error.strerror}; see "
            "`state.database` and what is there"
        ) from None
    if begins != _SQLITE_BEGINS:
        raise SchemaMismatch(
            f"{path} is not an SQLite database; move the file away to begin a new one"
        )


def _create(path: Path) -> None:
    """Build the database beside its place and move it there when it is whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(connect(unfinished, mode="rw")) as connection:
        connection.execute("BEGIN")
        for statement in SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (HEAD_REVISION,))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode=WAL")
    unfinished.replace(path)
