"""An event loop on whose clock waiting takes no time.

When nothing is left to be done at once, its clock moves to the next timer: a test sees
every moment at which something happens, and the same ones each time.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")


class _Skipping(selectors.SelectSelector):
    """Tells how long it should have waited, and does not wait."""

    def __init__(self, skip: Callable[[float], None]) -> None:
        super().__init__()
        self._skip = skip

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen any more")
        self._skip(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at a thousand seconds."""

    def __init__(self) -> None:
        """Stand still until something waits."""
        self._now_s = 1000.0
        super().__init__(_Skipping(self._move))

    def _move(self, ahead_s: float) -> None:
        self._now_s += max(0.0, ahead_s)

    def time(self) -> float:
        """Return the time of this loop, in seconds."""
        return self._now_s


def run_virtually(main: Coroutine[object, object, T]) -> T:
    """Run `main` on a loop of its own, in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
