"""What a report is asked, and what of it a database has: rows, and roll-ups."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, select, true

from smart_llmrouter.ledger.interval import UTC_ZONE, Interval, Zone
from smart_llmrouter.ledger.periods import period_at
from smart_llmrouter.ledger.reports.baselines import Baseline
from smart_llmrouter.ledger.reports.dimensions import Dimension
from smart_llmrouter.ledger.reports.filters import Condition, narrowed, on_labels
from smart_llmrouter.ledger.reports.parts import (
    Parts,
    extent,
    held,
    parts_of,
    within,
)
from smart_llmrouter.ledger.reports.periods import Unit, overlap, slot_of
from smart_llmrouter.stores.tables import REQUEST_LABELS, REQUEST_MEASURES

_CALL = REQUEST_MEASURES.c
_LABELS = REQUEST_LABELS.c


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


def chosen(question: Question) -> ColumnElement[bool]:
    """Return in SQL which rows of `request_measures` are asked about."""
    return and_(within(question.intervals()), of_labels(question, _CALL.labels_id))


def of_labels(question: Question, labels_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return in SQL which calls are asked about by what their labels say."""
    labels = on_labels(question.conditions)
    if labels is None:
        return true()
    return labels_id.in_(select(_LABELS.id).where(labels))


def unit_of(dimensions: Sequence[Dimension]) -> Unit | None:
    """Return the unit of the dimension in time, where there is one."""
    return next((each.unit for each in dimensions if each.unit is not None), None)


class Source:
    """What answers one question in one database.

    Calls are told apart by a unit of time or, with `None`, by none.
    """

    def __init__(self, connection: Connection, question: Question) -> None:
        """Look how much there is."""
        self.connection = connection
        self.question = question
        self._extent = extent(connection, question.interval) or Interval(0, 0)
        self._stretches = question.intervals()
        self._held = held(connection, self._within(self._extent))
        self._parts: dict[Unit | None, Parts] = {}

    @property
    def all_there(self) -> bool:
        """Say whether all calls are there as rows."""
        return self._held.whole

    def parts(self, unit: Unit | None) -> Parts:
        """Return what to read of rows, and what of roll-ups."""
        if unit not in self._parts:
            self._parts[unit] = parts_of(
                self.connection,
                self._within(_widened(self._extent, unit or "month")),
                held=self._held,
                unit=unit,
                zone=self.question.zone,
            )
        return self._parts[unit]

    def _within(self, extent: Interval) -> list[Interval]:
        shared = (overlap(each, extent) for each in self._stretches)
        return [each for each in shared if each is not None]

    def of_labels(self, labels_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Return in SQL which calls are asked about by what their labels say."""
        return of_labels(self.question, labels_id)

    def slots(
        self, moment: ColumnElement[int], unit: Unit | None
    ) -> list[ColumnElement[int]]:
        """Return in SQL the period of a moment, named `slot`; without a unit none."""
        if unit is None:
            return []
        extent, zone = _widened(self._extent, "month"), self.question.zone
        return [slot_of(moment, unit, interval=extent, zone=zone).label("slot")]


def _widened(extent: Interval, unit: Unit) -> Interval:
    """Return an extent up to where its periods begin and end.

    Calls of a day begin later than the day does. Of all that a roll-up of it counts
    nothing lies elsewhere, and so it is no less right for the whole day.
    """
    if extent.from_ms == extent.to_ms:
        return extent
    first, last = period_at(unit, extent.from_ms), period_at(unit, extent.to_ms - 1)
    return Interval(first.start_ms, last.end_ms)
