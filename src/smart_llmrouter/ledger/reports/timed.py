"""How long calls took, counted by the database.

Of few calls each duration is read; of more, or where rows are gone, how many calls
took about so long.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    bindparam,
    cast,
    func,
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

_IDS_AT_ONCE: Final = 1000
"""So many labels are asked for at a time."""

Columns = Sequence[ColumnElement[Any]]


class TimedCalls:
    """Reads how long the calls of one question took."""

    def __init__(self, source: Source, dimensions: Sequence[Dimension]) -> None:
        """Read from `source`, by these dimensions."""
        self._source = source
        self._dimensions = dimensions
        self._of_labels = [each for each in dimensions if each.unit is None]
        self._unit = unit_of(dimensions)
        self._parts = source.parts(self._unit)

    def durations(self, *, exact: bool) -> dict[RawKey, Timed]:
        """Return them by key; not `exact` they are cut to two digits.

        Exact ones are of calls that are all there as rows.
        """
        found: dict[RawKey, Timed] = {}
        rows = self._parts.timed_rows
        if rows is not None and exact:
            self._add_each(found, rows)
        elif rows is not None:
            self._count_rows(found, rows)
        for condition in self._parts.timings():
            self._count_roll_ups(found, condition)
        return found

    def _add_each(self, found: dict[RawKey, Timed], rows: ColumnElement[bool]) -> None:
        slots = self._source.slots(_CALL.ts_ms, self._unit)
        labels_id = [_CALL.labels_id] if self._of_labels else []
        query = select(*_DURATIONS, *labels_id, *slots).where(
            rows, self._source.of_labels(_CALL.labels_id)
        )
        by_ids: dict[RawKey, Timed] = {}
        for row in self._rows(query):
            timed = by_ids.get(key := row[2:])
            if timed is None:
                timed = by_ids[key] = Timed(Durations(), Durations())
            timed.latency.each_us.append(row[0])
            if row[1] is not None:
                timed.first_token.each_us.append(row[1])
        for name, timed in self._named(by_ids):
            _at(found, name).add(timed)

    def _named(self, by_ids: Mapping[RawKey, Timed]) -> Iterator[tuple[RawKey, Timed]]:
        """Yield what was found under what labels say, and not under their ids."""
        if not self._of_labels:
            yield from by_ids.items()
            return
        said = self._said_by({int(str(key[0])) for key in by_ids})
        in_time = [each.unit is not None for each in self._dimensions]
        at = in_time.index(True) if True in in_time else len(in_time)
        for (labels_id, *slot), timed in by_ids.items():
            labels = said[int(str(labels_id))]
            yield (*labels[:at], *slot, *labels[at:]), timed

    def _said_by(self, labels_ids: Iterable[int]) -> dict[int, RawKey]:
        keys = key_columns(self._of_labels, None)
        ids = sorted(labels_ids)
        said: dict[int, RawKey] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[start : start + _IDS_AT_ONCE]
            # Written into the statement: as parameters they take longer to pass on.
            written: BindParameter[Sequence[int]] = bindparam(
                "ids", some, expanding=True, literal_execute=True
            )
            query = select(_LABELS.id, *keys).where(_LABELS.id.in_(written))
            for labels_id, *key in self._source.connection.execute(query):
                said[labels_id] = tuple(key)
        return said

    def _count_rows(
        self, found: dict[RawKey, Timed], rows: ColumnElement[bool]
    ) -> None:
        for row in self._rows(self._alike_rows(rows)):
            latency_us, first_us, calls = row[:3]
            timed = found.get(key := row[3:])
            if timed is None:
                timed = found[key] = Timed(Durations(), Durations())
            counts = timed.latency.calls_by_us
            counts[latency_us] = counts.get(latency_us, 0) + calls
            if first_us is not None:
                counts = timed.first_token.calls_by_us
                counts[first_us] = counts.get(first_us, 0) + calls

    def _count_roll_ups(
        self, found: dict[RawKey, Timed], condition: ColumnElement[bool]
    ) -> None:
        query = self._alike_roll_ups(condition)
        for measure, bucket_us, calls, *key in self._rows(query):
            timed = _at(found, tuple(key))
            first = measure == "first_token"
            (timed.first_token if first else timed.latency).count(bucket_us, calls)

    def _rows(self, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield rows as the database's driver says them: they are many."""
        cursor = self._source.connection.execute(query).cursor
        while rows := cursor.fetchmany(_AT_ONCE):
            yield from rows

    def _alike_rows(self, rows: ColumnElement[bool]) -> Select[Any]:
        return self._alike(
            REQUEST_MEASURES,
            tuple(map(bucket_of, _DURATIONS)),
            func.count(),
            where=(rows, self._source.of_labels(_CALL.labels_id)),
        )

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
        alike = self._alike_labels() if self._of_labels else None
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
