"""One of several identical calls goes to a target, and the others wait for its answer.

landed     its answer is kept: those who wait are served it
in vain    it has failed, or its answer is not to be kept: each goes by itself now
passed on  its caller has left: the next one goes in its place, the others wait on
"""

import asyncio
from collections import deque
from typing import Final, Literal

from smart_llmrouter.cache.answers import Answer
from smart_llmrouter.cache.keys import Key

Turn = Answer | Literal["lead", "alone"]
"""What became of waiting: an answer, or who is to be asked for one, and for whom."""
LEAD: Final = "lead"
ALONE: Final = "alone"


class Flight:
    """A call for whose answer others wait, and those others."""

    __slots__ = ("_flights", "_key", "_waiting")

    def __init__(self, flights: "Flights", key: Key) -> None:
        """Begin with nobody waiting."""
        self._flights = flights
        self._key = key
        self._waiting: deque[asyncio.Future[Turn]] = deque()

    async def turn(self) -> Turn:
        """Wait for what becomes of the call in front.

        Whoever is told to lead lands this flight, or passes it on.
        """
        turn: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result() == LEAD:
                self.pass_on()
            raise

    def land(self, answer: Answer | None) -> None:
        """End the flight: all who wait are served `answer`, or go by themselves."""
        self._flights.forget(self._key, self)
        while self._waiting:
            _tell(self._waiting.popleft(), ALONE if answer is None else answer)

    def pass_on(self) -> None:
        """Let the next one lead that still waits; without one, the flight is over."""
        while self._waiting:
            if _tell(self._waiting.popleft(), LEAD):
                return
        self._flights.forget(self._key, self)


def _tell(waiting: asyncio.Future[Turn], turn: Turn) -> bool:
    """Tell one that waits; say whether it still did."""
    if waiting.done():
        return False
    waiting.set_result(turn)
    return True


class Flights:
    """Those of this process that are under way, by the keys of their answers."""

    def __init__(self) -> None:
        """Begin without any."""
        self._by_key: dict[Key, Flight] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._by_key)

    def of(self, key: Key) -> Flight | None:
        """Return the flight that leads to this answer, if there is one."""
        return self._by_key.get(key)

    def begin(self, key: Key) -> Flight:
        """Begin one, where there is none: who begins it lands it, or passes it on."""
        flight = self._by_key[key] = Flight(self, key)
        return flight

    def forget(self, key: Key, flight: Flight) -> None:
        """Take note that a flight is over."""
        if self._by_key.get(key) is flight:
            del self._by_key[key]
