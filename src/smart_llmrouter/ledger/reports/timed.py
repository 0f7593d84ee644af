"""How long calls took, counted by the database.

Of few calls each duration is read; of more, or where rows are gone, how many calls
took about so long.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    cast,
    func,
    literal_column,
    select,
)

from smart_llmrouter.ledger.reports.dimensions import Dimension, key_columns
from smart_llmrouter.ledger.reports.durations import Durations, Timed, bucket_of
from smart_llmrouter.ledger.reports.folds import RawKey
from smart_llmrouter.ledger.reports.source import Source, unit_of
from smart_llmrouter.stores.rollup_tables import ROLLUP_TIMINGS
from smart_llmrouter.stores.tables import REQUEST_LABELS, REQUEST_MEASURES

_CALL: Final = REQUEST_MEASURES.c
_LABELS: Final = REQUEST_LABELS.c
_TIMING: Final = ROLLUP_TIMINGS.c
_DURATIONS: Final = (_CALL.latency_us, _CALL.ttft_us)
_AT_ONCE: Final = 10_000
"""So many rows are fetched at a time."""

Columns = Sequence[ColumnElement[Any]]


class TimedCalls:
    """Reads how long the calls of one question took."""

    def __init__(self, source: Source, dimensions: Sequence[Dimension]) -> None:
        """Read from `source`, by these dimensions."""
        self._source = source
        self._dimensions = dimensions
        self._unit = unit_of(dimensions)
        self._parts = source.parts(self._unit)

    def durations(self, *, exact: bool) -> dict[RawKey, Timed]:
        """Return them by key; not `exact` they are cut to two digits."""
        found: dict[RawKey, Timed] = {}
        self._count_rows(found, self._each() if exact else self._alike_rows())
        for condition in self._parts.timings():
            self._count_roll_ups(found, self._alike_roll_ups(condition))
        return found

    def _count_rows(self, found: dict[RawKey, Timed], query: Select[Any]) -> None:
        for rows in self._source.connection.execute(query).partitions(_AT_ONCE):
            for latency_us, first_us, calls, *key in rows:
                timed = _at(found, tuple(key))
                counts = timed.latency.calls_by_us
                counts[latency_us] = counts.get(latency_us, 0) + calls
                if first_us is not None:
                    counts = timed.first_token.calls_by_us
                    counts[first_us] = counts.get(first_us, 0) + calls

    def _count_roll_ups(self, found: dict[RawKey, Timed], query: Select[Any]) -> None:
        for rows in self._source.connection.execute(query).partitions(_AT_ONCE):
            for measure, bucket_us, calls, *key in rows:
                timed = _at(found, tuple(key))
                first = measure == "first_token"
                (timed.first_token if first else timed.latency).count(bucket_us, calls)

    def _each(self) -> Select[Any]:
        """Return the query for each call's durations."""
        slots = self._source.slots(_CALL.ts_ms, self._unit)
        keys = key_columns(self._dimensions, slots[0] if slots else None)
        query = select(*_DURATIONS, literal_column("1"), *keys)
        query = query.select_from(REQUEST_MEASURES)
        if self._is_labelled:
            query = query.join(REQUEST_LABELS, _LABELS.id == _CALL.labels_id)
        return query.where(*self._rows_asked_for())

    def _alike_rows(self) -> Select[Any]:
        return self._alike(
            REQUEST_MEASURES,
            tuple(map(bucket_of, _DURATIONS)),
            func.count(),
            where=self._rows_asked_for(),
        )

    def _rows_asked_for(self) -> Sequence[ColumnElement[bool]]:
        of_labels = self._source.of_labels(_CALL.labels_id)
        return self._parts.timed_rows, of_labels

    def _alike_roll_ups(self, condition: ColumnElement[bool]) -> Select[Any]:
        return self._alike(
            ROLLUP_TIMINGS,
            (_TIMING.measure, _TIMING.bucket_us),
            cast(func.sum(_TIMING.calls), BigInteger),
            where=(condition, self._source.of_labels(_TIMING.labels_id)),
        )

    def _alike(
        self,
        table: FromClause,
        counted: Columns,
        calls: ColumnElement[int],
        *,
        where: Sequence[ColumnElement[bool]],
    ) -> Select[Any]:
        """Return the query that counts how many of a key have the same durations.

        Where the key is of labels, one of them stands for it while calls are counted:
        numbers are sorted quickly.
        """
        moment = table.c.ts_ms if table is REQUEST_MEASURES else table.c.start_ms
        slots = self._source.slots(moment, self._unit)
        named = [value.label(f"d{at}") for at, value in enumerate(counted)]
        alike = self._alike_labels() if self._is_labelled else None
        first = [] if alike is None else [alike.c.first_id]
        query = select(*first, *slots, *named, calls.label("calls"))
        query = query.select_from(table)
        if alike is not None:
            query = query.join(alike, alike.c.id == table.c.labels_id)
        query = query.where(*where).group_by(*first, *slots, *counted)
        counts = query.subquery("counts")
        keys = key_columns(self._dimensions, counts.c.get("slot"))
        result = select(counts.c.d0, counts.c.d1, counts.c.calls, *keys)
        if alike is None:
            return result
        return result.join_from(counts, REQUEST_LABELS, _LABELS.id == counts.c.first_id)

    @property
    def _is_labelled(self) -> bool:
        return any(each.expression is not None for each in self._dimensions)

    def _alike_labels(self) -> CTE:
        """Return the id of all labels, and the first of those with the same key."""
        keys = key_columns(self._dimensions, None)
        first = func.min(_LABELS.id).over(partition_by=keys)
        return select(_LABELS.id, first.label("first_id")).cte("alike")


def _at(found: dict[RawKey, Timed], key: RawKey) -> Timed:
    timed = found.get(key)
    if timed is None:
        timed = found[key] = Timed(Durations(), Durations())
    return timed
