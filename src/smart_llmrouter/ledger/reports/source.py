"""Where figures come from: the rows of an interval, added up by the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    Select,
    and_,
    cast,
    false,
    func,
    null,
    or_,
    select,
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
)
from smart_llmrouter.ledger.reports.filters import Condition, narrowed, on_labels
from smart_llmrouter.ledger.reports.lines import Gathered, RawKey, Timed
from smart_llmrouter.ledger.reports.periods import overlap, slot_of
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
    rows = _Rows(connection, question)
    figures, periods = rows.figures(dimensions, period)
    calls = sum(each.sums[0] for _, each in figures)
    exact = calls <= EXACT_UP_TO
    return Gathered(
        dimensions=tuple(dimensions),
        figures=figures,
        timed_dimensions=tuple(timed),
        timed=list(rows.durations(timed, exact=exact).items()),
        exact=exact,
        price=question.baseline.price if question.baseline else None,
        zone=question.zone,
        period=period,
        periods=periods,
    )


def chosen(question: Question) -> ColumnElement[bool]:
    """Return in SQL which rows of `request_measures` are asked about."""
    stretches = question.intervals()
    within = or_(false(), *(_within(each) for each in stretches))
    labels = on_labels(question.conditions)
    if labels is None:
        return within
    return and_(within, _CALL.labels_id.in_(select(_LABELS.id).where(labels)))


def _within(interval: Interval) -> ColumnElement[bool]:
    return and_(_CALL.ts_ms >= interval.from_ms, _CALL.ts_ms < interval.to_ms)


class _Rows:
    """Reads one question's figures from `request_measures`."""

    def __init__(self, connection: Connection, question: Question) -> None:
        self._connection = connection
        self._question = question
        self._where = chosen(question)
        self._compared = question.baseline is not None

    def figures(
        self, dimensions: Sequence[Dimension], period: Dimension | None
    ) -> tuple[_Found, _Found]:
        """Return figures by key, and by period alone, from one look at the rows."""
        every = dimensions if period is None else (*dimensions, period)
        slots = self._slots(every)
        calls = self._calls(slots, pays=all(each.unit != "hour" for each in every))
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

    def _calls(self, slots: Sequence[ColumnElement[int]], *, pays: bool) -> CTE:
        """Return the calls, added up by their labels where that `pays`.

        Few calls of an hour share their labels: it would be as many rows again.
        """
        added = by_labels if pays else of_each_call
        each = added(compared=self._compared)
        calls = select(_CALL.labels_id, *slots, *each).where(self._where)
        if pays:
            calls = calls.group_by(_CALL.labels_id, *slots)
        return calls.cte("calls")

    def durations(
        self, dimensions: Sequence[Dimension], *, exact: bool
    ) -> dict[RawKey, Timed]:
        """Return how long the calls of each key took."""
        slots = self._slots(dimensions)
        both = (_CALL.latency_us, _CALL.ttft_us)
        counted = both if exact else tuple(map(bucket_of, both))
        alike = self._alike(dimensions)
        counts = (
            select(alike.c.first_id, *slots, *_named(counted), func.count().label("n"))
            .join_from(REQUEST_MEASURES, alike, alike.c.id == _CALL.labels_id)
            .where(self._where)
            .group_by(alike.c.first_id, *slots, *counted)
            .subquery("counts")
        )
        keys = _key_columns(dimensions, counts.c.get(_SLOT))
        numbers = (counts.c.d0, counts.c.d1, counts.c.n)
        found: dict[RawKey, Timed] = {}
        for *key, latency_us, first_us, calls in self._connection.execute(
            select(*keys, *numbers).join_from(
                counts, REQUEST_LABELS, _LABELS.id == counts.c.first_id
            )
        ):
            timed = found.get(tuple(key))
            if timed is None:
                timed = found[tuple(key)] = Timed(Durations(), Durations())
            timed.latency.count(latency_us, calls)
            if first_us is not None:
                timed.first_token.count(first_us, calls)
        return found

    def _alike(self, dimensions: Sequence[Dimension]) -> CTE:
        """Return the id of all labels, and the first of those with the same key.

        It stands for the key while calls are counted: numbers are sorted quickly.
        """
        keys = _key_columns(dimensions, None)
        first = func.min(_LABELS.id).over(partition_by=keys or None)
        return select(_LABELS.id, first.label("first_id")).cte("alike")

    def _slots(self, dimensions: Sequence[Dimension]) -> list[ColumnElement[int]]:
        return [
            slot_of(
                _CALL.ts_ms,
                dimension.unit,
                interval=self._extent(),
                zone=self._question.zone,
            ).label(_SLOT)
            for dimension in dimensions
            if dimension.unit is not None
        ]

    def _extent(self) -> Interval:
        """Return what of the interval there are rows of, which may be far less."""
        asked = self._question.interval
        ends = [
            self._connection.execute(select(end(_CALL.ts_ms)).where(_within(asked)))
            for end in (func.min, func.max)
        ]
        first_ms, last_ms = (found.scalar() for found in ends)
        if first_ms is None or last_ms is None:
            return Interval(asked.from_ms, asked.from_ms)
        return overlap(asked, Interval(first_ms, last_ms + 1)) or asked


def _key_columns(
    dimensions: Sequence[Dimension], slot: ColumnElement[int] | None
) -> list[ColumnElement[Any]]:
    """Return what makes the key; without a `slot`, what labels have of it."""
    columns = (
        slot if dimension.expression is None else dimension.expression
        for dimension in dimensions
    )
    return [column for column in columns if column is not None]


def _named(values: Sequence[ColumnElement[int]]) -> list[ColumnElement[int]]:
    return [value.label(f"d{at}") for at, value in enumerate(values)]
