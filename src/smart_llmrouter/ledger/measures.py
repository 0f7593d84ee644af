"""What a report says about a set of calls: counts, sums that know their gaps, ranks.

A sum of values of which some are unknown is the sum of the known ones together with
how many they are; where none is known, the sum is unknown, not zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    """The figures of one set of calls; every one of them adds up over disjoint sets."""

    calls: int = 0
    errors: int = 0
    attempts: int = 0
    input_tokens: Known = Known()
    cached_input_tokens: Known = Known()
    output_tokens: Known = Known()
    reasoning_tokens: Known = Known()
    cost_nusd: Known = Known()
    reported_cost_nusd: Known = Known()

    def sums(self) -> tuple[tuple[str, Known], ...]:
        """Return the sums that may have gaps, each with its name."""
        return (
            ("input_tokens", self.input_tokens),
            ("cached_input_tokens", self.cached_input_tokens),
            ("output_tokens", self.output_tokens),
            ("reasoning_tokens", self.reasoning_tokens),
            ("cost_nusd", self.cost_nusd),
            ("reported_cost_nusd", self.reported_cost_nusd),
        )

    def __add__(self, other: "Measures") -> "Measures":
        """Return the figures of both sets together."""
        return Measures(
            calls=self.calls + other.calls,
            errors=self.errors + other.errors,
            attempts=self.attempts + other.attempts,
            input_tokens=self.input_tokens + other.input_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cost_nusd=self.cost_nusd + other.cost_nusd,
            reported_cost_nusd=self.reported_cost_nusd + other.reported_cost_nusd,
        )


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
