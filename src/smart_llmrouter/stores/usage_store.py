"""Rows and journal positions, written together or not at all.

One `UsageStore` is the only writer of a database. It opens its connection when it
first needs it, and again after a failure; it never takes another file for the one it
began with.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from smart_llmrouter.stores.database import (
    SchemaMismatch,
    check_schema,
    database_path,
    open_database,
)
from smart_llmrouter.stores.tables import JOURNAL_POSITIONS, REQUEST_USAGE

Row = tuple[object, ...]
"""One value a column of `request_usage`, in the table's order."""

_TOUCH_POSITION: Final = (
    "UPDATE journal_positions SET end_offset = end_offset WHERE segment = ?"
)


class DatabaseAway(Exception):
    """The database cannot be used now; the same call may succeed later.

    `reason` is a short kind, such as `database is locked`, never a value or a URL.
    """

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason


class UnstorableRows(Exception):
    """Some rows of a batch fit into no table; `indexes` says which."""

    def __init__(self, indexes: frozenset[int]) -> None:
        """Keep where in the batch they were."""
        super().__init__(f"{len(indexes)} rows cannot be stored")
        self.indexes = indexes


class UsageStore:
    """Add usage rows exactly once; not safe in several threads at a time."""

    def __init__(self, url: str) -> None:
        """Name the database; nothing is opened yet."""
        self._path = database_path(url)
        self._engine: Engine = open_database(url)
        self._connection: Connection | None = None
        self._inode = (0, 0)
        dialect = self._engine.dialect
        self._add_row: Final = str(
            insert(REQUEST_USAGE)
            .on_conflict_do_nothing(index_elements=["request_id"])
            .compile(dialect=dialect)
        )
        position = insert(JOURNAL_POSITIONS)
        self._set_position: Final = str(
            position.on_conflict_do_update(
                index_elements=["segment"],
                set_={"end_offset": position.excluded.end_offset},
            ).compile(dialect=dialect)
        )

    def positions(self) -> dict[str, int]:
        """Return the offset up to which each known segment is in the database."""
        with self._transaction() as connection:
            rows = connection.execute(
                select(JOURNAL_POSITIONS.c.segment, JOURNAL_POSITIONS.c.end_offset)
            )
            return {str(segment): int(end) for segment, end in rows}

    def add(self, rows: Sequence[Row], *, segment: str, end_offset: int) -> int:
        """Commit `rows` and how far their segment has been read, in one transaction.

        Return how many rows are new: one whose `request_id` is already there changes
        nothing. Raise `DatabaseAway`, or `UnstorableRows` where a value fits into no
        column (a number beyond 64 bits): then nothing at all was committed.
        """
        with self._transaction() as connection:
            new = self._add_rows(connection, rows) if rows else 0
            connection.exec_driver_sql(self._set_position, (segment, end_offset))
        return new

    def _add_rows(self, connection: Connection, rows: Sequence[Row]) -> int:
        try:
            return connection.exec_driver_sql(self._add_row, list(rows)).rowcount
        except (OverflowError, UnicodeError, DBAPIError) as error:
            if not _is_about_a_row(error):
                raise
            raise UnstorableRows(self._unstorable(connection, rows)) from error

    def _unstorable(
        self, connection: Connection, rows: Sequence[Row]
    ) -> frozenset[int]:
        found = set()
        for index, row in enumerate(rows):
            try:
                connection.exec_driver_sql(self._add_row, row)
            except (OverflowError, UnicodeError, DBAPIError) as error:
                if not _is_about_a_row(error):
                    raise
                found.add(index)
        return frozenset(found)

    def settle(self, segment: str) -> None:
        """Make all that was added survive a loss of power, up to `segment` at least."""
        with self._in_use() as connection:
            _set_synchronous(connection, "FULL")
            try:
                # Any commit will do: in this mode it syncs the write-ahead log, and
                # with it all that earlier commits left there.
                with connection.begin():
                    connection.exec_driver_sql(_TOUCH_POSITION, (segment,))
            finally:
                _set_synchronous(connection, "NORMAL")

    def forget(self, segments: Sequence[str]) -> None:
        """Drop the positions of segments that are no more."""
        if segments:
            with self._transaction() as connection:
                connection.execute(
                    delete(JOURNAL_POSITIONS).where(
                        JOURNAL_POSITIONS.c.segment.in_(segments)
                    )
                )

    def close(self) -> None:
        """Close the connection, which also folds the write-ahead log in."""
        self._drop_connection()
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._in_use() as connection, connection.begin():
            yield connection

    @contextmanager
    def _in_use(self) -> Iterator[Connection]:
        try:
            yield self._connected()
        except (SQLAlchemyError, sqlite3.Error, OSError, SchemaMismatch) as error:
            self._drop_connection()
            raise DatabaseAway(_reason(error)) from error

    def _connected(self) -> Connection:
        found = self._path.stat()
        inode = (found.st_dev, found.st_ino)
        if self._connection is not None and inode == self._inode:
            return self._connection
        self._drop_connection()
        connection = self._engine.connect()
        try:
            check_schema(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._inode = connection, inode
        return connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, sqlite3.Error):
                connection.close()


def _set_synchronous(connection: Connection, level: str) -> None:
    # Past the engine, which would begin a transaction first.
    raw = connection.connection.driver_connection
    if isinstance(raw, sqlite3.Connection):
        raw.execute(f"PRAGMA synchronous={level}")


def _is_about_a_row(error: Exception) -> bool:
    """Say whether a value is to blame, and not the database as a whole."""
    if not isinstance(error, DBAPIError):
        return True
    return isinstance(
        error.orig,
        sqlite3.IntegrityError | sqlite3.DataError | sqlite3.InterfaceError,
    )


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        # SQLite's own sentences, such as `disk I/O error`, name no values.
        return str(cause)
    if isinstance(cause, OSError):
        return os.strerror(cause.errno or 0)
    if isinstance(cause, SchemaMismatch):
        return str(cause)
    return type(cause).__name__
