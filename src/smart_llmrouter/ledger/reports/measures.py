"""What a report says about a set of calls: counts, and sums that know their gaps.

A sum of values of which some are unknown is the sum of the known ones together with
how many they are; where none is known, the sum is unknown, not zero.

"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import msgspec


class Known(msgspec.Struct, frozen=True):
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

    @property
    def mean(self) -> int | None:
        """Return the average of what is known, rounded."""
        return None if self.total is None else round(Fraction(self.total, self.calls))


@dataclass(frozen=True, slots=True)
class Coverage:
    """A sum is known of so many calls, `of` those of which it could be."""

    known: int
    of: int

    @property
    def is_whole(self) -> bool:
        """Say whether nothing is missing."""
        return self.known == self.of


@dataclass(frozen=True, slots=True)
class Compared:
    """What calls cost, and what the same tokens would have cost elsewhere.

    Both over the same `calls`: those where both are known. Exact nano-dollars.
    """

    calls: int = 0
    cost_nusd: int = 0
    baseline_nusd: Fraction = Fraction(0)

    def __add__(self, other: "Compared") -> "Compared":
        """Add two comparisons of different calls."""
        return Compared(
            self.calls + other.calls,
            self.cost_nusd + other.cost_nusd,
            self.baseline_nusd + other.baseline_nusd,
        )

    @property
    def baseline(self) -> Known:
        """Return what it would have cost, rounded to nano-dollars."""
        total = round(self.baseline_nusd) if self.calls else None
        return Known(total, self.calls)

    @property
    def savings(self) -> Known:
        """Return how much less that was; negative where it was more."""
        if not self.calls:
            return Known()
        return Known(round(self.baseline_nusd - self.cost_nusd), self.calls)


class Measures(msgspec.Struct, frozen=True):
    """The figures of one set of calls; each of them adds up over disjoint sets.

    `asked_calls` are those for which a target was asked: only they use tokens.
    `estimated_calls` are those whose tokens the router counted itself, `refused_calls`
    were refused by a limit, in `abandoned_calls` the caller left before the end, and
    `cache_hits` were answered from the response cache. Costs (`_nusd`): `cost` is the
    sum of the parts `input`, `cached_input`, `cache_write`, `output` and `image`, of
    which `reasoning` is a part of the output's; what failed attempts cost comes beside
    it, and `failed_calls` are costs of calls that ended in an error. `charged` is what
    budgets were charged, which of a call that was cut off is what it may have used.
    `paced_us` is the time in which, after the first event, the `paced_tokens` of
    streams came that one attempt answered.
    """

    calls: int = 0
    asked_calls: int = 0
    errors: int = 0
    attempts: int = 0
    fallbacks: int = 0
    refused_calls: int = 0
    abandoned_calls: int = 0
    cache_hits: int = 0
    estimated_calls: int = 0
    input_tokens: Known = Known()
    cached_input_tokens: Known = Known()
    cache_write_5m_tokens: Known = Known()
    cache_write_1h_tokens: Known = Known()
    output_tokens: Known = Known()
    reasoning_tokens: Known = Known()
    cost_nusd: Known = Known()
    input_cost_nusd: Known = Known()
    cached_input_cost_nusd: Known = Known()
    cache_write_cost_nusd: Known = Known()
    output_cost_nusd: Known = Known()
    reasoning_cost_nusd: Known = Known()
    image_cost_nusd: Known = Known()
    failed_attempts_cost_nusd: Known = Known()
    failed_calls_cost_nusd: Known = Known()
    reported_cost_nusd: Known = Known()
    charged_tokens: Known = Known()
    charged_cost_nusd: Known = Known()
    queued_us: Known = Known()
    latency_us: Known = Known()
    first_byte_us: Known = Known()
    first_token_us: Known = Known()
    paced_tokens: Known = Known()
    paced_us: Known = Known()
    max_latency_us: int | None = None
    max_first_token_us: int | None = None
    max_queued_us: int | None = None
    compared: Compared | None = None

    def coverage(self, known: Known) -> "Coverage":
        """Return of how many calls a sum is known, and of how many it could be."""
        return Coverage(known.calls, max(known.calls, self.asked_calls))

    @property
    def tokens_per_s(self) -> float | None:
        """Output tokens a second of streams that one attempt answered."""
        tokens, us = self.paced_tokens.total, self.paced_us.total
        return tokens * 1_000_000 / us if tokens and us else None


_FIELDS: Final = msgspec.structs.fields(Measures)
COUNTS: Final = tuple(field.name for field in _FIELDS if field.type is int)
"""The figures that are always known; they come first."""
SUMS: Final = tuple(field.name for field in _FIELDS if field.type is Known)
"""The sums that may have gaps; they follow."""
PEAKS: Final = ("max_latency_us", "max_first_token_us", "max_queued_us")
"""The longest times, which come last but for the comparison."""
