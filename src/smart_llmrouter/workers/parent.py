"""The parent of several workers. It serves no call, and has no event loop.

It holds the state directory and the port, keeps the workers and the ingester running,
and says when to stop: the workers first, and when the last one has written everything
down, the ingester.
"""

import math
import select
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from smart_llmrouter.bootstrap import CannotStart
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.edge.crew import Board, Staffing
from smart_llmrouter.edge.reloads import Reloads
from smart_llmrouter.workers.changing import LOOK_EVERY_S as LOOK_AT_OFFERS_S
from smart_llmrouter.workers.changing import Changing
from smart_llmrouter.workers.kept import Kept
from smart_llmrouter.workers.pulse import HUNG_S, LOOK_EVERY_S, SILENT_S, Pulse
from smart_llmrouter.workers.signals import HURRY, STOP, Signals

_STRAGGLERS_S: Final = 15.0
_FAREWELL_S: Final = 15.0
_HURRIED_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.2
_MS_PER_S: Final = 1000

# One that was told to stop before it listened for that ends by the signal.
_FINE: Final = frozenset({None, 0, -STOP})

log = structlog.get_logger()


class Parent:
    """Keeps workers and an ingester running until it is told to stop."""

    def __init__(
        self,
        workers: Sequence[Kept],
        ingester: Kept,
        *,
        board: Board,
        signals: Signals,
        grace_s: float,
        now: Monotonic,
        store: Kept | None = None,
        changing: Changing | None = None,
    ) -> None:
        """Let calls in flight go on for `grace_s` after the first signal to stop.

        `store` is a counter store of the router's own, which all others need: it is
        there before them, and ends after them. By `changing` the workers are taken from
        one configuration to the next, and what they shall be then holds here, too.
        """
        self._workers = workers
        self._ingester = ingester
        self._board = board
        self._signals = signals
        self._first_grace_s = grace_s
        self._changing = changing
        self._now = now
        self._stores = () if store is None else (store,)
        self._told: Staffing | None = None
        self._pulses = [Pulse() for _ in workers]

    @property
    def _grace_s(self) -> float:
        if self._changing is None:
            return self._first_grace_s
        return self._changing.snapshot.server.shutdown_grace_s

    def start(self) -> bool:
        """Start everything; return `True` when all workers accept calls.

        `False` means that a stop was asked for before. Raises `CannotStart` when one
        of them cannot.
        """
        try:
            self._ingester.start()
            for worker in self._workers:
                worker.start()
        except OSError as error:
            raise CannotStart(f"cannot start a worker: {error.strerror}") from None
        while not all(each.up for each in self._workers):
            if self._signals.stop_wanted():
                return False
            self._wait(_LOOK_AGAIN_S)
            if self._signals.stop_wanted():
                continue
            for worker in self._workers:
                status = worker.look(expected=True)
                if status is not None:
                    raise CannotStart(
                        worker.reason or f"{worker.name} ended with status {status}"
                    )
            self._keep_others()
            self._publish()
        return True

    def watch(self) -> None:
        """Start again what ends, until a stop is asked for."""
        while not self._signals.stop_wanted():
            self._wait(self._next_s())
            if self._signals.stop_wanted():
                return
            self.look()

    def look(self) -> None:
        """See who has ended, and who hangs; have a worker that hangs replaced."""
        for index, worker in enumerate(self._workers):
            self._feel(worker, index)
        for worker in self._workers:
            self._keep(worker)
        self._keep_others()
        self._change()
        self._publish()

    def _change(self) -> None:
        """Go on with a change of the configuration, or begin one that was asked for."""
        changing = self._changing
        if changing is None:
            return
        changing.look(self._workers)
        if not changing.pending and self._signals.reload_wanted():
            changing.begin()

    def _feel(self, worker: Kept, index: int) -> None:
        """Find out whether a worker still does something."""
        published, _ = self._board.reports[index].read()
        silent_s = self._pulses[index].silent_s(
            worker.pid if worker.up else None, published, now_s=self._now()
        )
        silent = worker.up and silent_s >= SILENT_S
        if silent and not worker.silent:
            log.warning("worker does not answer", what=worker.name)
        worker.silent = silent
        if worker.up and silent_s >= HUNG_S:
            log.error("worker is killed: it hangs", what=worker.name)
            worker.tell(signal.SIGKILL)
            # Once is enough: its end is seen in a moment.
            worker.up = worker.silent = False

    def stop(self) -> None:
        """End the workers, gracefully unless asked twice, and then the ingester.

        Asked a third time, it kills what has not ended yet.
        """
        for worker in self._workers:
            worker.tell(STOP)
        deadline_s = self._now() + self._grace_s + _STRAGGLERS_S
        if not self._ended(self._workers, before_s=deadline_s, unless_asked=1):
            for worker in self._workers:
                worker.tell(HURRY)
            deadline_s = min(deadline_s, self._now() + _HURRIED_S)
            self._ended(self._workers, before_s=deadline_s, unless_asked=2)
        self._kill(self._workers)
        for store in self._stores:
            store.tell(STOP)
        self._end_ingester()
        self._ended(self._stores, before_s=self._now() + _FAREWELL_S, unless_asked=2)
        self._kill(self._stores)

    def _end_ingester(self) -> None:
        self._ingester.look(expected=True)
        if self._ingester.pid is None:
            # It died a moment ago; what is journalled is still to be moved.
            with suppress(OSError):
                self._ingester.start()
        self._ingester.release()
        # What it has not moved by then, the next one does.
        within_s = _HURRIED_S if self._signals.asked > 1 else _FAREWELL_S
        self._ended([self._ingester], before_s=self._now() + within_s, unless_asked=2)
        self._kill([self._ingester])

    def _ended(
        self, children: Sequence[Kept], *, before_s: float, unless_asked: int
    ) -> bool:
        """Wait for children to end; give up when a stop is asked for more often."""
        while self._running(children):
            if self._signals.asked > unless_asked or self._now() >= before_s:
                return False
            self._wait(_LOOK_AGAIN_S)
        return True

    def _running(self, children: Sequence[Kept]) -> bool:
        for child in children:
            status = child.look(expected=True)
            if status not in _FINE:
                log.error("child ended", what=child.name, status=status)
        return any(child.pid is not None for child in children)

    def _kill(self, children: Sequence[Kept]) -> None:
        for child in children:
            if child.pid is not None:
                log.warning("was killed: it did not end in time", what=child.name)
                child.tell(signal.SIGKILL)
        while self._running(children):
            self._wait(_LOOK_AGAIN_S)

    def _keep_others(self) -> None:
        for child in (self._ingester, *self._stores):
            self._keep(child)

    def _keep(self, child: Kept) -> None:
        child.look()
        child.restart_when_due()

    def _next_s(self) -> float:
        """Return how long until something is to be started, or looked at."""
        due = [
            child.due_s
            for child in (*self._workers, self._ingester, *self._stores)
            if child.due_s is not None
        ]
        soonest_s = min(due, default=math.inf) - self._now()
        changing = self._changing is not None and self._changing.pending
        return min(LOOK_AT_OFFERS_S if changing else LOOK_EVERY_S, max(0.0, soonest_s))

    def _wait(self, within_s: float) -> None:
        """Wait for a signal or for a child's word, but not longer than `within_s`."""
        talking = {each.hears: each for each in self._workers if each.hears is not None}
        waiting = select.poll()
        for each in (self._signals.woken, *talking):
            waiting.register(each, select.POLLIN)
        for ready, _ in waiting.poll(int(within_s * _MS_PER_S) + 1):
            if ready in talking:
                talking[ready].listen()
            else:
                self._signals.clear()

    def _publish(self) -> None:
        staffing = Staffing(
            workers=tuple(
                each.pid if each.up and not each.silent else None
                for each in self._workers
            ),
            silent=tuple(
                number
                for number, each in enumerate(self._workers, start=1)
                if each.silent
            ),
            restarts=tuple(each.restarts for each in self._workers),
            ingester=self._ingester.pid,
            reloads=Reloads() if self._changing is None else self._changing.reloads,
        )
        if staffing != self._told:
            self._told = staffing
            self._board.publish(staffing)
