"""The port through which rows are read in plain SQL, whichever kind of database it is.

Queries are written so that all kinds understand them: `?` stands for a parameter, whole
numbers divide without a rest, a flag is a condition (`WHERE stream`, never
`stream = 1`), and a sum is a whole number, or `None` where there was nothing.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.stores.database_url import backend_of
from smart_llmrouter.stores.usage_store import DatabaseAway


class Rows(Protocol):
    """What a query found, row by row."""

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Return the rest of the rows."""

    def fetchone(self) -> Any:  # noqa: ANN401 - a row, as drivers say it
        """Return the next row, or `None`."""

    def fetchall(self) -> list[Any]:
        """Return the rest of the rows."""


class Queries(Protocol):
    """What can be asked; not in several threads at a time."""

    def execute(self, query: str, parameters: Sequence[object] = (), /) -> Rows:
        """Ask, with a value for each `?`. Rows come as they are asked for."""


class Reading(Queries, Protocol):
    """A database that is open for reading."""

    def begin(self) -> None:
        """See one moment in time from the next query on, until it is closed."""

    def give_up_after(self, longest_s: float, *, now: Monotonic) -> None:
        """Let all queries take so long together; beyond it they fail."""


class KeptReading(Reading, Protocol):
    """One that is kept open, and knows whether it still leads to the database."""

    def is_current(self) -> bool:
        """Say whether it reads what a new one would. Raises `DatabaseAway`."""

    def close(self) -> None:
        """Let go of the database."""

    def translated(self) -> AbstractContextManager[None]:
        """Raise `DatabaseAway` for what goes wrong with it inside the block."""


def _opened(url: str) -> KeptReading:
    # One process reads one kind of database, and loads the driver of no other.
    if backend_of(url) == "postgresql":
        from smart_llmrouter.stores.postgres_reading import (  # noqa: PLC0415
            PostgresReading,
        )

        return PostgresReading(url)
    from smart_llmrouter.stores.sqlite_reading import SqliteReading  # noqa: PLC0415

    return SqliteReading(url)


@contextmanager
def connect_for_reading(url: str) -> Iterator[Reading]:
    """Open a database for reading, while the block runs.

    Raises `UnsupportedDatabase`, and `DatabaseAway` for all that goes wrong with it,
    also inside the block.
    """
    reading = _opened(url)
    try:
        with reading.translated():
            yield reading
    finally:
        reading.close()


class Reader:
    """A connection for reading that is kept, for those who look again and again.

    A new connection reads the whole schema before its first query, which takes far
    longer than a look at a few rows. It reads whichever database is at the URL by now.
    It may be used in several threads, one look at a time, and is opened by the first.
    """

    def __init__(self, url: str) -> None:
        """Read the database at this URL."""
        self._url = url
        self._lock = threading.Lock()
        self._open: KeptReading | None = None
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[Reading]:
        """Lend the connection for one look, of which no query may be left unfinished.

        After an error it is opened again for the next one. Raises `DatabaseAway` where
        there is no database now, or it was closed.
        """
        with self._lock:
            try:
                current = self._current()
                with current.translated():
                    yield current
            except BaseException:
                self._let_go()
                raise

    def close(self) -> None:
        """Close it for good, when nobody looks."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _current(self) -> KeptReading:
        if self._closed:
            raise DatabaseAway("the reader is closed")
        if self._open is None or not self._open.is_current():
            self._let_go()
            self._open = _opened(self._url)
        return self._open

    def _let_go(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
