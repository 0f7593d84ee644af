"""A connection for reading that is kept, for those who look again and again.

A new connection reads the whole schema before its first query, which takes far longer
than a look at a few rows.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smart_llmrouter.stores.sqlite import connect


class Reader:
    """Reads a database, whichever file it is by now; one look at a time.

    May be used in several threads. It is opened by the first look.
    """

    def __init__(self, path: Path) -> None:
        """Read the database at this path."""
        self._path = path
        self._lock = threading.Lock()
        self._open: sqlite3.Connection | None = None
        self._file = (0, 0)
        self._closed = False

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one look, of which no query may be left unfinished.

        After an error it is opened again for the next one. Raises `OSError` or
        `sqlite3.Error` where there is no database now, or it was closed.
        """
        with self._lock:
            try:
                yield self._current()
            except BaseException:
                self._let_go()
                raise

    def close(self) -> None:
        """Close it for good, when nobody looks."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _current(self) -> sqlite3.Connection:
        if self._closed:
            raise sqlite3.ProgrammingError("the reader is closed")
        found = self._path.stat()
        file = found.st_dev, found.st_ino
        if self._open is None or file != self._file:
            self._let_go()
            self._open, self._file = connect(self._path, mode="ro"), file
        return self._open

    def _let_go(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
