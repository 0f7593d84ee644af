"""What workers know of each other, without any of them being a process."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.config.policies import Backoffs, Flow
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.edge.crew import (
    Alone,
    Board,
    Colleagues,
    Seat,
    Staffing,
    TargetReport,
    WorkerReport,
    own_report,
    present,
)
from smart_llmrouter.edge.readiness import Readiness
from smart_llmrouter.engine.counts import Counts
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.routing.capacity import Capacity
from smart_llmrouter.routing.circuit import CircuitState
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.stores.journal import JournalHealth
from tests.support.clock import Clock
from tests.support.gateway import configuration, provider

OTHER = 4_000_000
GONE = 4_000_001


def refused(reports: Mapping[int, WorkerReport]) -> dict[int, int]:
    """Return how many refusals each worker has counted."""
    return {
        number: report.counts.refusals.get("unauthorized", 0)
        for number, report in reports.items()
    }


def reporting(tally: Tally, *, pid: int | None = None) -> Callable[[], WorkerReport]:
    """Return what reports `tally` as the process `pid`, this one by default."""
    own = own_report(
        tally, HealthBook({}, now=time.monotonic), journal=lambda: JournalHealth(None)
    )
    return lambda: msgspec.structs.replace(own(), pid=pid or os.getpid())


@asynccontextmanager
async def seated(
    board: Board, number: int, tally: Tally, *, pid: int | None = None
) -> AsyncIterator[Colleagues]:
    """Take a seat for the length of a block."""
    seat = Seat(number, board, lambda: None)
    crew = Colleagues(seat, loop=asyncio.get_running_loop(), now=time.monotonic)
    crew.speak_for(reporting(tally, pid=pid))
    try:
        yield crew
    finally:
        crew.leave()


@pytest.fixture
async def board() -> AsyncIterator[Board]:
    """Return what two workers share; both of them are up."""
    shared = Board(2)
    shared.publish(Staffing(workers=(os.getpid(), OTHER), restarts=(0, 0)))
    yield shared
    shared.close()


async def test_who_is_asked_asks_the_others(board: Board) -> None:
    """What another worker has counted a moment ago is there, not a second later."""
    mine, yours = Tally(), Tally()
    async with (
        seated(board, 1, mine) as one,
        seated(board, 2, yours, pid=OTHER) as two,
    ):
        mine.refusals["unauthorized"] = 3
        yours.refusals["unauthorized"] = 4
        seen = [refused(await each.reports()) for each in (one, two)]

    assert seen == [{1: 3, 2: 4}] * 2


async def test_who_does_not_answer_is_not_waited_for_long(board: Board) -> None:
    """The last word of a worker that is busy is taken for what it says now."""
    async with seated(board, 1, Tally()) as one:
        board.reports[1].write(msgspec.msgpack.encode(reporting(Tally(), pid=OTHER)()))
        began = time.monotonic()
        reports = await one.reports()
        took_s = time.monotonic() - began

    assert set(reports) == {1, 2}
    assert 0.2 < took_s < 30


async def test_a_full_bell_is_rung_in_vain(board: Board) -> None:
    """A worker that hears nothing any more does not hold up those who ask."""
    async with seated(board, 1, Tally()) as one:
        with suppress(BlockingIOError):
            while True:
                board.bells[1][0].send(b"?")

        reports = await one.reports()

    assert set(reports) == {1}


async def test_the_next_in_a_seat_goes_on_counting(board: Board) -> None:
    """What its forerunner had counted is in what it reports, and was never less."""
    first, second = Tally(), Tally()
    async with seated(board, 1, first):
        first.refusals["unauthorized"] = 5
    async with seated(board, 1, second) as later:
        second.refusals["unauthorized"] = 2
        reports = await later.reports()

    assert refused(reports)[1] == 7


async def test_what_the_dead_found_is_of_the_past() -> None:
    """Their counts remain; their calls in flight and their opinions do not."""
    reports = {
        number: WorkerReport(
            pid=pid, counts=Counts(), in_flight=1, journal=None, targets={}
        )
        for number, pid in enumerate((os.getpid(), OTHER, GONE), 1)
    }
    staffing = Staffing(workers=(None, OTHER, None), restarts=(0, 0, 0))

    living = present(reports, staffing)

    assert [report.pid for report in living] == [os.getpid(), OTHER]


async def test_nobody_has_said_who_is_up() -> None:
    """Before the parent's first word, nobody is known to be."""
    board = Board(2)
    async with seated(board, 1, Tally()) as one:
        staffing = one.staffing()
    board.close()

    assert (staffing.workers, staffing.up) == ((), 0)


async def test_alone() -> None:
    """The only worker is all workers, and has nothing to share."""
    alone, tally = Alone(), Tally()
    before = await alone.reports()
    alone.speak_for(reporting(tally))
    tally.refusals["unauthorized"] = 1

    assert before == {}
    assert refused(await alone.reports()) == {1: 1}
    assert alone.staffing() == Staffing(workers=(os.getpid(),), restarts=(0,))


class _Said:
    """A crew that has said what it says."""

    def __init__(self, *reports: WorkerReport, wanted: int = 2) -> None:
        self._reports = dict(enumerate(reports, 1))
        pids = [*(each.pid for each in reports), *(wanted - len(reports)) * [None]]
        self._staffing = Staffing(workers=tuple(pids), restarts=wanted * (0,))

    def staffing(self) -> Staffing:
        return self._staffing

    def speak_for(self, own: Callable[[], WorkerReport]) -> None:
        raise NotImplementedError

    async def reports(self) -> Mapping[int, WorkerReport]:
        return self._reports


def finding(
    pid: int, condition: str, error: str | None = None, *, journal: str | None = None
) -> WorkerReport:
    """Return the report of a worker that finds `acme/mini` in this condition."""
    return WorkerReport(
        pid=pid,
        counts=Counts(),
        in_flight=0,
        journal=journal,
        targets={"acme/mini": TargetReport(condition, error)},
    )


async def _well() -> str:
    return "ok"


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Return a configuration with the group `chat` and the target `acme/mini`."""
    path = tmp_path / "router.yaml"
    path.write_text(
        json.dumps(configuration({"acme": provider("http://127.0.0.1:9/v1")}))
    )
    return load_snapshot(path, environment={})


async def report_of(snapshot: Snapshot, *reports: WorkerReport) -> Any:  # noqa: ANN401 - JSON
    """Return the readiness that follows from the reports of two workers."""
    readiness = Readiness(
        snapshot,
        _Said(*reports),
        database=_well,
        ingester=lambda: "ok",
        unread_bytes=lambda: 0,
    )
    _, report = await readiness.report()
    return report


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (("unknown",), ("unknown",), ("unknown", None)),
        (("healthy",), ("unknown",), ("healthy", None)),
        (
            ("failing", "upstream_timeout"),
            ("unknown",),
            ("failing", "upstream_timeout"),
        ),
        (("failing", "x"), ("failing", "x"), ("failing", "x")),
        (("healthy",), ("failing", "x"), ("degraded", "x")),
    ],
)
async def test_what_workers_find_of_a_target_is_told_together(
    snapshot: Snapshot,
    one: tuple[str, ...],
    other: tuple[str, ...],
    told: tuple[str, str | None],
) -> None:
    """Who has called a target counts; where they differ, it is degraded."""
    report = await report_of(snapshot, finding(OTHER, *one), finding(GONE, *other))

    target = report["groups"]["chat"]["acme/mini"]
    assert (target["condition"], target["last_error"]) == told
    assert report["status"] == "ready"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (("closed", 0.0), ("closed", 0.0), ("closed", 0.0)),
        (("open", 20.0), ("closed", 0.0), ("closed", 0.0)),
        (("open", 20.0), ("half-open", 0.5), ("half-open", 0.5)),
        (("open", 20.0), ("open", 2.5), ("open", 2.5)),
    ],
)
async def test_the_circuit_that_lets_most_through_is_told(
    snapshot: Snapshot,
    one: tuple[CircuitState, float],
    other: tuple[CircuitState, float],
    told: tuple[str, float],
) -> None:
    """Each worker has its own, and a call gets through where one does not rest."""
    reports = [
        msgspec.structs.replace(
            finding(pid, "failing", "x"),
            targets={"acme/mini": TargetReport("failing", "x", *circuit)},
        )
        for pid, circuit in ((OTHER, one), (GONE, other))
    ]

    report = await report_of(snapshot, *reports)

    target = report["groups"]["chat"]["acme/mini"]
    assert (target["circuit"], target["next_call_in_s"]) == told
    assert report["status"] == "ready"


def test_a_worker_reports_circuits_and_refusals(snapshot: Snapshot) -> None:
    """What is counted beside the tally is in its report, and adds up."""
    clock = Clock()
    (target,) = snapshot.groups["chat"].targets
    health = HealthBook({target.label: Backoffs()}, now=clock)
    capacity = Capacity(shaped(snapshot), now=clock)
    begun = health.begin(target.label)
    health.note(target.label, "upstream_rate_limited", begun=begun, retry_after_s=20)
    for _ in range(3):
        needs = Requirements(body=b"", dialect="openai-chat")
        if not capacity.take("chat", target, needs):
            capacity.wait_s("chat", target, needs)

    report = own_report(
        Tally(), health, capacity=capacity, journal=lambda: JournalHealth(None)
    )()

    assert report.targets == {
        "acme/mini": TargetReport("failing", "upstream_rate_limited", "open", 20.0)
    }
    both = report.counts.plus(report.counts)
    assert both.openings == {"acme/mini": 2}
    assert both.capacity_refusals == {"acme/mini": 4}


def shaped(snapshot: Snapshot) -> Snapshot:
    """Return the configuration, with one call a second for the target of its group."""
    group = snapshot.groups["chat"]
    flow = Flow(requests_per_second=1, burst=1)
    targets = tuple(replace(each, shaping=flow) for each in group.targets)
    return replace(snapshot, groups={"chat": replace(group, targets=targets)})


@pytest.mark.parametrize(
    ("journals", "status"),
    [
        ((None, None), "ready"),
        ((None, "File too large"), "degraded"),
        (("File too large", "File too large"), "not-ready"),
    ],
)
async def test_one_journal_that_can_be_written_is_enough_to_serve(
    snapshot: Snapshot, journals: tuple[str | None, str | None], status: str
) -> None:
    """A worker without a journal degrades; when none has one, nothing is served."""
    reports = [
        finding(pid, "healthy", journal=journal)
        for pid, journal in zip((OTHER, GONE), journals, strict=True)
    ]

    report = await report_of(snapshot, *reports)

    assert report["status"] == status
    assert report["parts"]["journal"] == (journals[1] or "ok")


async def test_a_missing_worker_is_told(snapshot: Snapshot) -> None:
    """The others serve, and say how many they are."""
    report = await report_of(snapshot, finding(OTHER, "healthy"))

    assert report["status"] == "degraded"
    assert report["workers"] == {"wanted": 2, "up": 1}
    assert report["parts"]["workers"].startswith("1 of 2 are up")
