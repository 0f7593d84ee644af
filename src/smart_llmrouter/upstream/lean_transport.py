"""The transport on `asyncio.Protocol`: a pool of `LeanConnection` for each origin.

It does what calls to a provider need and no more: HTTP/1.1 with keep-alive, TLS with
verification, answers of every framing, and content codings where a provider insists.
A request is sent again only when it went out on a pooled connection that turned out to
be closed, before any byte of an answer: then the provider had closed it while it was
idle.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.config.snapshot import Upstream
from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.upstream.addresses import Addresses, Resolve, resolve_by_system
from smart_llmrouter.upstream.connecting import connect
from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.lean_answer import LeanAnswer, answer_on
from smart_llmrouter.upstream.lean_connection import LeanConnection
from smart_llmrouter.upstream.origins import MOST_WAYS, Origin, origin_of, request_head
from smart_llmrouter.upstream.pools import Pool
from smart_llmrouter.upstream.transport import (
    ConnectFailed,
    ConnectionCut,
    ConnectTimedOut,
    PoolExhausted,
)
from smart_llmrouter.upstream.trust import Contexts, ResumingContext

_LOOKS_PER_IDLE_TIME: Final = 8


@dataclass(frozen=True, slots=True)
class _Way:
    """An endpoint's pool, and its requests up to the value of `Content-Length`."""

    head: bytes
    pool: Pool
    origin: Origin


class LeanTransport:
    """Send requests over connections of its own."""

    def __init__(
        self, upstream: Upstream, addresses: Addresses, *, now: Monotonic
    ) -> None:
        """Begin with no connection."""
        self._upstream = upstream
        self._max_response_bytes = upstream.max_response_bytes
        self._addresses = addresses
        self._contexts = Contexts()
        self._now = now
        self._pools: dict[Origin, Pool] = {}
        self._ways: dict[Endpoint, _Way] = {}

    async def send(self, endpoint: Endpoint, body: bytes) -> LeanAnswer:
        """POST `body`; see `Transport.send`."""
        way = self._ways.get(endpoint) or self._way(endpoint)
        pool = way.pool
        again = False
        while pool.idle:
            pooled = pool.idle.pop()
            try:
                await pooled.ask(way.head, body)
                return answer_on(pooled, pool, max_bytes=self._max_response_bytes)
            except ConnectionCut:
                pool.drop(pooled)
                if pooled.heard:
                    raise
                again = True
            except BaseException:
                pool.drop(pooled)
                raise
        return await self._send_on_granted(way, body, again=again)

    async def _send_on_granted(
        self, way: _Way, body: bytes, *, again: bool
    ) -> LeanAnswer:
        """Send on the next connection that may be had."""
        while True:
            connection, spoken, new = await self._granted(way, again=again)
            try:
                await connection.ask(way.head, body)
                answer = answer_on(
                    connection, way.pool, max_bytes=self._max_response_bytes
                )
            except ConnectionCut:
                way.pool.drop(connection)
                if new or connection.heard:
                    raise
                again = True
                continue
            except BaseException:
                way.pool.drop(connection)
                raise
            if spoken is not None and isinstance(spoken.context, ResumingContext):
                spoken.context.remember(spoken)
            return answer

    async def _granted(
        self, way: _Way, *, again: bool
    ) -> tuple[LeanConnection, ssl.SSLObject | None, bool]:
        """Return a connection, its TLS where it is new, and whether it is."""
        spoken = None
        granted = False
        try:
            async with asyncio.timeout(self._upstream.connect_timeout_s):
                connection, new = await way.pool.grant(again=again)
                granted = True
                if new:
                    spoken = await self._connected(connection, way)
        except TimeoutError:
            if granted:
                raise ConnectTimedOut("no connection in time") from None
            raise PoolExhausted("all connections were in use for too long") from None
        return connection, spoken, new

    async def _connected(
        self, connection: LeanConnection, way: _Way
    ) -> ssl.SSLObject | None:
        try:
            return await connect(
                connection,
                way.origin,
                addresses=self._addresses,
                contexts=self._contexts,
            )
        except BaseException:
            way.pool.drop(connection)
            raise

    def _way(self, endpoint: Endpoint) -> _Way:
        """Compute once what every request to an endpoint needs."""
        origin = origin_of(endpoint)
        pool = self._pools.get(origin)
        if pool is None:
            pool = Pool(limit=self._upstream.max_connections, now=self._now)
            self._pools[origin] = pool
        way = _Way(request_head(endpoint), pool, origin)
        if len(self._ways) >= MOST_WAYS:
            self._ways.clear()
        self._ways[endpoint] = way
        return way

    def forget(self) -> None:
        """Drop what was computed for endpoints, and pools that hold no connection.

        Those that are still asked are computed again.
        """
        self._ways.clear()
        self._pools = {
            origin: pool for origin, pool in self._pools.items() if pool.in_use
        }

    def expire(self) -> None:
        """Close the connections that have been idle for too long."""
        for pool in self._pools.values():
            pool.expire(idle_s=self._upstream.idle_connection_s)

    def close(self) -> None:
        """Cut every connection, idle or not."""
        for pool in self._pools.values():
            pool.close(ConnectFailed("the router stops"))


@asynccontextmanager
async def open_lean_transport(
    upstream: Upstream, *, resolve: Resolve = resolve_by_system
) -> AsyncIterator[LeanTransport]:
    """Open a transport, and cut its connections at the end of the block."""
    now = asyncio.get_running_loop().time
    addresses = Addresses(resolve, ttl_s=upstream.dns_ttl_s, now=now)
    transport = LeanTransport(upstream, addresses, now=now)
    expiring = asyncio.create_task(
        _expire_now_and_then(transport, upstream.idle_connection_s)
    )
    try:
        yield transport
    finally:
        expiring.cancel()
        with suppress(asyncio.CancelledError):
            await expiring
        transport.close()
        await addresses.close()


async def _expire_now_and_then(transport: LeanTransport, idle_s: float) -> None:
    while True:
        await asyncio.sleep(idle_s / _LOOKS_PER_IDLE_TIME)
        transport.expire()
