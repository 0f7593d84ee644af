"""What an operator is told of a database that cannot be used now."""

import sqlite3
from typing import Final

from smart_llmrouter.stores import sqlite
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.usage_store import DatabaseAway

_DAMAGED: Final = (
    "the file is damaged or no database: put a copy in its place that `smart-llmrouter "
    "db backup` made, or move it away to begin a new one"
)
_PERMISSIONS: Final = "see the permissions of the file and of its directory"
_REMEDIES: Final = {
    "malformed": _DAMAGED,
    "not a database": _DAMAGED,
    "locking protocol": "a program that was stopped holds it; let it go on, or end it",
    "locked": "another program is writing to it; try again",
    "unable to open": _PERMISSIONS,
    "readonly": _PERMISSIONS,
    "ermission": _PERMISSIONS,
}
"""By words of what SQLite or the operating system says."""


def told(away: DatabaseAway) -> str:
    """Return which file it is about, where it is one, the reason, and what to do."""
    if away.at is None:
        return away.reason
    remedy = next(
        (f"; {each}" for words, each in _REMEDIES.items() if words in away.reason), ""
    )
    return f"{away.at}: {away.reason}{remedy}"


def away_of(error: Exception, url: str) -> DatabaseAway:
    """Return what an error of a driver, or of SQLAlchemy with one in it, means.

    One that says it already is returned with the file it is about.
    """
    cause = getattr(error, "orig", None) or error
    at = sqlite.database_path(url) if backend_of(url) == "sqlite" else None
    if isinstance(cause, DatabaseAway):
        return DatabaseAway(cause.reason, at=at)
    if isinstance(cause, sqlite3.Error):
        return DatabaseAway(str(cause), at=at)
    if at is not None:
        return DatabaseAway(type(cause).__name__, at=at)
    # Its driver is loaded where a URL names such a database.
    from smart_llmrouter.stores import postgres  # noqa: PLC0415

    return DatabaseAway(postgres.reason_of(cause))
