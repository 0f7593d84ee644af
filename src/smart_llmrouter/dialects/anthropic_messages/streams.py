"""Reading a streamed Messages answer on its way past.

`MessagesMeter` is fed the provider's bytes and gives back what may be sent on: whole
events, byte for byte as they came. After the first content it decodes only the events
that tell usage, an error or the end.
"""

from typing import Final

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
from smart_llmrouter.dialects.following import Follower
from smart_llmrouter.wire.rawvalues import UNREADABLE, is_there
from smart_llmrouter.wire.sse import payload_of

KEEP_ALIVE: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
MAX_EVENT_BYTES: Final = 8 * 1024 * 1024

# What may tell something. Inside a JSON string the quotes are escaped, so that text
# about an event is not taken for the event; if it is all the same, it is only decoded.
_MESSAGE: Final = b'"message_'
_ERROR: Final = b'"error"'


class MessagesMeter(Follower):
    """Follow one stream, as `dialects.base.Meter` says.

    Meaningful is the first content block, or the end of a message without any; the
    message's head and pings are not.
    """

    __slots__ = ()

    def __init__(self) -> None:
        """Begin before the first byte."""
        super().__init__(max_event_bytes=MAX_EVENT_BYTES)

    def end(self) -> bytes:
        """Take the provider's end of file; return what was left without a blank line.

        A provider that finished its message and left out the last event gets it from
        us: `ending`.
        """
        passed = super().end()
        if self.finished and not self.ending:
            self.ending = STOP
        return passed

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

    def _is_whole(self, payload: bytes) -> bool:
        try:
            decode_event(payload)
        except UNREADABLE:
            return False
        return True
