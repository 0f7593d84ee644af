"""The transport on aiohttp: its pools and its parser, our bounds and our errors.

It is the reference for the other one, and it alone speaks to proxies.
"""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypedDict

import aiohttp
from aiohttp import abc, hdrs
from yarl import URL

from smart_llmrouter.config.snapshot import Upstream
from smart_llmrouter.upstream.addresses import Addresses, Resolve, resolve_by_system
from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.origins import MOST_WAYS, Origin, origin_of
from smart_llmrouter.upstream.reasons import (
    HANDSHAKE_FAILED,
    NO_CONNECTION,
    reason_of,
)
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectFailed,
    ConnectionCut,
    ConnectTimedOut,
    MalformedAnswer,
    Sink,
    TlsFailed,
    TransportError,
)
from smart_llmrouter.upstream.trust import Contexts, ResumingContext

_READ_BUFFER_BYTES = 256 * 1024
# What is larger is written piece by piece, so that other calls get their turn between.
_AT_ONCE_BYTES: Final = 256 * 1024
_FINISH_S: Final = 1.0


class _Options(TypedDict, total=False):
    """What aiohttp is told beside the URL, by its own names."""

    headers: Mapping[str, str]
    ssl: ResumingContext
    server_hostname: str
    proxy: str


@dataclass(frozen=True, slots=True)
class _Way:
    """The session that leads to an endpoint, and how it is asked."""

    session: aiohttp.ClientSession
    url: URL
    options: _Options


class AiohttpTransport:
    """Send requests through sessions of aiohttp: one for TCP, one a Unix socket."""

    def __init__(
        self, upstream: Upstream, addresses: Addresses, sessions: AsyncExitStack
    ) -> None:
        """Open sessions when they are needed; `sessions` closes them."""
        self._upstream = upstream
        self._addresses = addresses
        self._sessions = sessions
        self._contexts = Contexts()
        self._session_of: dict[str | None, aiohttp.ClientSession] = {}
        self._ways: dict[Endpoint, _Way] = {}

    async def send(self, endpoint: Endpoint, body: bytes) -> "AiohttpAnswer":
        """POST `body`; see `Transport.send`."""
        way = self._ways.get(endpoint) or await self._way(endpoint)
        try:
            response = await way.session.request(
                hdrs.METH_POST,
                way.url,
                data=body if len(body) <= _AT_ONCE_BYTES else io.BytesIO(body),
                allow_redirects=False,
                **way.options,
            )
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _own(error) from None
        return AiohttpAnswer(response, max_bytes=self._upstream.max_response_bytes)

    def forget(self) -> None:
        """Drop what was computed for endpoints; see `Transport.forget`."""
        self._ways.clear()

    async def _way(self, endpoint: Endpoint) -> _Way:
        """Compute once what every request to an endpoint needs."""
        origin = origin_of(endpoint)
        way = _Way(
            await self._session(origin.unix_socket),
            URL(endpoint.url, encoded=True),
            await self._options(endpoint, origin),
        )
        if len(self._ways) >= MOST_WAYS:
            self._ways.clear()
        self._ways[endpoint] = way
        return way

    async def _options(self, endpoint: Endpoint, origin: Origin) -> _Options:
        options: _Options = {"headers": endpoint.headers}
        if origin.tls is not None:
            if origin.unix_socket is not None:
                # It would speak in clear text, and say nothing.
                raise TlsFailed("aiohttp speaks no TLS over a Unix socket")
            options["ssl"] = await self._contexts.of(origin.tls)
            if origin.tls.server_name is not None:
                options["server_hostname"] = origin.tls.server_name
        if endpoint.proxy is not None:
            options["proxy"] = endpoint.proxy.reveal()
        return options

    async def _session(self, unix_socket: str | None) -> aiohttp.ClientSession:
        """Return the session that connects by TCP, or to this Unix socket."""
        session = self._session_of.get(unix_socket)
        if session is None:
            session = aiohttp.ClientSession(
                connector=self._connector(unix_socket),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=self._upstream.connect_timeout_s
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=_READ_BUFFER_BYTES,
                trust_env=False,
            )
            self._session_of[unix_socket] = session
            self._sessions.push_async_callback(session.close)
        return session

    def _connector(self, unix_socket: str | None) -> aiohttp.BaseConnector:
        limit = self._upstream.max_connections
        keep_s = self._upstream.idle_connection_s
        if unix_socket is not None:
            return aiohttp.UnixConnector(
                unix_socket, limit=0, limit_per_host=limit, keepalive_timeout=keep_s
            )
        return aiohttp.TCPConnector(
            limit=0,
            limit_per_host=limit,
            keepalive_timeout=keep_s,
            resolver=_Resolver(self._addresses),
            use_dns_cache=False,
        )


class _Resolver(abc.AbstractResolver):
    """Let aiohttp share what we know of addresses."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: int = socket.AF_UNSPEC
    ) -> list[abc.ResolveResult]:
        """Return the addresses of a host. Raises `OSError`."""
        found = await self._addresses.of(host, port)
        return [
            abc.ResolveResult(
                hostname=host,
                host=str(each.address[0]),
                port=port,
                family=each.family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for each in found
            if family in {socket.AF_UNSPEC, each.family}
        ]

    async def close(self) -> None:
        """Leave the addresses to whoever opened them."""


class AiohttpAnswer:
    """An answer of aiohttp; see `UpstreamAnswer`."""

    __slots__ = ("_left_bytes", "_response", "status")

    def __init__(self, response: aiohttp.ClientResponse, *, max_bytes: int) -> None:
        """Wrap `response` and read no more than `max_bytes` of it."""
        self._response = response
        self._left_bytes = max_bytes
        self.status = response.status

    def header(self, name: str) -> str | None:
        """Return a header by its name, whatever the case."""
        return self._response.headers.get(name)

    async def read(self) -> bytes:
        """Return the whole body; see `UpstreamAnswer.read`."""
        first = await self.next_chunk()
        if self._response.content.at_eof():
            return first
        chunks = [first]
        while chunk := await self.next_chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    async def next_chunk(self) -> bytes:
        """Return what has arrived; see `UpstreamAnswer.next_chunk`."""
        try:
            chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise _own(error) from None
        self._left_bytes -= len(chunk)
        if self._left_bytes < 0:
            raise AnswerTooLarge("the answer is larger than max_response_bytes")
        return chunk

    async def pour(self, sink: Sink) -> None:
        """Give `sink` what arrives; see `UpstreamAnswer.pour`."""
        chunk = await self.next_chunk()
        while sink(chunk) and chunk:
            chunk = await self.next_chunk()

    async def finish(self) -> None:
        """Read to the end of the body; see `UpstreamAnswer.finish`."""
        if self._response.content.at_eof():
            return
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await self.next_chunk()

    def close(self) -> None:
        """Release the connection when all was read, else cut it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


_OWN_ERRORS: Final[tuple[tuple[type[Exception], TransportError], ...]] = (
    (aiohttp.ClientSSLError, TlsFailed(HANDSHAKE_FAILED)),
    (aiohttp.ClientConnectorCertificateError, TlsFailed(HANDSHAKE_FAILED)),
    (aiohttp.ConnectionTimeoutError, ConnectTimedOut("no connection in time")),
    (aiohttp.ClientConnectorError, ConnectFailed(NO_CONNECTION)),
    # A proxy that does not let the connection through.
    (aiohttp.ClientHttpProxyError, ConnectFailed(NO_CONNECTION)),
    (aiohttp.ClientResponseError, MalformedAnswer("the answer is not HTTP")),
    (aiohttp.InvalidURL, MalformedAnswer("the answer is not HTTP")),
    (aiohttp.ClientPayloadError, ConnectionCut("the connection was cut")),
    (aiohttp.ClientConnectionError, ConnectionCut("the connection was cut")),
    (OSError, ConnectionCut("the connection was cut")),
    # A host name that cannot be one in the DNS.
    (UnicodeError, ConnectFailed(NO_CONNECTION)),
)


def _own(error: Exception) -> TransportError:
    """Turn an exception of aiohttp into ours, which carries no URL, header or body."""
    for kind, own in _OWN_ERRORS:
        if isinstance(error, kind):
            return type(own)(_reason_of(error) or own.reason)
    return TransportError("the exchange failed")


def _reason_of(error: Exception) -> str | None:
    """Say why no connection came about, where aiohttp knows it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return reason_of(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return reason_of(error.os_error)
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refused it with status {error.status}"
        case UnicodeError():
            return reason_of(error)
        case _:
            return None


@asynccontextmanager
async def open_aiohttp_transport(
    upstream: Upstream, *, resolve: Resolve = resolve_by_system
) -> AsyncIterator[AiohttpTransport]:
    """Open a transport, and close its sessions at the end of the block.

    `trust_env` stays off: only the configuration says which proxy a provider's key
    goes through.
    """
    now = asyncio.get_running_loop().time
    addresses = Addresses(resolve, ttl_s=upstream.dns_ttl_s, now=now)
    async with AsyncExitStack() as sessions:
        sessions.push_async_callback(addresses.close)
        yield AiohttpTransport(upstream, addresses, sessions)
