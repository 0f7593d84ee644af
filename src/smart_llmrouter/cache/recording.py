"""Following an answer on its way to its caller, to see whether it may be kept.

It is kept if it came to an end of its own, and is nothing but text: an answer that was
cut off at the cap, filtered or refused may well be another one the next time, and what
a provider has sealed for itself is not for others.
"""

from collections.abc import Iterable
from typing import Final

from smart_llmrouter.cache.requests import Fixing
from smart_llmrouter.cache.words import Reason
from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Finished,
    OpaqueFrame,
    Opened,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.notes import Note
from smart_llmrouter.dialects.base import Dialect, NotAnAnswer, NotAStream
from smart_llmrouter.wire.sse import EventTooLarge

_TEXT: Final = frozenset({"text", "reasoning", "summary"})
_WHOLE: Final = frozenset({"stop", "stop_sequence"})
_PASSING: Final = frozenset({Annotated, Closed, Delta, Started, UsageSeen})
_SEALED: Final = frozenset({OpaqueFrame, Signed})
_UNTOLD: Final = (EventTooLarge, NotAnAnswer, NotAStream)


class Recording:
    """The recording of one answer."""

    __slots__ = ("_blocks", "_bytes", "_decoder", "_dialect", "_fault", "_finished",
                 "_most_bytes")  # fmt: skip

    def __init__(self, dialect: Dialect, *, most_bytes: int) -> None:
        """Record an answer of `dialect`, of `most_bytes` at most."""
        self._dialect = dialect
        self._decoder = dialect.decoder()
        self._blocks: list[bytes] = []
        self._bytes = 0
        self._most_bytes = most_bytes
        self._fault: Reason | None = None
        self._finished = False

    @property
    def body(self) -> bytes:
        """All that was recorded."""
        return b"".join(self._blocks)

    def take(self, block: bytes) -> None:
        """Record events of a stream."""
        if self._fault is None and self._fits(block):
            try:
                self._look_at(self._decoder.feed(block))
            except _UNTOLD:
                self._fault = "incomplete"

    def take_whole(self, body: bytes) -> None:
        """Record a plain answer."""
        if self._fits(body):
            try:
                self._look_at(self._dialect.read_answer(body))
            except _UNTOLD:
                self._fault = "incomplete"

    def fault(self, notes: Iterable[Note], fixing: Fixing) -> Reason | None:
        """Return why the answer is not kept, now that all of it is there.

        `None`: it is to be kept. It is the same each time because of what the request
        says in the fields `fixing`, if the target was told that; see the `notes`.
        """
        if self._fault is None and not self._finished:
            self._end()
        if self._fault is not None:
            return self._fault
        if not self._finished:
            return "incomplete"
        untold = {note.field for note in notes}
        return None if fixing - untold else "untold"

    def _end(self) -> None:
        try:
            self._look_at(self._decoder.end())
        except _UNTOLD:
            self._fault = "incomplete"

    def _fits(self, block: bytes) -> bool:
        self._bytes += len(block)
        if self._bytes > self._most_bytes:
            self._fault = "too-large"
            self._blocks.clear()
            return False
        self._blocks.append(block)
        return True

    def _look_at(self, events: Iterable[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind in _PASSING:
                continue
            if isinstance(event, Finished) and event.reason in _WHOLE:
                self._finished = True
            elif isinstance(event, Opened) and event.kind in _TEXT:
                continue
            else:
                self._fault = "sealed" if kind in _SEALED else "incomplete"
