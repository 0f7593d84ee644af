"""Where the figures of an interval are to be read: from rows, or from roll-ups.

`coverage` says for each stretch of an interval what counts its calls, each exactly
once: months, days and hours that are rolled up and not stale, and rows for the rest.
What retention has removed of the rest is in roll-ups, too, by the period in which it
lay. So sums over the whole are exact, whatever was rolled up or removed.

Only at an edge there may be more than can be known: where it cuts a period of which
rows are gone, those count where the period begins.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    false,
    or_,
    select,
)

from smart_llmrouter.ledger.periods import Period, Span, period_at
from smart_llmrouter.stores.rollup_schema import GONE, LEVELS, THERE, Level
from smart_llmrouter.stores.rollup_tables import (
    ROLLUP_PERIODS,
    ROLLUP_TIMINGS,
    SUMS_OF,
)

_PERIODS = ROLLUP_PERIODS.c
_FEW_SPANS: Final = 4
"""So many are read one by one, which finds them in order; more are looked for."""

Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What counts the calls of an interval, each exactly once.

    `rows` are the stretches of which rows are to be read; all rows of `request_usage`
    in them count. `rolled_up` are those of which the roll-ups of a level are, and
    `gone` those of which of a level only what was removed from below counts, beside
    rows or shorter roll-ups of the same time.
    """

    rows: Spans
    rolled_up: Mapping[Level, Spans]
    gone: Mapping[Level, Spans]

    def in_rows(self, ts_ms: ColumnElement[int]) -> ColumnElement[bool]:
        """Return the condition for rows; false where none are to be read."""
        return _within(ts_ms, self.rows)

    def sums(self) -> Iterator[tuple[Table, ColumnElement[bool]]]:
        """Yield what is to be read of roll-ups: tables, and which rows of each.

        One table may come several times, with other rows. Where there is nothing to
        read, nothing is yielded.
        """
        for level in LEVELS:
            for condition in self._of(level, SUMS_OF[level]):
                yield SUMS_OF[level], condition

    def timings(self) -> Iterator[ColumnElement[bool]]:
        """Yield which rows of the histograms are of the same calls, as `sums` does."""
        for level in LEVELS:
            for condition in self._of(level, ROLLUP_TIMINGS):
                yield and_(ROLLUP_TIMINGS.c.period == level, condition)

    def _of(self, level: Level, table: Table) -> Iterator[ColumnElement[bool]]:
        start: Column[int] = table.c.start_ms
        part: Column[int] = table.c.part
        for spans in _portions(self.rolled_up[level]):
            yield and_(part.in_((THERE, GONE)), _within(start, spans))
        for spans in _portions(self.gone[level]):
            yield and_(part == GONE, _within(start, spans))


def coverage(
    connection: Connection, edges: Sequence[int], *, longest: Level = "month"
) -> Coverage:
    """Return what counts the calls between the first and the last of some moments.

    No period that is to be read reaches over one of them, so that what lies between two
    can be told from the rest. None is longer than `longest`.
    """
    known = _known(connection, Span(edges[0], edges[-1]))
    taken = _taken(known, edges, longest)
    rolled_up: dict[Level, Spans] = {}
    gone: dict[Level, Spans] = {}
    for level in LEVELS:
        runs = _runs(_tagged(known, taken, edges, level))
        rolled_up[level], gone[level] = runs[_TAKEN], runs[_GONE]
    return Coverage(
        rows=_runs(_hours_left(known, taken, edges))[_ROWS],
        rolled_up=rolled_up,
        gone=gone,
    )


class _State(NamedTuple):
    """What is known of a period."""

    fresh: bool
    source_gone: bool
    sums_gone: bool


_Known = dict[Level, dict[int, _State]]
"""The periods that hold anything, by their beginnings, in their order."""

_Taken = dict[Level, set[int]]
"""The beginnings of those that are to be read."""

_Tagged = Iterable[tuple[Span, str]]
_TAKEN: Final = "taken"
_GONE: Final = "gone"
_ROWS: Final = "rows"
_ABOVE: Final = "above"


def _known(connection: Connection, interval: Span) -> _Known:
    rows: Iterable[Any] = connection.execute(
        select(
            _PERIODS.period,
            _PERIODS.start_ms,
            _PERIODS.changes == _PERIODS.rolled_up_changes,
            _PERIODS.source_gone,
            _PERIODS.sums_gone,
        )
        .where(
            _PERIODS.start_ms >= period_at("month", interval.from_ms).start_ms,
            _PERIODS.start_ms < interval.to_ms,
        )
        .order_by(_PERIODS.start_ms)
    )
    known: _Known = {level: {} for level in LEVELS}
    for level, start_ms, *flags in rows:
        if Period(level, start_ms).end_ms > interval.from_ms:
            known[level][start_ms] = _State(*map(bool, flags))
    return known


def _taken(known: _Known, edges: Sequence[int], longest: Level) -> _Taken:
    """Choose the longest periods that are right and reach over no edge."""
    spoilt = {
        (above, period_at(above, start_ms).start_ms)
        for level in LEVELS
        for start_ms, state in known[level].items()
        if not state.fresh
        for above in LEVELS[LEVELS.index(level) + 1 :]
    }
    taken: _Taken = {level: set() for level in LEVELS}
    for level in LEVELS[LEVELS.index(longest) :: -1]:
        taken[level] = {
            start_ms
            for start_ms, state in known[level].items()
            if state.fresh
            and not state.sums_gone
            and (level, start_ms) not in spoilt
            and not _is_cut(Period(level, start_ms).span, edges)
            and not _is_above_taken(taken, level, start_ms)
        }
    return taken


def _is_cut(span: Span, edges: Sequence[int]) -> bool:
    """Say whether a span reaches over an edge, or out of all of them."""
    at = bisect_right(edges, span.from_ms)
    return at == 0 or at == len(edges) or edges[at] < span.to_ms


def _is_above_taken(taken: _Taken, level: Level, start_ms: int) -> bool:
    return any(
        period_at(above, start_ms).start_ms in taken[above]
        for above in LEVELS[LEVELS.index(level) + 1 :]
    )


def _tagged(
    known: _Known, taken: _Taken, edges: Sequence[int], level: Level
) -> _Tagged:
    """Yield the periods of a level, and whether they or what is gone below is read."""
    for start_ms, state in known[level].items():
        span = Period(level, start_ms).span
        if start_ms in taken[level]:
            yield span, _TAKEN
        elif _is_above_taken(taken, level, start_ms):
            yield span, _ABOVE
        elif state.source_gone:
            # What is gone counts where it stands: mostly where the period begins.
            from_ms, to_ms = max(span.from_ms, edges[0]), min(span.to_ms, edges[-1])
            yield Span(from_ms, to_ms), _GONE
        else:
            yield span, _ROWS


def _hours_left(known: _Known, taken: _Taken, edges: Sequence[int]) -> _Tagged:
    """Yield the hours that hold anything, and whether their rows are to be read."""
    for start_ms in known["hour"]:
        span = Period("hour", start_ms).span
        if start_ms in taken["hour"] or _is_above_taken(taken, "hour", start_ms):
            yield span, _TAKEN
        else:
            from_ms, to_ms = max(span.from_ms, edges[0]), min(span.to_ms, edges[-1])
            yield Span(from_ms, to_ms), _ROWS


def _runs(tagged: _Tagged) -> defaultdict[str, Spans]:
    """Put spans of one tag together that follow each other.

    What lies between two that are known holds nothing.
    """
    runs: defaultdict[str, Spans] = defaultdict(tuple)
    for tag, group in groupby(tagged, key=itemgetter(1)):
        spans = [span for span, _ in group]
        runs[tag] = (*runs[tag], Span(spans[0].from_ms, spans[-1].to_ms))
    return runs


def _within(column: ColumnElement[int], spans: Spans) -> ColumnElement[bool]:
    return or_(
        false(),
        *(and_(column >= span.from_ms, column < span.to_ms) for span in spans),
    )


def _portions(spans: Spans) -> Iterator[Spans]:
    """Yield spans one by one where they are few, else all together."""
    if len(spans) > _FEW_SPANS:
        yield spans
    else:
        yield from ((span,) for span in spans)
