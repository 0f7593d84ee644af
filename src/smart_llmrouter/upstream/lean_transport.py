"""The transport on `asyncio.Protocol`: pools of `LeanConnection`, one for each origin.

It does what calls to a provider need and no more: HTTP/1.1 with keep-alive, TLS with
verification, answers of every framing, `gzip` and `deflate` where a provider insists.
A request is sent again only when it went out on a pooled connection that turned out to
be closed, before any byte of an answer: then the provider had closed it while it was
idle.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.lean_answer import LeanAnswer
from smart_llmrouter.upstream.lean_connection import LeanConnection
from smart_llmrouter.upstream.transport import (
    ConnectFailed,
    ConnectionCut,
    ConnectTimedOut,
    TlsFailed,
    TransportError,
)

_KEEPALIVE_S: Final = 30.0
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(slots=True)
class _Origin:
    """One host and port, and the connections to it that wait for a request."""

    host: str
    port: int
    secure: bool
    now: Monotonic
    idle: list[LeanConnection] = field(default_factory=list)
    open: set[LeanConnection] = field(default_factory=set)

    def release(self, connection: LeanConnection) -> None:
        """Take a connection back whose answer is over, or not wanted any more."""
        if connection.reusable:
            connection.idle_since_s = self.now()
            self.idle.append(connection)
        else:
            connection.abort()


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An endpoint's origin, and its requests up to the value of `Content-Length`."""

    endpoint: Endpoint
    origin: _Origin
    head: bytes


class LeanTransport:
    """Send requests over connections of its own."""

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        max_response_bytes: int,
        tls: ssl.SSLContext | None,
        now: Monotonic,
    ) -> None:
        """Begin with no connection; without `tls` the system's CAs are trusted."""
        self._connect_timeout_s = connect_timeout_s
        self._max_response_bytes = max_response_bytes
        self._tls = tls
        self._now = now
        self._origins: dict[tuple[str, str, int], _Origin] = {}
        # By identity: two endpoints may share a URL and differ in their credentials.
        self._prepared: dict[int, _Prepared] = {}

    async def send(self, endpoint: Endpoint, body: bytes) -> LeanAnswer:
        """POST `body`; see `Transport.send`."""
        prepared = self._prepared.get(id(endpoint)) or self._prepare(endpoint)
        origin = prepared.origin
        request = b"%b%d\r\n\r\n%b" % (prepared.head, len(body), body)
        while (pooled := self._pooled(origin)) is not None:
            try:
                return await self._exchange(pooled, origin, request)
            except ConnectionCut:
                if pooled.heard:
                    raise
        fresh = await self._connect(origin)
        return await self._exchange(fresh, origin, request)

    async def _exchange(
        self, connection: LeanConnection, origin: _Origin, request: bytes
    ) -> LeanAnswer:
        try:
            await connection.exchange(request)
            return LeanAnswer(connection, origin, max_bytes=self._max_response_bytes)
        except BaseException:
            connection.abort()
            raise

    def expire(self) -> None:
        """Close the connections that have been idle for too long."""
        oldest_s = self._now() - _KEEPALIVE_S
        for origin in self._origins.values():
            for connection in origin.idle:
                if connection.idle_since_s < oldest_s:
                    connection.abort()

    def close(self) -> None:
        """Cut every connection, idle or not."""
        for origin in self._origins.values():
            for connection in tuple(origin.open):
                connection.abort()

    def _pooled(self, origin: _Origin) -> LeanConnection | None:
        """Return the connection that was used last, if there is one still open."""
        oldest_s = self._now() - _KEEPALIVE_S
        while origin.idle:
            connection = origin.idle.pop()
            if connection.reusable and connection.idle_since_s >= oldest_s:
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: _Origin) -> LeanConnection:
        """Open a connection. Raises what kept it from being made."""
        loop = asyncio.get_running_loop()

        def lost(connection: LeanConnection) -> None:
            origin.open.discard(connection)
            with suppress(ValueError):
                origin.idle.remove(connection)

        try:
            async with asyncio.timeout(self._connect_timeout_s):
                tls = await self._context() if origin.secure else None
                _, connection = await loop.create_connection(
                    lambda: LeanConnection(lost),
                    sock=await _connected(origin.host, origin.port),
                    ssl=tls,
                    server_hostname=origin.host if origin.secure else None,
                )
        except TimeoutError:
            raise ConnectTimedOut("no connection in time") from None
        except ssl.SSLError:
            raise TlsFailed("the TLS handshake failed") from None
        except UnicodeError:
            # A host name that cannot be one in the DNS.
            raise ConnectFailed("no connection") from None
        except OSError as error:
            raise _connect_error(error, secure=origin.secure) from None
        origin.open.add(connection)
        return connection

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            # It reads every certificate of the system, which takes a while.
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return self._tls

    def _prepare(self, endpoint: Endpoint) -> _Prepared:
        """Compute once what every request to an endpoint begins with."""
        url = urlsplit(endpoint.url)
        host = url.hostname or ""
        port = url.port or _DEFAULT_PORTS[url.scheme]
        origin = self._origins.setdefault(
            (url.scheme, host, port),
            _Origin(host, port, url.scheme == "https", self._now),
        )
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {url.netloc.rpartition('@')[2]}",
            *(f"{name}: {value}" for name, value in endpoint.headers.items()),
            "Content-Length: ",
        ]
        prepared = _Prepared(endpoint, origin, "\r\n".join(lines).encode())
        self._prepared[id(endpoint)] = prepared
        return prepared


async def _connected(host: str, port: int) -> socket.socket:
    """Return a socket connected to the first address that accepts. Raises `OSError`.

    Left to itself, uvloop keeps the socket of a cancelled `create_connection` open for
    as long as the kernel goes on knocking: minutes, where a provider is silent.
    """
    loop = asyncio.get_running_loop()
    refused: OSError | None = None
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        connecting = socket.socket(family, kind, protocol)
        try:
            connecting.settimeout(0)
            await loop.sock_connect(connecting, address)
            return connecting
        except OSError as error:
            connecting.close()
            refused = error
        except BaseException:
            connecting.close()
            raise
    raise refused or OSError


def _connect_error(error: OSError, *, secure: bool) -> TransportError:
    """Tell a handshake that the provider broke off from a connection never made."""
    if secure and isinstance(error, (ConnectionResetError, ConnectionAbortedError)):
        return TlsFailed("the TLS handshake failed")
    return ConnectFailed("no connection")


@asynccontextmanager
async def open_lean_transport(
    *,
    connect_timeout_s: float,
    max_response_bytes: int,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[LeanTransport]:
    """Open a transport, and cut its connections at the end of the block."""
    loop = asyncio.get_running_loop()
    transport = LeanTransport(
        connect_timeout_s=connect_timeout_s,
        max_response_bytes=max_response_bytes,
        tls=tls,
        now=loop.time,
    )
    expiring = asyncio.create_task(_expire_now_and_then(transport))
    try:
        yield transport
    finally:
        expiring.cancel()
        with suppress(asyncio.CancelledError):
            await expiring
        transport.close()


async def _expire_now_and_then(transport: LeanTransport) -> None:
    while True:
        await asyncio.sleep(_KEEPALIVE_S)
        transport.expire()
