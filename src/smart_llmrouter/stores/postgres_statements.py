"""Statements with `?` for a parameter, as both kinds of databases are told them."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import psycopg

from smart_llmrouter.stores.postgres import Connection, Row


class Statements:
    """Passes plain SQL on to PostgreSQL."""

    def __init__(self, connection: Connection) -> None:
        """Pass it on through this connection."""
        self._connection = connection

    def execute(
        self, statement: str, parameters: Sequence[object] = (), /
    ) -> psycopg.Cursor[Row]:
        """Carry out, with a value for each `?`."""
        return self._connection.execute(pyformat(statement), tuple(parameters))

    def executemany(
        self, statement: str, parameters: Iterable[Sequence[object]], /
    ) -> psycopg.Cursor[Row]:
        """Carry out once for each row of parameters."""
        cursor = self._connection.cursor()
        rows: list[Sequence[Any]] = list(parameters)
        if rows:
            cursor.executemany(pyformat(statement), rows)
        return cursor


@lru_cache(256)
def pyformat(statement: str) -> str:
    """Return a statement as psycopg takes it. No text in it may hold a `?`."""
    return statement.replace("%", "%%").replace("?", "%s")
