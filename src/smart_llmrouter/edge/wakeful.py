"""Not going to sleep when the next event is only a moment away.

A core that sleeps is woken late, above all in a virtual machine, and works slowly for a
while, because its caches and predictions are lost: together that takes longer than all
that the router does for a call. Where few callers ask again at once, and the provider
answers at once, staying awake between the two costs less CPU than falling asleep does.
"""

import asyncio
import os
from collections.abc import Callable, Sized
from typing import Final

from smart_llmrouter.core.clock import Monotonic

_SOON_S: Final = 0.00025
_MOST_TURNS: Final = 1000
_FEW: Final = 4
_MOST_PASSED_OVER: Final = 63


class Wakeful:
    """Keeps an event loop awake for a moment after a request or an answer.

    It does so only where that request or answer had itself come within a quarter of a
    millisecond after another one, and among few connections: with many of them there is
    always something to do, or each waits too long. Where it waited in vain, it passes
    over the next occasion, then three, seven, and so on, up to 63 of them. Whoever else
    wants the core gets it.
    """

    __slots__ = (
        "_awake",
        "_connections",
        "_give_way",
        "_loop",
        "_now",
        "_passing_over",
        "_rewarded",
        "_stirred_s",
        "_turns_left",
        "_vain",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connections: Sized,
        *,
        now: Monotonic,
        give_way: Callable[[], object] = os.sched_yield,
    ) -> None:
        """Begin asleep; `give_way` lets others have the core."""
        self._loop = loop
        self._connections = connections
        self._now = now
        self._give_way = give_way
        self._awake = self._rewarded = False
        self._stirred_s = 0.0
        self._turns_left = 0
        # How many occasions are passed over after a wait in vain, and how many still.
        self._vain = self._passing_over = 0

    def stir(self, now_s: float) -> None:
        """Take note that a request has come, or an answer has left."""
        if len(self._connections) > _FEW:
            return
        soon = now_s - self._stirred_s < _SOON_S
        self._stirred_s = now_s
        self._turns_left = _MOST_TURNS
        if self._awake:
            self._rewarded = True
        elif soon and self._passing_over:
            self._passing_over -= 1
        elif soon:
            self._awake, self._rewarded = True, False
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Let the loop look for events once more, and not wait for them."""
        if self._turns_left and self._now() - self._stirred_s < _SOON_S:
            self._turns_left -= 1
            self._give_way()
            self._loop.call_soon(self._turn)
            return
        self._awake = False
        vain = 0 if self._rewarded else 2 * self._vain + 1
        self._vain = self._passing_over = min(vain, _MOST_PASSED_OVER)
