"""What of an interval is read from rows, and what from roll-ups.

Few calls are read row by row, which is quick and knows everything. Of many, and of
those whose rows are gone, roll-ups are read wherever they are right, and rows for the
rest: sums are exact either way. How long calls took is read from rows as long as they
are all there: histograms of few calls each are as many rows again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    false,
    func,
    or_,
    select,
)

from smart_llmrouter.ledger.interval import Interval, Zone
from smart_llmrouter.ledger.periods import Period
from smart_llmrouter.ledger.reports.periods import Unit, overlap, starts
from smart_llmrouter.ledger.rollup_source import Coverage, coverage
from smart_llmrouter.stores.rollup_tables import ROLLUP_PERIODS
from smart_llmrouter.stores.tables import REQUEST_MEASURES

FEW: Final = 5_000
"""So many calls are read row by row in hardly more time than roll-ups of them."""

_CALL: Final = REQUEST_MEASURES.c
_PERIODS: Final = ROLLUP_PERIODS.c


@dataclass(frozen=True, slots=True)
class Parts:
    """What counts the calls of some stretches of time, each call once.

    `rows` is a condition on `request_measures`, `None` where none are to be read, and
    of each of the `roll_ups` sums are read, too. `timed_rows` and `timed_roll_ups` are
    the same for durations.
    """

    rows: ColumnElement[bool] | None
    timed_rows: ColumnElement[bool] | None
    roll_ups: tuple[Coverage, ...] = ()
    timed_roll_ups: tuple[Coverage, ...] = ()

    def sums(self) -> Iterator[tuple[Table, ColumnElement[bool]]]:
        """Yield tables of sums, and which of their rows are to be read."""
        return chain.from_iterable(each.sums() for each in self.roll_ups)

    def timings(self) -> Iterator[ColumnElement[bool]]:
        """Yield which rows of `usage_rollup_timings` are to be read."""
        return chain.from_iterable(each.timings() for each in self.timed_roll_ups)


@dataclass(frozen=True, slots=True)
class Held:
    """What is there of the calls of some stretches of time.

    `whole` says that all of them are there as rows, and `few` that they are few, too.
    """

    whole: bool
    few: bool


def held(connection: Connection, stretches: Sequence[Interval]) -> Held:
    """Look what is there of the calls of some stretches of time."""
    whole = _is_whole(connection, stretches)
    return Held(whole, few=whole and _are_few(connection, stretches))


def within(stretches: Sequence[Interval]) -> ColumnElement[bool]:
    """Return the condition for rows of some stretches of time."""
    return or_(
        false(),
        *(
            and_(_CALL.ts_ms >= each.from_ms, _CALL.ts_ms < each.to_ms)
            for each in stretches
        ),
    )


def extent(connection: Connection, interval: Interval) -> Interval | None:
    """Return in what of an interval anything is counted, which may be far less."""
    ends = [
        connection.execute(select(end(_CALL.ts_ms)).where(within([interval]))).scalar()
        for end in (func.min, func.max)
    ]
    found = [
        Interval(first_ms, last_ms + 1)
        for first_ms, last_ms in [ends]
        if first_ms is not None and last_ms is not None
    ]
    gone = connection.execute(
        select(
            _PERIODS.period, func.min(_PERIODS.start_ms), func.max(_PERIODS.start_ms)
        )
        .where(_PERIODS.source_gone)
        .group_by(_PERIODS.period)
    )
    found += [
        Interval(first_ms, Period(level, last_ms).end_ms)
        for level, first_ms, last_ms in gone
    ]
    whole = Interval(
        min((each.from_ms for each in found), default=0),
        max((each.to_ms for each in found), default=0),
    )
    return overlap(interval, whole)


def parts_of(
    connection: Connection,
    stretches: Sequence[Interval],
    *,
    held: Held,
    unit: Unit | None,
    zone: Zone,
) -> Parts:
    """Choose what to read of stretches of time that a unit of it tells apart."""
    all_rows = within(stretches)
    if held.few:
        return Parts(all_rows, all_rows)
    covered = [coverage(connection, _edges(each, unit, zone)) for each in stretches]
    roll_ups = tuple(each for each in covered if any(True for _ in each.sums()))
    rows = None
    if not roll_ups or any(each.rows for each in covered):
        rows = or_(false(), *(each.in_rows(_CALL.ts_ms) for each in covered))
    if held.whole:
        return Parts(rows, all_rows, roll_ups)
    return Parts(rows, rows, roll_ups, roll_ups)


def _are_few(connection: Connection, stretches: Sequence[Interval]) -> bool:
    some = select(_CALL.ts_ms).where(within(stretches)).limit(FEW + 1)
    rows = connection.execute(select(func.count()).select_from(some.subquery()))
    return bool(rows.scalar_one() <= FEW)


def _is_whole(connection: Connection, stretches: Sequence[Interval]) -> bool:
    """Say whether all calls are there as rows."""
    removed = connection.execute(
        select(_PERIODS.period, _PERIODS.start_ms).where(_PERIODS.source_gone)
    )
    spans = [Period(level, start_ms).span for level, start_ms in removed]
    return not any(
        overlap(each, Interval(span.from_ms, span.to_ms))
        for each in stretches
        for span in spans
    )


def _edges(stretch: Interval, unit: Unit | None, zone: Zone) -> list[int]:
    inside = [] if unit is None else starts(stretch, unit, zone)
    return [stretch.from_ms, *inside, stretch.to_ms]
