"""How a database is made and looked at, whichever kind its URL names.

Who writes or reads rows goes through `stores.usage_store`, `stores.reading` and
`stores.writing`. The router loads this: what only PostgreSQL needs is loaded where a
URL names one.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from smart_llmrouter.stores import sqlite
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.usage_store import DatabaseAway

OK: Final = sqlite.OK


def create_or_check_schema(url: str) -> None:
    """Create the schema where there is no database yet, else check that it is ours.

    Raise `SchemaMismatch` for anything else than exactly this version's schema,
    `UnsupportedDatabase` for URLs of other databases, and `DatabaseAway`.
    """
    if backend_of(url) == "postgresql":
        from smart_llmrouter.stores import postgres  # noqa: PLC0415 - see above

        postgres.create_or_check_schema(url)
        return
    try:
        sqlite.create_or_check_schema(url)
    except sqlite3.Error as error:
        raise DatabaseAway(str(error), at=sqlite.database_path(url)) from error


def may_come_back(url: str) -> bool:
    """Say whether a database that is away now is worth waiting for.

    A server is: it restarts, and so may the network to it. A file that cannot be opened
    is a matter for the operator.
    """
    return backend_of(url) == "postgresql"


def require_database(url: str) -> None:
    """Raise `DatabaseUnusable` unless there is one with this version's schema.

    That is `DatabaseMissing` where there is none yet, `SchemaMismatch`, or
    `UnsupportedDatabase`. Raise `DatabaseAway` where it cannot be known.
    """
    if backend_of(url) == "postgresql":
        from smart_llmrouter.stores import postgres  # noqa: PLC0415 - see above

        with postgres.translated(), postgres.connect(url, read_only=True) as server:
            postgres.check_schema(server)
        return
    with _file_at(url) as connection:
        sqlite.check_schema(connection)


def schema_of(url: str) -> str | None:
    """Return which schema a database has; `None` where it is none of ours.

    Raise as `require_database` does, but for no schema.
    """
    if backend_of(url) == "postgresql":
        from smart_llmrouter.stores import postgres  # noqa: PLC0415 - see above

        with postgres.translated(), postgres.connect(url, read_only=True) as server:
            return postgres.revision_of(server)
    with _file_at(url) as connection:
        return sqlite.revision_of(connection)


@contextmanager
def _file_at(url: str) -> Iterator[sqlite3.Connection]:
    path = sqlite.database_path(url)
    sqlite.require_database(path)
    sqlite.require_sqlite(path)
    try:
        with closing(sqlite.connect(path, mode="ro")) as connection:
            yield connection
    except sqlite3.Error as error:
        raise DatabaseAway(str(error), at=path) from error


def bytes_on_disk(url: str) -> int:
    """Return how large the database is, indexes and all. Raises as reading it does."""
    if backend_of(url) == "sqlite":
        path = sqlite.database_path(url)
        sqlite.require_database(path)
        return sqlite.bytes_on_disk(path)
    from smart_llmrouter.stores import postgres  # noqa: PLC0415 - see above

    return postgres.bytes_on_disk(url)


def damage(url: str) -> int:
    """Return how much is wrong with the file itself; a server sees to its own files.

    Raises `DatabaseAway`, and `DatabaseMissing` where there is no file.
    """
    if backend_of(url) != "sqlite":
        return 0
    path = sqlite.database_path(url)
    sqlite.require_database(path)
    try:
        return sqlite.damage(path)
    except sqlite3.Error as error:
        raise DatabaseAway(str(error), at=path) from error


def condition(url: str) -> str:
    """Say `ok`, or in safe words why the database cannot be read now."""
    if backend_of(url) == "postgresql":
        from smart_llmrouter.stores import postgres  # noqa: PLC0415 - see above

        return postgres.condition(url)
    return sqlite.condition(url)
