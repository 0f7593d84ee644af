"""One HTTP/1.1 connection to a provider: a request out, an answer in, then the next.

The parser is llhttp, through httptools. What is kept here is only what HTTP leaves to a
client: how an answer ends, whether the connection may be used again, and how much is
read ahead of whoever consumes it.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

from smart_llmrouter.upstream.transport import (
    ConnectionCut,
    MalformedAnswer,
    TransportError,
)

MAX_HEAD_BYTES: Final = 64 * 1024
_READ_AHEAD_BYTES: Final = 256 * 1024
_LAST_INTERIM: Final = 199
_SWITCHING: Final = 101
_BLANKS: Final = b" \t"


class LeanConnection(asyncio.Protocol):
    """A connection that carries one exchange at a time.

    `heard` says whether a byte of the present answer has arrived, `complete` whether
    all of it has. `headers` holds the first value of each header, by lower-case name.
    """

    def __init__(self, on_lost: Callable[["LeanConnection"], None]) -> None:
        """Call `on_lost` when the connection is gone, however that came."""
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._fault: TransportError | None = None
        self._head_bytes = self._framing_bytes = 0
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._paused = False
        self._until_eof = False
        self._keep_alive = True
        self._surplus = False
        self.headers: dict[bytes, bytes] = {}
        self.status = 0
        self.heard = False
        self.complete = True
        self.closed = False
        self.idle_since_s = 0.0

    # What whoever holds the connection does.

    async def exchange(self, request: bytes) -> None:
        """Send a request and wait for its answer's head. Raises `TransportError`."""
        self.headers = {}
        self.status = 0
        self.heard = self.complete = False
        self._head_bytes = self._framing_bytes = 0
        self._until_eof = False
        if self.closed or self._transport is None:
            raise ConnectionCut("the connection was cut")
        self._transport.write(request)
        while not self.status:
            await self._progress()

    async def next_block(self) -> bytes:
        """Return what has arrived of the body; empty at its end.

        Raises `TransportError`.
        """
        while not self._held:
            if self.complete:
                return b""
            await self._progress()
        held, self._held, self._held_bytes = self._held, [], 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return held[0] if len(held) == 1 else b"".join(held)

    @property
    def reusable(self) -> bool:
        """Whether the next request may be sent here."""
        return (
            self.complete
            and self._keep_alive
            and not (self.closed or self._surplus or self._held)
            and self._fault is None
            and self._transport is not None
            and not self._transport.get_write_buffer_size()
        )

    def abort(self) -> None:
        """Cut the connection; nothing more is sent or read."""
        if self._transport is not None:
            self._transport.abort()

    async def _progress(self) -> None:
        """Wait until something has arrived. Raises why nothing more will."""
        if self._fault is not None:
            raise self._fault
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, fault: TransportError) -> None:
        if self._fault is None and not self.complete:
            self._fault = fault
        self._surplus = True

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and wake whoever waits for it."""
        if self.complete:
            # Nobody asked: whatever this is, it must not meet the next request.
            self._surplus = True
            self.abort()
            return
        self.heard = True
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(MalformedAnswer("the answer is not HTTP"))
        if self._framing_bytes > MAX_HEAD_BYTES:
            self._fail(MalformedAnswer("too much of the answer is no body"))
        if self._held_bytes > _READ_AHEAD_BYTES and not self._paused:
            self._paused = True
            cast("asyncio.Transport", self._transport).pause_reading()
        if self._fault is not None:
            self.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the answer if only the end could end it; else it was cut."""
        self.closed = True
        if self._until_eof and self.status and exc is None:
            self.complete = True
        self._fail(ConnectionCut("the connection was cut"))
        self._wake()
        self._on_lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Notice an answer that nobody asked for."""
        if self.complete:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the first value of each header; trailers are none (RFC 9110, 6.5)."""
        if not self.status:
            self._head_bytes += len(name) + len(value)
            self.headers.setdefault(name.lower(), value.rstrip(_BLANKS))

    def on_headers_complete(self) -> None:
        """Note the status, and how the body will end."""
        status = self._parser.get_status_code()
        if self.complete or status <= _LAST_INTERIM:
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._fail(MalformedAnswer("the head of the answer is too large"))
            return
        self.status = status
        # Without either the connection's end is the answer's end (RFC 9112, 6.3).
        self._until_eof = not (
            b"content-length" in self.headers or b"transfer-encoding" in self.headers
        )

    def on_body(self, body: bytes) -> None:
        """Hold a piece of the body until it is asked for."""
        # Chunk sizes and trailers may go on for ever only where body comes between.
        self._framing_bytes = 0
        if not self.complete:
            self._held.append(body)
            self._held_bytes += len(body)

    def on_message_complete(self) -> None:
        """End the answer, unless it was only an interim one (RFC 9110, 15.2)."""
        if self.status:
            self.complete = True
            self._keep_alive = self._parser.should_keep_alive()
        else:
            self.headers = {}
            if self._parser.get_status_code() == _SWITCHING:
                self._fail(MalformedAnswer("the answer switches protocols"))
