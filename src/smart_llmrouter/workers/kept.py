"""A child process that is started again when it ends, later each time."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.workers.starting import READY, Started

_FIRST_RESTART_S: Final = 0.2
_LAST_RESTART_S: Final = 10.0
_LONG_LIFE_S: Final = 60.0
_SAID_MAX_BYTES: Final = 65536

log = structlog.get_logger()


class Kept:
    """One place, and the process that holds it now, if one does.

    `up` says that the process has said it is ready, or has nothing to say; `silent`
    that the parent finds it hanging since; `reason` why the last one could not start,
    where it said so.
    """

    def __init__(
        self, name: str, start: Callable[[], Started], *, now: Monotonic
    ) -> None:
        """Be ready to `start` it; `name` is for the log."""
        self.name = name
        self._start = start
        self._now = now
        self._started: Started | None = None
        self._said = b""
        self._began_s = 0.0
        self._pause_s = _FIRST_RESTART_S
        self.due_s: float | None = None
        self.up = self.silent = False
        self.reason: str | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process id, where there is a process."""
        return None if self._started is None else self._started.pid

    @property
    def hears(self) -> int | None:
        """Where it says that it is ready, or why it is not; until it has said it."""
        return None if self._started is None else self._started.hears

    @property
    def files(self) -> list[int]:
        """What the parent holds open for it, which is no other child's business."""
        started = self._started
        ends = (started.hears, started.holds) if started is not None else ()
        return [end for end in ends if end is not None]

    def start(self) -> None:
        """Start it. Raises `OSError` where the system refuses."""
        self.due_s, self.reason, self._said = None, None, b""
        self._began_s = self._now()
        self._started = self._start()
        self.up = self._started.hears is None

    def restart_when_due(self) -> None:
        """Start it again, if that is due; if the system refuses, try again later."""
        if self.due_s is None or self._now() < self.due_s:
            return
        self.restarts += 1
        try:
            self.start()
        except OSError as error:
            log.warning("cannot be started", what=self.name, reason=error.strerror)
            self._plan_restart()

    def listen(self) -> None:
        """Take in what it says; call this when there is something to hear."""
        started = self._started
        if started is None or started.hears is None:
            return
        said = os.read(started.hears, _SAID_MAX_BYTES)
        self._said += said
        if said:
            return
        os.close(started.hears)
        self._started = Started(pid=started.pid, holds=started.holds)
        self.up = self._said == READY
        if not self.up:
            self.reason = self._said.decode(errors="replace") or None

    def look(self, *, expected: bool = False) -> int | None:
        """Return the status with which it has ended since the last look, if it has.

        An end that is `expected` is not told, and nothing is started for it.
        """
        if self._started is None:
            return None
        pid, status = os.waitpid(self._started.pid, os.WNOHANG)
        if pid == 0:
            return None
        while self.hears is not None:
            self.listen()
        self.release()
        self._started, self.up, self.silent = None, False, False
        code = os.waitstatus_to_exitcode(status)
        if not expected:
            self._plan_restart()
            log.error(
                "child ended",
                what=self.name,
                status=code,
                reason=self.reason,
                restart_in_s=round((self.due_s or 0.0) - self._now(), 1),
            )
        return code

    def tell(self, what: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self._started is not None:
            with suppress(ProcessLookupError):
                os.kill(self._started.pid, what)

    def release(self) -> None:
        """Close what holds it alive, where something does."""
        started = self._started
        if started is not None and started.holds is not None:
            os.close(started.holds)
            self._started = Started(pid=started.pid, hears=started.hears)

    def _plan_restart(self) -> None:
        if self._now() - self._began_s > _LONG_LIFE_S:
            self._pause_s = _FIRST_RESTART_S
        self.due_s = self._now() + self._pause_s
        self._pause_s = min(self._pause_s * 2, _LAST_RESTART_S)
