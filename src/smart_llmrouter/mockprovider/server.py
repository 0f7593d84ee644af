"""The mock on a socket: reads HTTP/1.1, and carries out what the provider decides.

It is an `asyncio.Protocol` of its own, because a framework would not let an answer
break off in the middle of its headers.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Final, cast

import httptools

from smart_llmrouter.mockprovider.faults import (
    Action,
    HangUp,
    Pause,
    Send,
    Stall,
    performance,
)
from smart_llmrouter.mockprovider.http import Header, Request
from smart_llmrouter.mockprovider.provider import MockProvider
from smart_llmrouter.mockprovider.recording import Outcome, Received

_WRITE_BYTES: Final = 256 * 1024
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_BAD_REQUEST: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_TOO_LARGE: Final = (
    b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class MockServer:
    """A provider that listens; made by `listening`."""

    def __init__(self, provider: MockProvider) -> None:
        """Serve `provider`; nothing listens yet."""
        self.provider = provider
        self.host = ""
        self.port = 0
        self.connections_made = 0
        self.open: set[Connection] = set()

    @property
    def url(self) -> str:
        """Return where the mock listens, such as `http://127.0.0.1:9200`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """Return what an OpenAI client takes as its base URL."""
        return f"{self.url}/v1"

    def connection(self) -> "Connection":
        """Return the protocol of one more connection."""
        self.connections_made += 1
        return Connection(self, self.connections_made)


@asynccontextmanager
async def listening(
    provider: MockProvider, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[MockServer]:
    """Serve `provider` while the block runs; port 0 takes a free one.

    Raises `OSError` where the address cannot be had.
    """
    mock = MockServer(provider)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(mock.connection, host, port, backlog=2048)
    bound = server.sockets[0].getsockname()
    mock.host, mock.port = bound[0], bound[1]
    try:
        yield mock
    finally:
        server.close()
        for connection in tuple(mock.open):
            connection.abort()
        await server.wait_closed()


class Connection(asyncio.Protocol):
    """One connection: requests are answered one after the other, in order."""

    def __init__(self, mock: MockServer, number: int) -> None:
        """Belong to `mock`; `number` counts connections."""
        self._mock = mock
        self._number = number
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._entry: Received | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport
        self._begin()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._mock.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Stop answering: whoever asked is gone."""
        self._mock.open.discard(self)
        self._writable.set()
        if self._answering is not None:
            self._answering.cancel()
        if self._entry is not None:
            if self._entry.outcome == "answering":
                self._entry.outcome = "client-left"
            self._entry = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the `on_…` methods below."""
        if self._transport.is_closing():
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request has been answered; what follows it would be no HTTP.
            self._transport.close()
        except httptools.HttpParserError:
            self._transport.write(_BAD_REQUEST)
            self._transport.close()

    def pause_writing(self) -> None:
        """Wait with further bytes."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on with further bytes."""
        self._writable.set()

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        """Take a piece of the path."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Let a client that waits for it send its body."""
        expected = (b"expect", b"100-continue")
        if any(
            (name.lower(), value.lower()) == expected for name, value in self._headers
        ):
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += body
        if len(self._body) > self._mock.provider.settings.max_body_bytes:
            self._transport.write(_TOO_LARGE)
            self._transport.close()

    def on_message_complete(self) -> None:
        """Answer, or queue the request behind the one that is being answered."""
        if self._transport.is_closing():
            return
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=self._url.decode("latin-1"),
            headers=tuple(self._headers),
            body=bytes(self._body),
        )
        self._waiting.append((request, self._parser.should_keep_alive()))
        self._begin()
        self._next()

    # How it answers.

    def _begin(self) -> None:
        self._url = b""
        self._headers: list[Header] = []
        self._body = bytearray()

    def _next(self) -> None:
        """Answer what waits; an answer that takes time gets a task."""
        while self._waiting and self._answering is None:
            request, keep_alive = self._waiting.popleft()
            provider = self._mock.provider
            if provider.is_inference(request):
                self._entry = provider.recording.add(request, self._number)
            answer, step = provider.play(request)
            actions = performance(answer, step, keep_alive=keep_alive)
            if self._entry is not None:
                self._entry.status = answer.status
            if len(actions) == 1 and isinstance(actions[0], Send):
                self._send(actions[0].data[:_WRITE_BYTES])
                if len(actions[0].data) <= _WRITE_BYTES:
                    self._ended(keep_alive=keep_alive)
                    continue
                actions = (Send(actions[0].data[_WRITE_BYTES:]),)
            self._answering = asyncio.create_task(
                self._carry_out(actions, keep_alive=keep_alive)
            )

    async def _carry_out(self, actions: Iterable[Action], *, keep_alive: bool) -> None:
        for action in actions:
            match action:
                case Send(data):
                    await self._send_all(data)
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case Stall():
                    self._mark("stalled")
                    await asyncio.Event().wait()
                case HangUp(rst):
                    self._hang_up(rst=rst)
                    return
        self._answering = None
        self._ended(keep_alive=keep_alive)
        self._next()

    async def _send_all(self, data: bytes) -> None:
        """Write in pieces, each when the client has made room for it."""
        for start in range(0, len(data), _WRITE_BYTES):
            self._send(data[start : start + _WRITE_BYTES])
            await self._writable.wait()

    def _send(self, data: bytes) -> None:
        self._transport.write(data)
        if self._entry is not None:
            self._entry.sent_bytes += len(data)

    def _ended(self, *, keep_alive: bool) -> None:
        self._mark("answered")
        self._entry = None
        if not keep_alive:
            self._waiting.clear()
            self._transport.close()

    def _mark(self, outcome: Outcome) -> None:
        if self._entry is not None:
            self._entry.outcome = outcome

    def _hang_up(self, *, rst: bool) -> None:
        self._mark("hung-up")
        self._entry = None
        self._answering = None
        if not rst:
            self._transport.close()
            return
        # A close with a linger time of zero sends RST instead of FIN.
        connected = self._transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()
