"""The parent of several workers. It serves no call, and has no event loop.

It holds the state directory and the port, keeps the workers and the ingester running,
and says when to stop: the workers first, and when the last one has written everything
down, the ingester.
"""

import select
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from smart_llmrouter.bootstrap import CannotStart
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.edge.crew import Board, Staffing
from smart_llmrouter.workers.kept import Kept
from smart_llmrouter.workers.signals import HURRY, STOP, Signals

_STRAGGLERS_S: Final = 15.0
_FAREWELL_S: Final = 15.0
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
    ) -> None:
        """Let calls in flight go on for `grace_s` after the first signal to stop."""
        self._workers = workers
        self._ingester = ingester
        self._board = board
        self._signals = signals
        self._grace_s = grace_s
        self._now = now
        self._told: Staffing | None = None

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
            self._keep(self._ingester)
            self._publish()
        return True

    def watch(self) -> None:
        """Start again what ends, until a stop is asked for."""
        while not self._signals.stop_wanted():
            self._wait(self._next_s())
            if self._signals.stop_wanted():
                return
            for child in (*self._workers, self._ingester):
                self._keep(child)
            self._publish()

    def stop(self) -> None:
        """End the workers, gracefully unless asked twice, and then the ingester."""
        for worker in self._workers:
            worker.tell(STOP)
        deadline_s = self._now() + self._grace_s + _STRAGGLERS_S
        hurried = False
        while self._running(self._workers) and self._now() < deadline_s:
            if self._signals.asked > 1 and not hurried:
                hurried = True
                for worker in self._workers:
                    worker.tell(HURRY)
            self._wait(_LOOK_AGAIN_S)
        self._kill(self._workers)
        self._end_ingester()

    def _end_ingester(self) -> None:
        self._ingester.look(expected=True)
        if self._ingester.pid is None:
            # It died a moment ago; what is journalled is still to be moved.
            with suppress(OSError):
                self._ingester.start()
        self._ingester.release()
        deadline_s = self._now() + _FAREWELL_S
        while self._running([self._ingester]) and self._now() < deadline_s:
            self._wait(_LOOK_AGAIN_S)
        self._kill([self._ingester])

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

    def _keep(self, child: Kept) -> None:
        child.look()
        child.restart_when_due()

    def _next_s(self) -> float | None:
        """Return how long until something is to be started, `None` for nothing."""
        due = [
            child.due_s
            for child in (*self._workers, self._ingester)
            if child.due_s is not None
        ]
        return max(0.0, min(due) - self._now()) if due else None

    def _wait(self, within_s: float | None) -> None:
        """Wait for a signal or for a child's word, but not longer than `within_s`."""
        talking = {each.hears: each for each in self._workers if each.hears is not None}
        waiting = select.poll()
        for each in (self._signals.woken, *talking):
            waiting.register(each, select.POLLIN)
        within_ms = None if within_s is None else max(0, int(within_s * _MS_PER_S) + 1)
        for ready, _ in waiting.poll(within_ms):
            if ready in talking:
                talking[ready].listen()
            else:
                self._signals.clear()

    def _publish(self) -> None:
        staffing = Staffing(
            workers=tuple(each.pid if each.up else None for each in self._workers),
            restarts=tuple(each.restarts for each in self._workers),
            ingester=self._ingester.pid,
        )
        if staffing != self._told:
            self._told = staffing
            self._board.publish(staffing)
