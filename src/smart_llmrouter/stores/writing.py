"""The port for writing in plain SQL what is no usage row: see `stores.reading`.

Usage rows get in through `stores.usage_store` alone.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Protocol

from smart_llmrouter.stores import sqlite
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.reading import Rows
from smart_llmrouter.stores.usage_store import DatabaseAway


class Changed(Rows, Protocol):
    """What a statement found, and how many rows it changed."""

    @property
    def rowcount(self) -> int:
        """Return how many rows were added, changed or deleted."""


class Writing(Protocol):
    """One transaction; not for several threads at a time."""

    def execute(self, statement: str, parameters: Sequence[object] = (), /) -> Changed:
        """Carry out, with a value for each `?`."""

    def executemany(
        self, statement: str, parameters: Iterable[Sequence[object]], /
    ) -> object:
        """Carry out once for each row of parameters."""


@contextmanager
def transaction(url: str) -> Iterator[Writing]:
    """Change a database, all of what the block does or nothing, and on the disk.

    Nobody else is in here meanwhile, so it should be short; with SQLite nobody else
    writes anything at all. Raises `DatabaseAway` for all
    that goes wrong with the database, also inside the block, and `DatabaseUnusable`
    where it is not of this version.
    """
    if backend_of(url) == "postgresql":
        # Who has SQLite loads no driver of anything else.
        from smart_llmrouter.stores import postgres_writing  # noqa: PLC0415

        with postgres_writing.transaction(url) as statements:
            yield statements
        return
    with _sqlite_transaction(url) as connection:
        yield connection


def drop_empty_days(url: str, before_ms: int) -> int:
    """Give back what days of before a moment take that hold no call any more.

    Return how many there were; where days are nothing by themselves there are none.
    Raises `DatabaseAway`.
    """
    if backend_of(url) != "postgresql":
        return 0
    # Who has SQLite loads no driver of anything else.
    from smart_llmrouter.stores import postgres, postgres_partitions  # noqa: PLC0415

    with postgres.translated(), postgres.connect(url) as connection:
        return postgres_partitions.drop_empty_days(connection, before_ms=before_ms)


@contextmanager
def _sqlite_transaction(url: str) -> Iterator[sqlite3.Connection]:
    path = sqlite.database_path(url)
    try:
        with closing(sqlite.connect(path, mode="rw")) as connection:
            sqlite.check_schema(connection)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    except sqlite3.Error as error:
        # SQLite's own sentences, such as `disk I/O error`, name no values.
        raise DatabaseAway(str(error), at=path) from error
    except OSError as error:
        raise DatabaseAway(os.strerror(error.errno or 0), at=path) from error
