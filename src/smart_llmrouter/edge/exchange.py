"""One request on a connection, and the answer to it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.engine.client import HeaderLines

if TYPE_CHECKING:
    from smart_llmrouter.edge.connection import Connection

Fields = list[tuple[bytes, bytes]]

_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
# Providers make statuses up, and callers get them as they are.
STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, _PHRASES.get(status, b""))
    for status in range(100, 1000)
}
WORTH_READING_BYTES: Final = 1024 * 1024
"""So much of a body that is refused is read, if that keeps a connection."""
_CLOSE: Final = b"connection: close\r\n"
_JOINED_BYTES: Final = 32 * 1024
"""Up to this size copying a body behind its head costs less than another buffer."""


class _Nowhere(list[bytes]):
    """Where pieces of a body go that nobody will read."""

    def append(self, piece: bytes) -> None:
        """Keep nothing."""


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


# A `Struct` is made several times as fast as another object.
class Exchange(msgspec.Struct, eq=False):
    """A request, and the way back to who sent it; see `engine.Client`.

    `headers` holds the last value of each field by its lower-case name, `fields` holds
    all of them in their order. `target` is what the request line asks for. `began_s` is
    on the monotonic clock, `ts_ms` in milliseconds since 1970 UTC, both of the moment
    when the head was complete. `fault` is what is wrong with the request, so that it
    will be refused when its turn comes. `context` belongs to the route. `unsent` is the
    head of an answer that leaves with the first block of it. `stays` is asked when the
    caller has left whether what serves it goes on.
    """

    route: Route
    method: bytes
    target: bytes
    fields: Fields
    headers: dict[bytes, bytes]
    request_id: str
    began_s: float
    ts_ms: int
    # What sending looks at stands together: that is less memory to fetch.
    connection: "Connection"
    chunked: bool = True
    unsent: bytes = b""
    ended: bool = False
    left: bool = False
    keep_alive: bool = True
    context: object = None
    fault: RouterError | None = None
    pieces: list[bytes] = []
    body_bytes: int = 0
    complete: bool = False
    refused: bool = False
    began: bool = False
    stays: Callable[[], bool] | None = None

    @property
    def worth_reading(self) -> bool:
        """Whether the rest of a refused body is read, to keep the connection."""
        if self.expects_continue or b"transfer-encoding" in self.headers:
            return False
        length = int(self.headers.get(b"content-length", b"0"))
        return length - self.body_bytes <= WORTH_READING_BYTES

    @property
    def expects_continue(self) -> bool:
        """Whether the caller waits to be asked for its body (RFC 9110, 10.1.1)."""
        expected = self.headers.get(b"expect")
        if expected is None or not self.chunked:
            return False
        return expected.strip().lower() == b"100-continue"

    @property
    def peer(self) -> bytes:
        """The address that it came from; see `edge.addresses`."""
        return self.connection.peer

    @property
    def cache_control(self) -> bytes | None:
        """What the caller said in `Cache-Control`, in one field or several."""
        name = b"cache-control"
        if name not in self.headers:
            return None
        return b",".join([value for each, value in self.fields if each == name])

    def keep_no_body(self) -> None:
        """Drop what comes of the body, up to the bound of the route."""
        self.pieces = _Nowhere()

    def take_body(self) -> bytes:
        """Return the whole body, and keep it no longer."""
        pieces, self.pieces = self.pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def ask_on_leaving(self, stays: Callable[[], bool]) -> None:
        """Ask `stays` when the caller leaves; see `engine.Client`."""
        self.stays = stays

    def answer(self, status: int, headers: HeaderLines, body: bytes) -> None:
        """Send a whole answer at once."""
        if self.began or self.left:
            return
        self.began = self.ended = True
        connection = self.connection
        head = b"%b%bcontent-length: %d\r\n%b%b\r\n%b\r\n" % (
            STATUS_LINES[status],
            headers,
            len(body),
            connection.hub.stamp,
            self.request_id.encode(),
            _CLOSE if connection.closes_after(self) else b"",
        )
        if self.method == b"HEAD":
            connection.transport.write(head)
        elif len(body) <= _JOINED_BYTES:
            connection.transport.write(head + body)
        else:
            connection.transport.writelines((head, body))
        connection.answered(self)

    def begin(self, headers: HeaderLines, *, status: int = 200) -> None:
        """Open a stream; callers older than HTTP/1.1 have it ended by the close."""
        if self.began or self.left:
            return
        self.began = True
        self.keep_alive = self.keep_alive and self.chunked
        framing = b"transfer-encoding: chunked\r\n" if self.chunked else b""
        self.unsent = self._head(status, headers, framing)

    def begin_sized(self, headers: HeaderLines, *, status: int) -> None:
        """Open an answer whose headers tell its length, or that has no body."""
        if self.began or self.left:
            return
        self.began = True
        self.chunked = False
        self.unsent = self._head(status, headers, b"")

    def send(self, block: bytes) -> Awaitable[None] | None:
        """Send a block; where the caller reads slowly, return what waits for room.

        An empty one only sends the head, if that has not left yet.
        """
        connection, head = self.connection, self.unsent
        if (block or head) and not (self.ended or self.left):
            if self.chunked and block:
                framed = b"%b%x\r\n%b\r\n" % (head, len(block), block)
            else:
                framed = head + block
            connection.transport.write(framed)
            if head:
                self.unsent = b""
            if connection.congested is not None:
                # Others may wait for the same.
                return asyncio.shield(connection.congested)
        return None

    def end(self, last: bytes) -> None:
        """Send the last block, and end the answer."""
        if self.ended or self.left:
            return
        head, self.unsent = self.unsent, b""
        if not self.chunked:
            last = head + last
        elif last:
            last = b"%b%x\r\n%b\r\n0\r\n\r\n" % (head, len(last), last)
        else:
            last = head + b"0\r\n\r\n"
        if last:
            self.connection.transport.write(last)
        self.ended = True
        self.connection.answered(self)

    def fail(self, last: bytes) -> None:
        """End the answer, but cut off a caller that makes no room for its end."""
        self.end(last)
        self.connection.hurry()

    def cut(self) -> None:
        """Drop the connection at once, and what the caller has not taken yet."""
        if not self.left:
            self.left = True
            self.connection.cut()

    def _head(self, status: int, headers: HeaderLines, framing: bytes) -> bytes:
        connection = self.connection
        return b"%b%b%b%b%b\r\n%b\r\n" % (
            STATUS_LINES[status],
            headers,
            framing,
            connection.hub.stamp,
            self.request_id.encode(),
            _CLOSE if connection.closes_after(self) else b"",
        )
