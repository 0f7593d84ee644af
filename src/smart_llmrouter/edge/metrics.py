"""`GET /metrics`: the tally, in the exposition format of Prometheus.

Counting is the tally's work, on the path; this only shows it when asked. All names
begin with `smart_llmrouter_`, and every label has a bounded set of values.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from smart_llmrouter.core.build_info import BuildInfo
from smart_llmrouter.core.money import NUSD_PER_USD
from smart_llmrouter.engine.tally import LATENCY_BUCKETS_S, Histogram, Tally

PREFIX: Final = "smart_llmrouter_"
_US_PER_S: Final = 1_000_000
_GROUP: Final = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric: its name without the prefix, what it means, and its labels."""

    name: str
    told: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Return the name under which it is shown, but for the endings of samples."""
        return PREFIX + self.name


BUILD: Final = Family(
    name="build", told="The build that is running.", labels=("version", "commit")
)
IN_FLIGHT: Final = Family(name="calls_in_flight", told="Calls being served.")
UNWRITTEN: Final = Family(
    name="journal_write_failures", told="Calls whose record could not be written."
)
UNREAD: Final = Family(
    name="journal_unread_bytes",
    told="Bytes of the journal that are not in the database yet.",
)
CALLS: Final = Family(
    name="calls", told="Finished calls.", labels=(_GROUP, "status", "stream")
)
ERRORS: Final = Family(
    name="call_errors", told="Failed calls.", labels=(_GROUP, "code")
)
TOKENS: Final = Family(
    name="tokens", told="Tokens that providers reported.", labels=(_GROUP, "kind")
)
ATTEMPTS: Final = Family(
    name="attempts", told="Attempts at targets.", labels=("target", "outcome")
)
COST: Final = Family(
    name="cost_usd", told="Computed cost in dollars.", labels=(_GROUP,)
)
REFUSED: Final = Family(
    name="refused_requests",
    told="Requests turned away before their caller was known.",
    labels=("code",),
)
DURATION: Final = Family(
    name="call_duration_seconds",
    told="From arrival to the record.",
    labels=(_GROUP,),
)
FIRST_TOKEN: Final = Family(
    name="time_to_first_token_seconds",
    told="From arrival to the target's first meaningful event.",
    labels=(_GROUP,),
)
FAMILIES: Final = (
    BUILD, IN_FLIGHT, UNWRITTEN, UNREAD, CALLS, ERRORS, TOKENS, ATTEMPTS, COST, REFUSED,
    DURATION, FIRST_TOKEN,
)  # fmt: skip


class TallyCollector(Collector):
    """Shows a tally to prometheus-client."""

    def __init__(self, tally: Tally, build: BuildInfo) -> None:
        """Show `tally`, and which build counts."""
        self._tally = tally
        self._build = build
        self.unread_bytes: int | None = 0

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its present values."""
        tally = self._tally
        yield InfoMetricFamily(
            BUILD.full_name,
            BUILD.told,
            value={"version": self._build.version, "commit": self._build.commit},
        )
        yield GaugeMetricFamily(
            IN_FLIGHT.full_name, IN_FLIGHT.told, value=tally.in_flight
        )
        yield CounterMetricFamily(
            UNWRITTEN.full_name, UNWRITTEN.told, value=tally.unwritable
        )
        if self.unread_bytes is not None:
            yield GaugeMetricFamily(
                UNREAD.full_name, UNREAD.told, value=self.unread_bytes
            )
        yield from self._counters()
        yield _histogram(DURATION, tally.latency)
        yield _histogram(FIRST_TOKEN, tally.first_token)

    def _counters(self) -> Iterator[Metric]:
        tally = self._tally
        yield _counter(
            CALLS,
            (
                ((group, str(status), str(stream).lower()), count)
                for (group, status, stream), count in tally.calls.items()
            ),
        )
        yield _counter(ERRORS, tally.errors.items())
        yield _counter(TOKENS, tally.tokens.items())
        yield _counter(ATTEMPTS, tally.attempts.items())
        yield _counter(
            COST,
            (
                ((group,), nusd / NUSD_PER_USD)
                for group, nusd in tally.cost_nusd.items()
            ),
        )
        yield _counter(
            REFUSED, (((code,), count) for code, count in tally.refusals.items())
        )


def _counter(family: Family, counts: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    shown = CounterMetricFamily(family.full_name, family.told, labels=family.labels)
    for values, count in counts:
        shown.add_metric(values, count)
    return shown


def _histogram(family: Family, groups: dict[str, Histogram]) -> Metric:
    shown = HistogramMetricFamily(family.full_name, family.told, labels=family.labels)
    bounds = [*(str(bound) for bound in LATENCY_BUCKETS_S), "+Inf"]
    for group, histogram in groups.items():
        totals = accumulate(histogram.counts)
        shown.add_metric(
            [group],
            buckets=list(zip(bounds, totals, strict=True)),
            sum_value=histogram.sum_us / _US_PER_S,
        )
    return shown


class Metrics:
    """Renders everything that this process can say about itself in numbers."""

    def __init__(
        self, tally: Tally, build: BuildInfo, *, unread_bytes: Callable[[], int | None]
    ) -> None:
        """Use a registry of its own: nothing global is counted or shown.

        `unread_bytes` says how much of the journal is not in the database yet,
        `None` where nobody knows.
        """
        self._registry = CollectorRegistry(auto_describe=False)
        self._collector = TallyCollector(tally, build)
        self._registry.register(self._collector)
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self._registry)
        self._unread_bytes = unread_bytes

    async def render(self) -> bytes:
        """Return the exposition text."""
        self._collector.unread_bytes = await asyncio.to_thread(self._unread_bytes)
        return generate_latest(self._registry)
