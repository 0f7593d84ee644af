"""Percentiles of durations that a database has counted by how long they took.

Of few calls each duration is read for itself, and percentiles are exact. Of many the
database counts them by their first two digits, and the middle of what they share is
taken: within 5 % of the true one, whatever it is, in little memory.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

from sqlalchemy import BigInteger, ColumnElement, case, literal_column

Precision = Literal["exact", "within 5 %"]

PERCENTS: Final = (50, 90, 95, 99)
EXACT_UP_TO: Final = 20_000
"""Of more calls than this percentiles are no longer exact."""
_EXACT_US: Final = 100
_LONGEST_DIGITS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Percentiles of `calls` durations, in microseconds, by nearest rank."""

    calls: int
    p50_us: int
    p90_us: int
    p95_us: int
    p99_us: int


def bucket_of(duration_us: ColumnElement[int]) -> ColumnElement[int]:
    """Return in SQL a duration cut to its first two digits."""
    cuts = [10**digits for digits in range(1, _LONGEST_DIGITS)]
    return case(
        (duration_us < _number(_EXACT_US), duration_us),
        *(
            (
                duration_us < _number(_EXACT_US * cut),
                duration_us - duration_us % _number(cut),
            )
            for cut in cuts
        ),
        else_=duration_us - duration_us % _number(cuts[-1] * 10),
    )


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), BigInteger)


def middle_us(bucket_us: int) -> int:
    """Return what stands for all durations of a bucket."""
    if bucket_us < _EXACT_US:
        return bucket_us
    width_us: int = 10 ** (len(str(bucket_us)) - 2)
    return bucket_us + width_us // 2


class Durations:
    """How many calls took how long; adds up over disjoint sets of calls.

    What was read one by one is in `each_us`, what was counted in `calls_by_us`.
    """

    __slots__ = ("calls_by_us", "each_us")

    def __init__(self) -> None:
        """Begin with none."""
        self.each_us: list[int] = []
        self.calls_by_us: dict[int, int] = {}

    def count(self, us: int, calls: int) -> None:
        """Count calls of a bucket."""
        self.calls_by_us[us] = self.calls_by_us.get(us, 0) + calls

    def plus(self, others: Sequence["Durations"], /) -> "Durations":
        """Return what they are together with those of other sets."""
        together = Durations()
        for each in (self, *others):
            together.add(each)
        return together

    def add(self, other: "Durations", /) -> None:
        """Add those of another set, too."""
        self.each_us += other.each_us
        counts = self.calls_by_us
        for us, calls in other.calls_by_us.items():
            counts[us] = counts.get(us, 0) + calls

    def percentiles(self, *, exact: bool = True) -> Percentiles | None:
        """Return them, or `None` where there are no durations.

        Those that are `exact` are of what was read one by one, others of the buckets.
        """
        if exact:
            return percentiles_of_each(self.each_us)
        return percentiles_of_buckets(self.calls_by_us)


@dataclass(frozen=True, slots=True)
class Timed:
    """How long whole calls took, and how long their first tokens."""

    latency: Durations
    first_token: Durations

    def add(self, other: "Timed", /) -> None:
        """Add those of other calls, too."""
        self.latency.add(other.latency)
        self.first_token.add(other.first_token)

    def plus(self, others: Sequence["Timed"], /) -> "Timed":
        """Return what they are together with those of other calls."""
        return Timed(
            self.latency.plus([each.latency for each in others]),
            self.first_token.plus([each.first_token for each in others]),
        )


def percentiles_of_each(durations_us: Iterable[int]) -> Percentiles | None:
    """Return the percentiles of durations; `None` where there are none."""
    ordered = sorted(durations_us)
    if not ordered:
        return None
    calls = len(ordered)
    return _percentiles(calls, (ordered[rank - 1] for rank in _ranks(calls)))


def percentiles_of_buckets(calls_by_us: Mapping[int, int]) -> Percentiles | None:
    """Return the percentiles of durations that were counted by their first digits."""
    ordered = sorted(calls_by_us)
    passed = list(accumulate(map(calls_by_us.__getitem__, ordered)))
    if not passed:
        return None
    buckets = (ordered[bisect_left(passed, rank)] for rank in _ranks(passed[-1]))
    return _percentiles(passed[-1], map(middle_us, buckets))


def _ranks(calls: int) -> Iterator[int]:
    """Yield which of so many, in order, are the percentiles; the first is 1."""
    return (-(-calls * percent // 100) for percent in PERCENTS)


def _percentiles(calls: int, found_us: Iterable[int]) -> Percentiles:
    p50, p90, p95, p99 = found_us
    return Percentiles(calls=calls, p50_us=p50, p90_us=p90, p95_us=p95, p99_us=p99)
