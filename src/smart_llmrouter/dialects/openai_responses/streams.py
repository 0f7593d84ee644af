"""Reading a streamed answer on its way past.

`StreamMeter` gives back what may be sent on: whole events, byte for byte as they came.
It decodes the first events, until one of them means something, and then only those
that carry a whole answer or an error.
"""

from typing import Final

import msgspec

from smart_llmrouter.dialects.base import NotAStream
from smart_llmrouter.dialects.following import Follower
from smart_llmrouter.dialects.openai_responses.schema import (
    WireResponse,
    read_response,
    usage_from,
)
from smart_llmrouter.wire.rawvalues import ABSENT, UNREADABLE, is_there, leniently
from smart_llmrouter.wire.sse import payload_of

KEEP_ALIVE: Final = b": keep-alive\n\n"
"""A comment: OpenAI's SDKs let no event stand before `response.created`."""
CODEX_KEEP_ALIVE: Final = b'event: keepalive\ndata: {"type":"keepalive"}\n\n'
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


class StreamMeter(Follower):
    """Follow one stream, as `dialects.base.Meter` says.

    `stored_id` is the id that the provider gave its answer, unless it says that it does
    not keep it. A `response.failed` after the first meaningful event is `ending`, with
    `failed`: the caller is sent it as it came, since it is what it must be told.
    """

    __slots__ = ("answer_id", "failed", "stored_id")

    def __init__(self) -> None:
        """Begin before the first event."""
        super().__init__(max_event_bytes=MAX_EVENT_BYTES)
        self.failed = False
        self.stored_id: str | None = None
        self.answer_id: str | None = None

    def _pass_on(self, block: bytes) -> bytes:
        # For nearly every event of a stream, this is all that happens.
        if block.rfind(_ANSWER) < 0 and block.rfind(_ERROR) < 0:
            return block
        start = _first_telling(block)
        return block[:start] + self._inspect(block[start:])

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

    def _is_whole(self, payload: bytes) -> bool:
        try:
            leniently(_decode, payload)
        except UNREADABLE:
            return payload.strip() == DONE_PAYLOAD
        return True

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
