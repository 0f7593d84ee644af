"""Percentiles of durations that a database has counted by how long they took.

Of few calls each duration is counted for itself, and percentiles are exact. Of many the
database counts them by their first two digits, and the middle of what they share is
taken: within 5 % of the true one, whatever it is, in little memory.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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

    def add(self, other: "Durations") -> None:
        """Count those of another set, too."""
        for us, calls in other.calls_by_us.items():
            self.count(us, calls)

    def percentiles(self, *, exact: bool = True) -> Percentiles | None:
        """Return them, or `None` where there are no durations.

        Where not `exact` what was counted are buckets.
        """
        return percentiles_of(self.calls_by_us, exact=exact)


def percentiles_of(
    calls_by_us: Mapping[int, int], *, exact: bool = True
) -> Percentiles | None:
    """Return the percentiles of durations that were counted."""
    total = sum(calls_by_us.values())
    if not total:
        return None
    ordered = sorted(calls_by_us.items())
    p50, p90, p95, p99 = (
        us if exact else middle_us(us)
        for us in _ranked(ordered, [-(-total * percent // 100) for percent in PERCENTS])
    )
    return Percentiles(calls=total, p50_us=p50, p90_us=p90, p95_us=p95, p99_us=p99)


def _ranked(ordered: Iterable[tuple[int, int]], ranks: list[int]) -> list[int]:
    """Return the durations at these ranks, which ascend; the first is 1."""
    found: list[int] = []
    passed = 0
    for us, calls in ordered:
        passed += calls
        while len(found) < len(ranks) and ranks[len(found)] <= passed:
            found.append(us)
    return found
