"""Where figures come from: the rows of an interval, added up by the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Select,
    Subquery,
    and_,
    cast,
    func,
    null,
    select,
    true,
    union_all,
)

from smart_llmrouter.ledger.interval import UTC_ZONE, Interval, Zone
from smart_llmrouter.ledger.reports.baselines import Baseline
from smart_llmrouter.ledger.reports.dimensions import Dimension
from smart_llmrouter.ledger.reports.durations import (
    EXACT_UP_TO,
    Durations,
    bucket_of,
)
from smart_llmrouter.ledger.reports.figures import (
    Figures,
    by_key,
    by_labels,
    figures_of,
    of_each_call,
    of_roll_ups,
)
from smart_llmrouter.ledger.reports.filters import Condition, narrowed, on_labels
from smart_llmrouter.ledger.reports.lines import Gathered, RawKey, Timed
from smart_llmrouter.ledger.reports.parts import extent, parts_of, within
from smart_llmrouter.ledger.reports.periods import Unit, overlap, slot_of
from smart_llmrouter.stores.tables import REQUEST_LABELS, REQUEST_MEASURES

_CALL = REQUEST_MEASURES.c
_LABELS = REQUEST_LABELS.c
_SLOT = "slot"
_NO_SLOT = cast(null(), BigInteger)
_Found = list[tuple[RawKey, Figures]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which calls are asked about, in which zone, and what to compare them with."""

    interval: Interval
    zone: Zone = UTC_ZONE
    conditions: tuple[Condition, ...] = ()
    baseline: Baseline | None = None

    def intervals(self) -> list[Interval]:
        """Return the stretches of time that are asked about, in order."""
        return narrowed(self.interval, self.conditions, zone=self.zone)


def gather(
    connection: Connection,
    question: Question,
    *,
    dimensions: Sequence[Dimension],
    timed: Sequence[Dimension],
    period: Dimension | None = None,
) -> Gathered:
    """Read all figures by `dimensions`, and percentiles by `timed`, some of them.

    With a `period`, which is none of them, figures are read by that alone, too.
    """
    every = (*dimensions, *([] if period is None else [period]))
    rows = _Reading(connection, question, unit=_unit_of(every))
    figures, periods = rows.figures(dimensions, period)
    calls = sum(each.sums[0] for _, each in figures)
    exact = calls <= EXACT_UP_TO and rows.all_there
    return Gathered(
        dimensions=tuple(dimensions),
        figures=figures,
        timed_dimensions=tuple(timed),
        timed=list(rows.durations(timed, exact=exact).items()),
        exact=exact,
        price=question.baseline.price if question.baseline else None,
        zone=question.zone,
        rolled_up=rows.rolled_up,
        period=period,
        periods=periods,
    )


def chosen(question: Question) -> ColumnElement[bool]:
    """Return in SQL which rows of `request_measures` are asked about."""
    return and_(within(question.intervals()), _of_labels(question, _CALL.labels_id))


def _of_labels(
    question: Question, labels_id: ColumnElement[int]
) -> ColumnElement[bool]:
    labels = on_labels(question.conditions)
    if labels is None:
        return true()
    return labels_id.in_(select(_LABELS.id).where(labels))


def _unit_of(dimensions: Sequence[Dimension]) -> Unit | None:
    return next((each.unit for each in dimensions if each.unit is not None), None)


class _Reading:
    """Reads one question's figures, told apart by a unit of time where there is one."""

    def __init__(
        self, connection: Connection, question: Question, *, unit: Unit | None
    ) -> None:
        self._connection = connection
        self._question = question
        self._compared = question.baseline is not None
        self._unit = unit
        self._extent = extent(connection, question.interval) or Interval(0, 0)
        asked = (overlap(each, self._extent) for each in question.intervals())
        self._parts = parts_of(
            connection,
            [each for each in asked if each is not None],
            unit=unit,
            zone=question.zone,
        )

    @property
    def rolled_up(self) -> bool:
        """Say whether some of the calls are counted from roll-ups."""
        return bool(self._parts.roll_ups)

    @property
    def all_there(self) -> bool:
        """Say whether all calls are there as rows."""
        return not self._parts.timed_roll_ups

    def figures(
        self, dimensions: Sequence[Dimension], period: Dimension | None
    ) -> tuple[_Found, _Found]:
        """Return figures by key, and by period alone, from one look at the rows."""
        calls = self._calls()
        slot = calls.c.get(_SLOT)
        keys = _key_columns(dimensions, slot)
        by_keys = self._added(calls, [_NO_SLOT, *keys], by=keys)
        query: Executable = by_keys
        if period is not None and slot is not None:
            # Both parts of a union have as many columns: here the key's are empty.
            empty = [null() for _ in keys]
            query = union_all(by_keys, self._added(calls, [slot, *empty], by=[slot]))
        by_key: _Found = []
        by_period: _Found = []
        width = 1 + len(keys)
        for row in self._connection.execute(query):
            figures = figures_of(row[width:])
            if row[0] is None:
                by_key.append((tuple(row[1:width]), figures))
            else:
                by_period.append(((row[0],), figures))
        return by_key, by_period

    def _added(
        self,
        calls: CTE,
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

    def _calls(self) -> CTE:
        """Return the calls, added up by their labels where that pays.

        Few calls of an hour share their labels: it would be as many rows again.
        """
        pays = self._unit != "hour"
        each = (by_labels if pays else of_each_call)(compared=self._compared)
        slots = self._slots(_CALL.ts_ms)
        rows = select(_CALL.labels_id, *slots, *each).where(self._of_rows())
        if pays:
            rows = rows.group_by(_CALL.labels_id, *slots)
        rolled = [
            select(
                sums.c.labels_id,
                *self._slots(sums.c.start_ms),
                *of_roll_ups(sums, compared=self._compared),
            ).where(_of_labels(self._question, sums.c.labels_id))
            for sums in self._parts.sums()
        ]
        return (union_all(rows, *rolled) if rolled else rows).cte("calls")

    def _of_rows(self, *, timed: bool = False) -> ColumnElement[bool]:
        rows = self._parts.timed_rows if timed else self._parts.rows
        return and_(rows, _of_labels(self._question, _CALL.labels_id))

    def durations(
        self, dimensions: Sequence[Dimension], *, exact: bool
    ) -> dict[RawKey, Timed]:
        """Return how long the calls of each key took."""
        alike = self._alike(dimensions)
        counts = self._counts_of_rows(dimensions, alike, exact=exact)
        found: dict[RawKey, Timed] = {}
        for *key, latency_us, first_us, calls in self._asked(counts, dimensions):
            timed = _at(found, tuple(key))
            timed.latency.count(latency_us, calls)
            if first_us is not None:
                timed.first_token.count(first_us, calls)
        for timings in self._parts.timings():
            rolled = self._counts_of_roll_ups(timings, dimensions, alike)
            for *key, measure, bucket_us, calls in self._asked(rolled, dimensions):
                timed = _at(found, tuple(key))
                first = measure == "first_token"
                (timed.first_token if first else timed.latency).count(bucket_us, calls)
        return found

    def _asked(
        self, counts: Subquery, dimensions: Sequence[Dimension]
    ) -> Iterable[Sequence[Any]]:
        keys = _key_columns(dimensions, counts.c.get(_SLOT))
        numbers = (counts.c.d0, counts.c.d1, counts.c.n)
        return self._connection.execute(
            select(*keys, *numbers).join_from(
                counts, REQUEST_LABELS, _LABELS.id == counts.c.first_id
            )
        )

    def _counts_of_rows(
        self, dimensions: Sequence[Dimension], alike: CTE, *, exact: bool
    ) -> Subquery:
        slots = self._slots(_CALL.ts_ms) if _unit_of(dimensions) else []
        both = (_CALL.latency_us, _CALL.ttft_us)
        counted = both if exact else tuple(map(bucket_of, both))
        return (
            select(alike.c.first_id, *slots, *_named(counted), func.count().label("n"))
            .join_from(REQUEST_MEASURES, alike, alike.c.id == _CALL.labels_id)
            .where(self._of_rows(timed=True))
            .group_by(alike.c.first_id, *slots, *counted)
            .subquery("counts")
        )

    def _counts_of_roll_ups(
        self, timings: FromClause, dimensions: Sequence[Dimension], alike: CTE
    ) -> Subquery:
        slots = self._slots(timings.c.start_ms) if _unit_of(dimensions) else []
        counted = (timings.c.measure, timings.c.bucket_us)
        calls = cast(func.sum(timings.c.calls), BigInteger)
        return (
            select(alike.c.first_id, *slots, *_named(counted), calls.label("n"))
            .join_from(timings, alike, alike.c.id == timings.c.labels_id)
            .where(_of_labels(self._question, timings.c.labels_id))
            .group_by(alike.c.first_id, *slots, *counted)
            .subquery("counts")
        )

    def _alike(self, dimensions: Sequence[Dimension]) -> CTE:
        """Return the id of all labels, and the first of those with the same key.

        It stands for the key while calls are counted: numbers are sorted quickly.
        """
        keys = _key_columns(dimensions, None)
        first = func.min(_LABELS.id).over(partition_by=keys or None)
        return select(_LABELS.id, first.label("first_id")).cte("alike")

    def _slots(self, moment: ColumnElement[int]) -> list[ColumnElement[int]]:
        if self._unit is None:
            return []
        zone = self._question.zone
        slot = slot_of(moment, self._unit, interval=self._extent, zone=zone)
        return [slot.label(_SLOT)]


def _at(found: dict[RawKey, Timed], key: RawKey) -> Timed:
    timed = found.get(key)
    if timed is None:
        timed = found[key] = Timed(Durations(), Durations())
    return timed


def _key_columns(
    dimensions: Sequence[Dimension], slot: ColumnElement[int] | None
) -> list[ColumnElement[Any]]:
    """Return what makes the key; without a `slot`, what labels have of it."""
    columns = (
        slot if dimension.expression is None else dimension.expression
        for dimension in dimensions
    )
    return [column for column in columns if column is not None]


def _named(values: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    return [value.label(f"d{at}") for at, value in enumerate(values)]
