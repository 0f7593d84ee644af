"""A caller's streamed answer, written from events.

Blocks follow each other, as Anthropic's do: a part that begins while another is open
(parallel calls of other dialects) waits until that is closed. A block begins with its
first content, so that there is no empty text. Summaries are thinking. Every thinking
block is signed with a sealed state, one that says nothing where the provider gave none:
so the router knows it again, and a provider that thought it gets its own state back.

The message's head is written before its first block, with the usage that is known by
then; all of the usage stands in `message_delta`.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Finished,
    FinishReason,
    OpaqueFrame,
    Opened,
    Signed,
    UsageSeen,
)
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.anthropic_messages.streams import STOP
from smart_llmrouter.dialects.anthropic_messages.usage import written_usage
from smart_llmrouter.dialects.base import Answering
from smart_llmrouter.dialects.sealed import seal

NAME: Final = "anthropic-messages"
NO_STATE: Final = ReasoningState(kind="signature", value="")
STOP_REASONS: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "context": "model_context_window_exceeded",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "pause": "pause_turn",
}
_BEGINNINGS: Final = {
    "text": b'{"type":"text","text":""}}\n\n',
    "refusal": b'{"type":"text","text":""}}\n\n',
    "reasoning": b'{"type":"thinking","thinking":"","signature":""}}\n\n',
    "summary": b'{"type":"thinking","thinking":"","signature":""}}\n\n',
}
_DELTAS: Final = {
    "text": b'{"type":"text_delta","text":',
    "refusal": b'{"type":"text_delta","text":',
    "reasoning": b'{"type":"thinking_delta","thinking":',
    "summary": b'{"type":"thinking_delta","thinking":',
    "tool_call": b'{"type":"input_json_delta","partial_json":',
}
_THINKING: Final = frozenset({"reasoning", "summary"})
_START: Final = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,'
    b'"content_block":'
)
_DELTA: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":'
)
_BLOCK_STOP: Final = (
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
)
_HEAD: Final = b'"id":%b,"type":"message","role":"assistant","model":%b'
_STOP: Final = b'"stop_reason":%b,"stop_sequence":%b'
_END: Final = b"}}\n\n"
_encode: Final = msgspec.json.Encoder().encode


def stop_reason(reason: FinishReason, *, called: bool) -> str:
    """Return why the message ended; whoever called a tool waits for its result."""
    if called and reason in ("stop", "tool_calls"):
        return "tool_use"
    return STOP_REASONS["stop" if reason == "tool_calls" else reason]


def call_id_of(opened: Opened, answering: Answering) -> str:
    """Return the id of a call; one that came without gets one of its own."""
    return opened.call_id or f"toolu_{answering.id}_{opened.index}"


def head_of(answering: Answering) -> bytes:
    """Return the fields with which a message begins, as JSON without the braces."""
    return _HEAD % (_encode(f"msg_{answering.id}"), _encode(answering.model))


def stop_of(finished: Finished, *, called: bool) -> bytes:
    """Return the fields that say why a message ended, as JSON without the braces."""
    reason = stop_reason(finished.reason, called=called)
    return _STOP % (_encode(reason), _encode(finished.stop_sequence))


class MessagesEncoder:
    """Write a caller's stream, as `dialects.base.Encoder` says."""

    __slots__ = (
        "_answering",
        "_before",
        "_begun",
        "_called",
        "_current",
        "_number",
        "_opened",
        "_out",
        "_state",
        "_usage",
        "_waiting",
    )

    def __init__(self, answering: Answering) -> None:
        """Write the answer that `answering` names."""
        self._answering = answering
        self._out: list[bytes] = []
        self._usage: Usage = UNKNOWN_USAGE
        self._begun = False
        self._called = False
        self._number = 0
        self._current = -1  # the part whose block is being written
        self._opened: Opened | None = None  # the same part, until its block begins
        self._before = b""  # what stands before the text of each of its deltas
        self._state: ReasoningState | None = None
        self._waiting: dict[int, list[Event]] = {}

    def encode(self, events: Iterable[Event]) -> bytes:
        """Return whole events of the dialect for all but `Finished` and `Failed`."""
        out = self._out
        for event in events:
            if type(event) is Delta and event.index == self._current and self._before:
                if event.text:
                    out += (self._before, _encode(event.text), _END)
            else:
                self._take(event)
                if self._waiting and self._current < 0:
                    self._go_on()
        written = b"".join(out)
        out.clear()
        return written

    def finish(self, finished: Finished) -> bytes:
        """Return what ends the stream."""
        while self._current >= 0:
            self._close()
            self._go_on()
        self._begin()
        self._out += (
            b'event: message_delta\ndata: {"type":"message_delta","delta":{',
            stop_of(finished, called=self._called),
            b'},"usage":',
            written_usage(self._usage),
            b"}\n\n",
            STOP,
        )
        written = b"".join(self._out)
        self._out.clear()
        return written

    def _take(self, event: Event) -> None:
        match event:
            case UsageSeen(usage=usage):
                self._usage = usage
            case OpaqueFrame() if self._current >= 0:
                # No part has a negative index.
                self._waiting[-1 - len(self._waiting)] = [event]
            case OpaqueFrame():
                self._pass_block(event)
            case Opened() if self._current < 0:
                self._open(event)
            case Opened(index=index):
                self._waiting[index] = [event]
            case Delta() | Signed() | Annotated() | Closed():
                self._add(event)
            case _:
                pass

    def _add(self, event: Delta | Signed | Annotated | Closed) -> None:
        """Write what belongs to the open part; keep what belongs to another."""
        if event.index != self._current:
            if event.index in self._waiting:
                self._waiting[event.index].append(event)
            return
        match event:
            case Delta(text=text):
                self._say(text)
            case Signed(state=state):
                self._state = state
            case Annotated():
                self._annotate(event)
            case Closed():
                self._close()

    def _open(self, opened: Opened) -> None:
        self._current, self._opened = opened.index, opened
        if opened.kind == "refusal":
            self._answering.notes.approximated("refusal", "told as text")
        self._before, self._state = b"", None
        if opened.kind == "tool_call":
            self._called = True
            self._begin_block(
                _encode(
                    {
                        "type": "tool_use",
                        "id": call_id_of(opened, self._answering),
                        "name": opened.name,
                        "input": {},
                    }
                )
                + b"}\n\n"
            )

    def _say(self, text: str) -> None:
        if not text or self._opened is None:
            return
        if not self._before:
            self._begin_block(_BEGINNINGS[self._opened.kind])
        self._out += (self._before, _encode(text), _END)

    def _begin_block(self, beginning: bytes) -> None:
        assert self._opened is not None  # noqa: S101 - for the types: called in a part
        self._begin()
        self._out += (_START % self._number, beginning)
        self._before = _DELTA % self._number + _DELTAS[self._opened.kind]

    def _annotate(self, event: Annotated) -> None:
        if event.dialect != NAME:
            self._answering.notes.dropped("annotations", f"only {event.dialect} has it")
            return
        if not self._before:
            self._begin_block(_BEGINNINGS["text"])
        citation = b'{"type":"citations_delta","citation":'
        self._out += (_DELTA % self._number, citation, bytes(event.raw), _END)

    def _close(self) -> None:
        """End the open part."""
        if self._opened is not None and self._opened.kind in _THINKING:
            self._sign(self._opened)
        if self._before:
            self._end_block()
        self._current, self._opened, self._before = -1, None, b""

    def _go_on(self) -> None:
        """Write what waited for the end of a part, up to one that has none yet."""
        while self._waiting and self._current < 0:
            for event in _joined(self._waiting.pop(next(iter(self._waiting)))):
                self._take(event)

    def _sign(self, opened: Opened) -> None:
        state = self._state
        if state is None and not self._before:
            return
        proof = _encode(seal(state or NO_STATE, label=self._answering.label))
        if state is not None and state.kind == "redacted" and not self._before:
            beginning = b'{"type":"redacted_thinking","data":' + proof + _END
            self._begin_block(beginning)
            return
        if not self._before:
            self._begin_block(_BEGINNINGS[opened.kind])
        self._out += (
            _DELTA % self._number,
            b'{"type":"signature_delta","signature":',
            proof,
            _END,
        )

    def _end_block(self) -> None:
        self._out.append(_BLOCK_STOP % self._number)
        self._number += 1

    def _pass_block(self, frame: OpaqueFrame) -> None:
        """Write a block of this dialect as it is."""
        if frame.dialect != NAME:
            self._answering.notes.dropped(frame.kind, f"only {frame.dialect} has it")
            return
        self._begin()
        self._out += (_START % self._number, bytes(frame.raw), b"}\n\n")
        self._end_block()

    def _begin(self) -> None:
        """Write the message's head, unless that is done."""
        if self._begun:
            return
        self._begun = True
        self._out += (
            b'event: message_start\ndata: {"type":"message_start","message":{',
            head_of(self._answering),
            b',"content":[],"stop_reason":null,"stop_sequence":null,"usage":',
            written_usage(self._usage),
            _END,
        )


def _joined(events: list[Event]) -> Iterable[Event]:
    """Return what waited, with its deltas as one."""
    first = events[0]
    yield first
    text = "".join(event.text for event in events if isinstance(event, Delta))
    if text and isinstance(first, Opened):
        yield Delta(first.index, text)
    for event in events[1:]:
        if not isinstance(event, Delta):
            yield event
