"""Figures, added up by the database: of rows, and of roll-ups where they are right."""

from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Row,
    Select,
    Table,
    cast,
    null,
    select,
    union_all,
)

from smart_llmrouter.ledger.reports.dimensions import Dimension, key_columns
from smart_llmrouter.ledger.reports.figures import (
    Figures,
    by_key,
    by_labels,
    figures_of,
    of_each_call,
    of_roll_ups,
    once_more,
    roll_ups_by_key,
)
from smart_llmrouter.ledger.reports.folds import RawKey
from smart_llmrouter.ledger.reports.parts import Parts
from smart_llmrouter.ledger.reports.periods import Unit, unit_slot_at
from smart_llmrouter.ledger.reports.source import Source, unit_of
from smart_llmrouter.stores.tables import REQUEST_LABELS, REQUEST_MEASURES

_CALL: Final = REQUEST_MEASURES.c
_LABELS: Final = REQUEST_LABELS.c
_NO_SLOT: Final = cast(null(), BigInteger)

Found = list[tuple[RawKey, Figures]]


class Added:
    """Adds up the calls of one question."""

    def __init__(self, source: Source) -> None:
        """Read from `source`."""
        self._source = source
        self._compared = source.question.baseline is not None

    def by_keys(self, dimensions: Sequence[Dimension]) -> Found:
        """Return figures by dimensions, of which one may be in time."""
        unit = unit_of(dimensions)
        parts = self._source.parts(unit)
        if unit is not None and len(dimensions) == 1 and parts.roll_ups:
            return self._in_time(parts, unit)
        rows = self._source.connection.execute(self._by_keys(parts, dimensions, unit))
        return [_split(row, len(dimensions)) for row in rows]

    def _by_keys(
        self, parts: Parts, dimensions: Sequence[Dimension], unit: Unit | None
    ) -> Select[Any]:
        rolled = list(islice(parts.sums(), 2))
        if unit is None and parts.rows is None and len(rolled) == 1:
            keys = key_columns(dimensions, None)
            return self._of_roll_ups(*rolled[0], keys, by=keys)
        calls = self._calls(parts, unit)
        keys = key_columns(dimensions, calls.c.get("slot"))
        return self._of(calls, keys, by=keys)

    def by_keys_and_period(
        self, dimensions: Sequence[Dimension], period: Dimension | None
    ) -> tuple[Found, Found]:
        """Return figures by dimensions and, where there is a period, by that alone.

        Of rows this is one look. Roll-ups are read twice: longer ones, which are few,
        say what is needed by keys.
        """
        if period is None:
            return self.by_keys(dimensions), []
        if self._source.parts(None).roll_ups:
            return self.by_keys(dimensions), self.by_keys([period])
        unit = unit_of([period])
        parts = self._source.parts(unit)
        calls = self._calls(parts, unit)
        slot = calls.c.slot
        keys = key_columns(dimensions, None)
        # Both parts of a union have as many columns: in one there is no period, and in
        # the other no key.
        empty = [null() for _ in keys]
        both = union_all(
            self._of(calls, [_NO_SLOT, *keys], by=keys),
            self._of(calls, [slot, *empty], by=[slot]),
        )
        found: tuple[Found, Found] = ([], [])
        for row in self._source.connection.execute(both):
            key, figures = _split(row, 1 + len(keys))
            if key[0] is None:
                found[0].append((key[1:], figures))
            else:
                found[1].append((key[:1], figures))
        return found

    def versions(self, unit: Unit | None) -> tuple[str, ...]:
        """Return which versions of the router served the calls."""
        execute = self._source.connection.execute
        every = select(_LABELS.router_version).distinct()
        found = execute(every).all()
        if len(found) > 1:
            used = union_all(*self._labels_ids(self._source.parts(unit)))
            found = execute(every.where(_LABELS.id.in_(used))).all()
        return tuple(sorted(map(itemgetter(0), found)))

    def _labels_ids(self, parts: Parts) -> Iterator[Select[tuple[int]]]:
        of_labels = self._source.of_labels
        if parts.rows is not None:
            rows = select(_CALL.labels_id)
            yield rows.where(parts.rows, of_labels(_CALL.labels_id))
        for sums, condition in parts.sums():
            labels_id = sums.c.labels_id
            rolled = select(labels_id).where(condition, of_labels(labels_id))
            yield rolled.where(sums.c.calls > 0)

    def _in_time(self, parts: Parts, unit: Unit) -> Found:
        """Return figures by period alone, each roll-up added up in its own order.

        No period that is read reaches over a beginning of what is asked for, so that
        where it begins tells where it belongs.
        """
        zone = self._source.question.zone
        found: dict[RawKey, Figures] = {}
        execute = self._source.connection.execute
        if parts.rows is not None:
            rows = self._of_rows(parts.rows, unit).cte("calls")
            slot = rows.c.slot
            for row in execute(self._of(rows, [slot], by=[slot])):
                _add(found, *_split(row, 1))
        for sums, condition in parts.sums():
            start = sums.c.start_ms
            # They are kept in this order, so that nothing needs to be sorted.
            query = self._of_roll_ups(sums, condition, [start], by=[sums.c.part, start])
            for row in execute(query):
                (start_ms,), figures = _split(row, 1)
                slot_there = unit_slot_at(int(str(start_ms)), unit, zone)
                _add(found, (slot_there,), figures)
        return list(found.items())

    def _of_roll_ups(
        self,
        sums: Table,
        condition: ColumnElement[bool],
        keys: Sequence[ColumnElement[Any]],
        *,
        by: Sequence[ColumnElement[Any]],
    ) -> Select[Any]:
        """Return the query that adds up roll-ups of one table that share a key."""
        labels_id = sums.c.labels_id
        return (
            select(*keys, *roll_ups_by_key(sums, compared=self._compared))
            .join_from(sums, REQUEST_LABELS, _LABELS.id == labels_id)
            .where(condition, self._source.of_labels(labels_id))
            .group_by(*by)
        )

    def _of(
        self,
        calls: FromClause,
        keys: Sequence[ColumnElement[Any]],
        *,
        by: Sequence[ColumnElement[Any]],
    ) -> Select[Any]:
        """Return the query that adds up calls that share a key."""
        return (
            select(*keys, *by_key(calls, compared=self._compared))
            .join_from(calls, REQUEST_LABELS, _LABELS.id == calls.c.labels_id)
            .group_by(*by)
        )

    def _calls(self, parts: Parts, unit: Unit | None) -> CTE:
        """Return the calls, those of rows and those of roll-ups."""
        found = [] if parts.rows is None else [self._of_rows(parts.rows, unit)]
        found += [
            select(
                sums.c.labels_id,
                *self._source.slots(sums.c.start_ms, unit),
                *of_roll_ups(sums, compared=self._compared),
            ).where(condition, self._source.of_labels(sums.c.labels_id))
            for sums, condition in parts.sums()
        ]
        if len(found) == 1:
            return found[0].cte("calls")
        # The same labels are in many periods, and numbers are sorted quickly.
        each = union_all(*found).subquery("each_period")
        by = [each.c.labels_id, *([] if unit is None else [each.c.slot])]
        return select(*by, *once_more(each)).group_by(*by).cte("calls")

    def _of_rows(self, rows: ColumnElement[bool], unit: Unit | None) -> Select[Any]:
        """Return the calls of rows, added up by their labels where that pays.

        Few calls of an hour share their labels: it would be as many rows again.
        """
        pays = unit != "hour"
        each = (by_labels if pays else of_each_call)(compared=self._compared)
        slots = self._source.slots(_CALL.ts_ms, unit)
        query = select(_CALL.labels_id, *slots, *each).where(
            rows, self._source.of_labels(_CALL.labels_id)
        )
        return query.group_by(_CALL.labels_id, *slots) if pays else query


def _split(row: Row[Any], keys: int) -> tuple[RawKey, Figures]:
    return tuple(row[:keys]), figures_of(row[keys:])


def _add(found: dict[RawKey, Figures], key: RawKey, figures: Figures) -> None:
    sofar = found.get(key)
    found[key] = figures if sofar is None else sofar.plus([figures])
