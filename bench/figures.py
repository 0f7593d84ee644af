"""Samples of many rounds, their medians, and what follows from them."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

Place = tuple[str, str]
"""A subject and a load."""

Figures = dict[tuple[str, str, str], float]
"""A subject, a load and a measure, each by the name that the report shows."""


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


def growth_per_100k(resident: Sequence[tuple[int, float]]) -> float:
    """Return the slope of memory over requests: MiB for each 100,000 of them."""
    requests, mib = zip(*resident, strict=True)
    return statistics.linear_regression(requests, mib).slope * 100_000


def derived(figures: Figures) -> Figures:
    """Compare the router with the direct call and with the bare proxy."""
    found: Figures = {}
    for subject, load, measure in figures:
        if subject != "router":
            continue
        ours = figures[subject, load, measure]
        direct = figures.get(("direct", load, measure))
        bare = figures.get(("bare proxy", load, measure))
        if measure == "p50 ms" and direct is not None:
            found["router", load, "added p50 ms"] = ours - direct
        if measure == "per second" and direct:
            found["router", load, "of direct"] = ours / direct
        if measure == "per second" and bare:
            found["router", load, "of bare proxy"] = ours / bare
        if measure == "worker us" and bare:
            found["router", load, "CPU of bare proxy"] = ours / bare
    return found
