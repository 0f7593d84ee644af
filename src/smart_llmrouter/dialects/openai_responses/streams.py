"""Reading a streamed answer on its way past.

`StreamMeter` gives back what may be sent on: whole events, byte for byte as they came.
It decodes the first events, until one of them means something, and then only those
that carry a whole answer or an error.
"""

from typing import Final

import msgspec

from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import NotAStream
from smart_llmrouter.dialects.openai_responses.schema import (
    WireResponse,
    read_response,
    usage_from,
)
from smart_llmrouter.wire.rawvalues import ABSENT, UNREADABLE, is_there, leniently
from smart_llmrouter.wire.sse import EventSplitter, payload_of, split_events

KEEP_ALIVE: Final = b'event: keepalive\ndata: {"type":"keepalive"}\n\n'
"""An event that nobody knows: comments do not keep Codex from hanging up."""
MAX_EVENT_BYTES: Final = 32 * 1024 * 1024
"""The last event holds the whole answer once more, images included."""
COMPLETED: Final = "response.completed"
INCOMPLETE: Final = "response.incomplete"
FAILED: Final = "response.failed"
ERROR: Final = "error"
TERMINAL: Final = frozenset({COMPLETED, INCOMPLETE, FAILED})
OPENING: Final = frozenset(
    {"response.created", "response.in_progress", "response.queued"}
)
DONE_PAYLOAD: Final = b"[DONE]"
"""What ends a stream of Chat Completions; some providers send it here, too."""

# Quotes inside of a JSON string are escaped: text about a field is not the field.
_ANSWER: Final = b'"response"'
_ERROR: Final = b'"error"'
_EMPTY: Final = msgspec.Raw(b"{}")


class _Telling(msgspec.Struct, frozen=True, gc=False):
    """An event, as far as the meter reads it."""

    type: str = ""
    response: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_decode: Final = msgspec.json.Decoder(_Telling).decode


class StreamMeter:
    """Follow one stream, as `dialects.base.Meter` says.

    `stored_id` is the id that the provider gave its answer, unless it says that it does
    not keep it. A `response.failed` after the first meaningful event is `ending`, with
    `failed`: the caller is sent it as it came, since it is what it must be told.
    """

    __slots__ = (
        "_splitter",
        "answer_id",
        "done",
        "ending",
        "error",
        "failed",
        "finished",
        "meaningful",
        "stored_id",
        "usage",
    )

    def __init__(self) -> None:
        """Begin before the first event."""
        self._splitter = EventSplitter(max_event_bytes=MAX_EVENT_BYTES)
        self.usage: Usage = UNKNOWN_USAGE
        self.meaningful = False
        self.finished = False
        self.done = False
        self.error: bytes | None = None
        self.failed = False
        self.stored_id: str | None = None
        self.answer_id: str | None = None
        self.ending = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider; return those that may be sent on now.

        Raises `NotAStream` for an event that is no JSON before the first meaningful
        one, and `EventTooLarge`.
        """
        block = self._splitter.feed(chunk)
        if not block or self.done or self.error is not None:
            return b""
        if not self.meaningful:
            return self._inspect(block)
        # For nearly every event of a stream, this is all that happens.
        if block.rfind(_ANSWER) < 0 and block.rfind(_ERROR) < 0:
            return block
        start = _first_telling(block)
        return block[:start] + self._inspect(block[start:])

    def end(self) -> bytes:
        """Take the provider's end of file; return what was left without a blank line.

        What was cut in the middle of its JSON is not sent on.
        """
        rest = self._splitter.flush()
        if self.done or self.error is not None or not _is_whole(rest):
            return b""
        ended = rest.endswith(b"\r\r")
        return self._inspect(rest if ended else rest.rstrip(b"\r\n") + b"\n\n")

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
        """Look at one event; say whether it is sent on now."""
        payload = payload_of(event)
        if payload is None or payload.strip() == DONE_PAYLOAD:
            return True
        try:
            telling = leniently(_decode, payload)
        except UNREADABLE:
            if not self.meaningful:
                raise NotAStream from None
            return True
        if telling.type in TERMINAL:
            self._finish(event, telling)
        elif telling.type == ERROR or (not telling.type and is_there(telling.error)):
            self.error = bytes(telling.error) if is_there(telling.error) else payload
        elif telling.type in OPENING:
            self._note(_answer_in(telling))
            return True
        else:
            self.meaningful |= telling.type.startswith("response.")
            return True
        return False

    def _finish(self, event: bytes, telling: _Telling) -> None:
        """Learn from the last event, and keep it back."""
        answer = _answer_in(telling)
        self._note(answer)
        self.usage = usage_from(answer.usage)
        if telling.type == FAILED:
            if not self.meaningful:
                self.error = bytes(answer.error if is_there(answer.error) else _EMPTY)
                return
            self.failed = True
        self.finished = not self.failed
        self.meaningful = self.done = True
        self.ending = event

    def _note(self, answer: WireResponse) -> None:
        self.answer_id = answer.id or self.answer_id
        self.stored_id = None if answer.store is False else answer.id or self.stored_id


def _answer_in(telling: _Telling) -> WireResponse:
    try:
        return read_response(bytes(telling.response))
    except UNREADABLE:
        return WireResponse()


def _first_telling(block: bytes) -> int:
    """Return where the first event begins that must be looked at."""
    # Line ends other than LF are rare: then the whole block is looked at.
    if block.find(b"\r") >= 0:
        return 0
    places = [place for sign in (_ANSWER, _ERROR) if (place := block.find(sign)) >= 0]
    blank = block.rfind(b"\n\n", 0, min(places))
    return blank + 2 if blank >= 0 else 0


def _is_whole(event: bytes) -> bool:
    payload = payload_of(event)
    if payload is None:
        return False
    try:
        leniently(_decode, payload)
    except UNREADABLE:
        return payload.strip() == DONE_PAYLOAD
    return True
