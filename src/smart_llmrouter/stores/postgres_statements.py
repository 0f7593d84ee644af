"""Statements with `?` for a parameter, as both kinds of databases are told them."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import psycopg

from smart_llmrouter.stores.postgres import Connection, Row
from smart_llmrouter.stores.postgres_arrays import ARRAYS, array_of
from smart_llmrouter.stores.postgres_schema import ColumnKind, column_kinds

_ADDING: Final = re.compile(
    r"INSERT INTO (?P<table>\w+) (\((?P<columns>[\w, ]+)\) )?"
    r"VALUES (?P<row>\(\?(, \?)*\)) ON CONFLICT DO NOTHING"
)
"""Statements that may as well add many rows at once."""

_TOGETHER: Final = 2048


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
        """Carry out once for each row of parameters, many of them at a time."""
        cursor = self._connection.cursor()
        rows: list[Sequence[Any]] = list(parameters)
        joint = _joint(statement)
        if joint is None:
            if rows:
                cursor.executemany(pyformat(statement), rows)
            return cursor
        for at in range(0, len(rows), _TOGETHER):
            columns = zip(*rows[at : at + _TOGETHER], strict=True)
            arrays = [
                array_of(kind, column)
                for kind, column in zip(joint.kinds, columns, strict=True)
            ]
            cursor.execute(pyformat(joint.statement), arrays)
        return cursor


class _Joint(NamedTuple):
    """A statement that adds many rows at once, from an array a column."""

    statement: str
    kinds: tuple[ColumnKind, ...]


@lru_cache(256)
def _joint(statement: str) -> _Joint | None:
    """Return what does the same for many rows, where a statement adds one."""
    found = _ADDING.fullmatch(statement)
    if found is None or found["table"] not in column_kinds():
        return None
    of_table = column_kinds()[found["table"]]
    columns = (found["columns"] or ", ".join(of_table)).split(", ")
    kinds = tuple(of_table[name] for name in columns)
    if len(kinds) != found["row"].count("?"):
        return None
    arrays = ", ".join(f"?::{ARRAYS[kind]}" for kind in kinds)
    return _Joint(
        f"INSERT INTO {found['table']} ({', '.join(columns)}) "  # noqa: S608 - our own
        f"SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING",
        kinds,
    )


@lru_cache(256)
def pyformat(statement: str) -> str:
    """Return a statement as psycopg takes it. No text in it may hold a `?`."""
    return statement.replace("%", "%%").replace("?", "%s")
