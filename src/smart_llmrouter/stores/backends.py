"""Which kind of database a URL names, and how it is made and looked at.

Who writes or reads rows goes through `stores.usage_store`, `stores.reading` and
`stores.writing`. Only the standard library is needed here, because the router loads it.
"""

import sqlite3
from typing import Final

from smart_llmrouter.stores import sqlite
from smart_llmrouter.stores.usage_store import DatabaseAway

OK: Final = sqlite.OK


def create_or_check_schema(url: str) -> None:
    """Create the schema where there is no database yet, else check that it is ours.

    Raise `SchemaMismatch` for anything else than exactly this version's schema,
    `UnsupportedDatabase` for URLs of other databases, and `DatabaseAway`.
    """
    try:
        sqlite.create_or_check_schema(url)
    except sqlite3.Error as error:
        raise DatabaseAway(type(error).__name__) from error


def require_database(url: str) -> None:
    """Raise `DatabaseMissing` where there is none yet, and `UnsupportedDatabase`."""
    sqlite.require_database(sqlite.database_path(url))


def condition(url: str) -> str:
    """Say `ok`, or in safe words why the database cannot be read now."""
    return sqlite.condition(url)
