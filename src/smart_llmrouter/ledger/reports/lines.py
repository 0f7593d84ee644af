"""Lines of a report: figures gathered by what its dimensions say of the calls."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from smart_llmrouter.core.money import Price
from smart_llmrouter.ledger.interval import Zone
from smart_llmrouter.ledger.reports.dimensions import Dimension
from smart_llmrouter.ledger.reports.durations import (
    Durations,
    Percentiles,
    Timed,
)
from smart_llmrouter.ledger.reports.figures import Figures, measures_of, nothing
from smart_llmrouter.ledger.reports.folds import Folds, RawKey
from smart_llmrouter.ledger.reports.measures import Measures
from smart_llmrouter.ledger.reports.periods import slot_text

Key = tuple[str | None, ...]
"""One text a dimension; `None` where the calls have no such thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The figures of the calls that share one key."""

    key: Key
    measures: Measures
    latency: Percentiles | None = None
    first_token: Percentiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table of a report: the dimensions that make its keys, and its lines.

    `columns` are the figures to show where not all are, by their names in
    `reports.columns`; `note` is a sentence to stand below.
    """

    name: str
    title: str
    dimensions: tuple[Dimension, ...]
    lines: tuple[Line, ...]
    columns: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All calls that a report is about, by the finest key that it needs.

    `rolled_up` says that some were counted from roll-ups.
    """

    figures: Folds[Figures]
    timed: Folds[Timed]
    exact: bool = True
    price: Price | None = None
    zone: Zone
    rolled_up: bool = False
    period: Dimension | None = None
    periods: Sequence[tuple[RawKey, Figures]] = ()
    versions: tuple[str, ...] = ()
    _made: dict[tuple[tuple[str, ...], bool], tuple[Line, ...]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def in_time(self) -> tuple[Line, ...]:
        """Return all calls by their period, without percentiles, in order."""
        if self.period is None:
            return ()
        return tuple(
            self._line(_texts(key, (self.period,), zone=self.zone), figures, None)
            for key, figures in sorted(self.periods, key=lambda one: str(one[0]))
        )

    def totals(self) -> Line:
        """Return the line of all calls."""
        (line,) = self.lines((), timed=True) or (self._line((), self._none(), None),)
        return line

    def lines(
        self, dimensions: Sequence[Dimension], *, timed: bool = False
    ) -> tuple[Line, ...]:
        """Return all calls by some of the dimensions, with percentiles where `timed`.

        Those of most calls come first; with a dimension in time, what was first.
        """
        asked = (tuple(dimension.name for dimension in dimensions), timed)
        if asked not in self._made:
            self._made[asked] = self._ordered(tuple(dimensions), timed=timed)
        return self._made[asked]

    def _ordered(
        self, dimensions: tuple[Dimension, ...], *, timed: bool
    ) -> tuple[Line, ...]:
        lines = self._lines(dimensions, timed=timed)
        lines.sort(key=lambda line: tuple(part or "" for part in line.key))
        if not any(each.unit is not None for each in dimensions):
            lines.sort(key=lambda line: -line.measures.calls)
        return tuple(lines)

    def _lines(self, dimensions: tuple[Dimension, ...], *, timed: bool) -> list[Line]:
        durations = self.timed.by(dimensions) if timed else {}
        return [
            self._line(
                _texts(key, dimensions, zone=self.zone), figures, durations.get(key)
            )
            for key, figures in self.figures.by(dimensions).items()
        ]

    def _none(self) -> Figures:
        return nothing(compared=self.price is not None)

    def _line(self, key: Key, figures: Figures, timed: Timed | None) -> Line:
        return Line(
            key=key,
            measures=measures_of(figures, price=self.price, rolled_up=self.rolled_up),
            latency=self._ranked(timed.latency if timed else None),
            first_token=self._ranked(timed.first_token if timed else None),
        )

    def _ranked(self, durations: Durations | None) -> Percentiles | None:
        return None if durations is None else durations.percentiles(exact=self.exact)


def _texts(key: RawKey, dimensions: Sequence[Dimension], *, zone: Zone) -> Key:
    return tuple(
        _text(value, dimension, zone)
        for value, dimension in zip(key, dimensions, strict=True)
    )


def _text(value: object, dimension: Dimension, zone: Zone) -> str | None:
    if value is None:
        return None
    if dimension.unit is not None:
        return slot_text(int(str(value)), dimension.unit, zone)
    return dimension.text_of(value)
