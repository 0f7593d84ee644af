"""Server-sent events as bytes, after the WHATWG HTML standard, section 9.2.

`EventSplitter` cuts a stream where events end, however the network cut it, and never
changes a byte. `payload_of` reads the data of one event.
"""

import re
from collections.abc import Iterator
from typing import Final

_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""What a stream may begin with, and says nothing."""
_CUT_END_BYTES: Final = len(b"\r\n\r\n") - 1


class EventTooLarge(ValueError):
    """One event grew past the bound without coming to its end."""


class EventSplitter:
    """Give back the complete events of a stream; hold what has not ended yet.

    `held_bytes` is how much that is.
    """

    __slots__ = ("_held", "_max_event_bytes", "_tail", "held_bytes")

    def __init__(self, *, max_event_bytes: int) -> None:
        """Refuse to hold more than `max_event_bytes` of an event that does not end."""
        self._held: list[bytes] = []
        self._tail = b""
        self._max_event_bytes = max_event_bytes
        self.held_bytes = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return all bytes up to the end of the last complete event.

        Raises `EventTooLarge` when what is held back passes the bound.
        """
        if chunk.endswith(b"\n\n"):
            return self._joined(chunk) if self._held else chunk
        end = self._last_end(chunk)
        if end < 0:
            self._hold(chunk)
            return b""
        block = self._joined(chunk[:end])
        if end < len(chunk):
            self._hold(chunk[end:])
        return block

    def _last_end(self, chunk: bytes) -> int:
        """Return where in `chunk` the last complete event ends, -1 if none does.

        What is held was searched when it came: only an end that was cut is new, and of
        that no more than three bytes are held.
        """
        tail = self._tail
        # `in` would first try the bytes as a number, and fail.
        if chunk.find(b"\r") >= 0 or tail.find(b"\r") >= 0:
            end = _last_event_end(tail + chunk)
            return end - len(tail) if end else -1
        place = chunk.rfind(b"\n\n")
        if place >= 0:
            return place + 2
        return 1 if tail.endswith(b"\n") and chunk.startswith(b"\n") else -1

    def _joined(self, end: bytes) -> bytes:
        """Return what is held and its end."""
        self._held.append(end)
        return self.flush()

    def _hold(self, chunk: bytes) -> None:
        self._held.append(chunk)
        self.held_bytes += len(chunk)
        self._tail = (self._tail + chunk[-_CUT_END_BYTES:])[-_CUT_END_BYTES:]
        if self.held_bytes > self._max_event_bytes:
            raise EventTooLarge

    def flush(self) -> bytes:
        """Return what never came to an end, and forget it."""
        rest = b"".join(self._held)
        self._held.clear()
        self.held_bytes, self._tail = 0, b""
        return rest


def _last_event_end(buffer: bytes) -> int:
    """Return where the last complete event ends, 0 if none does.

    A final CR may be the first half of a CRLF, so it ends nothing yet.
    """
    end = 0
    for blank in _BLANK_LINE.finditer(buffer):
        if blank.end() < len(buffer) or not blank.group().endswith(b"\r"):
            end = blank.end()
    return end


def event_end(block: bytes, start: int, *, only_lf: bool) -> int:
    """Return where the event that begins at `start` ends, with its blank line.

    That is the end of `block` if no blank line follows. `only_lf` says that there is
    no CR in `block`, so that every line ends with LF.
    """
    if only_lf:
        place = block.find(b"\n\n", start)
        return place + 2 if place >= 0 else len(block)
    blank = _BLANK_LINE.search(block, start)
    return blank.end() if blank else len(block)


def split_events(block: bytes) -> Iterator[bytes]:
    """Split complete events; each keeps the blank line that ends it."""
    start, only_lf = 0, block.find(b"\r") < 0
    while start < len(block):
        end = event_end(block, start, only_lf=only_lf)
        yield block[start:end]
        start = end


def payload_of(event: bytes) -> bytes | None:
    """Return the data of one event, its lines joined; `None` if it has none."""
    # One line of data, as nearly all events are; a CR would be a line end, too.
    one_line = event.find(b"\n") == len(event) - 2 and event.find(b"\r") < 0
    if one_line and event.startswith(b"data:") and event.endswith(b"\n\n"):
        return event[6 if event[5:6] == b" " else 5 : -2]
    if event.startswith(b"event:") and event.endswith(b"\n\n"):
        # The same after the event's name, as dialects have it that name them.
        data = event.find(b"\n") + 1
        ends_there = event.find(b"\n", data) == len(event) - 2
        if ends_there and event.startswith(b"data:", data) and event.find(b"\r") < 0:
            return event[data + (6 if event[data + 5 : data + 6] == b" " else 5) : -2]
    lines = [
        line[5:].removeprefix(b" ")
        for line in _LINE_END.split(event.removeprefix(_BYTE_ORDER_MARK))
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None
