"""Server-sent events as bytes, after the WHATWG HTML standard, section 9.2.

`EventSplitter` cuts a stream where events end, however the network cut it, and never
changes a byte. `payload_of` reads the data of one event.
"""

import re
from collections.abc import Iterator
from typing import Final

_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_CUT_END_BYTES: Final = len(b"\r\n\r\n") - 1


class EventTooLarge(ValueError):
    """One event grew past the bound without coming to its end."""


class EventSplitter:
    """Give back the complete events of a stream; hold what has not ended yet."""

    __slots__ = ("_held", "_held_bytes", "_max_event_bytes", "_tail")

    def __init__(self, *, max_event_bytes: int) -> None:
        """Refuse to hold more than `max_event_bytes` of an event that does not end."""
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._tail = b""
        self._max_event_bytes = max_event_bytes

    def feed(self, chunk: bytes) -> bytes:
        """Return all bytes up to the end of the last complete event.

        Raises `EventTooLarge` when what is held back passes the bound.
        """
        if not self._held and chunk.endswith(b"\n\n"):
            return chunk
        # What is held was searched when it came: only an end that was cut is new, and
        # of that no more than three bytes are held.
        seam = self._tail + chunk
        end = len(seam) if seam.endswith(b"\n\n") else _last_event_end(seam)
        block = b""
        if end:
            place = end - len(self._tail)
            self._held.append(chunk[:place])
            block, chunk = self.flush(), chunk[place:]
        if chunk:
            self._hold(chunk)
        return block

    def _hold(self, chunk: bytes) -> None:
        self._held.append(chunk)
        self._held_bytes += len(chunk)
        self._tail = (self._tail + chunk[-_CUT_END_BYTES:])[-_CUT_END_BYTES:]
        if self._held_bytes > self._max_event_bytes:
            raise EventTooLarge

    def flush(self) -> bytes:
        """Return what never came to an end, and forget it."""
        rest = b"".join(self._held)
        self._held.clear()
        self._held_bytes, self._tail = 0, b""
        return rest


def _last_event_end(buffer: bytes) -> int:
    """Return where the last complete event ends, 0 if none does.

    A final CR may be the first half of a CRLF, so it ends nothing yet.
    """
    if b"\r" not in buffer:
        return buffer.rfind(b"\n\n") + 2 if b"\n\n" in buffer else 0
    end = 0
    for blank in _BLANK_LINE.finditer(buffer):
        if blank.end() < len(buffer) or not blank.group().endswith(b"\r"):
            end = blank.end()
    return end


def split_events(block: bytes) -> Iterator[bytes]:
    """Split complete events; each keeps the blank line that ends it."""
    start = 0
    for end in _blank_line_ends(block):
        yield block[start:end]
        start = end
    if start < len(block):
        yield block[start:]


def _blank_line_ends(block: bytes) -> Iterator[int]:
    """Yield where each blank line ends; quickly where every line ends with LF."""
    if b"\r" in block:
        yield from (blank.end() for blank in _BLANK_LINE.finditer(block))
        return
    found = block.find(b"\n\n")
    while found >= 0:
        yield found + 2
        found = block.find(b"\n\n", found + 2)


def payload_of(event: bytes) -> bytes | None:
    """Return the data of one event, its lines joined; `None` if it has none."""
    if event.startswith(b"data:") and event.find(b"\n") == len(event) - 2:
        # One line of data, as nearly all events are; a CR would be a line end, too.
        line = event[5:-2]
        if event.endswith(b"\n\n") and b"\r" not in line:
            return line.removeprefix(b" ")
    lines = [
        line[5:].removeprefix(b" ")
        for line in _LINE_END.split(event)
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None
