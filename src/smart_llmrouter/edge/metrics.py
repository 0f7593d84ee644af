"""`GET /metrics`: what all workers have counted, in Prometheus' exposition format.

Counting is the tally's work, on the path; this only shows it when asked, and shows the
same whichever worker is asked.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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

from smart_llmrouter.admission.tickets import ENDINGS
from smart_llmrouter.cache.memory import DROPS
from smart_llmrouter.core.build_info import BuildInfo
from smart_llmrouter.core.money import NUSD_PER_USD
from smart_llmrouter.edge.crew import (
    Crew,
    Staffing,
    TargetReport,
    WorkerReport,
    present,
)
from smart_llmrouter.edge.entrance import FULL_FOR
from smart_llmrouter.edge.failures import REASONS
from smart_llmrouter.edge.families import (
    ATTEMPTS,
    AUTH_FAILURES,
    BUDGET_WARNINGS,
    BUILD,
    CACHE_CALLS,
    CACHE_DROPS,
    CACHED,
    CACHED_BYTES,
    CALLS,
    CIRCUITS,
    CONFIGURATION,
    CONNECTIONS,
    CONNECTIONS_REFUSED,
    COST,
    COUNTERS_UP,
    DURATION,
    ERRORS,
    FIRST_TOKEN,
    FULL,
    IN_FLIGHT,
    LIMIT_REFUSALS,
    LOADED,
    OPENINGS,
    PREFIX,
    PRESSURE,
    QUEUE_ENDINGS,
    QUEUE_WAIT,
    QUEUED,
    REFUSED,
    RELOADS,
    RESERVED_TOKENS,
    RESERVED_USD,
    RESTARTS,
    RESTING,
    THROTTLED,
    TOKENS,
    UNREAD,
    UNWRITTEN,
    WORKER,
    WORKERS,
    WORKERS_UP,
    Family,
)
from smart_llmrouter.edge.reloads import Reloads
from smart_llmrouter.engine.counts import Counts, Durations
from smart_llmrouter.engine.tally import LATENCY_BUCKETS_S
from smart_llmrouter.ledger.journal_room import PRESSURES
from smart_llmrouter.routing.circuit import CIRCUIT_STATES

_US_PER_S: Final = 1_000_000
_NOTHING_RESERVED: Final = {"reserved": 0, "used": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is shown at one moment.

    `unread_bytes` is `None` where nobody knows. `targets` are by label, with what each
    living worker finds.
    """

    counts: Counts = field(default_factory=Counts)
    in_flight: int = 0
    connections: int = 0
    queued: int = 0
    cached_answers: int = 0
    cached_bytes: int = 0
    counters_up: bool = True
    staffing: Staffing = field(default_factory=Staffing)
    unread_bytes: int | None = 0
    journal_pressure: int = 0
    targets: Mapping[str, Sequence[TargetReport]] = field(default_factory=dict)


class CountsCollector(Collector):
    """Shows what was counted to prometheus-client."""

    def __init__(self, build: BuildInfo) -> None:
        """Begin with nothing in `shown`; `build` counts."""
        self._build = build
        self.shown = Shown()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its present values."""
        shown, counts = self.shown, self.shown.counts
        yield InfoMetricFamily(
            BUILD.full_name,
            BUILD.told,
            value={"version": self._build.version, "commit": self._build.commit},
        )
        yield from _configuration(shown.staffing.reloads)
        yield _gauge(WORKERS, len(shown.staffing.workers))
        yield _gauge(WORKERS_UP, shown.staffing.up)
        yield _single(RESTARTS, sum(shown.staffing.restarts))
        yield _gauge(IN_FLIGHT, shown.in_flight)
        yield _gauge(CONNECTIONS, shown.connections)
        yield _gauge(QUEUED, shown.queued)
        yield _gauge(COUNTERS_UP, shown.counters_up)
        yield _gauge(CACHED, shown.cached_answers)
        yield _gauge(CACHED_BYTES, shown.cached_bytes)
        yield _single(UNWRITTEN, counts.unwritable)
        if shown.unread_bytes is not None:
            yield _gauge(UNREAD, shown.unread_bytes)
        yield _gauge(PRESSURE, shown.journal_pressure)
        yield from _counters(counts)
        yield from _circuits(shown.targets)
        yield _histogram(DURATION, counts.latency)
        yield _histogram(FIRST_TOKEN, counts.first_token)
        yield _histogram(QUEUE_WAIT, counts.queue_waits)


class ProcessesCollector(Collector):
    """Shows what the system says of each worker's process."""

    def __init__(self) -> None:
        """Begin without any in `processes`: ids of processes by the workers' number."""
        self.processes: Mapping[int, int] = {}

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all processes, told apart by a label."""
        found: dict[str, Metric] = {}
        for number, pid in self.processes.items():
            for metric in _process_metrics(pid):
                samples = [
                    sample._replace(labels={WORKER: str(number)})
                    for sample in metric.samples
                ]
                metric.samples = []
                found.setdefault(metric.name, metric).samples += samples
        return found.values()


def _process_metrics(pid: int) -> Iterable[Metric]:
    namespace = PREFIX.rstrip("_")
    return ProcessCollector(namespace, pid=lambda: pid, registry=None).collect()


def _gauge(family: Family, value: float) -> Metric:
    return GaugeMetricFamily(family.full_name, family.told, value=value)


def _single(family: Family, count: int) -> Metric:
    return CounterMetricFamily(family.full_name, family.told, value=count)


def _counters(counts: Counts) -> Iterator[Metric]:
    yield _counter(
        CALLS,
        (
            ((group, str(status), str(stream).lower()), count)
            for (group, status, stream), count in counts.calls.items()
        ),
    )
    yield _counter(ERRORS, counts.errors.items())
    yield _counter(TOKENS, counts.tokens.items())
    yield _counter(ATTEMPTS, counts.attempts.items())
    yield _counter(OPENINGS, _by_one(counts.openings))
    yield _counter(FULL, _by_one(counts.capacity_refusals))
    yield _counter(
        COST,
        (((group,), nusd / NUSD_PER_USD) for group, nusd in counts.cost_nusd.items()),
    )
    yield _counter(REFUSED, _by_one(counts.refusals))
    yield _counter(LIMIT_REFUSALS, _by_limit(counts.limit_refusals))
    yield _counter(BUDGET_WARNINGS, _by_limit(counts.budget_warnings))
    tokens = _NOTHING_RESERVED | counts.reservation_tokens
    yield _counter(RESERVED_TOKENS, _by_one(tokens))
    nusd = _NOTHING_RESERVED | counts.reservation_nusd
    yield _counter(
        RESERVED_USD, (((kind,), each / NUSD_PER_USD) for kind, each in nusd.items())
    )
    endings = dict.fromkeys(ENDINGS, 0) | counts.queue_endings
    yield _counter(QUEUE_ENDINGS, _by_one(endings))
    full = dict.fromkeys(FULL_FOR, 0) | counts.connections_refused
    yield _counter(CONNECTIONS_REFUSED, _by_one(full))
    reasons = dict.fromkeys(REASONS, 0) | counts.auth_failures
    yield _counter(AUTH_FAILURES, _by_one(reasons))
    yield _single(THROTTLED, counts.throttled)
    yield _counter(CACHE_CALLS, counts.cache.items())
    drops = dict.fromkeys(DROPS, 0) | counts.cache_drops
    yield _counter(CACHE_DROPS, _by_one(drops))


def _configuration(reloads: Reloads) -> Iterator[Metric]:
    yield InfoMetricFamily(
        CONFIGURATION.full_name,
        CONFIGURATION.told,
        value={"fingerprint": reloads.fingerprint},
    )
    yield _gauge(LOADED, reloads.loaded_s)
    yield _counter(
        RELOADS, (((outcome,), count) for outcome, count in reloads.counts.items())
    )


def _by_limit(counts: Mapping[str, int]) -> Iterable[tuple[tuple[str, ...], float]]:
    """Split what is counted by the kind of the scope and the limit, as in records."""
    return ((tuple(name.split(":", 1)), count) for name, count in counts.items())


def _by_one(counts: Mapping[str, int]) -> Iterable[tuple[tuple[str, ...], float]]:
    return (((label,), count) for label, count in counts.items())


def _circuits(targets: Mapping[str, Sequence[TargetReport]]) -> Iterator[Metric]:
    """Yield the state of each target's circuits, the states that none is in included.

    Each worker has a circuit of its own; calls get through where one is not open.
    """
    circuits, resting = (
        GaugeMetricFamily(family.full_name, family.told, labels=family.labels)
        for family in (CIRCUITS, RESTING)
    )
    for label, found in targets.items():
        states = Counter(each.circuit for each in found)
        for state in CIRCUIT_STATES:
            circuits.add_metric((label, state), states[state])
        resting.add_metric((label,), min(each.resting_s for each in found))
    yield circuits
    yield resting


def _counter(family: Family, counts: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    shown = CounterMetricFamily(family.full_name, family.told, labels=family.labels)
    for values, count in counts:
        shown.add_metric(values, count)
    return shown


def _histogram(family: Family, labelled: Mapping[str, Durations]) -> Metric:
    shown = HistogramMetricFamily(family.full_name, family.told, labels=family.labels)
    bounds = [*(str(bound) for bound in LATENCY_BUCKETS_S), "+Inf"]
    for label, histogram in labelled.items():
        totals = accumulate(histogram.counts)
        shown.add_metric(
            [label],
            buckets=list(zip(bounds, totals, strict=True)),
            sum_value=histogram.sum_us / _US_PER_S,
        )
    return shown


def _by_label(living: Iterable[WorkerReport]) -> Mapping[str, Sequence[TargetReport]]:
    targets: defaultdict[str, list[TargetReport]] = defaultdict(list)
    for report in living:
        for label, found in report.targets.items():
            targets[label].append(found)
    return targets


class Metrics:
    """Renders everything that the router can say about itself in numbers."""

    def __init__(
        self, crew: Crew, build: BuildInfo, *, unread_bytes: Callable[[], int | None]
    ) -> None:
        """Use a registry of its own: nothing global is counted or shown.

        `unread_bytes` says how much of the journal is not in the database yet,
        `None` where nobody knows.
        """
        self._crew = crew
        self._registry = CollectorRegistry(auto_describe=False)
        self._counts = CountsCollector(build)
        self._processes = ProcessesCollector()
        self._registry.register(self._counts)
        self._registry.register(self._processes)
        self._unread_bytes = unread_bytes

    async def render(self) -> bytes:
        """Return the exposition text."""
        unread_bytes = await asyncio.to_thread(self._unread_bytes)
        reports, staffing = await self._crew.reports(), self._crew.staffing()
        living = present(reports, staffing)
        self._counts.shown = Shown(
            counts=Counts.sum(report.counts for report in reports.values()),
            in_flight=sum(report.in_flight for report in living),
            connections=sum(report.connections for report in living),
            queued=sum(report.queued for report in living),
            cached_answers=sum(report.cached_answers for report in living),
            cached_bytes=sum(report.cached_bytes for report in living),
            counters_up=all(report.counters is None for report in living),
            staffing=staffing,
            unread_bytes=unread_bytes,
            journal_pressure=max(
                (PRESSURES.index(each.journal_pressure) for each in living), default=0
            ),
            targets=_by_label(living),
        )
        self._processes.processes = {
            number: report.pid for number, report in reports.items() if report in living
        }
        return generate_latest(self._registry)
