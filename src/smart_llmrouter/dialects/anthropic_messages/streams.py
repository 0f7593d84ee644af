"""Reading a streamed Messages answer on its way past.

`MessagesMeter` is fed the provider's bytes and gives back what may be sent on: whole
events, byte for byte as they came. After the first content it decodes only the events
that tell usage, an error or the end.
"""

from typing import Final

from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.anthropic_messages.schema import (
    BlockDelta,
    BlockStart,
    ErrorEvent,
    MessageDelta,
    MessageStart,
    MessageStop,
    Unknown,
    WireEvent,
    decode_event,
)
from smart_llmrouter.dialects.anthropic_messages.usage import read_usage
from smart_llmrouter.dialects.base import NotAStream
from smart_llmrouter.wire.rawvalues import UNREADABLE, is_there
from smart_llmrouter.wire.sse import EventSplitter, event_end, payload_of, split_events

KEEP_ALIVE: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
MAX_EVENT_BYTES: Final = 8 * 1024 * 1024

# What may tell something. Inside a JSON string the quotes are escaped, so that text
# about an event is not taken for the event; if it is all the same, it is only decoded.
_MESSAGE: Final = b'"message_'
_ERROR: Final = b'"error"'


class MessagesMeter:
    """Follow one stream, as `dialects.base.Meter` says.

    Meaningful is the first content block, or the end of a message without any; the
    message's head and pings are not.
    """

    stored_id: str | None = None
    answer_id: str | None = None
    failed = False

    __slots__ = (
        "_splitter",
        "done",
        "ending",
        "error",
        "finished",
        "meaningful",
        "usage",
    )

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._splitter = EventSplitter(max_event_bytes=MAX_EVENT_BYTES)
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
        block = self._splitter.feed(chunk)
        if not block or self.done or self.error is not None:
            return b""
        return self._pass_on(block) if self.meaningful else self._open(block)

    def end(self) -> bytes:
        """Take the provider's end of file; return what was left without a blank line.

        A provider that finished its message and left out the last event gets it from
        us: `ending`.
        """
        rest = self._splitter.flush()
        passed = b""
        if not self.done and self.error is None and _is_whole(rest):
            ended = rest.endswith(b"\r\r")
            passed = self._inspect(rest if ended else rest.rstrip(b"\r\n") + b"\n\n")
        if self.finished and not self.ending:
            self.ending = STOP
        return passed

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

    def _pass_on(self, block: bytes) -> bytes:
        """Pass events on unseen, up to the first that must be looked at.

        Where they all may pass, as nearly always, this is all that happens to them.
        """
        message, error = block.find(_MESSAGE), block.find(_ERROR)
        if message < 0 and error < 0:
            return block
        telling = (
            max(message, error) if min(message, error) < 0 else min(message, error)
        )
        # Line ends other than LF are rare: then the whole block is looked at.
        blank = -1 if b"\r" in block else block.rfind(b"\n\n", 0, telling)
        start = blank + 2 if blank >= 0 else 0
        return block[:start] + self._inspect(block[start:])

    def _inspect(self, block: bytes) -> bytes:
        """Look at each event of `block`; return those that are sent on."""
        kept = []
        for event in split_events(block):
            if self._passes(event):
                kept.append(event)
            if self.done or self.error is not None:
                break
        return b"".join(kept)

    def _passes(self, event: bytes) -> bool:
        """Look at one event; say whether it is sent on."""
        payload = payload_of(event)
        if payload is None:
            return True
        try:
            told = decode_event(payload)
        except UNREADABLE:
            if not self.meaningful:
                raise NotAStream from None
            return True
        return self._learn(told, event)

    def _learn(self, told: WireEvent | Unknown, event: bytes) -> bool:
        """Learn what an event tells; say whether it is sent on."""
        if isinstance(told, BlockDelta | BlockStart):
            self.meaningful = True
        elif isinstance(told, MessageStart):
            self.usage = read_usage(told.message.usage, self.usage)
        elif isinstance(told, MessageDelta):
            self.usage = read_usage(told.usage, self.usage)
            if told.delta.stop_reason is not None:
                self.meaningful = self.finished = True
        elif isinstance(told, MessageStop):
            self.done, self.ending = True, event
            self.meaningful = self.finished = True
            return False
        elif isinstance(told, ErrorEvent):
            self.error = bytes(told.error) if is_there(told.error) else b"null"
            return False
        return True


def _is_whole(event: bytes) -> bool:
    payload = payload_of(event)
    if payload is None:
        return False
    try:
        decode_event(payload)
    except UNREADABLE:
        return False
    return True
