"""Rows and journal positions in SQLite, written together or not at all.

One `SqliteStore` is the only writer of a database. It never takes another file for the
one it began with. It speaks to SQLite itself: between a record and its row stands
nothing that costs.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import Any, Final, cast

from smart_llmrouter.stores.decision_rows import DecisionRows
from smart_llmrouter.stores.event_rows import EventRow, add_events
from smart_llmrouter.stores.rollup_schema import HOUR_MS, MARK_HOUR, hours_of, marks_of
from smart_llmrouter.stores.sqlite import check_schema, connect, database_path
from smart_llmrouter.stores.unusable import SchemaMismatch
from smart_llmrouter.stores.usage_store import (
    DatabaseAway,
    Decided,
    Labels,
    Measures,
    UnstorableRows,
    label_row,
)

_MOST_LABELS: Final = 8192
_REQUEST_ID: Final = itemgetter(0)
_PIECE: Final = 16
"""How many rows are added between two moments in which others may have the core."""

_ADD_ROW: Final = (
    "INSERT INTO request_measures (request_id, ts_ms, latency_us, ttfb_us, ttft_us, "
    "input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, "
    "input_cost_nusd, cached_input_cost_nusd, output_cost_nusd, total_cost_nusd, "
    "upstream_reported_cost_nusd, labels_id) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_COLUMNS: Final = 15
_ADD_LONG_ROW: Final = (
    "INSERT INTO request_measures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
    "?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_ADD_LABELS: Final = (
    "INSERT INTO request_labels VALUES (NULL, ?, "
    "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
    "?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_ADD_NOTE: Final = (
    "INSERT INTO label_notes VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_FIND_LABELS: Final = "SELECT id FROM request_labels WHERE digest = ?"
_SET_POSITION: Final = (
    "INSERT INTO journal_positions (segment, end_offset, decided_offset) "
    "VALUES (?, ?, ?) ON CONFLICT (segment) DO UPDATE "
    "SET end_offset = excluded.end_offset, decided_offset = excluded.decided_offset"
)
_SET_DECIDED: Final = (
    "UPDATE journal_positions SET decided_offset = ? WHERE segment = ?"
)
_IS_ON_RECORD: Final = (
    "SELECT 1 FROM request_measures WHERE ts_ms = ? AND request_id = ?"
)
_TOUCH_POSITION: Final = (
    "UPDATE journal_positions SET end_offset = end_offset WHERE segment = ?"
)
_ABOUT_A_ROW: Final = (
    OverflowError,
    UnicodeError,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
)

# Without an adapter of its own, binding a `None` makes and drops an exception, which
# costs more than all else of a value; an empty dictionary's `get` gives it back.
sqlite3.register_adapter(type(None), cast("Callable[[None], None]", {}.get))


class SqliteStore:
    """Adds usage rows exactly once; the one writer of a file."""

    def __init__(
        self, url: str, *, between: Callable[[], object] = lambda: None
    ) -> None:
        """Name the database; nothing is opened yet.

        While rows are added, `between` is called after every few of them.
        """
        self._between = between
        self._path = database_path(url)
        self._connection: sqlite3.Connection | None = None
        self._inode = (0, 0)
        self._label_ids: dict[Labels, int] = {}
        self._decision_rows = DecisionRows()

    def positions(self) -> dict[str, int]:
        """Return the offset up to which each known segment is in the database."""
        return self._offsets("SELECT segment, end_offset FROM journal_positions")

    def decided(self) -> dict[str, int]:
        """Return the offset up to which decisions are, too, of each known segment."""
        return self._offsets("SELECT segment, decided_offset FROM journal_positions")

    def _offsets(self, query: str) -> dict[str, int]:
        with self._in_use() as connection:
            rows = connection.execute(query)
            return {str(segment): int(end) for segment, end in rows}

    def add(
        self,
        measures: Sequence[Measures],
        labels: Sequence[Labels],
        *,
        segment: str,
        end_offset: int,
        decided_offset: int | None = None,
        events: Sequence[EventRow] = (),
    ) -> int:
        """Commit rows and how far their segment has been read, in one transaction.

        Of each row its measures and, at the same place of the other sequence, its
        labels. Return how many rows are new: one that is already there changes
        nothing, nor does an event that is. `decided_offset` is up to where decisions
        are stored, too; everywhere by default. Raise `DatabaseAway`, or
        `UnstorableRows` where a value fits into no column (a number beyond 64 bits):
        then nothing at all was committed. Events are such that they always fit.
        """
        decided = end_offset if decided_offset is None else decided_offset
        with self._transaction() as connection:
            new = self._add_rows(connection, measures, labels)
            connection.executemany(MARK_HOUR, marks_of(new))
            add_events(connection, events)
            connection.execute(_SET_POSITION, (segment, end_offset, decided))
        return new.total()

    def add_decisions(
        self, decided: Sequence[Decided], *, segment: str, decided_offset: int
    ) -> None:
        """Commit decisions and how far those of their segment have been read.

        Those of calls that are not in the database are left out. Raises as `add` does.
        """
        with self._transaction() as connection:
            try:
                for at in range(0, len(decided), _PIECE):
                    piece = decided[at : at + _PIECE]
                    self._decision_rows.add(connection, _on_record(connection, piece))
                    self._between()
            except _ABOUT_A_ROW as error:
                unstorable = self._unstorable_decisions(connection, decided)
                raise UnstorableRows(unstorable) from error
            connection.execute(_SET_DECIDED, (decided_offset, segment))

    def _unstorable_decisions(
        self, connection: sqlite3.Connection, decided: Sequence[Decided]
    ) -> frozenset[int]:
        found = set()
        for index, each in enumerate(decided):
            try:
                self._decision_rows.add(connection, [each])
            except _ABOUT_A_ROW:
                found.add(index)
        return frozenset(found)

    def _add_rows(
        self,
        connection: sqlite3.Connection,
        measures: Sequence[Measures],
        labels: Sequence[Labels],
    ) -> Counter[int]:
        """Return how many rows are new, for each hour that has any."""
        new: Counter[int] = Counter()
        try:
            for at in range(0, len(measures), _PIECE):
                piece = slice(at, at + _PIECE)
                for hour, count in self._insert(
                    connection, measures[piece], labels[piece]
                ):
                    if count:
                        new[hour] += count
                self._between()
        except _ABOUT_A_ROW as error:
            unstorable = self._unstorable(connection, measures, labels)
            raise UnstorableRows(unstorable) from error
        return new

    def _insert(
        self,
        connection: sqlite3.Connection,
        measures: Sequence[Measures],
        labels: Sequence[Labels],
    ) -> list[tuple[int, int]]:
        """Return how many rows of each of their hours are new."""
        if "\0" in "".join(map(str, map(_REQUEST_ID, measures))):
            raise UnicodeError("an id with a NUL, which PostgreSQL would not take")
        ids = self._ids_of(connection, set(labels))
        rows: list[tuple[Any, ...]] = [
            (*values, ids[each]) for values, each in zip(measures, labels, strict=True)
        ]
        hours = hours_of(rows)
        if len(hours) == 1:
            return [(hours.pop(), _inserted(connection, rows))]
        # SQLite tells no more than how many rows of a statement are new.
        return [
            (hour, _inserted(connection, [r for r in rows if r[1] // HOUR_MS == hour]))
            for hour in hours
        ]

    def _ids_of(
        self, connection: sqlite3.Connection, labels: set[Labels]
    ) -> Mapping[Labels, int]:
        """Return the ids of at least these labels, which are added where new."""
        known = self._label_ids
        if len(known) > _MOST_LABELS:
            known.clear()
        for each in labels - known.keys():
            known[each] = _added_labels(connection, each)
        return known

    def _unstorable(
        self,
        connection: sqlite3.Connection,
        measures: Sequence[Measures],
        labels: Sequence[Labels],
    ) -> frozenset[int]:
        found = set()
        for index, row in enumerate(zip(measures, labels, strict=True)):
            try:
                self._insert(connection, [row[0]], [row[1]])
            except _ABOUT_A_ROW:
                found.add(index)
        return frozenset(found)

    def settle(self, segment: str) -> None:
        """Make all that was added survive a loss of power, up to `segment` at least."""
        with self._in_use() as connection:
            connection.execute("PRAGMA synchronous=FULL")
            try:
                # Any commit will do: in this mode it syncs the write-ahead log, and
                # with it all that earlier commits left there.
                connection.execute(_TOUCH_POSITION, (segment,))
            finally:
                connection.execute("PRAGMA synchronous=NORMAL")

    def forget(self, segments: Sequence[str]) -> None:
        """Drop the positions of segments that are no more."""
        if segments:
            with self._transaction() as connection:
                connection.executemany(
                    "DELETE FROM journal_positions WHERE segment = ?",
                    [(segment,) for segment in segments],
                )

    def close(self) -> None:
        """Close the connection, which also folds the write-ahead log in."""
        self._drop_connection()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._in_use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # Ids of labels that were new in it are no ids any more.
                self._label_ids.clear()
                self._decision_rows.forget()
                with suppress(sqlite3.Error):
                    connection.rollback()
                raise

    @contextmanager
    def _in_use(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connected()
        except (sqlite3.Error, OSError, SchemaMismatch) as error:
            self._drop_connection()
            raise DatabaseAway(_reason(error)) from error

    def _connected(self) -> sqlite3.Connection:
        found = self._path.stat()
        inode = (found.st_dev, found.st_ino)
        if self._connection is not None and inode == self._inode:
            return self._connection
        self._drop_connection()
        connection = connect(self._path, mode="rw")
        try:
            check_schema(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._inode = connection, inode
        return connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        self._label_ids.clear()
        self._decision_rows.forget()
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _inserted(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> int:
    """Insert rows with their labels' ids at the end; return how many are new."""
    if max(map(len, rows)) == _COLUMNS:
        return connection.executemany(_ADD_ROW, rows).rowcount
    short = [row for row in rows if len(row) == _COLUMNS]
    long = [
        (*row[: _COLUMNS - 1], row[-1], *row[_COLUMNS - 1 : -1])
        for row in rows
        if len(row) > _COLUMNS
    ]
    return (
        connection.executemany(_ADD_ROW, short).rowcount
        + connection.executemany(_ADD_LONG_ROW, long).rowcount
    )


def _added_labels(connection: sqlite3.Connection, labels: Labels) -> int:
    """Add labels, and what was noted of their calls, where they are new."""
    row = label_row(labels)
    connection.execute(_ADD_LABELS, row.values)
    (labels_id,) = connection.execute(_FIND_LABELS, row.values[:1]).fetchone()
    connection.executemany(_ADD_NOTE, [(labels_id, *note) for note in row.notes])
    return int(labels_id)


def _on_record(
    connection: sqlite3.Connection, decided: Sequence[Decided]
) -> list[Decided]:
    """Return those whose call has a row; of another one nothing is to be known."""
    return [
        each
        for each in decided
        if connection.execute(_IS_ON_RECORD, (each[1], each[0])).fetchone()
    ]


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return os.strerror(error.errno or 0)
    # SQLite's own sentences, such as `disk I/O error`, name no values.
    return str(error)
