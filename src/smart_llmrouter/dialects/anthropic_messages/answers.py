"""Plain answers: their usage as they pass, and writing one from events.

A written answer is the fold of its stream: what `encoder` writes piece by piece stands
here at once.
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
    OpaqueFrame,
    Opened,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.anthropic_messages.encoder import (
    NAME,
    NO_STATE,
    call_id_of,
    head_of,
    stop_of,
)
from smart_llmrouter.dialects.anthropic_messages.inputs import input_of, is_object
from smart_llmrouter.dialects.anthropic_messages.schema import (
    decode_answer,
)
from smart_llmrouter.dialects.anthropic_messages.usage import read_usage, written_usage
from smart_llmrouter.dialects.base import Answering, NotAnAnswer
from smart_llmrouter.dialects.sealed import seal
from smart_llmrouter.wire.rawvalues import UNREADABLE

Block = dict[str, object] | msgspec.Raw

_SILENT: Final = frozenset({Started, Closed})
"""Events that leave nothing in a plain answer."""
_MESSAGE: Final = b'{%b,"content":%b,%b,"usage":%b}'
_encode: Final = msgspec.json.Encoder().encode


def usage_of_answer(body: bytes) -> Usage:
    """Return the usage that a plain answer reports.

    Raises `NotAnAnswer` when the body is no message: not JSON, cut short, an error, or
    without `content`. A 200 alone is not an answer.
    """
    try:
        answer = decode_answer(body)
    except UNREADABLE:
        raise NotAnAnswer from None
    if answer.type != "message":
        raise NotAnAnswer
    return read_usage(answer.usage)


def write_answer(events: Iterable[Event], answering: Answering) -> bytes:
    """Write the caller's plain answer: the fold of a complete stream."""
    folded = _Folded(answering)
    folded.take(events)
    return _MESSAGE % (
        head_of(answering),
        _encode(folded.content()),
        stop_of(folded.finished, called=folded.called),
        written_usage(folded.usage),
    )


class _Part(msgspec.Struct):
    """One part while its events come in."""

    opened: Opened
    pieces: list[str] = []
    state: ReasoningState | None = None
    citations: list[msgspec.Raw] = []


class _Folded:
    """All events of an answer, as what they come to."""

    __slots__ = ("_answering", "_order", "_parts", "called", "finished", "usage")

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._parts: dict[int, _Part] = {}
        self._order: list[_Part | msgspec.Raw] = []
        self.usage: Usage = UNKNOWN_USAGE
        self.called = False
        self.finished = Finished("stop")

    def take(self, events: Iterable[Event]) -> None:
        # To compare types takes a fraction of the time of `isinstance` or a pattern.
        for event in events:
            if type(event) is Delta:
                self._parts[event.index].pieces.append(event.text)
            elif type(event) is Opened:
                part = self._parts[event.index] = _Part(event)
                self._order.append(part)
                self.called = self.called or event.kind == "tool_call"
            elif type(event) is UsageSeen:
                self.usage = event.usage
            elif type(event) is Finished:
                self.finished = event
            elif type(event) not in _SILENT:
                self._take_aside(event)

    def _take_aside(self, event: Event) -> None:
        """Take what few answers have: keep what is of this dialect, note the rest."""
        match event:
            case Signed():
                self._parts[event.index].state = event.state
            case Annotated() if event.dialect == NAME:
                self._parts[event.index].citations.append(event.raw)
            case Annotated():
                self._drop("annotations", event.dialect)
            case OpaqueFrame() if event.dialect == NAME:
                self._order.append(event.raw)
            case OpaqueFrame():
                self._drop(event.kind, event.dialect)
            case _:
                pass

    def _drop(self, field: str, dialect: DialectName) -> None:
        self._answering.notes.dropped(field, f"only {dialect} has it")

    def content(self) -> list[Block]:
        blocks = [
            part if isinstance(part, msgspec.Raw) else _block(part, self._answering)
            for part in self._order
        ]
        return [block for block in blocks if block is not None]


def _block(part: _Part, answering: Answering) -> Block | None:
    text = "".join(part.pieces)
    if part.opened.kind == "tool_call":
        return {
            "type": "tool_use",
            "id": call_id_of(part.opened, answering),
            "name": part.opened.name,
            "input": _input(text, answering.notes),
        }
    if part.opened.kind in ("text", "refusal"):
        if not text and not part.citations:
            return None
        if part.opened.kind == "refusal":
            answering.notes.approximated("refusal", "told as text")
        block: dict[str, object] = {"type": "text", "text": text}
        if part.citations:
            block["citations"] = part.citations
        return block
    if not text and part.state is None:
        return None
    proof = seal(part.state or NO_STATE, label=answering.label)
    if part.state is not None and part.state.kind == "redacted" and not text:
        return {"type": "redacted_thinking", "data": proof}
    return {"type": "thinking", "thinking": text, "signature": proof}


def _input(arguments: str, notes: Notes) -> msgspec.Raw:
    if arguments and not is_object(arguments):
        notes.approximated("arguments", "no JSON object: given as a text in one")
    return input_of(arguments)
