"""Following a stream on its way past: what is the same in every dialect.

Events are looked at one by one until one of them means something. After that a block is
passed on unseen but for the events in it that may tell usage, an error or the end.
"""

from abc import ABC, abstractmethod

from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.wire.sse import EventSplitter, event_end, payload_of, split_events


class Follower(ABC):
    """Follow one stream, as `dialects.base.Meter` says."""

    stored_id: str | None = None
    answer_id: str | None = None
    failed: bool = False

    __slots__ = (
        "_between_events",
        "_splitter",
        "done",
        "ending",
        "error",
        "finished",
        "meaningful",
        "usage",
    )

    def __init__(self, *, max_event_bytes: int) -> None:
        """Begin before the first byte, and refuse larger events."""
        self._splitter = EventSplitter(max_event_bytes=max_event_bytes)
        self._between_events = True
        self.usage: Usage = UNKNOWN_USAGE
        self.meaningful = False
        self.finished = False
        self.done = False
        self.error: bytes | None = None
        self.ending = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider; return those that may be sent on now.

        Raises `NotAStream` for an event that cannot be read before the first meaningful
        one, and `EventTooLarge`.
        """
        # Nearly every read ends where an event does, as the one before did.
        if self._between_events and chunk[-2:] == b"\n\n":
            block = chunk
        else:
            block = self._splitter.feed(chunk)
            self._between_events = not self._splitter.held_bytes
        if not block or self.done or self.error is not None:
            return b""
        return self._pass_on(block) if self.meaningful else self._open(block)

    def end(self) -> bytes:
        """Take the provider's end of file; return what was left without a blank line.

        Some providers leave out the last blank line, so the rest is read as an event,
        unless it was cut in the middle of its JSON.
        """
        rest = self._splitter.flush()
        if self.done or self.error is not None:
            return b""
        payload = payload_of(rest)
        if payload is None or not self._is_whole(payload):
            return b""
        ended = rest.endswith(b"\r\r")
        return self._inspect(rest if ended else rest.rstrip(b"\r\n") + b"\n\n")

    @abstractmethod
    def _pass_on(self, block: bytes) -> bytes:
        """Pass events on unseen, up to the first that must be looked at.

        Where they all may pass, as nearly always, this is all that happens to them.
        """

    @abstractmethod
    def _passes(self, event: bytes) -> bool:
        """Look at one event; say whether it is sent on now."""

    @abstractmethod
    def _is_whole(self, payload: bytes) -> bool:
        """Say whether the data of an event was not cut."""

    def _open(self, block: bytes) -> bytes:
        """Look at each event until one means something; pass the rest on."""
        kept = []
        start, size, only_lf = 0, len(block), block.find(b"\r") < 0
        while start < size and not self.meaningful:
            end = event_end(block, start, only_lf=only_lf)
            event = block[start:end]
            if self._passes(event):
                kept.append(event)
            if self.done or self.error is not None:
                return b"".join(kept)
            start = end
        if start < size:
            kept.append(self._pass_on(block[start:]))
        return b"".join(kept)

    def _inspect(self, block: bytes) -> bytes:
        """Look at each event of `block`; return those that are sent on."""
        kept = []
        for event in split_events(block):
            if self._passes(event):
                kept.append(event)
            if self.done or self.error is not None:
                break
        return b"".join(kept)
