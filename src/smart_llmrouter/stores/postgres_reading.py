"""PostgreSQL, open for reading: see `stores.reading`."""

import select
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final

import psycopg

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.stores.postgres import Row, connect, translated
from smart_llmrouter.stores.postgres_statements import pyformat

_LONGEST_S: Final = 120.0
_MS_PER_S: Final = 1000


class PostgresReading:
    """One connection that can only read."""

    def __init__(self, url: str) -> None:
        """Connect. Raises `DatabaseAway` or `UnsupportedDatabase`."""
        with translated():
            self._connection = connect(url, longest_s=_LONGEST_S, read_only=True)
        self._ends_s: float | None = None
        self._now: Monotonic | None = None

    def execute(
        self, query: str, parameters: Sequence[object] = (), /
    ) -> psycopg.Cursor[Row]:
        """Ask, with a value for each `?`."""
        if self._now is not None and self._ends_s is not None:
            left_ms = max(1, int((self._ends_s - self._now()) * _MS_PER_S))
            self._connection.execute(
                "SELECT set_config('statement_timeout', %s, false)", (f"{left_ms}ms",)
            )
        # Values stand in the text of the query: that asks the server once, not twice.
        cursor = psycopg.ClientCursor(self._connection)
        return cursor.execute(pyformat(query), tuple(parameters))

    def begin(self) -> None:
        """See one moment in time from the next query on, until it is closed."""
        self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def give_up_after(self, longest_s: float, *, now: Monotonic) -> None:
        """Let all queries take so long together; beyond it they fail."""
        self._ends_s, self._now = now() + longest_s, now

    def is_current(self) -> bool:
        """Say whether the connection is alive, as far as is known.

        A server that ends says so to those who ask nothing, or hangs up on them.
        """
        if self._connection.broken:
            return False
        waiting = select.poll()
        waiting.register(self._connection.fileno(), select.POLLIN)
        return not waiting.poll(0)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def translated(self) -> AbstractContextManager[None]:
        """Raise `DatabaseAway` for what goes wrong with it inside the block."""
        return translated()
