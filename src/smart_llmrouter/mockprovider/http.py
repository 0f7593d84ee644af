"""HTTP as the mock speaks it: a request as it came, an answer before it is framed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

Header = tuple[bytes, bytes]

JSON_TYPE: Final[Header] = (b"content-type", b"application/json")
STREAM_TYPE: Final[Header] = (b"content-type", b"text/event-stream; charset=utf-8")

_REASONS: Final[Mapping[int, bytes]] = {
    status.value: status.phrase.encode() for status in HTTPStatus
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as it was received; header names keep their spelling."""

    method: str
    path: str
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """Return the first header called `name` (lower case), or nothing."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a stream: JSON or `[DONE]`, with a name where the dialect has one.

    `last` marks the event that only says that the stream is over.
    """

    data: bytes
    name: str | None = None
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to answer: a whole body, or the events of a stream (`events` is not None).

    `chunks` are pieces of a body that is sent with chunked transfer coding as it is.
    """

    status: int = 200
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    events: tuple[Event, ...] | None = None
    chunks: tuple[bytes, ...] | None = field(default=None)

    @property
    def chunked(self) -> bool:
        """Tell whether the body has no length of its own."""
        return self.events is not None or self.chunks is not None


def head(answer: Answer, *, keep_alive: bool) -> bytes:
    """Return the status line and the headers, with the empty line after them."""
    lines = [b"HTTP/1.1 %d %s" % (answer.status, _REASONS.get(answer.status, b"Mock"))]
    lines += [name + b": " + value for name, value in answer.headers]
    if answer.chunked:
        lines.append(b"transfer-encoding: chunked")
    else:
        lines.append(b"content-length: %d" % len(answer.body))
    if not keep_alive:
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    """Return `piece` as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


LAST_CHUNK: Final = b"0\r\n\r\n"
