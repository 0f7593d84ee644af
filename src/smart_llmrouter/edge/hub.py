"""What all connections of a process share: routes, bounds, clocks, and each other."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from email.utils import formatdate
from typing import Final
from urllib.parse import unquote_to_bytes

from smart_llmrouter.core.clock import Monotonic, WallClock
from smart_llmrouter.core.errors import InvalidHttp, RouterError
from smart_llmrouter.edge.connection import Connection
from smart_llmrouter.edge.entrance import Entrance, Entry
from smart_llmrouter.edge.exchange import Exchange, Fields, Route
from smart_llmrouter.edge.heads import split_target
from smart_llmrouter.edge.surfaces import surface_of
from smart_llmrouter.edge.wakeful import Wakeful
from smart_llmrouter.engine.refusals import refusal
from smart_llmrouter.engine.tally import Tally

_MS_PER_S: Final = 1000
_HOSTS: Final = 256
_HOST_BYTES: Final = 256
NewId = Callable[[int], str]
"""Makes a request id out of the time, in milliseconds since 1970 UTC."""


class Hub:
    """The connections of one event loop, and where their requests go."""

    def __init__(
        self,
        hot: Mapping[str, Route],
        site: Route,
        *,
        loop: asyncio.AbstractEventLoop,
        client_timeout_s: float,
        now: Monotonic,
        wall_clock: WallClock,
        new_id: NewId,
        entrance: Entrance | None = None,
    ) -> None:
        """Serve the paths in `hot` by their own routes, and all others by `site`.

        A caller that is silent in the middle of a request, or takes nothing of its
        answer, for `client_timeout_s` seconds is let go. `entrance` bounds the number
        of connections. `gone` is set when, after a
        `drain`, the last connection has ended, and all that went on without one.
        """
        self._hot = {path.encode(): route for path, route in hot.items()}
        self._site = site
        self.now = now
        self._wall_clock = wall_clock
        self._new_id = new_id
        self._cancelled: set[asyncio.Task[None]] = set()
        self._kept: set[asyncio.Task[None]] = set()
        self.loop = loop
        self.client_timeout_s = client_timeout_s
        self._entrance = entrance or Entrance(Tally())
        self._each_second: list[Callable[[], None]] = []
        self.connections: set[Connection] = set()
        self.stir = Wakeful(loop, self.connections, now=now).stir
        self.sound_hosts: set[bytes] = set()
        self.stamp = _stamp(wall_clock())
        """The fields that every answer has: the date, and up to the value of the id."""
        self.draining = self.crowded = False
        self.gone = asyncio.Event()

    def take(
        self, hot: Mapping[str, Route], site: Route, *, client_timeout_s: float
    ) -> None:
        """Serve the requests that begin from now on by these routes.

        Those that have begun go on by the routes that they began with. The time-out
        holds for connections that are opened from now on.
        """
        self._hot = {path.encode(): route for path, route in hot.items()}
        self._site = site
        self.client_timeout_s = client_timeout_s

    def awaits(self, routes: Collection[Route]) -> bool:
        """Say whether a request that is here is, or will be, served by one of these."""
        return any(each.awaits(routes) for each in self.connections)

    @property
    def paths(self) -> list[str]:
        """The paths that have a route of their own."""
        return [path.decode() for path in self._hot]

    def exchange(
        self,
        connection: Connection,
        target: bytes,
        *,
        method: bytes,
        fields: Fields,
        headers: dict[bytes, bytes],
    ) -> Exchange:
        """Begin an exchange with a head; without a target it only can be refused."""
        ts_ms = int(self._wall_clock() * _MS_PER_S)
        now_s = self.now()
        self.stir(now_s)
        return Exchange(
            self._hot.get(target) or self._route_of(target),
            method,
            target,
            fields,
            headers,
            self._new_id(ts_ms),
            now_s,
            ts_ms,
            connection,
        )

    def trust_host(self, host: bytes | None) -> None:
        """Keep a `Host` that was looked at, so that it needs no second look."""
        if host is None or len(host) > _HOST_BYTES:
            return
        if len(self.sound_hosts) < _HOSTS:
            self.sound_hosts.add(host)

    def cancel(self, task: asyncio.Task[None]) -> None:
        """Cancel what serves an exchange, and hold it until it has ended."""
        self._cancelled.add(task)
        task.add_done_callback(self._cancelled.discard)
        # Not at once: if it has not begun yet, it would end without having done
        # anything, and nobody would be answered.
        self.loop.call_soon(task.cancel)

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold what goes on although its caller has left, until it has ended."""
        self._kept.add(task)
        task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._kept.discard(task)
        if self.draining:
            self._note_the_last()

    def drain(self) -> None:
        """Close idle connections now, and each other one after its present answer."""
        self.draining = True
        for connection in tuple(self.connections):
            connection.drain()
        self._note_the_last()

    def join(self, connection: Connection) -> Entry:
        """Take note of a new connection; return whether it may stay."""
        self.connections.add(connection)
        return self._entrance.enter(connection)

    def forget(self, connection: Connection) -> None:
        """Take note that a connection is no more."""
        self.connections.discard(connection)
        self._entrance.leave(connection)
        if self.draining:
            self._note_the_last()

    def each_second(self, act: Callable[[], None]) -> None:
        """Call `act` once a second, more or less, from now on."""
        self._each_second.append(act)

    def stop(self) -> None:
        """End whatever is being served."""
        for connection in tuple(self.connections):
            connection.stop()
        for task in self._kept:
            self.cancel(task)

    def sweep(self) -> None:
        """Go on to the next second, and let go of who has been silent for too long."""
        self.stamp = _stamp(self._wall_clock())
        self.crowded = self._entrance.crowded
        now_s = self.now()
        for connection in tuple(self.connections):
            connection.look(now_s)
        for act in self._each_second:
            act()

    def _note_the_last(self) -> None:
        if not self.connections and not self._kept:
            self.gone.set()

    def _route_of(self, target: bytes) -> Route:
        """Find the route of a target that is not simply the path of one."""
        if not target:
            return NOBODYS
        parts = split_target(target)
        if parts is None:
            return NOBODYS
        return self._hot.get(unquote_to_bytes(parts[0]), self._site)


def _stamp(ts_s: float) -> bytes:
    """Return the lines of an answer that say when it was made, and for what request.

    Who has a clock must send its date (RFC 9110, 6.6.1); the value of the id is added.
    """
    date = formatdate(ts_s, usegmt=True).encode()
    return b"date: %b\r\nx-request-id: " % date


class Nobodys:
    """The route of what is no request: it can only be refused."""

    max_body_bytes = 0

    def open(self, exchange: Exchange) -> None:
        """Say what was found wrong; without that, it is the target of the request."""
        raise exchange.fault or InvalidHttp("the request line asks for no HTTP address")

    async def serve(self, exchange: Exchange) -> None:
        """Do nothing: there is nothing to serve."""

    def refuse(self, exchange: Exchange, error: RouterError) -> None:
        """Say what is wrong, in the shape of every other error."""
        refuse(exchange, error)


NOBODYS: Final = Nobodys()


def refuse(exchange: Exchange, error: RouterError) -> None:
    """Answer a request with an error, in the dialect of what was asked for."""
    surface = surface_of(exchange.target, exchange.headers)
    exchange.answer(
        *refusal(
            error,
            dialect=surface.dialect,
            request_id=exchange.request_id,
            codex=surface.codex and exchange.method == b"POST",
        )
    )
