"""The measurements, in rounds: every subject under every load, again and again.

The subjects take turns under the same load, so that a disturbance of the machine meets
all of them, and the ratio between them says more than any single number.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.figures import Figures, Samples, growth_per_100k
from bench.loads import Load, LoadClient, LoadFailed, Outcome, first_answer
from bench.machine import Cores, pss_mib, rss_mib
from bench.subjects import (
    WORKER,
    Router,
    Subject,
    running_bare_proxy,
    running_mock,
    running_router,
)
from bench.toolbox import Toolbox

ONE: Final = Load(name="plain 1", connections=1)
MANY: Final = Load(name="plain 64", connections=64)
CROWD: Final = Load(name="plain 256", connections=256)
STREAM_ONE: Final = Load(name="stream 1", connections=1, stream=True)
STREAMS: Final = Load(name="stream 64", connections=64, stream=True)
PACED: Final = Load(name="paced 256", connections=256, stream=True, gap_ms=20)

_IDLE_AFTER_S: Final = 1.5
_EXACT_CONNECTIONS: Final = 64
_SLICE: Final = 20_000

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    loads: tuple[Load, ...]
    rounds: int
    seconds: int
    exact_requests: int
    starts: int
    ingester_apart: bool = False


FULL: Final = Plan(
    loads=(ONE, MANY, CROWD, STREAM_ONE, STREAMS, PACED),
    rounds=3,
    seconds=4,
    exact_requests=200_000,
    starts=3,
)
QUICK: Final = Plan(
    loads=(ONE, MANY, STREAMS), rounds=2, seconds=1, exact_requests=20_000, starts=1
)


@dataclass(slots=True)
class Results:
    """All that was measured; `faults` are results that are wrong rather than slow."""

    samples: Samples = field(default_factory=Samples)
    figures: Figures = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Suite:
    """Runs a plan on two cores: what is measured on one, all else on the other."""

    def __init__(
        self, tools: Toolbox, plan: Plan, *, cores: Cores, directory: Path, say: Say
    ) -> None:
        """Keep all that is written below `directory`; tell of progress by `say`."""
        self._plan = plan
        self._tools = tools
        self._cores = cores
        self._directory = directory
        self._say = say
        self._client = LoadClient(tools, directory, core=cores.load)
        self._results = Results()

    def run(self) -> Results:
        """Measure speed, then memory and the completeness of the records."""
        with running_mock(
            self._tools, core=self._cores.load, directory=self._directory
        ) as upstream:
            self._speed(upstream)
            self._starts(upstream)
            self._endurance(upstream)
        self._results.figures |= self._results.samples.medians()
        return self._results

    def _speed(self, upstream: Subject) -> None:
        near = self._directory / "near"
        near.mkdir()
        with ExitStack() as stack:
            # The direct call crosses the cores, too.
            direct = stack.enter_context(
                running_mock(self._tools, core=self._cores.subject, directory=near)
            )
            bare = stack.enter_context(
                running_bare_proxy(
                    upstream, core=self._cores.subject, directory=self._directory
                )
            )
            router = stack.enter_context(self._router(upstream, "speed"))
            subjects = (direct, bare, router)
            for subject in subjects:
                first_answer(subject)
            router.answered += 1
            for at, load in self._rounds():
                for subject in subjects:
                    self._measure(load, subject, warm_up=at == 0)
            router.settle()
            self._check_nothing_lost(router)

    def _rounds(self) -> Iterator[tuple[int, Load]]:
        for at in range(self._plan.rounds + 1):
            self._say(f"round {at} of {self._plan.rounds}" if at else "warming up")
            for load in self._plan.loads:
                yield at, load

    def _measure(self, load: Load, subject: Subject, *, warm_up: bool) -> None:
        subject.settle()
        before = subject.cpu_s()
        seconds = 1 if warm_up else self._plan.seconds
        outcome = self._client.run(load, subject, seconds=seconds)
        if isinstance(subject, Router):
            router = subject
            router.answered += outcome.answered
            # What it has put off is part of what the load has cost.
            router.settle()
        if outcome.failed:
            self._fault(f"{subject.name}, {load.name}: {outcome.failed} calls failed")
        if not warm_up:
            self._note(load, subject, outcome=outcome, before=before)

    def _note(
        self,
        load: Load,
        subject: Subject,
        *,
        outcome: Outcome,
        before: dict[str, float],
    ) -> None:
        add = self._results.samples.add
        place = (subject.name, load.name)
        add(place, "per second", outcome.per_second)
        add(place, "p50 ms", outcome.p50_us / 1e3)
        add(place, "p99 ms", outcome.p99_us / 1e3)
        if outcome.first_p50_us is not None and outcome.first_p99_us is not None:
            add(place, "first p50 ms", outcome.first_p50_us / 1e3)
            add(place, "first p99 ms", outcome.first_p99_us / 1e3)
        for role, used_s in subject.cpu_s().items():
            per_call = 1e6 * (used_s - before[role]) / max(1, outcome.answered)
            add(place, f"{role} us", per_call)

    def _starts(self, upstream: Subject) -> None:
        """Start a router several times, and look at it while it has nothing to do."""
        for at in range(self._plan.starts):
            with self._router(upstream, f"start-{at}") as router:
                add = self._results.samples.add
                add(("router", "start"), "cold start s", router.cold_start_s)
                time.sleep(_IDLE_AFTER_S)
                add(("router", "idle"), "PSS MiB", pss_mib([*router.roles().values()]))
                worker = router.roles()[WORKER]
                add(("router", "idle"), "worker PSS MiB", pss_mib([worker]))

    def _endurance(self, upstream: Subject) -> None:
        """Send counted requests: memory stays flat, and no record is lost."""
        self._say(f"{self._plan.exact_requests:,} requests, counted one by one")
        resident: list[tuple[int, float]] = []
        with self._router(upstream, "endurance") as router:
            worker = router.roles()[WORKER]
            while router.answered < self._plan.exact_requests:
                left = self._plan.exact_requests - router.answered
                outcome = self._client.send_exactly(
                    min(_SLICE, left), router, connections=_EXACT_CONNECTIONS
                )
                router.answered += outcome.answered
                resident.append((router.answered, rss_mib(worker)))
                if outcome.failed:
                    raise LoadFailed(f"{outcome.failed} of the counted calls failed")
            router.settle()
            rows = router.rows(answered_only=False)
        self._results.figures[("router", "endurance", "answered")] = router.answered
        self._results.figures[("router", "endurance", "rows")] = rows
        for requests, mib in resident:
            if requests in {20_000, 100_000, 200_000}:
                place = ("router", "endurance", f"RSS MiB at {requests:,}")
                self._results.figures[place] = mib
        if len(resident) > 1:
            growth = ("router", "endurance", "RSS growth MiB")
            self._results.figures[growth] = resident[-1][1] - resident[0][1]
            slope = ("router", "endurance", "RSS MiB per 100,000")
            self._results.figures[slope] = growth_per_100k(resident)
        if rows != router.answered:
            self._fault(
                f"{router.answered} requests were answered, {rows} are on record"
            )

    def _check_nothing_lost(self, router: Router) -> None:
        """See that no answer lacks its row; what wrk hung up on may have one, too."""
        rows = router.rows()
        self._results.figures[("router", "all loads", "answered")] = router.answered
        self._results.figures[("router", "all loads", "rows")] = rows
        if rows < router.answered:
            self._fault(
                f"{router.answered} requests were answered, {rows} are on record"
            )

    def _router(self, upstream: Subject, name: str) -> AbstractContextManager[Router]:
        return running_router(
            upstream,
            cores=self._cores,
            directory=self._directory / name,
            ingester_apart=self._plan.ingester_apart,
        )

    def _fault(self, sentence: str) -> None:
        self._results.faults.append(sentence)
        self._say(f"WRONG: {sentence}")
