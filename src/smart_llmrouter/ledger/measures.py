"""What a report says about a set of calls: counts, sums that know their gaps, ranks.

A sum of values of which some are unknown is the sum of the known ones together with
how many they are; where none is known, the sum is unknown, not zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

PERCENTS = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Known:
    """A sum over those `calls` whose value is known; `None` where that is none."""

    total: int | None = None
    calls: int = 0

    def __add__(self, other: "Known") -> "Known":
        """Add two sums over different calls."""
        if self.total is None or other.total is None:
            total = other.total if self.total is None else self.total
        else:
            total = self.total + other.total
        return Known(total, self.calls + other.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The figures of one set of calls; every one of them adds up over disjoint sets.

    `estimated_calls` are those whose tokens the router counted itself.
    """

    calls: int = 0
    errors: int = 0
    attempts: int = 0
    estimated_calls: int = 0
    input_tokens: Known = Known()
    cached_input_tokens: Known = Known()
    cache_write_5m_tokens: Known = Known()
    cache_write_1h_tokens: Known = Known()
    output_tokens: Known = Known()
    reasoning_tokens: Known = Known()
    cost_nusd: Known = Known()
    cached_input_cost_nusd: Known = Known()
    cache_write_cost_nusd: Known = Known()
    reported_cost_nusd: Known = Known()

    def counts(self) -> tuple[tuple[str, int], ...]:
        """Return the figures that are always known, each with its name."""
        return tuple((name, getattr(self, name)) for name in COUNTS)

    def sums(self) -> tuple[tuple[str, Known], ...]:
        """Return the sums that may have gaps, each with its name."""
        return tuple((name, getattr(self, name)) for name in SUMS)

    def __add__(self, other: "Measures") -> "Measures":
        """Return the figures of both sets together."""
        return Measures(
            **{
                name: getattr(self, name) + getattr(other, name)
                for name in (*COUNTS, *SUMS)
            }
        )


COUNTS = ("calls", "errors", "attempts", "estimated_calls")
SUMS = tuple(field.name for field in fields(Measures))[len(COUNTS) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Exact percentiles of `calls` durations, in microseconds, by nearest rank."""

    calls: int
    p50_us: int
    p90_us: int
    p95_us: int
    p99_us: int


def percentiles(durations_us: Iterable[int]) -> Percentiles | None:
    """Return the percentiles, or `None` where there are no durations."""
    ordered = sorted(durations_us)
    if not ordered:
        return None
    p50, p90, p95, p99 = (_nearest_rank(ordered, percent) for percent in PERCENTS)
    return Percentiles(
        calls=len(ordered), p50_us=p50, p90_us=p90, p95_us=p95, p99_us=p99
    )


def _nearest_rank(ordered: Sequence[int], percent: int) -> int:
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]
