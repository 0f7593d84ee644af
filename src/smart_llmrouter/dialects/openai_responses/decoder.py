"""Reading a provider's stream into events of the canon.

Needed of it are whole items, wherever they come, and a last event; all else only makes
the answer arrive sooner. A stream without its last event has no end here either.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from smart_llmrouter.core.events import Event, PartKind
from smart_llmrouter.dialects.base import NotAStream
from smart_llmrouter.dialects.openai_responses.reading import (
    REASONING,
    REFUSAL,
    SUMMARY,
    TEXT,
    Reading,
)
from smart_llmrouter.dialects.openai_responses.schema import (
    Frame,
    FrameKind,
    WireResponse,
    read_response,
)
from smart_llmrouter.dialects.openai_responses.streams import (
    COMPLETED,
    DONE_PAYLOAD,
    ERROR,
    FAILED,
    INCOMPLETE,
    MAX_EVENT_BYTES,
    OPENING,
)
from smart_llmrouter.wire.rawvalues import ABSENT, UNREADABLE, is_there, leniently
from smart_llmrouter.wire.sse import EventSplitter, event_end, payload_of

Teller = Callable[[Reading, Frame], None]

_LF: Final = ord("\n")

_decode: Final = msgspec.json.Decoder(Frame).decode
_decode_kind: Final = msgspec.json.Decoder(FrameKind).decode


class StreamDecoder:
    """Reads one stream, as `dialects.base.Decoder` says."""

    __slots__ = ("_over", "_reading", "_splitter")

    def __init__(self) -> None:
        """Begin before the first event."""
        self._splitter = EventSplitter(max_event_bytes=MAX_EVENT_BYTES)
        self._reading = Reading()
        self._over = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Take bytes from the provider; return what they tell.

        Raises `NotAStream` and `EventTooLarge`.
        """
        block = self._splitter.feed(chunk)
        return self._read(block) if block else []

    def end(self) -> list[Event]:
        """Take the provider's end of file: its last event may lack its blank line."""
        rest = self._splitter.flush()
        payload = payload_of(rest)
        if payload is None:
            return []
        try:
            leniently(_decode_kind, payload)
        except UNREADABLE:
            return []
        return self._read(rest)

    def _read(self, block: bytes) -> list[Event]:
        start, size, only_lf = 0, len(block), block.find(b"\r") < 0
        while start < size and not self._over:
            end = event_end(block, start, only_lf=only_lf)
            payload = (
                _payload(block, start, end) if only_lf else payload_of(block[start:end])
            )
            start = end
            if payload is None:
                continue
            try:
                frame = _decode(payload)
            except UNREADABLE:
                self._read_leniently(payload)
                continue
            tell = _TELLERS.get(frame.type)
            if tell is not None:
                self._tell(tell, frame)
            elif frame.type in _ENDINGS:
                self._finish(frame)
            elif not frame.type or frame.type == ERROR:
                self._fail(frame, payload)
        return self._reading.taken()

    def _tell(self, tell: Teller, frame: Frame) -> None:
        try:
            tell(self._reading, frame)
        except UNREADABLE:
            raise NotAStream from None

    def _read_leniently(self, payload: bytes) -> None:
        """Read an event with half a surrogate pair; pass over one of another shape."""
        if payload.strip() == DONE_PAYLOAD:
            return
        try:
            frame = leniently(_decode, payload)
        except UNREADABLE:
            frame = Frame(type=_kind_of(payload))
        tell = _TELLERS.get(frame.type)
        if tell is not None:
            self._tell(tell, frame)
        elif frame.type in _ENDINGS:
            self._finish(frame)

    def _finish(self, frame: Frame) -> None:
        """Tell the end; what the answer says of itself counts, if it says anything."""
        try:
            answer = (
                WireResponse()
                if frame.response is ABSENT
                else read_response(bytes(frame.response))
            )
            ended, said = _ENDINGS[frame.type], answer.status
            known = said if said in _ENDED and ended == "completed" else ended
            self._reading.finish(answer, known or ended)
        except UNREADABLE:
            raise NotAStream from None
        self._over = True

    def _fail(self, frame: Frame, payload: bytes) -> None:
        """Tell an error; an event of no kind and without an error tells nothing."""
        if is_there(frame.error):
            self._reading.fail(frame.error)
        elif frame.type == ERROR:
            self._reading.fail(msgspec.Raw(payload.strip()))
        else:
            return
        self._over = True


def _payload(block: bytes, start: int, end: int) -> bytes | None:
    """Return the data of one event with LF at the end of its lines.

    That of nearly all is one line, and the last.
    """
    data = block.find(b"data:", start, end)
    ends_there = block.find(b"\n", data, end) == end - 2
    if ends_there and (data == start or block[data - 1] == _LF):
        return block[data + 5 : end - 2]
    return payload_of(block[start:end])


def _kind_of(payload: bytes) -> str:
    """Return the kind of an event whose fields cannot be read, if they need not be."""
    try:
        kind = leniently(_decode_kind, payload).type
    except UNREADABLE:
        raise NotAStream from None
    if kind in _TELLERS or kind in _ENDINGS:
        raise NotAStream
    return kind


def _tell_start(reading: Reading, frame: Frame) -> None:
    answer = frame.response
    reading.start(WireResponse() if answer is ABSENT else read_response(bytes(answer)))


def _place(reading: Reading, frame: Frame) -> int:
    place = frame.output_index
    return place if place >= 0 else reading.place


def _piece(kind: PartKind) -> Teller:
    """Return what tells a delta of a part of a message."""

    def tell(reading: Reading, frame: Frame) -> None:
        if frame.delta:
            place = frame.output_index
            if place < 0:
                place = reading.place
            at = frame.summary_index if kind == SUMMARY else frame.content_index
            reading.tell((place, kind, at), frame.delta)

    return tell


def _whole(kind: PartKind) -> Teller:
    """Return what tells the rest of a part that is complete."""

    def tell(reading: Reading, frame: Frame) -> None:
        at = frame.summary_index if kind == SUMMARY else frame.content_index
        text = frame.refusal if kind == REFUSAL else frame.text
        reading.complete((_place(reading, frame), kind, at), text)

    return tell


def _tell_annotation(reading: Reading, frame: Frame) -> None:
    if is_there(frame.annotation):
        key = (_place(reading, frame), TEXT, frame.content_index)
        reading.annotate(key, msgspec.Raw(bytes(frame.annotation)))


def _tell_arguments(reading: Reading, frame: Frame) -> None:
    if frame.delta:
        reading.tell_arguments(_place(reading, frame), frame.delta)


def _tell_whole_arguments(reading: Reading, frame: Frame) -> None:
    whole = frame.arguments if frame.arguments is not None else frame.input
    reading.complete_arguments(_place(reading, frame), whole or "")


def _tell_item(reading: Reading, frame: Frame) -> None:
    if is_there(frame.item):
        reading.open_item(_place(reading, frame), frame.item)


def _tell_whole_item(reading: Reading, frame: Frame) -> None:
    if is_there(frame.item):
        reading.close_item(_place(reading, frame), frame.item)


_TELLERS: Final[Mapping[str, Teller]] = {
    **dict.fromkeys(OPENING, _tell_start),
    "response.output_text.delta": _piece(TEXT),
    "response.output_text.done": _whole(TEXT),
    "response.output_text.annotation.added": _tell_annotation,
    "response.refusal.delta": _piece(REFUSAL),
    "response.refusal.done": _whole(REFUSAL),
    "response.reasoning_summary_text.delta": _piece(SUMMARY),
    "response.reasoning_summary_text.done": _whole(SUMMARY),
    "response.reasoning_text.delta": _piece(REASONING),
    "response.reasoning_text.done": _whole(REASONING),
    "response.function_call_arguments.delta": _tell_arguments,
    "response.function_call_arguments.done": _tell_whole_arguments,
    "response.custom_tool_call_input.delta": _tell_arguments,
    "response.custom_tool_call_input.done": _tell_whole_arguments,
    "response.output_item.added": _tell_item,
    "response.output_item.done": _tell_whole_item,
}
_ENDINGS: Final[Mapping[str, str]] = {
    COMPLETED: "completed",
    INCOMPLETE: "incomplete",
    FAILED: "failed",
}
_ENDED: Final = frozenset({"completed", "incomplete", "failed", "cancelled"})
