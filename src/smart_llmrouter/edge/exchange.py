"""One request on a connection, and the answer to it."""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from smart_llmrouter.core.errors import RouterError

if TYPE_CHECKING:
    from smart_llmrouter.edge.connection import Connection

Fields = list[tuple[bytes, bytes]]

STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_JOINED_BYTES: Final = 32 * 1024
"""Up to this size copying a body behind its head costs less than another buffer."""


class Route(Protocol):
    """Serves the requests to one path."""

    @property
    def max_body_bytes(self) -> int:
        """The largest body it takes; `413 request-too-large` above it."""

    def open(self, exchange: "Exchange") -> None:
        """Look at the head of a request. Raises the `RouterError` that refuses it."""

    def serve(self, exchange: "Exchange") -> Coroutine[Any, Any, None]:
        """Answer a request whose body is complete, whatever happens."""

    def refuse(self, exchange: "Exchange", error: RouterError) -> None:
        """Answer a request whose body was not, or will not be, read to its end."""


class Exchange:
    """A request, and the way back to who sent it; see `engine.Client`.

    `headers` holds the last value of each field by its lower-case name, `fields` holds
    all of them in their order. `target` is what the request line asks for. `began_s` is
    on the monotonic clock, `ts_ms` in milliseconds since 1970 UTC, both of the moment
    when the head was complete. `context` belongs to the route.
    """

    __slots__ = (
        "_connection",
        "began",
        "began_s",
        "body_bytes",
        "chunked",
        "complete",
        "context",
        "ended",
        "fault",
        "fields",
        "headers",
        "keep_alive",
        "left",
        "method",
        "pieces",
        "refused",
        "request_id",
        "route",
        "target",
        "ts_ms",
    )

    def __init__(
        self,
        connection: "Connection",
        route: Route,
        *,
        method: bytes,
        target: bytes,
        fields: Fields,
        request_id: str,
        began_s: float,
        ts_ms: int,
    ) -> None:
        """Begin with a head; the connection adds the body piece by piece."""
        self._connection = connection
        self.route = route
        self.method = method
        self.target = target
        self.fields = fields
        self.headers: dict[bytes, bytes] = {}
        self.request_id = request_id
        self.began_s = began_s
        self.ts_ms = ts_ms
        self.context: object = None
        self.pieces: list[bytes] = []
        self.body_bytes = 0
        # What is wrong with it, so that it will be refused when its turn comes.
        self.fault: RouterError | None = None
        self.complete = self.refused = False
        self.keep_alive = self.chunked = True
        self.began = self.ended = self.left = False

    @property
    def expects_continue(self) -> bool:
        """Whether the caller waits to be asked for its body (RFC 9110, 10.1.1)."""
        expected = self.headers.get(b"expect", b"")
        return self.chunked and expected.lower() == b"100-continue"

    def take_body(self) -> bytes:
        """Return the whole body, and keep it no longer."""
        pieces, self.pieces = self.pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def connection(self) -> "Connection":
        """The connection that the request came on."""
        return self._connection

    def answer(self, status: int, headers: Fields, body: bytes) -> None:
        """Send a whole answer at once."""
        if self.began or self.left:
            return
        self.began = True
        head = self._head(status, headers, b"content-length: %d\r\n" % len(body))
        if self.method == b"HEAD":
            body = b""
        if len(body) <= _JOINED_BYTES:
            self._connection.write(head + body)
        else:
            self._connection.write(head)
            self._connection.write(body)
        self._end()

    def begin(self, headers: Fields, *, status: int = 200) -> None:
        """Open a stream; callers older than HTTP/1.1 have it ended by the close."""
        if self.began or self.left:
            return
        self.began = True
        self.keep_alive = self.keep_alive and self.chunked
        framing = b"transfer-encoding: chunked\r\n" if self.chunked else b""
        self._connection.write(self._head(status, headers, framing))

    def begin_sized(self, headers: Fields, *, status: int) -> None:
        """Open an answer whose headers tell its length, or that has no body."""
        if self.began or self.left:
            return
        self.began = True
        self.chunked = False
        self._connection.write(self._head(status, headers, b""))

    def write(self, block: bytes) -> None:
        """Send a block."""
        if block and not (self.ended or self.left):
            self._connection.write(self._framed(block))

    async def send(self, block: bytes) -> None:
        """Send a block, and wait for room where the caller reads slowly."""
        self.write(block)
        if self._connection.congested is not None:
            # Others may wait for the same.
            await asyncio.shield(self._connection.congested)

    def end(self, last: bytes) -> None:
        """Send the last block, and end the answer."""
        if self.ended or self.left:
            return
        if self.chunked:
            last = self._framed(last) + b"0\r\n\r\n" if last else b"0\r\n\r\n"
        if last:
            self._connection.write(last)
        self._end()

    def fail(self, last: bytes) -> None:
        """End the answer, but cut off a caller that makes no room for its end."""
        self.end(last)
        self._connection.hurry()

    def cut(self) -> None:
        """Drop the connection at once, and what the caller has not taken yet."""
        self._connection.cut()

    def _framed(self, block: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(block), block) if self.chunked else block

    def _head(self, status: int, headers: Fields, framing: bytes) -> bytes:
        lines = [b"%b: %b\r\n" % field for field in headers]
        closing = self._connection.closes_after(self)
        return b"%b%b%bx-request-id: %b\r\n%b\r\n" % (
            STATUS_LINES[status],
            b"".join(lines),
            framing,
            self.request_id.encode(),
            b"connection: close\r\n" if closing else b"",
        )

    def _end(self) -> None:
        self.ended = True
        self._connection.answered(self)
