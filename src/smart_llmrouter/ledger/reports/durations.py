"""Percentiles of durations that a database has counted by how long they took.

Of few calls each duration is counted for itself, and percentiles are exact. Of many the
database counts them by their first two digits, and the middle of what they share is
taken: within 5 % of the true one, whatever it is, in little memory.
"""

from bisect import bisect_left
from collections.abc import Mapping
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
    """How many calls took how long; adds up over disjoint sets of calls."""

    __slots__ = ("calls_by_us",)

    def __init__(self) -> None:
        """Begin with none."""
        self.calls_by_us: dict[int, int] = {}

    def count(self, us: int, calls: int) -> None:
        """Count calls that took so long."""
        self.calls_by_us[us] = self.calls_by_us.get(us, 0) + calls

    def copy(self) -> "Durations":
        """Return the same, to which others can be added."""
        other = Durations()
        other.calls_by_us = self.calls_by_us.copy()
        return other

    def add(self, other: "Durations", /) -> None:
        """Count those of another set, too."""
        counts = self.calls_by_us
        for us, calls in other.calls_by_us.items():
            counts[us] = counts.get(us, 0) + calls

    def percentiles(self, *, exact: bool = True) -> Percentiles | None:
        """Return them, or `None` where there are no durations.

        Where not `exact` what was counted are buckets.
        """
        return percentiles_of(self.calls_by_us, exact=exact)


@dataclass(frozen=True, slots=True)
class Timed:
    """How long whole calls took, and how long their first tokens."""

    latency: Durations
    first_token: Durations

    def copy(self) -> "Timed":
        """Return the same, to which others can be added."""
        return Timed(self.latency.copy(), self.first_token.copy())

    def add(self, other: "Timed", /) -> None:
        """Count those of other calls, too."""
        self.latency.add(other.latency)
        self.first_token.add(other.first_token)


def percentiles_of(
    calls_by_us: Mapping[int, int], *, exact: bool = True
) -> Percentiles | None:
    """Return the percentiles of durations that were counted."""
    ordered = sorted(calls_by_us)
    passed = list(accumulate(map(calls_by_us.__getitem__, ordered)))
    if not passed:
        return None
    total = passed[-1]
    ranks = (-(-total * percent // 100) for percent in PERCENTS)
    found = (ordered[bisect_left(passed, rank)] for rank in ranks)
    p50, p90, p95, p99 = (us if exact else middle_us(us) for us in found)
    return Percentiles(calls=total, p50_us=p50, p90_us=p90, p95_us=p95, p99_us=p99)
