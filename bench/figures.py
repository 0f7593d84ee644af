"""Samples of many rounds, their medians, and what follows from them."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Place = tuple[str, str]
"""A subject and a load."""

Figures = dict[tuple[str, str, str], float]
"""A subject, a load and a measure, each by the name that the report shows."""


STEPS: Final = "steps"
SCALED_STEPS: Final = "steps, scaled"
"""Under which the steps of a call are kept: as measured, and at the speed of the
reference machine."""


SHARED: Final = "router, Valkey"
SHARED_BY_TWO: Final = "router, 2 workers, Valkey"
"""Routers that count in a shared store."""


class Samples:
    """What each round measured."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._of: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)

    def add(self, place: Place, measure: str, value: float) -> None:
        """Keep one sample."""
        self._of[(*place, measure)].append(value)

    def all(self) -> Mapping[tuple[str, str, str], Sequence[float]]:
        """Return every sample of every figure."""
        return self._of

    def medians(self) -> Figures:
        """Return the median of each figure."""
        return {place: statistics.median(found) for place, found in self._of.items()}


@dataclass(slots=True)
class Results:
    """All that was measured.

    `faults` are results that are wrong rather than slow; `notes` say what could not be
    measured, and why.
    """

    samples: Samples = field(default_factory=Samples)
    figures: Figures = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def all_figures(self) -> Figures:
        """Return what was measured once, every median, and what follows from them."""
        figures = self.figures | self.samples.medians()
        return figures | derived(figures)


def growth_per_100k(resident: Sequence[tuple[int, float]]) -> float:
    """Return the slope of memory over requests: MiB for each 100,000 of them."""
    requests, mib = zip(*resident, strict=True)
    return statistics.linear_regression(requests, mib).slope * 100_000


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A measure of one subject beside the same measure of another, under one load."""

    name: str
    measure: str
    other: str
    how: Literal["minus", "over"]


_COMPARISONS: Final = (
    _Comparison("added p50 ms", "p50 ms", "direct", "minus"),
    _Comparison("added p99 ms", "p99 ms", "direct", "minus"),
    _Comparison("added first p50 ms", "first p50 ms", "direct", "minus"),
    _Comparison("of direct", "per second", "direct", "over"),
    _Comparison("times direct", "p50 ms", "direct", "over"),
    _Comparison("of bare proxy", "per second", "bare proxy", "over"),
    _Comparison("CPU of bare proxy", "worker us", "bare proxy", "over"),
)
_LOADS_COMPARED: Final = (
    ("plain 256", "plain 64"),
    ("TLS 64", "plain 64"),
    ("TLS stream 64", "stream 64"),
    ("translate 64", "plain 64"),
    ("translate stream 64", "stream 64"),
    ("limited 64", "plain 64"),
)


def derived(figures: Figures) -> Figures:
    """Compare every subject with those under the same load, and some loads."""
    found: Figures = {}
    for (subject, load, measure), ours in figures.items():
        for each in _COMPARISONS:
            theirs = figures.get((each.other, load, measure))
            if measure != each.measure or not theirs or subject in _COMPARED_WITH:
                continue
            value = ours - theirs if each.how == "minus" else ours / theirs
            found[subject, load, each.name] = value
    between = dict(_between_loads(figures)) | dict(_between_counters(figures))
    return found | between


def _between_counters(
    figures: Figures,
) -> Iterator[tuple[tuple[str, str, str], float]]:
    """Yield what limits cost, and what a second worker gives, by the workers' CPU."""

    def worker_us(subject: str, load: str) -> float | None:
        return figures.get((subject, load, "worker us"))

    for subject, load in (("router", "limited 64"), (SHARED, "limited 64, Valkey")):
        plain, limited = (
            worker_us(subject, "plain 64"),
            worker_us(subject, "limited 64"),
        )
        if plain and limited:
            yield ("router", load, "limits us"), limited - plain
    for load in ("plain 64", "limited 64", "stream 64"):
        one, two = worker_us(SHARED, load), worker_us(SHARED_BY_TWO, load)
        if one and two:
            yield ("router", f"{load}, two workers", "times one worker"), 2 * one / two


_COMPARED_WITH: Final = frozenset({each.other for each in _COMPARISONS})


def _between_loads(
    figures: Figures,
) -> Iterator[tuple[tuple[str, str, str], float]]:
    for load, other in _LOADS_COMPARED:
        for subject in dict.fromkeys(subject for subject, _, _ in figures):
            ours = figures.get((subject, load, "per second"))
            theirs = figures.get((subject, other, "per second"))
            if ours is not None and theirs:
                yield (subject, load, f"of {other}"), ours / theirs
