"""SIGHUP: the wish that the configuration is read again.

It is caught from the beginning of a router's life, when it would end the process
otherwise: one that comes too early is remembered until somebody listens.
"""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType


class Hangups:
    """Catches SIGHUP from now on."""

    def __init__(self) -> None:
        """Begin without a wish."""
        self._asked = False
        signal.signal(signal.SIGHUP, self._on_hangup)

    def take(self) -> bool:
        """Say whether it came since this was last asked."""
        asked, self._asked = self._asked, False
        return asked

    def listen(self, reload: Callable[[], None]) -> None:
        """Call `reload` on the running loop when it comes, and at once if it did."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        if self.take():
            reload()

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
