"""SQLite, open for reading: see `stores.reading`."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.stores.sqlite import connect, database_path
from smart_llmrouter.stores.usage_store import DatabaseAway

_LOOK_EVERY: Final = 10_000
"""Steps of the database's machine, a millisecond or less, between looks at the time."""


class SqliteReading:
    """One connection that can only read."""

    def __init__(self, url: str) -> None:
        """Open the database. Raises `DatabaseAway` or `UnsupportedDatabase`."""
        self._path = database_path(url)
        with self.translated():
            self._file = self._file_now()
            self._connection = connect(self._path, mode="ro")

    def execute(
        self, query: str, parameters: Sequence[object] = (), /
    ) -> sqlite3.Cursor:
        """Ask, with a value for each `?`."""
        return self._connection.execute(query, parameters)

    def begin(self) -> None:
        """See one moment in time from the next query on, until it is closed."""
        self._connection.execute("BEGIN")

    def give_up_after(self, longest_s: float, *, now: Monotonic) -> None:
        """Let all queries take so long together; beyond it they fail."""
        ends_s = now() + longest_s
        self._connection.set_progress_handler(lambda: now() > ends_s, _LOOK_EVERY)

    def is_current(self) -> bool:
        """Say whether the file at the path is still the one that is open."""
        with self.translated():
            return self._file == self._file_now()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise `DatabaseAway` for what goes wrong with it inside the block."""
        try:
            yield
        except sqlite3.Error as error:
            # SQLite's own sentences, such as `disk I/O error`, name no values.
            raise DatabaseAway(str(error), at=self._path) from error

    def _file_now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise DatabaseAway(os.strerror(error.errno or 0), at=self._path) from error
        return found.st_dev, found.st_ino
