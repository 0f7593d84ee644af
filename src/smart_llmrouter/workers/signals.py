"""What the parent is told by signals, as something that it can wait for."""

import os
import signal
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Final, Self

from smart_llmrouter.bootstrap.hangups import Hangups

STOP: Final = signal.SIGTERM
"""Tells a worker to end gracefully; how often it comes makes no difference."""
HURRY: Final = signal.SIGUSR2
"""Tells a worker to end what is in flight at once."""

_STOPS: Final = (signal.SIGTERM, signal.SIGINT)
OWN: Final = frozenset({*_STOPS, signal.SIGCHLD, signal.SIGHUP, HURRY})
"""What the parent handles, and its children must not handle in its way."""


class Signals:
    """SIGTERM, SIGINT and the ends of children, while the block runs."""

    def __init__(self, hangups: Hangups | None = None) -> None:
        """Be ready to watch; `hangups` catch SIGHUP already."""
        self._hangups = hangups
        self.asked = 0
        """How often a stop was asked for."""
        self.woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def pipe(self) -> tuple[int, int]:
        """Both ends of the pipe that a signal wakes the parent with."""
        return self.woken, self._wake

    def stop_wanted(self) -> bool:
        """Say whether a stop was asked for."""
        return self.asked > 0

    def reload_wanted(self) -> bool:
        """Say whether a reload was asked for since this was last asked."""
        return self._hangups is not None and self._hangups.take()

    def __enter__(self) -> Self:
        """Watch from now on."""
        for number in _STOPS:
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, _on_child)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ignore further requests to stop: what remains is to end."""
        signal.set_wakeup_fd(-1)
        for number in _STOPS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in self.pipe:
            os.close(end)

    def clear(self) -> None:
        """Take note of having been woken."""
        with suppress(BlockingIOError):
            while os.read(self.woken, 4096):
                pass

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1


def _on_child(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: being woken is all that is wanted."""


def forget_the_parents() -> None:
    """In a child: take signals as a new process does, but leave some to the parent.

    A terminal interrupts all processes at once, or hangs up on all of them, and the
    parent says what it means.
    """
    signal.set_wakeup_fd(-1)
    for number in OWN:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
