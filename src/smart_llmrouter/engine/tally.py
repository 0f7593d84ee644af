"""Running counts of what happened, cheap enough for every call.

Labels come from the configuration or from closed sets, never from a request, so the
number of series is bounded. `edge.metrics` shows them.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from smart_llmrouter.ledger.record import CallMeasures

K = TypeVar("K")

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


class Series(msgspec.Struct, eq=False):
    """The calls of one group that ended alike, and what they add up to."""

    group: str
    status: int
    stream: bool
    error_code: str | None
    latency: Histogram
    first_token: Histogram
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nusd: int = 0

    def count(self, measures: CallMeasures) -> None:
        """Count one finished call; what is unknown of it adds nothing."""
        (
            _, _, latency_us, _, ttft_us, tokens_in, _, tokens_out, _, _, _, _,
            total_nusd, _,
        ) = measures  # fmt: skip
        self.calls += 1
        self.latency.observe(latency_us)
        if ttft_us is not None:
            self.first_token.observe(ttft_us)
        self.input_tokens += tokens_in or 0
        self.output_tokens += tokens_out or 0
        self.cost_nusd += total_nusd or 0


class Reservations(msgspec.Struct, eq=False):
    """What calls have reserved that have ended, and what they have used of it."""

    reserved_tokens: int = 0
    used_tokens: int = 0
    reserved_nusd: int = 0
    used_nusd: int = 0


class Tally:
    """What the process has counted since it started."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.attempts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.refusals: defaultdict[str, int] = defaultdict(int)
        self.latency: dict[str, Histogram] = {}
        self.first_token: dict[str, Histogram] = {}
        self.queue_waits: dict[str, Histogram] = {}
        self.in_flight = 0
        self.unwritable = 0
        # Open connections, and what was turned away before its caller was known.
        self.connections = 0
        self.connections_refused: defaultdict[str, int] = defaultdict(int)
        self.auth_failures: defaultdict[str, int] = defaultdict(int)
        self.throttled = 0
        # By the kind of the scope and the limit, as in records: `caller:rpm`.
        self.limit_refusals: defaultdict[str, int] = defaultdict(int)
        self.budget_warnings: defaultdict[str, int] = defaultdict(int)
        self.reservations = Reservations()
        # By what the response cache did, and why: an empty word for no reason.
        self.cache: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._series: dict[tuple[str, int, bool, str | None], Series] = {}

    def series(
        self, group: str | None, *, status: int, stream: bool, error_code: str | None
    ) -> Series:
        """Return where calls that ended like this are counted."""
        name = group or NO_GROUP
        key = (name, status, stream, error_code)
        if key not in self._series:
            self._series[key] = Series(
                *key,
                self.latency.setdefault(name, Histogram()),
                self.first_token.setdefault(name, Histogram()),
            )
        return self._series[key]

    def waited(self, kind: str, waited_s: float) -> None:
        """Count how long a call has waited for its turn, by whose pace held it up."""
        histogram = self.queue_waits.setdefault(kind, Histogram())
        histogram.observe(round(waited_s * _US_PER_S))

    @property
    def calls(self) -> dict[tuple[str, int, bool], int]:
        """Finished calls by group, status, and whether they were streams."""
        return self._sum(lambda s: (s.group, s.status, s.stream), lambda s: s.calls)

    @property
    def errors(self) -> dict[tuple[str, str], int]:
        """Failed calls by group and stable code."""
        return self._sum(
            lambda s: None if s.error_code is None else (s.group, s.error_code),
            lambda s: s.calls,
        )

    @property
    def tokens(self) -> dict[tuple[str, str], int]:
        """Tokens by group and kind, as providers reported them."""
        return self._sum(
            lambda s: (s.group, "input"), lambda s: s.input_tokens
        ) | self._sum(lambda s: (s.group, "output"), lambda s: s.output_tokens)

    @property
    def cost_nusd(self) -> dict[str, int]:
        """Computed cost by group, in nano-dollars."""
        return self._sum(lambda s: s.group, lambda s: s.cost_nusd)

    def _sum(
        self, key_of: Callable[[Series], K | None], amount_of: Callable[[Series], int]
    ) -> dict[K, int]:
        """Add the series up, those with the same key together; without zeros."""
        sums: defaultdict[K, int] = defaultdict(int)
        for series in self._series.values():
            key, amount = key_of(series), amount_of(series)
            if key is not None and amount:
                sums[key] += amount
        return dict(sums)
