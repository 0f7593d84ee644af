"""The connections to one origin: how many there may be, and who gets the next one."""

import asyncio
from bisect import bisect_right
from collections import deque
from contextlib import suppress

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.upstream.lean_connection import LeanConnection


class Pool:
    """At most `limit` connections, lent to whoever asks first.

    A connection takes its place from the moment it is granted, before it is made, and
    keeps it until it is dropped or lost. Whoever waits, waits because all places are
    taken and no connection is idle; so who finds one in `idle` may simply take it, the
    last one first, and passes nobody by.
    """

    __slots__ = ("_limit", "_now", "_taken", "_waiting", "idle")

    def __init__(self, *, limit: int, now: Monotonic) -> None:
        """Begin with no connection."""
        self._limit = limit
        self._now = now
        self._taken: set[LeanConnection] = set()
        self._waiting: deque[asyncio.Future[tuple[LeanConnection, bool]]] = deque()
        self.idle: list[LeanConnection] = []

    @property
    def in_use(self) -> bool:
        """Whether there is a connection, idle or lent, or somebody waits for one."""
        return bool(self._taken or self._waiting)

    async def grant(self, *, again: bool) -> tuple[LeanConnection, bool]:
        """Wait for a connection, and return it and whether it has yet to be made.

        First come, first served; `again` is for whoever was served and got a connection
        that had just been closed.
        """
        while True:
            connection, new = await self._next(again=again)
            if new or connection.reusable:
                return connection, new
            # It was closed between being passed on and being taken.
            self.drop(connection)
            again = True

    async def _next(self, *, again: bool) -> tuple[LeanConnection, bool]:
        if self.idle:
            return self.idle.pop(), False
        if len(self._taken) < self._limit:
            return self._place(), True
        turn: asyncio.Future[tuple[LeanConnection, bool]]
        turn = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if again else self._waiting.append)(turn)
        try:
            return await turn
        except BaseException:
            with suppress(ValueError):
                self._waiting.remove(turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # It was granted in the very moment in which nobody wanted it any more.
                connection, new = turn.result()
                (self.drop if new else self.release)(connection)
            raise

    def release(self, connection: LeanConnection) -> None:
        """Take a connection back whose answer is over, or not wanted any more."""
        if not connection.reusable:
            self.drop(connection)
        elif not (self._waiting and self._serve(connection, new=False)):
            connection.idle_since_s = self._now()
            self.idle.append(connection)

    def drop(self, connection: LeanConnection) -> None:
        """Cut a connection that was lent, made or not, and give its place away.

        Its socket is closed in the same turn of the loop or the next.
        """
        connection.abort()
        self._free(connection)

    def lost(self, connection: LeanConnection) -> None:
        """Give the place of a connection away that is no more; once is enough."""
        if connection in self._taken:
            with suppress(ValueError):
                self.idle.remove(connection)
            self._free(connection)

    def expire(self, *, idle_s: float) -> None:
        """Cut the connections that have been idle for `idle_s` seconds."""
        # They stand in the order in which they were given back.
        count = bisect_right(
            self.idle, self._now() - idle_s, key=lambda each: each.idle_since_s
        )
        expired, self.idle[:count] = self.idle[:count], []
        for connection in expired:
            self.drop(connection)

    def close(self, reason: Exception) -> None:
        """Cut every connection, and tell everybody who waits for one why."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(reason)
        self.idle.clear()
        for connection in tuple(self._taken):
            self.drop(connection)

    def _free(self, connection: LeanConnection) -> None:
        if connection not in self._taken:
            return
        self._taken.remove(connection)
        if self._waiting:
            place = self._place()
            if not self._serve(place, new=True):
                self._taken.remove(place)

    def _place(self) -> LeanConnection:
        place = LeanConnection(self.lost)
        self._taken.add(place)
        return place

    def _serve(self, connection: LeanConnection, *, new: bool) -> bool:
        """Give a connection to whoever has waited longest; say if anybody did."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result((connection, new))
                return True
        return False
