"""A provider's answer, streamed or plain, read into events.

Text and thinking open with their first content, so that an empty block opens nothing.
A call's arguments are the pieces of its input or, where none came, the input that its
block began with. What the provider ran by itself becomes one opaque frame a block.
`Finished` waits for the last event, since usage may come after the reason; the words of
a refusal, which stand beside the reason, become a part of their own before it.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from smart_llmrouter.core.content import ReasoningState
from smart_llmrouter.core.events import (
    Annotated,
    Closed,
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaqueFrame,
    Opened,
    PartKind,
    Signed,
    Started,
    UsageSeen,
)
from smart_llmrouter.core.usage import UNKNOWN_USAGE
from smart_llmrouter.dialects.anthropic_messages.parse_content import kind_of_block
from smart_llmrouter.dialects.anthropic_messages.schema import (
    Answer,
    Block,
    BlockDelta,
    BlockStart,
    BlockStop,
    CitationsDelta,
    ErrorEvent,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    SignatureDelta,
    StopDelta,
    StopDetails,
    TextDelta,
    ThinkingDelta,
    Unknown,
    WireEvent,
    decode_answer,
    decode_block,
    decode_event,
)
from smart_llmrouter.dialects.anthropic_messages.streams import MAX_EVENT_BYTES
from smart_llmrouter.dialects.anthropic_messages.usage import read_usage
from smart_llmrouter.dialects.base import NotAnAnswer, NotAStream
from smart_llmrouter.wire.jsonobject import parse_members, render_members
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE, is_there
from smart_llmrouter.wire.sse import EventSplitter, event_end, payload_of

NAME: Final = "anthropic-messages"
REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "content_filter",
    "model_context_window_exceeded": "context",
}
_GOING_ON: Final = StopDelta()
_DONE: Final = b"[DONE]"
_DELTA_LINES: Final = b"event: content_block_delta\ndata: "
_KINDS: Final[dict[str, PartKind]] = {
    "text": "text",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
    "tool_use": "tool_call",
}


class _Part:
    """One block on its way: which part it is, and what is still to be told of it."""

    __slots__ = ("block", "index", "kind", "pieces", "raw", "said", "signature")

    def __init__(self, kind: PartKind | None, block: Block, raw: msgspec.Raw) -> None:
        self.kind = kind
        self.block = block
        self.raw = raw
        self.index = -1
        self.said = False
        self.signature = block.signature or ""
        self.pieces: list[str] = []


class BlockReader:
    """Turns content blocks into the events of parts, streamed or whole."""

    __slots__ = ("_parts", "_told", "called", "next_index")

    def __init__(self, told: list[Event]) -> None:
        """Append what the blocks tell to `told`."""
        self._told = told
        self._parts: dict[int, _Part] = {}
        self.next_index = 0
        self.called = False

    def tell_to(self, told: list[Event]) -> None:
        """Append from now on to `told`."""
        self._told = told

    def start(self, place: int, raw: msgspec.Raw) -> None:
        """Read the beginning of a block. Raises as `decode_block` does."""
        if place in self._parts:
            self.stop(place)
        block = decode_block(raw)
        part = _Part(_KINDS.get(block.type), block, raw)
        self._parts[place] = part
        if part.kind == "tool_call":
            self.called = True
            part.index = self._opened_index()
            self._told.append(
                Opened(part.index, "tool_call", call_id=block.id, name=block.name)
            )
        elif part.kind is not None:
            self._say(part, block.text or block.thinking)
            for citation in block.citations or ():
                self._annotate(part, citation)

    def add(self, place: int, delta: object) -> None:
        """Read more of a block."""
        part = self._parts.get(place)
        if part is None:
            return
        kind = type(delta)
        if kind is TextDelta:
            self._say(part, delta.text)  # type: ignore[attr-defined]  # by its type
        elif kind is InputJsonDelta:
            self._argue(part, delta.partial_json)  # type: ignore[attr-defined]  # same
        elif kind is ThinkingDelta:
            self._say(part, delta.thinking)  # type: ignore[attr-defined]  # same
        elif kind is SignatureDelta:
            part.signature += delta.signature  # type: ignore[attr-defined]  # same
        elif kind is CitationsDelta:
            self._annotate(part, delta.citation)  # type: ignore[attr-defined]  # same

    def stop(self, place: int) -> None:
        """Read the end of a block; there need be no such block."""
        part = self._parts.pop(place, None)
        if part is None:
            return
        if part.kind is None:
            self._told.append(_frame(part))
        elif part.kind == "tool_call":
            if not part.said:
                self._told.append(Delta(part.index, _whole_input(part)))
            self._told.append(Closed(part.index))
        else:
            self._sign(part)
            if part.index >= 0:
                self._told.append(Closed(part.index))

    def stop_all(self) -> None:
        """End the blocks whose ends were left out."""
        for place in sorted(self._parts):
            self.stop(place)

    def refuse(self, details: StopDetails | None) -> None:
        """Tell in which words the provider refused, if in any."""
        if details is not None and details.explanation:
            index = self._opened_index()
            self._told += (
                Opened(index, "refusal"),
                Delta(index, details.explanation),
                Closed(index),
            )

    def _opened_index(self) -> int:
        self.next_index += 1
        return self.next_index - 1

    def _open(self, part: _Part) -> None:
        if part.index < 0 and part.kind is not None:
            part.index = self._opened_index()
            self._told.append(Opened(part.index, part.kind))

    def _say(self, part: _Part, text: str) -> None:
        if text and part.kind is not None:
            if part.index < 0:
                self._open(part)
            self._told.append(Delta(part.index, text))

    def _argue(self, part: _Part, text: str) -> None:
        if part.kind is None:
            part.pieces.append(text)
        elif text:
            part.said = True
            self._told.append(Delta(part.index, text))

    def _annotate(self, part: _Part, citation: msgspec.Raw) -> None:
        if part.kind is not None:
            self._open(part)
            self._told.append(Annotated(part.index, NAME, citation))

    def _sign(self, part: _Part) -> None:
        state = None
        if part.block.type == "redacted_thinking":
            state = ReasoningState(kind="redacted", value=part.block.data)
        elif part.signature:
            state = ReasoningState(kind="signature", value=part.signature)
        if state is not None:
            self._open(part)
            self._told.append(Signed(part.index, state))


class MessagesDecoder:
    """Read a provider's stream, as `dialects.base.Decoder` says."""

    __slots__ = ("_blocks", "_ended", "_splitter", "_stop", "_usage")

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._splitter = EventSplitter(max_event_bytes=MAX_EVENT_BYTES)
        self._blocks = BlockReader([])
        self._usage = UNKNOWN_USAGE
        self._stop = _GOING_ON
        self._ended = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Take bytes from the provider; return what they tell.

        Raises `NotAStream` and `EventTooLarge`.
        """
        block = self._splitter.feed(chunk)
        return self._read(block) if block else []

    def end(self) -> list[Event]:
        """Take the provider's end of file.

        A message that has its reason is complete, also without the last event.
        """
        rest = self._splitter.flush()
        told: list[Event] = []
        if rest and not self._ended:
            # One that was cut in the middle of its JSON is no event.
            with suppress(NotAStream):
                told = self._read(rest.rstrip(b"\r\n") + b"\n\n")
        if self._stop is not _GOING_ON and not self._ended:
            self._blocks.tell_to(told)
            self._finish(told)
        return told

    def _read(self, block: bytes) -> list[Event]:
        told: list[Event] = []
        self._blocks.tell_to(told)
        start, size, only_lf = 0, len(block), block.find(b"\r") < 0
        while start < size and not self._ended:
            payload, start = _next_payload(block, start, only_lf=only_lf)
            if payload is None:
                continue
            try:
                wire = decode_event(payload)
                if type(wire) is BlockDelta:
                    self._blocks.add(wire.index, wire.delta)
                else:
                    self._take(wire, told)
            except UNREADABLE:
                if payload.strip() != _DONE:
                    raise NotAStream from None
        return told

    def _take(self, wire: WireEvent | Unknown, told: list[Event]) -> None:
        match wire:
            case MessageStart(message=head):
                told.append(Started(head.id, head.model))
                self._learn(head.usage, told)
            case BlockStart():
                self._blocks.start(wire.index, wire.content_block)
            case BlockStop():
                self._blocks.stop(wire.index)
            case MessageDelta(delta=delta):
                if delta.stop_reason is not None:
                    self._stop = delta
                self._learn(wire.usage, told)
            case MessageStop():
                self._finish(told)
            case ErrorEvent():
                self._ended = True
                told.append(Failed(wire.error if is_there(wire.error) else NULL))
            case _:
                pass

    def _learn(self, raw: msgspec.Raw, told: list[Event]) -> None:
        usage = read_usage(raw, self._usage)
        if usage != self._usage:
            self._usage = usage
            told.append(UsageSeen(usage))

    def _finish(self, told: list[Event]) -> None:
        self._ended = True
        self._blocks.stop_all()
        self._blocks.refuse(self._stop.stop_details)
        told.append(_finished(self._stop, called=self._blocks.called))


def _next_payload(
    block: bytes, start: int, *, only_lf: bool
) -> tuple[bytes | None, int]:
    """Return the data of the event that begins at `start`, and where that ends.

    Most events are of one kind and two lines, and are not looked at any closer.
    """
    if only_lf and block.startswith(_DELTA_LINES, start):
        begin = start + len(_DELTA_LINES)
        end = block.find(b"\n", begin)
        if block.startswith(b"\n\n", end):
            return block[begin:end], end + 2
    end = event_end(block, start, only_lf=only_lf)
    return payload_of(block[start:end]), end


def read_answer(body: bytes) -> Sequence[Event]:
    """Read a provider's plain answer. Raises `NotAnAnswer`."""
    told: list[Event] = []
    blocks = BlockReader(told)
    try:
        answer = decode_answer(body)
        if answer.type != "message":
            raise NotAnAnswer
        told.append(Started(answer.id, answer.model))
        for place, raw in enumerate(answer.content):
            blocks.start(place, raw)
            blocks.stop(place)
    except UNREADABLE:
        raise NotAnAnswer from None
    blocks.refuse(answer.stop_details)
    usage = read_usage(answer.usage)
    if usage != UNKNOWN_USAGE:
        told.append(UsageSeen(usage))
    told.append(_finished(answer, called=blocks.called))
    return told


def _finished(stop: StopDelta | Answer, *, called: bool) -> Finished:
    """Return the end; a reason that is not known here is that of a complete answer."""
    known = REASONS.get(stop.stop_reason or "")
    return Finished(known or ("tool_calls" if called else "stop"), stop.stop_sequence)


def _whole_input(part: _Part) -> str:
    given = part.block.input
    return bytes(given).decode() if is_there(given) else "{}"


def _frame(part: _Part) -> OpaqueFrame:
    """Return a block that only this dialect knows, with the input that was streamed."""
    raw, kind = part.raw, part.block.type
    if part.pieces:
        members = parse_members(bytes(raw))
        members["input"] = msgspec.Raw("".join(part.pieces).encode() or b"{}")
        raw = msgspec.Raw(render_members(members))
    return OpaqueFrame(NAME, kind_of_block(kind), raw)
