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
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.lean_connection import LeanConnection
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectFailed,
    ConnectionCut,
    ConnectTimedOut,
    MalformedAnswer,
    TlsFailed,
    TransportError,
)

_KEEPALIVE_S: Final = 30.0
_FINISH_S: Final = 1.0
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_COMPRESSED: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})
_ZLIB_OR_GZIP: Final = zlib.MAX_WBITS | 32
_TOO_LARGE: Final = "the answer is larger than max_response_bytes"


@dataclass(slots=True)
class _Origin:
    """One host and port, and the connections to it that wait for a request."""

    host: str
    port: int
    secure: bool
    idle: list[LeanConnection] = field(default_factory=list)
    open: set[LeanConnection] = field(default_factory=set)


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

    async def send(self, endpoint: Endpoint, body: bytes) -> "LeanAnswer":
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
    ) -> "LeanAnswer":
        try:
            await connection.exchange(request)
            return LeanAnswer(
                connection, self, origin=origin, max_bytes=self._max_response_bytes
            )
        except BaseException:
            connection.abort()
            raise

    def release(self, connection: LeanConnection, origin: _Origin) -> None:
        """Take a connection back whose answer is over, or not wanted any more."""
        if connection.reusable:
            connection.idle_since_s = self._now()
            origin.idle.append(connection)
        else:
            connection.abort()

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
            (url.scheme, host, port), _Origin(host, port, url.scheme == "https")
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


class LeanAnswer:
    """An answer on a `LeanConnection`; see `UpstreamAnswer`."""

    __slots__ = (
        "_connection",
        "_headers",
        "_inflate",
        "_left_bytes",
        "_left_packed_bytes",
        "_max_bytes",
        "_origin",
        "_released",
        "_transport",
        "status",
    )

    def __init__(
        self,
        connection: LeanConnection,
        transport: LeanTransport,
        *,
        origin: _Origin,
        max_bytes: int,
    ) -> None:
        """Read no more than `max_bytes`, then give `connection` back to its pool.

        Raises `MalformedAnswer` for a content encoding that nobody asked for and that
        cannot be undone.
        """
        self._connection = connection
        self._transport = transport
        self._origin = origin
        self._max_bytes = self._left_bytes = self._left_packed_bytes = max_bytes
        # The connection's own are replaced when it carries the next answer.
        self._headers = connection.headers
        self._inflate = _inflater(connection.headers.get(b"content-encoding"))
        self._released = False
        self.status = connection.status

    def header(self, name: str) -> str | None:
        """Return a header by its name, whatever the case."""
        value = self._headers.get(name.lower().encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    async def read(self) -> bytes:
        """Return the whole body; see `UpstreamAnswer.read`."""
        first = await self.next_chunk()
        if self._connection.complete and self._inflate is None:
            return first
        chunks = [first]
        while chunk := await self.next_chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    async def next_chunk(self) -> bytes:
        """Return what has arrived; see `UpstreamAnswer.next_chunk`."""
        if self._released:
            # The connection may carry another call's answer by now.
            raise ConnectionCut("the answer was closed")
        chunk = await self._connection.next_block()
        if self._inflate is not None:
            chunk = await self._inflated(self._inflate, chunk)
        self._left_bytes -= len(chunk)
        if self._left_bytes < 0:
            raise AnswerTooLarge(_TOO_LARGE)
        return chunk

    async def finish(self) -> None:
        """Read to the end of the body; see `UpstreamAnswer.finish`."""
        if self._released or self._connection.complete:
            return
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await self._connection.next_block()

    def close(self) -> None:
        """Give the connection back, or cut it."""
        if not self._released:
            self._released = True
            self._transport.release(self._connection, self._origin)

    async def _inflated(self, inflate: "zlib._Decompress", chunk: bytes) -> bytes:
        """Undo the compression, up to what may still be read; empty only at the end."""
        try:
            while chunk:
                # What unpacks to nothing may come for ever, too.
                self._left_packed_bytes -= len(chunk)
                if self._left_packed_bytes < 0:
                    raise AnswerTooLarge(_TOO_LARGE)
                plain = inflate.decompress(chunk, self._left_bytes + 1)
                if plain:
                    return plain
                chunk = await self._connection.next_block()
        except zlib.error:
            raise MalformedAnswer("the answer's compression is broken") from None
        if self._left_packed_bytes < self._max_bytes and not inflate.eof:
            raise MalformedAnswer("the answer's compression is cut short")
        return b""


def _inflater(encoding: bytes | None) -> "zlib._Decompress | None":
    if not encoding or encoding.lower() == b"identity":
        return None
    if encoding.lower() not in _COMPRESSED:
        raise MalformedAnswer("the answer has a content encoding nobody asked for")
    return zlib.decompressobj(_ZLIB_OR_GZIP)


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
