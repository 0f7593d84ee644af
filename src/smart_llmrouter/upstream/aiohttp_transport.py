"""The transport on aiohttp: its pool and its parser, our bounds and our errors."""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiohttp
from aiohttp import hdrs

from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectFailed,
    ConnectionCut,
    ConnectTimedOut,
    MalformedAnswer,
    TlsFailed,
    TransportError,
)

_READ_BUFFER_BYTES = 256 * 1024
# What is larger is written piece by piece, so that other calls get their turn between.
_AT_ONCE_BYTES: Final = 256 * 1024
_KEEPALIVE_S = 30.0
_FINISH_S = 1.0


class AiohttpTransport:
    """Send requests through one `aiohttp.ClientSession`."""

    def __init__(
        self, session: aiohttp.ClientSession, *, max_response_bytes: int
    ) -> None:
        """Use `session`, which `open_aiohttp_transport` set up and closes."""
        self._session = session
        self._max_response_bytes = max_response_bytes

    async def send(self, endpoint: Endpoint, body: bytes) -> "AiohttpAnswer":
        """POST `body`; see `Transport.send`."""
        try:
            response = await self._session.request(
                hdrs.METH_POST,
                endpoint.url,
                data=body if len(body) <= _AT_ONCE_BYTES else io.BytesIO(body),
                headers=endpoint.headers,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _own(error) from None
        return AiohttpAnswer(response, max_bytes=self._max_response_bytes)


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
    (aiohttp.ClientSSLError, TlsFailed("the TLS handshake failed")),
    (aiohttp.ClientConnectorCertificateError, TlsFailed("the TLS handshake failed")),
    (aiohttp.ConnectionTimeoutError, ConnectTimedOut("no connection in time")),
    (aiohttp.ClientConnectorError, ConnectFailed("no connection")),
    (aiohttp.ClientResponseError, MalformedAnswer("the answer is not HTTP")),
    (aiohttp.InvalidURL, MalformedAnswer("the answer is not HTTP")),
    (aiohttp.ClientPayloadError, ConnectionCut("the connection was cut")),
    (aiohttp.ClientConnectionError, ConnectionCut("the connection was cut")),
    (OSError, ConnectionCut("the connection was cut")),
    # A host name that cannot be one in the DNS.
    (UnicodeError, ConnectFailed("no connection")),
)


def _own(error: Exception) -> TransportError:
    """Turn an exception of aiohttp into ours, which carries no URL, header or body."""
    return next(
        (type(own)(*own.args) for kind, own in _OWN_ERRORS if isinstance(error, kind)),
        TransportError("the exchange failed"),
    )


@asynccontextmanager
async def open_aiohttp_transport(
    *,
    connect_timeout_s: float,
    max_response_bytes: int,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[AiohttpTransport]:
    """Open a transport with its pool, and close both at the end of the block.

    Certificates are checked against `tls`, by default against the system's CAs.
    The pool is not bounded here: admission bounds what is in flight. `trust_env` stays
    off, so that no proxy setting of the machine can redirect a provider's key.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)
    connector = aiohttp.TCPConnector(
        limit=0, keepalive_timeout=_KEEPALIVE_S, ssl=True if tls is None else tls
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_READ_BUFFER_BYTES,
        trust_env=False,
    ) as session:
        yield AiohttpTransport(session, max_response_bytes=max_response_bytes)
