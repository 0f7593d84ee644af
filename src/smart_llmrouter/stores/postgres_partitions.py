"""The days of `request_measures`: a partition each, made when its first call comes.

Making and dropping one waits for nobody who reads or writes another.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from psycopg import errors, sql

from smart_llmrouter.stores.postgres import Connection, transaction
from smart_llmrouter.stores.postgres_schema import (
    DAY_MS,
    FIRST_DAY,
    LAST_DAY,
    PARTITIONS_LOCK,
)

_S_PER_DAY: Final = 86_400
_PARTITIONED: Final = "request_measures"
_TAKE_TURNS: Final = "SELECT pg_advisory_xact_lock(%s)"
_DAYS: Final = """
SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = to_regclass(%s) AND relname LIKE 'request_measures_d%%' ORDER BY 1
"""
_IS_THERE: Final = "SELECT to_regclass(%s) IS NOT NULL"


def partition_of(day: int) -> str:
    """Return the name of a day's partition; days are counted from 1970 on."""
    date = datetime.fromtimestamp(day * _S_PER_DAY, tz=UTC)
    return f"{_PARTITIONED}_d{date:%Y%m%d}"


class Partitions:
    """Knows which days have a partition, and makes those that are missing."""

    def __init__(self) -> None:
        """Know of none yet."""
        self._known: set[int] = set()

    def forget(self) -> None:
        """Look again which there are: somebody may have dropped one."""
        self._known.clear()

    def make(self, connection: Connection, days: Iterable[int]) -> None:
        """Make the partitions of these days, each in a transaction of its own.

        Days that are not of this century have one already, all together.
        """
        for day in sorted(set(days) - self._known):
            if FIRST_DAY <= day < LAST_DAY:
                _make(connection, day)
                self._known.add(day)


def _make(connection: Connection, day: int) -> None:
    name = partition_of(day)
    with transaction(connection):
        connection.execute(_TAKE_TURNS, (PARTITIONS_LOCK,))
        found = connection.execute(_IS_THERE, (name,)).fetchone()
        if found is not None and found[0]:
            return
        # Made beside the others and attached then, it keeps nobody from reading them.
        made = sql.SQL(
            "CREATE TABLE {name} "
            "(LIKE {whole} INCLUDING DEFAULTS INCLUDING CONSTRAINTS); "
            "ALTER TABLE {whole} ATTACH PARTITION {name} "
            "FOR VALUES FROM ({begins}) TO ({ends})"
        )
        connection.execute(
            made.format(
                name=sql.Identifier(name),
                whole=sql.Identifier(_PARTITIONED),
                begins=sql.Literal(day * DAY_MS),
                ends=sql.Literal((day + 1) * DAY_MS),
            )
        )


def drop_empty_days(connection: Connection, *, before_ms: int) -> int:
    """Drop the days of before a moment that hold no call; return how many.

    A day that somebody uses is left for another time. Who comes with a call of a day
    that was dropped makes it anew.
    """
    rows = connection.execute(_DAYS, (_PARTITIONED,)).fetchall()
    last = partition_of(max(before_ms, 0) // DAY_MS)
    return sum(_drop_empty(connection, str(row[0])) for row in rows if row[0] < last)


def _drop_empty(connection: Connection, name: str) -> bool:
    table = sql.Identifier(name)
    lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(table)
    look = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(table)
    try:
        with transaction(connection):
            connection.execute(_TAKE_TURNS, (PARTITIONS_LOCK,))
            connection.execute(lock)
            empty = connection.execute(look).fetchone() is None
            if empty:
                connection.execute(sql.SQL("DROP TABLE {}").format(table))
            return empty
    except (
        errors.LockNotAvailable,
        errors.DeadlockDetected,
        errors.UndefinedTable,
    ):
        return False
