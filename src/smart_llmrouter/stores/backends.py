"""How a database is made and looked at, whichever kind its URL names.

Who writes or reads rows goes through `stores.usage_store`, `stores.reading` and
`stores.writing`. The router loads this: what only PostgreSQL needs is loaded where a
URL names one.
"""

import sqlite3
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
    """Raise `DatabaseMissing` where there is none yet, and `UnsupportedDatabase`.

    Where only its server knows, reading it tells.
    """
    if backend_of(url) == "sqlite":
        sqlite.require_database(sqlite.database_path(url))


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
