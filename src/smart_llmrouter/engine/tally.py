"""Running counts of what happened, cheap enough for every call.

Labels come from the configuration or from closed sets, never from a request, so the
number of series is bounded. `edge.metrics` shows them.
"""

from bisect import bisect_left
from collections import Counter
from typing import Final

from smart_llmrouter.ledger.record import UsageRecord

_US_PER_S: Final = 1_000_000
LATENCY_BUCKETS_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0, 60.0, 120.0, 300.0, 600.0,
)  # fmt: skip
_BOUNDS_US: Final = tuple(round(bound * _US_PER_S) for bound in LATENCY_BUCKETS_S)
NO_GROUP: Final = "none"


class Histogram:
    """Counts per bucket, and their sum in microseconds."""

    __slots__ = ("counts", "sum_us")

    def __init__(self) -> None:
        """Begin empty; the last bucket has no upper bound."""
        self.counts = [0] * (len(_BOUNDS_US) + 1)
        self.sum_us = 0

    def observe(self, duration_us: int) -> None:
        """Count one duration."""
        self.counts[bisect_left(_BOUNDS_US, duration_us)] += 1
        self.sum_us += duration_us


class Tally:
    """What the process has counted since it started."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.calls: Counter[tuple[str, int, bool]] = Counter()
        self.errors: Counter[tuple[str, str]] = Counter()
        self.tokens: Counter[tuple[str, str]] = Counter()
        self.cost_nusd: Counter[str] = Counter()
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.refusals: Counter[str] = Counter()
        self.latency: dict[str, Histogram] = {}
        self.first_token: dict[str, Histogram] = {}
        self.in_flight = 0
        self.unwritable = 0

    def count(self, record: UsageRecord) -> None:
        """Count one finished call."""
        group = record.resolved_group or NO_GROUP
        self.calls[group, record.status, record.stream] += 1
        if record.error_code is not None:
            self.errors[group, record.error_code] += 1
        _observe(self.latency, group, record.latency_us)
        if record.ttft_us is not None:
            _observe(self.first_token, group, record.ttft_us)
        if record.input_tokens is not None:
            self.tokens[group, "input"] += record.input_tokens
        if record.output_tokens is not None:
            self.tokens[group, "output"] += record.output_tokens
        if record.total_cost_nusd is not None:
            self.cost_nusd[group] += record.total_cost_nusd


def _observe(histograms: dict[str, Histogram], group: str, duration_us: int) -> None:
    if group not in histograms:
        histograms[group] = Histogram()
    histograms[group].observe(duration_us)
