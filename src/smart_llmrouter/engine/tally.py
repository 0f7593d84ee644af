"""Running counts of what happened, cheap enough for every call.

Labels come from the configuration or from closed sets, never from a request, so the
number of series is bounded. `edge.metrics` shows them.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.ledger.record import CallMeasures

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The labels under which calls that ended alike are counted."""

    calls: tuple[str, int, bool]
    errors: tuple[str, str] | None
    input_tokens: tuple[str, str]
    output_tokens: tuple[str, str]
    group: str


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

    def series(
        self, group: str | None, *, status: int, stream: bool, error_code: str | None
    ) -> Series:
        """Return where calls that ended like this are counted."""
        name = group or NO_GROUP
        return Series(
            calls=(name, status, stream),
            errors=None if error_code is None else (name, error_code),
            input_tokens=(name, "input"),
            output_tokens=(name, "output"),
            group=name,
        )

    def count(self, series: Series, measures: CallMeasures) -> None:
        """Count one finished call."""
        (
            _, _, latency_us, _, ttft_us, tokens_in, _, tokens_out, _, _, _, _,
            total_nusd, _,
        ) = measures  # fmt: skip
        self.calls[series.calls] += 1
        if series.errors is not None:
            self.errors[series.errors] += 1
        _observe(self.latency, series.group, latency_us)
        if ttft_us is not None:
            _observe(self.first_token, series.group, ttft_us)
        if tokens_in is not None:
            self.tokens[series.input_tokens] += tokens_in
        if tokens_out is not None:
            self.tokens[series.output_tokens] += tokens_out
        if total_nusd is not None:
            self.cost_nusd[series.group] += total_nusd


def _observe(histograms: dict[str, Histogram], group: str, duration_us: int) -> None:
    histogram = histograms.get(group)
    if histogram is None:
        histogram = histograms[group] = Histogram()
    histogram.observe(duration_us)
