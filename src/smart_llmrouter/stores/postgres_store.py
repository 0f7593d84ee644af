"""Rows and journal positions in PostgreSQL, written together or not at all.

Any number of routers, on any number of machines, write to one database, each through
one `PostgresStore`. Each transaction looks at the schema first, so that it can be
upgraded while they run: they wait, and find another schema than theirs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import psycopg

from smart_llmrouter.stores.decision_rows import DecisionRows
from smart_llmrouter.stores.event_rows import EventRow, add_events
from smart_llmrouter.stores.owner import owner_of
from smart_llmrouter.stores.postgres import (
    STATEMENT_TIMEOUT_S,
    Connection,
    check_schema,
    connect,
    create_where_empty,
    reason_of,
    require_head,
    revision_of,
    transaction,
)
from smart_llmrouter.stores.postgres_arrays import numbers_array, texts_array
from smart_llmrouter.stores.postgres_partitions import Partitions
from smart_llmrouter.stores.postgres_rows import UsageRows
from smart_llmrouter.stores.postgres_schema import DAY_MS, SCHEMA_LOCK
from smart_llmrouter.stores.postgres_statements import Statements
from smart_llmrouter.stores.rollup_schema import MARK_HOUR, hours_of, marks_of
from smart_llmrouter.stores.unusable import SchemaMismatch
from smart_llmrouter.stores.usage_store import (
    DatabaseAway,
    Decided,
    Labels,
    Measures,
    UnstorableRows,
)

_PIECE: Final = 1024
"""How many rows are added between two moments in which others may have the core."""

_OFFSETS: Final = "SELECT segment, {} FROM journal_positions WHERE owner = ?"
_SET_POSITION: Final = (
    "INSERT INTO journal_positions (segment, end_offset, decided_offset, owner) "
    "VALUES (?, ?, ?, ?) ON CONFLICT (segment) DO UPDATE "
    "SET end_offset = excluded.end_offset, decided_offset = excluded.decided_offset, "
    "owner = excluded.owner"
)
_SET_DECIDED: Final = (
    "UPDATE journal_positions SET decided_offset = ? WHERE segment = ?"
)
_FORGET: Final = "DELETE FROM journal_positions WHERE segment = ANY(?::text[])"
_ON_RECORD: Final = (
    "SELECT request_id, ts_ms FROM request_measures WHERE (ts_ms, request_id) IN "
    "(SELECT * FROM unnest(?::bigint[], ?::text[]))"
)
_DRAW: Final = "SELECT gen_random_uuid()"
_SHARE: Final = "SELECT pg_advisory_xact_lock_shared(?)"
_ABOUT_A_ROW: Final = (
    OverflowError,
    UnicodeError,
    psycopg.DataError,
    psycopg.IntegrityError,
)

T = TypeVar("T")
_Call = tuple[Measures, Labels]


class _DayDropped(Exception):
    """A day's partition was dropped after it had been made."""


class PostgresStore:
    """Adds usage rows exactly once; one of any number of writers of a database."""

    def __init__(
        self,
        url: str,
        *,
        journal: Path | None = None,
        between: Callable[[], object] = lambda: None,
        longest_s: float = STATEMENT_TIMEOUT_S,
    ) -> None:
        """Name the database; nothing is opened yet.

        Positions are those of the state directory with this `journal`. While rows are
        added, `between` is called now and then. A server that works on a statement for
        more than `longest_s`, or is silent for so long, is away.
        """
        self._between = between
        self._url = url
        self._longest_s = longest_s
        self._journal = journal
        self._owner: str | None = None
        self._connection: Connection | None = None
        self._rows = UsageRows()
        self._decision_rows = DecisionRows()
        self._partitions = Partitions()

    def positions(self) -> dict[str, int]:
        """Return the offset up to which each known segment is in the database."""
        return self._offsets("end_offset")

    def decided(self) -> dict[str, int]:
        """Return the offset up to which decisions are, too, of each known segment."""
        return self._offsets("decided_offset")

    def _offsets(self, column: str) -> dict[str, int]:
        with self._transaction() as statements:
            rows = statements.execute(_OFFSETS.format(column), (self._owner,))
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
        """Commit rows and how far their segment has been read: see `UsageStore`."""
        decided = end_offset if decided_offset is None else decided_offset
        position = (segment, end_offset, decided)
        try:
            return self._add(measures, labels, position, events)
        except _DayDropped:
            self._partitions.forget()
            return self._add(measures, labels, position, events)

    def _add(
        self,
        measures: Sequence[Measures],
        labels: Sequence[Labels],
        position: tuple[str, int, int],
        events: Sequence[EventRow],
    ) -> int:
        with self._in_use() as connection:
            days = {hour_ms // DAY_MS for (hour_ms,) in marks_of(hours_of(measures))}
            self._partitions.make(connection, days)

        hours: set[int] = set()

        def insert(statements: Statements, rows: Sequence[_Call]) -> int:
            added = self._rows.add(statements, *_columns(rows))
            hours.update(added)
            return added.total()

        with self._transaction() as statements:
            rows = list(zip(measures, labels, strict=True))
            new = self._stored(statements, rows, insert)
            statements.executemany(MARK_HOUR, marks_of(hours))
            add_events(statements, [_without_nul(event) for event in events])
            statements.execute(_SET_POSITION, (*position, self._owner))
        return new

    def add_decisions(
        self, decided: Sequence[Decided], *, segment: str, decided_offset: int
    ) -> None:
        """Commit decisions and how far those of their segment have been read."""

        def insert(statements: Statements, rows: Sequence[Decided]) -> int:
            self._decision_rows.add(statements, _on_record(statements, rows))
            return len(rows)

        with self._transaction() as statements:
            self._stored(statements, decided, insert)
            statements.execute(_SET_DECIDED, (decided_offset, segment))

    def _stored(
        self,
        statements: Statements,
        rows: Sequence[T],
        insert: Callable[[Statements, Sequence[T]], int],
    ) -> int:
        """Insert rows piece by piece. Raises `UnstorableRows`."""
        new = 0
        try:
            for at in range(0, len(rows), _PIECE):
                new += insert(statements, rows[at : at + _PIECE])
                self._between()
        except psycopg.errors.CheckViolation as error:
            raise _DayDropped from error
        except _ABOUT_A_ROW:
            statements.execute("ROLLBACK")
            statements.execute("BEGIN")
            unstorable = frozenset(self._misfits(statements, rows, insert))
            if not unstorable:
                raise
            raise UnstorableRows(unstorable) from None
        return new

    def _misfits(
        self,
        statements: Statements,
        rows: Sequence[T],
        insert: Callable[[Statements, Sequence[T]], int],
        first: int = 0,
    ) -> Iterator[int]:
        """Yield the places of rows that cannot be inserted, by halves."""
        self._forget_lookups()
        statements.execute("SAVEPOINT here")
        try:
            insert(statements, rows)
        except _ABOUT_A_ROW:
            statements.execute("ROLLBACK TO here")
            if len(rows) == 1:
                yield first
                return
            half = len(rows) // 2
            yield from self._misfits(statements, rows[:half], insert, first)
            yield from self._misfits(statements, rows[half:], insert, first + half)

    def settle(self, segment: str) -> None:
        """Do nothing: each commit is on the server's disk when it has returned."""

    def forget(self, segments: Sequence[str]) -> None:
        """Drop the positions of segments that are no more."""
        if segments:
            with self._transaction() as statements:
                statements.execute(_FORGET, (texts_array(segments),))

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        self._forget_lookups()
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _forget_lookups(self) -> None:
        self._rows.forget()
        self._decision_rows.forget()

    @contextmanager
    def _transaction(self) -> Iterator[Statements]:
        """Change rows, all of what the block does or nothing, in a schema of ours."""
        with self._in_use() as connection:
            try:
                with transaction(connection):
                    statements = Statements(connection)
                    statements.execute(_SHARE, (SCHEMA_LOCK,))
                    require_head(revision_of(connection))
                    yield statements
            except BaseException:
                # Ids of labels that were new in it are no ids any more.
                self._forget_lookups()
                raise

    @contextmanager
    def _in_use(self) -> Iterator[Connection]:
        try:
            yield self._connected()
        except SchemaMismatch as mismatch:
            self.close()
            raise DatabaseAway(str(mismatch)) from None
        except psycopg.Error as error:
            self.close()
            raise DatabaseAway(reason_of(error)) from None

    def _connected(self) -> Connection:
        if self._connection is not None:
            return self._connection
        connection = connect(self._url, longest_s=self._longest_s)
        try:
            create_where_empty(connection)
            check_schema(connection)
            if self._owner is None:
                self._owner = self._drawn(connection)
        except BaseException:
            connection.close()
            raise
        self._partitions.forget()
        self._connection = connection
        return connection

    def _drawn(self, connection: Connection) -> str:
        """Return whose our positions are."""

        def draw() -> str:
            [drawn] = connection.execute(_DRAW).fetchall()
            return str(drawn[0])

        return "" if self._journal is None else owner_of(self._journal, draw)


def _without_nul(event: EventRow) -> EventRow:
    """Return an event as PostgreSQL can hold it, which has no NUL."""
    values = (
        each.replace("\0", "\ufffd") if isinstance(each, str) else each
        for each in event.values
    )
    return EventRow(event.table, tuple(values))


def _columns(
    rows: Sequence[_Call],
) -> tuple[list[Measures], list[Labels]]:
    return [measures for measures, _ in rows], [labels for _, labels in rows]


def _on_record(statements: Statements, decided: Sequence[Decided]) -> list[Decided]:
    """Return those whose call has a row; of another one nothing is to be known."""
    ids = texts_array(request_id for request_id, _, _ in decided)
    times = numbers_array(ts_ms for _, ts_ms, _ in decided)
    found = set(statements.execute(_ON_RECORD, (times, ids)))
    return [each for each in decided if each[:2] in found]
