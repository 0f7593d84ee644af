"""Reading the answers of providers of Chat Completions, streamed and plain.

Read as well: calls without numbers or ids, whole calls in one chunk, thoughts under
four names, content that is a list, usage in every chunk or after the last, and streams
that end without `[DONE]`. A reason of `stop` beside calls is one of `tool_calls`.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from smart_llmrouter.core.events import Event, Failed, Finished, Started, UsageSeen
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage, later
from smart_llmrouter.dialects.base import NotAnAnswer, NotAStream
from smart_llmrouter.dialects.openai_chat.answer_schema import (
    AnswerChoice,
    AnswerPiece,
    Said,
    read_piece,
)
from smart_llmrouter.dialects.openai_chat.answers import parse_usage
from smart_llmrouter.dialects.openai_chat.reading import Reading, all_of
from smart_llmrouter.dialects.repeats import Repeats, texts_of
from smart_llmrouter.wire.rawvalues import ABSENT, UNREADABLE
from smart_llmrouter.wire.sse import EventSplitter, event_end, payload_of

_MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
_DONE: Final = b"[DONE]"
_BRACE: Final = 0x7B
_OBJECT_BEGINS: Final = b"{"
_ERROR_BEGINS: Final = (_OBJECT_BEGINS, b'"')
_ERROR_EVENT: Final = b"event: error"
_FAILURES: Final = frozenset(
    {"error", "network_error", "insufficient_system_resource", "repetition_truncation"}
)
_find_texts: Final = texts_of("content", "reasoning_content", "arguments")
_encode: Final = msgspec.json.Encoder().encode


class ChatDecoder:
    """Reads one stream."""

    __slots__ = (
        "_ended",
        "_reading",
        "_reason",
        "_repeats",
        "_splitter",
        "_started",
        "_told_usage",
        "_usage",
    )

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._splitter = EventSplitter(max_event_bytes=_MAX_EVENT_BYTES)
        self._reading = Reading()
        self._repeats = Repeats(_find_texts)
        self._reason: str | None = None
        self._usage: Usage = UNKNOWN_USAGE
        self._told_usage = True
        self._started = False
        self._ended = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Take bytes from the provider; return what they tell.

        Deltas that came together may be one. Raises `NotAStream` for what is no JSON,
        and `EventTooLarge`.
        """
        block = self._splitter.feed(chunk)
        start, length = 0, len(block)
        only_lf = block.find(b"\r") < 0
        while start < length and not self._ended:
            end = self._repeats.read(block, start) if only_lf else start
            if end == start:
                end = event_end(block, start, only_lf=only_lf)
                self._look_at(block[start:end])
            elif self._repeats.delta.text:
                self._reading.events.append(self._repeats.delta)
            start = end
        return self._told()

    def end(self) -> list[Event]:
        """Take the provider's end of file.

        `Finished` is told only if the provider gave a reason, or said `[DONE]`.
        """
        rest = self._splitter.flush()
        if not self._ended:
            # What was cut in the middle of an event tells nothing.
            with suppress(NotAStream):
                self._take_event(rest.rstrip(b"\r\n") + b"\n\n")
        if self._reason is not None and not self._ended:
            self._finish()
        return self._told()

    def _told(self) -> list[Event]:
        events = self._reading.events
        self._reading.events = []
        return events

    def _look_at(self, event: bytes) -> None:
        """Take one event, and be ready for others like it."""
        events = self._reading.events
        known = len(events)
        self._take_event(event)
        self._repeats.learn(event, events[known:])

    def _take_event(self, event: bytes) -> None:
        payload = payload_of(event)
        if payload:
            self._take(payload, failed=event.startswith(_ERROR_EVENT))

    def _take(self, payload: bytes, *, failed: bool = False) -> None:
        """Take the data of one event; `failed` if the event is named `error`."""
        if payload[0] != _BRACE and payload.strip() == _DONE:
            if not self._started:
                raise NotAStream
            self._finish()
            return
        try:
            piece = read_piece(payload)
        except UNREADABLE:
            raise NotAStream from None
        if piece.error is not ABSENT or failed or piece.object == "error":
            error = _error_in(piece, payload, failed=failed)
            if error is not None:
                self._ended = True
                self._reading.events.append(Failed(error))
                return
        self._hear(piece)

    def _hear(self, piece: AnswerPiece) -> None:
        choices = piece.choices
        if not self._started and (choices is not None or piece.id is not None):
            self._started = True
            self._reading.answer_id = piece.id or ""
            self._reading.events.append(Started(piece.id, piece.model))
        # What came with the first words is known before them to who needs it there.
        if piece.usage is not ABSENT or piece.x_groq is not None:
            self._count(_usage_of(piece))
        told = False
        for choice in choices or ():
            if not (choice.index or self._ended):
                said = choice.delta or choice.message
                if said is not None:
                    self._reading.hear(said)
                if choice.finish_reason is not None:
                    self._end_with(choice.finish_reason)
                told = told or choice.usage is not ABSENT
        if told:
            self._count(_usage_of(piece))

    def _end_with(self, reason: str) -> None:
        """Remember why the answer ended: what it used may still come."""
        if reason in _FAILURES:
            self._ended = True
            message = f"the provider ended its answer with the reason {reason}"
            raw = _encode({"message": message, "code": reason})
            self._reading.events.append(Failed(msgspec.Raw(raw)))
        elif reason:
            self._reason = reason

    def _count(self, reported: Usage | None) -> None:
        """Tell what was used: at once in an answer that may yet be cut, else last."""
        if reported is None:
            return
        usage = later(self._usage, reported)
        if usage != self._usage and not self._ended:
            self._usage = usage
            self._told_usage = self._reason is None
            if self._told_usage:
                self._reading.events.append(UsageSeen(usage))

    def _finish(self) -> None:
        self._ended = True
        self._reading.close()
        events = self._reading.events
        if not self._told_usage:
            events.append(UsageSeen(self._usage))
        events.append(Finished(self._reading.reason_of(self._reason or "stop")))


def read_answer(body: bytes) -> Sequence[Event]:
    """Read a plain answer. Raises `NotAnAnswer`."""
    try:
        answer = read_piece(body)
    except UNREADABLE:
        raise NotAnAnswer from None
    choice = _first(answer)
    said = choice.message or choice.delta
    if said is None or choice.finish_reason in _FAILURES:
        raise NotAnAnswer
    parts = all_of(_numbered(said), answer.id or "", choice.finish_reason or "stop")
    usage = _usage_of(answer)
    if usage is not None:
        parts.insert(-1, UsageSeen(usage))
    return [Started(answer.id, answer.model), *parts]


def _numbered(said: Said) -> Said:
    """Number whole calls as they stand, since each is one, whatever its id."""
    if not said.tool_calls:
        return said
    numbered = [
        msgspec.structs.replace(call, index=place)
        for place, call in enumerate(said.tool_calls)
    ]
    return msgspec.structs.replace(said, tool_calls=numbered)


def _first(answer: AnswerPiece) -> AnswerChoice:
    for choice in answer.choices or ():
        if not choice.index:
            return choice
    raise NotAnAnswer


def _usage_of(piece: AnswerPiece) -> Usage | None:
    """Return the usage in a piece, wherever its provider puts it."""
    raw = piece.usage
    if raw is ABSENT and piece.x_groq is not None:
        raw = piece.x_groq.usage
    if raw is ABSENT and piece.choices:
        raw = piece.choices[0].usage
    if raw is ABSENT or bytes(raw)[:1] != _OBJECT_BEGINS:
        return None
    return parse_usage(raw)


def _error_in(
    piece: AnswerPiece, payload: bytes, *, failed: bool
) -> msgspec.Raw | None:
    """Return the error that a provider reports instead of a chunk."""
    raw = bytes(piece.error)
    if raw[:1] in _ERROR_BEGINS:
        return msgspec.Raw(raw)
    return msgspec.Raw(payload) if failed or piece.object == "error" else None
