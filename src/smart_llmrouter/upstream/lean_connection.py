"""One HTTP/1.1 connection to a provider: a request out, an answer in, then the next.

The parser is llhttp, through httptools. What is kept here is only what HTTP leaves to a
client: how an answer ends, whether the connection may be used again, and how much is
read ahead of whoever consumes it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import httptools

from smart_llmrouter.upstream.transport import (
    ConnectionCut,
    MalformedAnswer,
    Sink,
    TransportError,
)

MAX_HEAD_BYTES: Final = 64 * 1024
_READ_AHEAD_BYTES: Final = 256 * 1024
# A larger body is not copied into one piece with its head.
_JOINED_BYTES: Final = 32 * 1024
_LAST_INTERIM: Final = 199
_FINAL: Final = b"HTTP/1.1 2"
"""How nearly every head begins that is not followed by another one."""
_HEAD_ENDS: Final = b"\r\n\r\n"
_SWITCHING: Final = 101
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class LeanConnection(asyncio.Protocol):
    """A connection that carries one exchange at a time.

    `status` is that of the present answer, and 0 until its head is here; `headers` are
    the first values of its headers, in the provider's spelling; `held` is what has come
    of the body and was not taken; `complete` says whether all of the answer has come,
    and `reusable` whether the next request may be sent here.

    A chunk of a stream finds all of this cold, with a thousand other streams between
    two of its chunks. So as little memory is touched for one as can be: there is no
    dictionary, and no bound method is kept where its object must be fetched anyway.
    """

    __slots__ = (
        "_dry_bytes",
        "_fault",
        "_fields",
        "_gathering",
        "_held_bytes",
        "_loop",
        "_most_held_bytes",
        "_on_lost",
        "_parser",
        "_paused",
        "_permits",
        "_sink",
        "_sink_bytes",
        "_transport",
        "_waiter",
        "complete",
        "headers",
        "held",
        "idle_since_s",
        "on_body",
        "on_header",
        "on_message_begin",
        "reusable",
        "status",
    )

    def __init__(self, on_lost: Callable[["LeanConnection"], None]) -> None:
        """Call `on_lost` when the connection is gone, however that came."""
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Sink | None = None
        self._sink_bytes = 0
        self._gathering = False
        # Why the answer ended early. An error that was raised is not kept: its frames
        # hold the call, and it would hold them.
        self._fault: tuple[type[TransportError], str] | None = None
        self._permits: deque[None] = deque()
        self._dry_bytes = self._held_bytes = 0
        self._most_held_bytes = _READ_AHEAD_BYTES
        self._paused = False
        self._fields: dict[bytes, bytes] = {}
        self.headers: dict[bytes, bytes] = {}
        self.held: deque[bytes] = deque()
        self.status = 0
        self.complete = True
        self.reusable = False
        self.idle_since_s = 0.0
        # The parser calls these most, and they are C. A header that comes again does
        # not win; a piece of the body is held; and an answer begins only where one was
        # asked for: taking a permit that is not there breaks the parser off.
        self.on_header = self._fields.setdefault
        self.on_body = self.held.append
        self.on_message_begin = self._permits.pop

    # What whoever holds the connection does.

    @property
    def heard(self) -> bool:
        """Whether a byte of the present answer has arrived."""
        return self.status != 0 or self._dry_bytes != 0

    def ask(self, head: bytes, body: bytes) -> asyncio.Future[None]:
        """Send a request, and return what is done when the head of its answer is here.

        `head` goes up to the value of `Content-Length`. What is returned raises
        `TransportError`, and so does asking on a connection that is gone.
        """
        # Before all else: nothing of the answer has been heard, even if it never will.
        self.status = self._dry_bytes = 0
        transport = self._transport
        if transport is None:
            raise ConnectionCut("the connection was cut")
        self._fields.clear()
        self._permits.append(None)
        self.complete = self.reusable = False
        if len(body) <= _JOINED_BYTES:
            transport.write(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        else:
            transport.writelines((b"%b%d\r\n\r\n" % (head, len(body)), body))
        waiter: asyncio.Future[None] = asyncio.Future(loop=self._loop)
        self._waiter = waiter
        return waiter

    def progress(self) -> asyncio.Future[None]:
        """Return what is done when more has come. Raises why nothing more will."""
        if self._fault is not None:
            kind, reason = self._fault
            raise kind(reason)
        waiter: asyncio.Future[None] = asyncio.Future(loop=self._loop)
        self._waiter = waiter
        return waiter

    async def pour(self, sink: Sink, most_bytes: int) -> tuple[bool, int]:
        """Give `sink` what comes of the body, at once, until it takes no more.

        Nothing must be held yet. Ends also when all of the answer has come, or more
        than `most_bytes` of it: what is too much is not given on. Returns whether
        `sink` took all that it was given, and how many bytes are left; less than none
        where it was too much. Raises why nothing more will come.
        """
        waiter = self.progress()
        self._sink, self._sink_bytes = sink, most_bytes
        try:
            await waiter
            return self._sink is not None, self._sink_bytes
        finally:
            self._sink = None

    async def gather(self, most_bytes: int) -> None:
        """Hold all that still comes of the answer, or more than `most_bytes` of it.

        Nothing must be held yet. Raises why nothing more will come.
        """
        waiter = self.progress()
        self._most_held_bytes, self._gathering = most_bytes, True
        try:
            await waiter
        finally:
            self._most_held_bytes, self._gathering = _READ_AHEAD_BYTES, False

    def take(self) -> bytes:
        """Return all that is held, and read on."""
        held = self.held
        if len(held) == 1:
            block = held.popleft()
        else:
            block = b"".join(held)
            held.clear()
        self._held_bytes = 0
        if self._paused:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()
        return block

    def abort(self) -> None:
        """Cut the connection; nothing more is sent or read."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        self._transport = cast("asyncio.Transport", transport)
        # It holds this connection: one that was never made must not hold it.
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and wake whoever waits for it."""
        if self.complete:
            # Nobody asked: whatever this is, it must not meet the next request.
            self.abort()
            return
        try:
            if self.status or self._dry_bytes + len(data) <= MAX_HEAD_BYTES:
                self._parser.feed_data(data)
            else:
                self._feed_head(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse("the answer is not HTTP")
        if self._sink is not None and self.held:
            self._pour_on(self._sink)
        else:
            self._hold(len(data))

    def eof_received(self) -> None:
        """End the answer if only the connection's end could end it (RFC 9112, 6.3)."""
        if (
            self.status
            and self._fault is None
            and _FRAMING.isdisjoint(map(bytes.lower, self.headers))
        ):
            self.complete = True

    def connection_lost(self, _: Exception | None) -> None:
        """Tell whoever waits that nothing more will come."""
        self._transport = None
        self._fail(ConnectionCut, "the connection was cut")
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        # It holds methods of this connection: nobody would let go of either.
        del self._parser
        self._on_lost(self)

    def _pour_on(self, sink: Sink) -> None:
        """Give `sink` what is held; wake who waits when that was the last of it.

        For nearly every event of a stream, this is all that happens here.
        """
        held = self.held
        block = held.popleft() if len(held) == 1 else self.take()
        self._dry_bytes = 0
        self._sink_bytes = left_bytes = self._sink_bytes - len(block)
        if left_bytes < 0:
            self._wake()
        elif not sink(block):
            self._sink = None
            self._wake()
        elif self.complete:
            self._wake()

    def _hold(self, size: int) -> None:
        """Keep what has come for whoever waits, and wake it, unless it wants it all."""
        if not self.complete:
            self._measure(size)
            if self._gathering and self._held_bytes <= self._most_held_bytes:
                return
        if self.status:
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _unsent(self) -> int:
        """Return how many bytes of the request the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def _feed_head(self, data: bytes) -> None:
        """Parse a head that may be too large; the first bytes must hold all of it."""
        room = MAX_HEAD_BYTES - self._dry_bytes
        if data.startswith(_FINAL) and data.find(_HEAD_ENDS, 0, room) >= 0:
            # A body in one piece need not be put together again.
            self._parser.feed_data(data)
            return
        view = memoryview(data)
        self._parser.feed_data(view[:room])
        if self.status:
            self._parser.feed_data(view[room:])
        else:
            self._refuse("the head of the answer is too large")

    def _measure(self, size: int) -> None:
        """Bound what is read ahead, and what goes on without any body in it.

        Chunk sizes, trailers and interim answers would else go on for ever.
        """
        if self.held:
            self._dry_bytes = 0
            self._held_bytes += size
            if self._held_bytes > self._most_held_bytes and not self._paused:
                self._paused = True
                cast("asyncio.Transport", self._transport).pause_reading()
        else:
            self._dry_bytes += size
            if self._dry_bytes > MAX_HEAD_BYTES:
                self._refuse("too much of the answer is no body")

    def _refuse(self, reason: str) -> None:
        self._fail(MalformedAnswer, reason)
        self.abort()

    def _fail(self, kind: type[TransportError], reason: str) -> None:
        """Keep why the answer ends early, if it does, and tell whoever waits for it."""
        self.reusable = False
        if self._fault is None and not self.complete:
            self._fault = kind, reason
            self._sink = None
            waiter, self._waiter = self._waiter, None
            if waiter is not None and not waiter.done():
                waiter.set_exception(kind(reason))

    # What else the parser calls.

    def on_headers_complete(self) -> None:
        """Note the status, unless it is that of an interim answer (RFC 9110, 15.2)."""
        status = self._parser.get_status_code()
        if status > _LAST_INTERIM:
            self.status = status
            # What comes later are trailers, which are no headers (RFC 9110, 6.5).
            self.headers = self._fields.copy()

    def on_message_complete(self) -> None:
        """End the answer, or ask on where it was an interim one."""
        if self.status:
            self.complete = True
            # What was answered before all of it was sent is not waited for.
            self.reusable = self._parser.should_keep_alive() and not self._unsent()
        elif self._parser.get_status_code() == _SWITCHING:
            self._refuse("the answer switches protocols")
        else:
            self._fields.clear()
            self.held.clear()
            self._permits.append(None)
