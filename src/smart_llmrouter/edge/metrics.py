"""`GET /metrics`: the tally, in the exposition format of Prometheus.

Counting is the tally's work, on the path; this only shows it when asked. All names
begin with `smart_llmrouter_`, and every label has a bounded set of values.
"""

from collections.abc import Iterable, Iterator
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


def _name(name: str) -> str:
    return PREFIX + name


class TallyCollector(Collector):
    """Shows a tally to prometheus-client."""

    def __init__(self, tally: Tally, build: BuildInfo) -> None:
        """Show `tally`, and which build counts."""
        self._tally = tally
        self._build = build

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its present values."""
        tally = self._tally
        yield InfoMetricFamily(
            _name("build"),
            "The build that is running.",
            value={"version": self._build.version, "commit": self._build.commit},
        )
        yield GaugeMetricFamily(
            _name("calls_in_flight"), "Calls being served.", value=tally.in_flight
        )
        yield CounterMetricFamily(
            _name("journal_write_failures"),
            "Calls whose record could not be written.",
            value=tally.unwritable,
        )
        yield from self._counters()
        yield _histogram(
            "call_duration_seconds", "From arrival to the record.", tally.latency
        )
        yield _histogram(
            "time_to_first_token_seconds",
            "From arrival to the target's first meaningful event.",
            tally.first_token,
        )

    def _counters(self) -> Iterator[Metric]:
        tally = self._tally
        yield _counter(
            "calls",
            "Finished calls.",
            ["group", "status", "stream"],
            (
                ((group, str(status), str(stream).lower()), count)
                for (group, status, stream), count in tally.calls.items()
            ),
        )
        yield _counter(
            "call_errors", "Failed calls.", ["group", "code"], tally.errors.items()
        )
        yield _counter(
            "tokens",
            "Tokens that providers reported.",
            ["group", "kind"],
            tally.tokens.items(),
        )
        yield _counter(
            "attempts",
            "Attempts at targets.",
            ["target", "outcome"],
            tally.attempts.items(),
        )
        yield _counter(
            "cost_usd",
            "Computed cost in dollars.",
            ["group"],
            (
                ((group,), nusd / NUSD_PER_USD)
                for group, nusd in tally.cost_nusd.items()
            ),
        )
        yield _counter(
            "refused_requests",
            "Requests turned away before their caller was known.",
            ["code"],
            (((code,), count) for code, count in tally.refusals.items()),
        )


def _counter(
    name: str,
    told: str,
    labels: list[str],
    counts: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = CounterMetricFamily(_name(name), told, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family


def _histogram(name: str, told: str, groups: dict[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(_name(name), told, labels=["group"])
    bounds = [*(str(bound) for bound in LATENCY_BUCKETS_S), "+Inf"]
    for group, histogram in groups.items():
        totals = accumulate(histogram.counts)
        family.add_metric(
            [group],
            buckets=list(zip(bounds, totals, strict=True)),
            sum_value=histogram.sum_us / _US_PER_S,
        )
    return family


class Metrics:
    """Renders everything that this process can say about itself in numbers."""

    def __init__(self, tally: Tally, build: BuildInfo) -> None:
        """Use a registry of its own: nothing global is counted or shown."""
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(TallyCollector(tally, build))
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self._registry)

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self._registry)
