"""From what a model says, piece by piece, to events.

A streamed answer is read chunk by chunk; a plain one is a single chunk that says all.
"""

import re
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
    PartKind,
    Signed,
)
from smart_llmrouter.dialects.openai_chat.answer_schema import (
    Called,
    CallPiece,
    Piece,
    Said,
    Thought,
)
from smart_llmrouter.wire.rawvalues import ABSENT, is_there

_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "model_length": "context",
    "model_context_window_exceeded": "context",
}
_ORDERLY: Final = frozenset({"stop", "tool_calls"})
_NONE: Final = -1
_UNFIT: Final = re.compile(r"[^a-zA-Z0-9_-]")
_encode: Final = msgspec.json.Encoder().encode


class _Call:
    """One call on its way: what came before its name is held."""

    __slots__ = ("held", "id", "key", "kind", "name", "part")

    def __init__(self, key: int | None, call_id: str, kind: str) -> None:
        self.key = key
        self.id = call_id
        self.kind = kind
        self.name = ""
        self.part = _NONE
        self.held: list[str] = []


class Reading:
    """Follows one answer, and puts the events it tells into `events`.

    `answer_id` is what the provider calls the answer; calls without an id get one that
    is made of it.
    """

    __slots__ = (
        "_calls",
        "_kind",
        "_later",
        "_loose",
        "_next",
        "_part",
        "answer_id",
        "events",
    )

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.events: list[Event] = []
        self.answer_id = ""
        self._next = 0
        self._part = _NONE
        self._kind: PartKind | None = None
        self._calls: list[_Call] = []
        self._later: list[tuple[PartKind, str]] = []
        self._loose: list[msgspec.Raw] = []

    def hear(self, said: Said) -> None:
        """Take what was said, and tell it."""
        thought = said.reasoning_content or said.reasoning or said.thinking
        if thought:
            self._say("reasoning", thought)
        elif said.reasoning_details:
            self._think(said.reasoning_details)
        if said.content:
            self._hear_content(said.content)
        if (
            said.refusal
            or said.function_call is not None
            or said.annotations
            or said.images is not ABSENT
            or said.audio is not ABSENT
        ):
            self._hear_rest(said)
        if said.tool_calls:
            for piece in said.tool_calls:
                self._call(piece)

    def _hear_content(self, content: str | list[Piece]) -> None:
        if isinstance(content, str):
            self._say("text", content)
        else:
            self._say_pieces(content)

    def _hear_rest(self, said: Said) -> None:
        """Take what few answers have."""
        if said.refusal:
            self._say("refusal", said.refusal)
        if said.function_call is not None:
            self._call(CallPiece(index=0, function=said.function_call))
        if said.annotations:
            self._annotate(said.annotations)
        for kind, raw in (("images", said.images), ("audio", said.audio)):
            if is_there(raw):
                kept = msgspec.Raw(bytes(raw))
                self.events.append(OpaqueFrame("openai-chat", kind, kept))

    def close(self) -> None:
        """Tell what was held back, and close what is open: the answer is complete."""
        for call in self._calls:
            if call.part == _NONE:
                self._open_call(call)
        self._close_part()
        self.events += [Closed(call.part) for call in self._calls]
        held, self._later = self._later, []
        for kind, text in held:
            self._speak(kind, text)
        self._close_part()
        for raw in self._loose:
            self.events.append(OpaqueFrame("openai-chat", "annotations", raw))

    def reason_of(self, told: str) -> FinishReason:
        """Return why the answer ended: calls count more than what it is called."""
        return _reason(told, called=bool(self._calls))

    def _say(self, kind: PartKind, text: str) -> None:
        """Tell a text; beside open calls it waits, since parts do not overlap."""
        if kind == self._kind:
            self.events.append(Delta(self._part, text))
        elif self._calls:
            self._later.append((kind, text))
        else:
            self._speak(kind, text)

    def _speak(self, kind: PartKind, text: str) -> None:
        if kind != self._kind:
            self._close_part()
            self._part, self._kind = self._new_part(), kind
            self.events.append(Opened(self._part, kind))
        if kind == "text" and self._loose:
            self._annotate_open()
        self.events.append(Delta(self._part, text))

    def _say_pieces(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece.thinking, str):
                self._say("reasoning", piece.thinking)
            elif piece.thinking:
                self._think(piece.thinking)
            if piece.text:
                thinks = piece.type in ("thinking", "reasoning")
                self._say("reasoning" if thinks else "text", piece.text)
            if piece.refusal:
                self._say("refusal", piece.refusal)

    def _think(self, thoughts: Iterable[Thought]) -> None:
        text = "".join(each.text or each.summary or "" for each in thoughts)
        if text:
            self._say("reasoning", text)

    def _annotate(self, annotations: Iterable[msgspec.Raw]) -> None:
        """Tell notes on the text, as soon as there is one."""
        self._loose += annotations
        if self._kind == "text":
            self._annotate_open()

    def _annotate_open(self) -> None:
        for raw in self._loose:
            # A raw value of a decoder is a view of its whole message.
            self.events.append(
                Annotated(self._part, "openai-chat", msgspec.Raw(bytes(raw)))
            )
        self._loose = []

    def _call(self, piece: CallPiece) -> None:
        called = piece.function or piece.custom or Called()
        if piece.extra_content is not ABSENT and not self._calls:
            self._prove(piece.extra_content)
        call = self._known(piece, called) or self._new_call(piece)
        if called.name and not call.name:
            call.name = called.name
            self._open_call(call)
        given = called.arguments if piece.custom is None else called.input
        if given:
            text = given if isinstance(given, str) else _encode(given).decode()
            if call.part == _NONE:
                call.held.append(text)
            else:
                self.events.append(Delta(call.part, text))

    def _prove(self, extra: msgspec.Raw) -> None:
        """Tell what proves the thought before the first call, to be sent back with it.

        Google signs the first call of an answer and insists on its signature later.
        """
        if not is_there(extra):
            return
        if self._kind != "reasoning":
            self._close_part()
            self._part, self._kind = self._new_part(), "reasoning"
            self.events.append(Opened(self._part, "reasoning"))
        value = bytes(extra).decode()
        state = ReasoningState(kind="encrypted", value=value)
        self.events.append(Signed(self._part, state))
        self._close_part()

    def _known(self, piece: CallPiece, called: Called) -> _Call | None:
        """Return the call that a piece belongs to, if that has begun.

        Not all providers number their calls, and some number all of them 0.
        """
        if piece.index is not None:
            same = [call for call in self._calls if call.key == piece.index]
            other = bool(same and piece.id and called.name and same[-1].id != piece.id)
            return same[-1] if same and not (other and same[-1].name) else None
        if piece.id:
            same = [call for call in self._calls if call.id == piece.id]
            return same[-1] if same else None
        return self._calls[-1] if self._calls and not called.name else None

    def _new_call(self, piece: CallPiece) -> _Call:
        call_id = piece.id
        if not call_id:
            answer = _UNFIT.sub("_", self.answer_id)
            call_id = f"call_{answer}_{len(self._calls)}"
        kind = "function" if piece.custom is None else "custom"
        call = _Call(piece.index, call_id, kind)
        self._calls.append(call)
        return call

    def _open_call(self, call: _Call) -> None:
        self._close_part()
        call.part = self._new_part()
        self.events.append(
            Opened(
                call.part,
                "tool_call",
                call_id=call.id,
                name=call.name,
                call_kind="custom" if call.kind == "custom" else "function",
            )
        )
        self.events += [Delta(call.part, text) for text in call.held]
        call.held.clear()

    def _close_part(self) -> None:
        if self._kind is not None:
            self.events.append(Closed(self._part))
            self._part, self._kind = _NONE, None

    def _new_part(self) -> int:
        part = self._next
        self._next = part + 1
        return part


def all_of(said: Said, answer_id: str, reason: str) -> list[Event]:
    """Return the parts of a whole answer that ended for `reason`, and why it ended."""
    text = _only_text(said)
    if text is not None:
        finished = Finished(_reason(reason, called=False))
        return [Opened(0, "text"), Delta(0, text), Closed(0), finished]
    reading = Reading()
    reading.answer_id = answer_id
    reading.hear(said)
    reading.close()
    return [*reading.events, Finished(reading.reason_of(reason))]


def _reason(told: str, *, called: bool) -> FinishReason:
    reason = _REASONS.get(told, "stop")
    if reason in _ORDERLY:
        return "tool_calls" if called else "stop"
    return reason


def _only_text(said: Said) -> str | None:
    """Return the text of an answer that says nothing else, as most do."""
    content = said.content
    if (
        type(content) is not str
        or said.reasoning_content
        or said.reasoning
        or said.thinking
        or said.reasoning_details
        or said.refusal
        or said.annotations
        or said.tool_calls
        or said.function_call is not None
        or said.images is not ABSENT
        or said.audio is not ABSENT
    ):
        return None
    return content or None
