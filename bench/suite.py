"""The measurements of the router itself, in the order in which they are made."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.figures import SHARED, SHARED_BY_TWO, Results, growth_per_100k
from bench.loads import Load, LoadClient, LoadFailed, Outcome, first_answer
from bench.machine import Cores, CoreTime, forget_peak, peak_rss_mib, pss_mib, rss_mib
from bench.plans import EVENTS, HUGE_MANY, LIMITED, MANY, MIB, STREAMS, Plan
from bench.subjects import (
    INGESTER,
    WORKER,
    Mock,
    Router,
    Subject,
    running_bare_proxy,
    running_mock,
    running_router,
)
from bench.toolbox import Toolbox
from bench.workload import Scale

_IDLE_AFTER_S: Final = 1.5
_EXACT_CONNECTIONS: Final = 64
_SLICE: Final = 20_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What every measurement needs: tools, cores, a directory, and where results go."""

    tools: Toolbox
    plan: Plan
    cores: Cores
    directory: Path
    say: Say
    results: Results = field(default_factory=Results)

    def client(self) -> LoadClient:
        """Return the client that sends loads, from the load's core."""
        return LoadClient(self.tools, self.directory, core=self.cores.load)

    def upstream(self) -> AbstractContextManager[Mock]:
        """Run the provider, on the load's core."""
        return running_mock(self.tools, core=self.cores.load, directory=self.directory)

    def router(
        self,
        upstream: Mock,
        directory: str,
        *,
        name: str = "router",
        scale: Scale | None = None,
        one_core: bool = False,
    ) -> AbstractContextManager[Router]:
        """Run a router in a directory of its own."""
        return running_router(
            upstream,
            cores=self.cores,
            directory=self.directory / directory,
            name=name,
            scale=scale or Scale(tls_port=upstream.tls_port, limited=True),
            one_core=one_core,
        )

    def fault(self, sentence: str) -> None:
        """Keep that something is wrong, and say so now."""
        self.results.faults.append(sentence)
        self.say(f"WRONG: {sentence}")

    def note(self, sentence: str) -> None:
        """Keep that something could not be measured, and say so now."""
        self.results.notes.append(sentence)
        self.say(sentence)


def measure(
    shop: Workshop,
    load: Load,
    subject: Subject,
    *,
    seconds: int,
    keep: bool = True,
    callers: Path | None = None,
) -> None:
    """Load a subject once; keep what came of it unless it is a warm-up."""
    subject.settle()
    cpu_before = subject.cpu_s()
    watch = _Watch(shop.cores)
    outcome = shop.client().run(load, subject, seconds=seconds, callers=callers)
    watched = watch.ended()
    if isinstance(subject, Router):
        subject.answered += outcome.answered
        # What it has put off is part of what the load has cost.
        subject.settle()
    if outcome.failed:
        _tell_failed(shop, load, subject, failed=outcome.failed)
    if not keep:
        return
    used_s = {
        role: after_s - cpu_before[role] for role, after_s in subject.cpu_s().items()
    }
    seen = dict(_seen(load, outcome)) | dict(_used(load, outcome, used_s)) | watched
    for name, value in seen.items():
        shop.results.samples.add((subject.name, load.name), name, value)


class _Watch:
    """Watches what the cores do while a load runs."""

    def __init__(self, cores: Cores) -> None:
        """Begin."""
        self._cores = cores
        self._load = CoreTime.of(cores.load)
        self._subject = CoreTime.of(cores.subject)

    def ended(self) -> dict[str, float]:
        """Return how busy the load's core was, and what the hypervisor took."""
        load, subject = CoreTime.of(self._cores.load), CoreTime.of(self._cores.subject)
        return {
            "load core %": load.busy_since(self._load),
            "stolen %": subject.stolen_since(self._subject),
        }


def _tell_failed(shop: Workshop, load: Load, subject: Subject, *, failed: int) -> None:
    """Say that calls failed; of the router that is wrong, of others worth a note."""
    say = shop.fault if isinstance(subject, Router) else shop.note
    say(f"{subject.name}, {load.name}: {failed} calls failed")


def _used(
    load: Load, outcome: Outcome, used_s: dict[str, float]
) -> Iterator[tuple[str, float]]:
    for role, seconds in used_s.items():
        per_call = 1e6 * seconds / max(1, outcome.answered)
        yield f"{role} us", per_call
        if load.stream:
            yield f"{role} us per event", per_call / EVENTS


def _seen(load: Load, outcome: Outcome) -> Iterator[tuple[str, float]]:
    yield "per second", outcome.per_second
    yield "p50 ms", outcome.p50_us / 1e3
    yield "p99 ms", outcome.p99_us / 1e3
    if outcome.first_p50_us is not None and outcome.first_p99_us is not None:
        yield "first p50 ms", outcome.first_p50_us / 1e3
        yield "first p99 ms", outcome.first_p99_us / 1e3
    if outcome.gap_p99_us is not None:
        yield "jitter p99 ms", outcome.gap_p99_us / 1e3 - load.gap_ms
    if load.ideal_per_s is not None:
        yield "of ideal", outcome.per_second / load.ideal_per_s


def measure_speed(shop: Workshop, upstream: Mock) -> None:
    """Load router, bare proxy and provider in turn, in several rounds.

    They take turns so that a disturbance of the machine meets all of them, and the
    ratio between them says more than any single number.
    """
    near = shop.directory / "near"
    near.mkdir()
    core = shop.cores.subject
    with ExitStack() as stack:
        # The direct call crosses the cores, too.
        direct = stack.enter_context(
            running_mock(shop.tools, core=core, directory=near)
        )
        subjects: list[Subject] = [direct]
        loads = _loads_that_can_be(shop, upstream)
        if any("bare proxy" in load.against for load in loads):
            bare = running_bare_proxy(upstream, core=core, directory=shop.directory)
            subjects.append(stack.enter_context(bare))
        router = stack.enter_context(shop.router(upstream, "speed"))
        subjects.append(router)
        for subject in subjects:
            first_answer(subject)
        router.answered += 1
        for at, load in _rounds(shop, loads):
            seconds = max(load.least_s, shop.plan.seconds) if at else load.least_s
            for subject in subjects:
                if subject is router or subject.name in load.against:
                    measure(shop, load, subject, seconds=seconds, keep=at > 0)
        router.settle()
        _check_nothing_lost(shop, router)


def _loads_that_can_be(shop: Workshop, upstream: Mock) -> list[Load]:
    if upstream.tls_port is not None:
        return list(shop.plan.loads)
    shop.note("TLS was not measured: the mock was built without OpenSSL (libssl-dev)")
    return [load for load in shop.plan.loads if "TLS" not in load.name]


def _rounds(shop: Workshop, loads: list[Load]) -> Iterator[tuple[int, Load]]:
    for at in range(shop.plan.rounds + 1):
        shop.say(f"round {at} of {shop.plan.rounds}" if at else "warming up")
        for load in loads:
            yield at, load


def _check_nothing_lost(shop: Workshop, router: Router) -> None:
    """See that no answer lacks its row; what wrk hung up on may have one, too."""
    rows = router.rows()
    shop.results.figures["router", "all loads", "answered"] = router.answered
    shop.results.figures["router", "all loads", "rows"] = rows
    if rows < router.answered:
        shop.fault(f"{router.answered} requests were answered, {rows} are on record")


def measure_one_core(shop: Workshop, upstream: Mock) -> None:
    """Measure a router whose ingester shares the worker's core."""
    shop.say("the ingester on the worker's core")
    with shop.router(
        upstream, "one-core", name="router, ingester beside", one_core=True
    ) as router:
        for at in range(shop.plan.rounds + 1):
            for load in shop.plan.one_core:
                seconds = shop.plan.seconds if at else load.least_s
                measure(shop, load, router, seconds=seconds, keep=at > 0)


def measure_starts(shop: Workshop, upstream: Mock) -> None:
    """Start a router several times, and look at it while it has nothing to do."""
    shop.say("starting")
    add = shop.results.samples.add
    for at in range(shop.plan.starts):
        with shop.router(upstream, f"start-{at}") as router:
            add(("router", "start"), "cold start s", router.cold_start_s)
            time.sleep(_IDLE_AFTER_S)
            for role in (WORKER, INGESTER):
                mib = pss_mib(router.roles()[role])
                add(("router", "idle"), f"{role} PSS MiB", mib)


def measure_memory_of_bodies(shop: Workshop, upstream: Mock) -> None:
    """See how much memory calls with bodies of 1 MB need, at the most."""
    shop.say("memory of large calls")
    load = HUGE_MANY
    with shop.router(upstream, "bodies") as router:
        measure(shop, MANY, router, seconds=1, keep=False)
        (worker,) = router.roles()[WORKER]
        idle_mib = rss_mib(worker)
        forget_peak(worker)
        measure(shop, load, router, seconds=shop.plan.seconds)
        held_bytes = (peak_rss_mib(worker) - idle_mib) * MIB
    place = "router", load.name, "memory, times the body"
    shop.results.figures[place] = held_bytes / load.connections / load.size_bytes


def measure_endurance(shop: Workshop, upstream: Mock) -> None:
    """Send counted requests: memory stays flat, and no record is lost."""
    shop.say(f"{shop.plan.exact_requests:,} requests, counted one by one")
    resident: list[tuple[int, float]] = []
    client = shop.client()
    with shop.router(upstream, "endurance") as router:
        (worker,) = router.roles()[WORKER]
        while router.answered < shop.plan.exact_requests:
            left = shop.plan.exact_requests - router.answered
            outcome = client.send_exactly(
                min(_SLICE, left), router, connections=_EXACT_CONNECTIONS
            )
            router.answered += outcome.answered
            resident.append((router.answered, rss_mib(worker)))
            if outcome.failed:
                raise LoadFailed(f"{outcome.failed} of the counted calls failed")
        router.settle()
        rows = router.rows(answered_only=False)
    if rows != router.answered:
        shop.fault(f"{router.answered} requests were answered, {rows} are on record")
    found = {"answered": router.answered, "rows": rows} | _resident(resident)
    for measure_name, value in found.items():
        shop.results.figures["router", "endurance", measure_name] = value


def _resident(resident: list[tuple[int, float]]) -> dict[str, float]:
    shown = {20_000, 100_000, 200_000}
    found = {
        f"RSS MiB at {requests:,}": mib
        for requests, mib in resident
        if requests in shown
    }
    if len(resident) > 1:
        found["RSS growth MiB"] = resident[-1][1] - resident[0][1]
        found["RSS MiB per 100,000"] = growth_per_100k(resident)
    return found


def measure_shared_counters(shop: Workshop, upstream: Mock) -> None:
    """Measure one worker and two that count in a Valkey, which the router starts.

    Each worker has a core; with two cores in all, the load and the store share these.
    So the rate says little there, and the CPU that a worker needs for a call is what
    is compared.
    """
    for workers, name in ((1, SHARED), (2, SHARED_BY_TWO)):
        shop.say(name)
        scale = Scale(workers=workers, counters="embedded-valkey", limited=True)
        with shop.router(upstream, f"shared-{workers}", name=name, scale=scale) as each:
            for load in (MANY, LIMITED, STREAMS):
                for keep in (False, True):
                    seconds = shop.plan.seconds if keep else 1
                    measure(shop, load, each, seconds=seconds, keep=keep)
