"""What the workers of a router know of each other, so that each answers for all.

Each worker publishes what it has counted, once a second and whenever another one asks
by ringing its bell, in memory that outlives it: what a dead worker had counted stays
counted, and the one in its place goes on from there. The parent publishes who is up.
A router with one worker shares nothing: there is nobody to ask.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from smart_llmrouter.admission.queue import Queue
from smart_llmrouter.cache.memory import AnswersInMemory
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.edge.offers import Offers
from smart_llmrouter.edge.reloads import Reloads
from smart_llmrouter.engine.counts import Counts
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.routing.capacity import Capacity
from smart_llmrouter.routing.circuit import CircuitState
from smart_llmrouter.routing.health import HealthBook
from smart_llmrouter.stores.journal import JournalHealth, Pressure
from smart_llmrouter.stores.shared_value import SharedValue

PUBLISH_EVERY_S: Final = 1.0
_ANSWER_WITHIN_S: Final = 0.25
_POLL_S: Final = 0.001
_RING: Final = b"?"
_ABLE: Final[str | None] = None


class TargetReport(msgspec.Struct, frozen=True):
    """How a worker finds a target: the words of `routing.health`.

    `resting_s` is when it may be called again, 0.0 where it may be now.
    """

    condition: str
    last_error: str | None
    circuit: CircuitState = "closed"
    resting_s: float = 0.0


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker has counted and finds at this moment.

    `journal` says why its next record could not be written, `None` where it can.
    `edition` is which configuration it serves by, counted as in `edge.reloads`, and
    `answered` the last one that it was offered: `unable` says why it cannot serve by
    that, `None` that it can.
    `journal_pressure` says how little room there is for more, and `journal_room` why.
    `counters` says why limits cannot be counted, `None` where they can.
    `cached_answers` are those in its memory, which take `cached_bytes`.
    """

    pid: int
    counts: Counts
    in_flight: int
    journal: str | None
    targets: dict[str, TargetReport]
    connections: int = 0
    edition: int = 0
    queued: int = 0
    answered: int = 0
    unable: str | None = None
    counters: str | None = None
    cached_answers: int = 0
    cached_bytes: int = 0
    journal_pressure: Pressure = "none"
    journal_room: str | None = None


class Staffing(msgspec.Struct, frozen=True, kw_only=True):
    """Who is up: a process id for each worker that serves, `None` for one that is not.

    `restarts` counts for each worker how often it had to be started again. `silent`
    has the numbers of those that are there, but do nothing. `reloads` say which
    configuration all of them serve by.
    """

    workers: tuple[int | None, ...] = ()
    restarts: tuple[int, ...] = ()
    silent: tuple[int, ...] = ()
    ingester: int | None = None
    reloads: Reloads = Reloads()

    @property
    def up(self) -> int:
        """How many workers serve."""
        return sum(pid is not None for pid in self.workers)


OwnReport = Callable[[], WorkerReport]


def own_report(
    tally: Tally,
    health: HealthBook,
    *,
    capacity: Capacity | None = None,
    journal: Callable[[], JournalHealth],
    edition: int = 0,
    queue: Queue | None = None,
    counters: Callable[[], str | None] = lambda: None,
    answers: AnswersInMemory | None = None,
) -> OwnReport:
    """Return what makes a report of all these whenever it is called."""

    def refused() -> dict[str, int]:
        return {} if capacity is None else dict(capacity.refused)

    def endings() -> dict[str, int]:
        endings = {} if queue is None else queue.endings
        return dict(endings.items())

    def report() -> WorkerReport:
        written = journal()
        counts = msgspec.structs.replace(
            Counts.of(tally),
            openings=health.openings,
            capacity_refusals=dict.fromkeys(health.targets, 0) | refused(),
            queue_endings=endings(),
            cache_drops={} if answers is None else dict(answers.dropped),
        )
        return WorkerReport(
            pid=os.getpid(),
            counts=counts,
            in_flight=tally.in_flight,
            connections=tally.connections,
            queued=0 if queue is None else queue.depth,
            journal=written.reason,
            journal_pressure=written.pressure,
            journal_room=written.told,
            counters=counters(),
            cached_answers=0 if answers is None else len(answers),
            cached_bytes=0 if answers is None else answers.bytes,
            edition=edition,
            targets={
                label: TargetReport(
                    target.condition,
                    target.last_error,
                    health.circuit(label),
                    health.resting_s(label),
                )
                for label, target in health.targets.items()
            },
        )

    return report


class Crew(Protocol):
    """All workers of the router, as one of them knows them."""

    def staffing(self) -> Staffing:
        """Say who is up now."""

    def speak_for(self, own: OwnReport) -> None:
        """Ask `own` for what this worker has to report, from now on."""

    async def reports(self) -> Mapping[int, WorkerReport]:
        """Return what each worker has counted, by its number, the dead included."""


class Alone:
    """The crew of one."""

    def __init__(self) -> None:
        """Begin with nothing to report."""
        self._own: OwnReport | None = None
        self.reloads = Reloads()
        """Which configuration it serves by."""

    def staffing(self) -> Staffing:
        """Say that all are up: who asks is."""
        return Staffing(workers=(os.getpid(),), restarts=(0,), reloads=self.reloads)

    def speak_for(self, own: OwnReport) -> None:
        """Ask `own` when asked."""
        self._own = own

    async def reports(self) -> Mapping[int, WorkerReport]:
        """Return the own report."""
        return {} if self._own is None else {1: self._own()}


class Board:
    """What the workers of one router share; make it before they are forked."""

    def __init__(self, workers: int) -> None:
        """Make room for so many."""
        self.staffing = SharedValue("staffing")
        self.reports = [SharedValue(f"worker-{each + 1}") for each in range(workers)]
        self.bells = [_bell() for _ in range(workers)]
        self.offers = Offers()

    def publish(self, staffing: Staffing) -> None:
        """Say who is up."""
        self.staffing.write(msgspec.msgpack.encode(staffing))

    def report(self, index: int) -> WorkerReport | None:
        """Return the last word of the worker with this index, from 0."""
        return _decoded(self.reports[index])

    def ring(self) -> None:
        """Ring all bells: each worker looks at the offers, and publishes."""
        for rings, _ in self.bells:
            with suppress(OSError):
                rings.send(_RING)

    def close(self) -> None:
        """Let go of everything in this process."""
        for value in (self.staffing, *self.reports):
            value.close()
        self.offers.close()
        for rings, hears in self.bells:
            rings.close()
            hears.close()


def _bell() -> tuple[socket.socket, socket.socket]:
    rings, hears = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (rings, hears):
        end.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return rings, hears


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker's place: its number, counted from 1, and what it shares with others.

    With one `tls` for all, a TLS session goes on in whichever worker it comes back to.
    `edition` is which configuration it begins with.
    """

    number: int
    board: Board
    ready: Callable[[], None]
    """To be called when this worker accepts calls."""
    tls: ssl.SSLContext | None = None
    edition: int = 0


class Colleagues:
    """The crew as one of several workers knows it."""

    def __init__(
        self, seat: Seat, *, loop: asyncio.AbstractEventLoop, now: Monotonic
    ) -> None:
        """Take the seat, and go on counting from where its last worker stopped."""
        self._board = seat.board
        self._index = seat.number - 1
        self._loop = loop
        self._now = now
        self._own: OwnReport | None = None
        before = _decoded(seat.board.reports[self._index])
        self._before = Counts() if before is None else before.counts
        self._next: asyncio.TimerHandle | None = None
        self._answered, self._unable = seat.edition, _ABLE
        self.heed: Callable[[], None] = lambda: None
        """Called now and then, and whenever the bell is rung: there may be an offer."""

    @property
    def speaks_for_all(self) -> bool:
        """Whether this worker writes down what all of them do together."""
        return self._index == 0

    @property
    def offers(self) -> Offers:
        """What the parent wants."""
        return self._board.offers

    def answer(self, number: int, unable: str | None) -> None:
        """Tell the parent that an edition can be served by, or why it cannot."""
        self._answered, self._unable = number, unable
        self._publish()

    def staffing(self) -> Staffing:
        """Say what the parent last said."""
        _, value = self._board.staffing.read()
        return msgspec.msgpack.decode(value, type=Staffing) if value else Staffing()

    def speak_for(self, own: OwnReport) -> None:
        """Publish what `own` says, now and then and whenever somebody asks."""
        first = self._own is None
        self._own = own
        if first:
            self._loop.add_reader(self._hears.fileno(), self._heard)
            self._publish_now_and_then()
        else:
            self._publish()

    def leave(self) -> None:
        """Publish for the last time."""
        if self._next is not None:
            self._next.cancel()
        self._loop.remove_reader(self._hears.fileno())
        self._publish()

    async def reports(self) -> Mapping[int, WorkerReport]:
        """Ask those that are up, and return everybody's last word.

        What this worker has counted is published first: whoever is asked next shows
        no less than this answer did.
        """
        self._publish()
        await self._fresh()
        decoded = {
            index + 1: _decoded(shared)
            for index, shared in enumerate(self._board.reports)
        }
        return {number: each for number, each in decoded.items() if each is not None}

    @property
    def _hears(self) -> socket.socket:
        return self._board.bells[self._index][1]

    def _heard(self) -> None:
        with suppress(BlockingIOError):
            while self._hears.recv(len(_RING)):
                pass
        self._publish()
        self.heed()

    def _publish_now_and_then(self) -> None:
        self._publish()
        self.heed()
        self._next = self._loop.call_later(PUBLISH_EVERY_S, self._publish_now_and_then)

    def _publish(self) -> None:
        if self._own is None:
            return
        own = self._own()
        total = msgspec.structs.replace(
            own,
            counts=self._before.plus(own.counts),
            answered=self._answered,
            unable=self._unable,
        )
        self._board.reports[self._index].write(msgspec.msgpack.encode(total))

    async def _fresh(self) -> None:
        """Ring all others that are up; wait until each has published, or for long."""
        board, deadline_s = self._board, self._now() + _ANSWER_WITHIN_S
        waiting = {
            index: board.reports[index].read()[0]
            for index, pid in enumerate(self.staffing().workers)
            if pid is not None and index != self._index
        }
        for index in waiting:
            with suppress(OSError):
                board.bells[index][0].send(_RING)
        while waiting and self._now() < deadline_s:
            await asyncio.sleep(_POLL_S)
            waiting = {
                index: number
                for index, number in waiting.items()
                if board.reports[index].read()[0] == number
            }


def _decoded(shared: SharedValue) -> WorkerReport | None:
    _, value = shared.read()
    return msgspec.msgpack.decode(value, type=WorkerReport) if value else None


def present(
    reports: Mapping[int, WorkerReport], staffing: Staffing
) -> Sequence[WorkerReport]:
    """Return the reports of workers that live: what others found is of the past."""
    up = {os.getpid(), *staffing.workers}
    return [report for report in reports.values() if report.pid in up]
