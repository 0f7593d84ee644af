"""The events and answers of the Messages API, as typed structs.

What is not named here is skipped by the decoder. Usage is kept raw, so that one count
that cannot be read harms nothing else.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from smart_llmrouter.wire.rawvalues import ABSENT, is_there, leniently
from smart_llmrouter.wire.surrogates import without_half_pairs


class TextDelta(msgspec.Struct, frozen=True, gc=False, tag="text_delta"):
    """More text."""

    text: str


class ThinkingDelta(msgspec.Struct, frozen=True, gc=False, tag="thinking_delta"):
    """More of what the model thinks."""

    thinking: str


class SignatureDelta(msgspec.Struct, frozen=True, gc=False, tag="signature_delta"):
    """The signature of a thinking block, or a piece of it."""

    signature: str


class InputJsonDelta(msgspec.Struct, frozen=True, gc=False, tag="input_json_delta"):
    """More of a tool call's input."""

    partial_json: str


class CitationsDelta(msgspec.Struct, frozen=True, tag="citations_delta"):
    """One citation in a text."""

    citation: msgspec.Raw


BlockDeltaKind = (
    TextDelta | InputJsonDelta | ThinkingDelta | SignatureDelta | CitationsDelta
)


class MessageHead(msgspec.Struct, frozen=True):
    """The message of `message_start`, as far as it is known then."""

    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = ABSENT


class StopDetails(msgspec.Struct, frozen=True, gc=False):
    """More on why a message ended, such as the words of a refusal."""

    explanation: str | None = None


class StopDelta(msgspec.Struct, frozen=True, gc=False):
    """How a message ends."""

    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class MessageStart(msgspec.Struct, frozen=True, tag="message_start"):
    """The first event."""

    message: MessageHead = MessageHead()


class BlockStart(msgspec.Struct, frozen=True, tag="content_block_start"):
    """A content block begins; `content_block` is what of it is known."""

    content_block: msgspec.Raw
    index: int = 0


class BlockDelta(msgspec.Struct, frozen=True, gc=False, tag="content_block_delta"):
    """More of a content block."""

    delta: BlockDeltaKind
    index: int = 0


class BlockStop(msgspec.Struct, frozen=True, gc=False, tag="content_block_stop"):
    """A content block is complete."""

    index: int = 0


class MessageDelta(msgspec.Struct, frozen=True, tag="message_delta"):
    """The message is complete, and this is why; its usage, too."""

    delta: StopDelta = StopDelta()
    usage: msgspec.Raw = ABSENT


class MessageStop(msgspec.Struct, frozen=True, gc=False, tag="message_stop"):
    """The last event."""


class Ping(msgspec.Struct, frozen=True, gc=False, tag="ping"):
    """A sign of life."""


class ErrorEvent(msgspec.Struct, frozen=True, tag="error"):
    """The provider broke the answer off."""

    error: msgspec.Raw = ABSENT


WireEvent = (
    MessageStart
    | BlockStart
    | BlockDelta
    | BlockStop
    | MessageDelta
    | MessageStop
    | Ping
    | ErrorEvent
)


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """An event, or a delta, that came into the world later than this."""


_UNKNOWN: Final = Unknown()


class _DeltaType(msgspec.Struct, frozen=True):
    type: str | None = None


class _LooseEvent(msgspec.Struct, frozen=True):
    type: str | None = None
    error: msgspec.Raw = ABSENT
    delta: msgspec.Raw = ABSENT


class Block(msgspec.Struct, frozen=True):
    """A content block of an answer, with the fields of all that are understood."""

    type: str
    text: str = ""
    citations: list[msgspec.Raw] | None = None
    thinking: str = ""
    signature: str | None = None
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = ABSENT


class Answer(msgspec.Struct, frozen=True):
    """A plain answer."""

    content: list[msgspec.Raw]
    type: str = "message"
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: msgspec.Raw = ABSENT


_TAGS: Final = frozenset(
    kind.__struct_config__.tag
    for kind in (*WireEvent.__args__, *BlockDeltaKind.__args__)
)
_decode_event: Final[Callable[[bytes], WireEvent]] = msgspec.json.Decoder(
    WireEvent
).decode
_decode_loose: Final = msgspec.json.Decoder(_LooseEvent).decode
_decode_delta_type: Final = msgspec.json.Decoder(_DeltaType).decode
_decode_block: Final = msgspec.json.Decoder(Block).decode
_decode_answer: Final = msgspec.json.Decoder(Answer).decode


def decode_event(payload: bytes) -> WireEvent | Unknown:
    """Read one event of a streamed answer. Raises one of `UNREADABLE`."""
    try:
        return _decode_event(payload)
    except msgspec.ValidationError:
        return _loosely(payload)
    except msgspec.DecodeError:
        mended = without_half_pairs(payload)
        if mended == payload:
            raise
        return decode_event(mended)


def _loosely(payload: bytes) -> ErrorEvent | Unknown:
    """Read an event that has no known type; an error may come without any."""
    event = _decode_loose(payload)
    if event.type is None:
        if not is_there(event.error):
            raise msgspec.ValidationError("an event without a type")
        return ErrorEvent(event.error)
    if event.type in _TAGS and not _is_new_delta(event):
        raise msgspec.ValidationError("an event with a field of a wrong type")
    return _UNKNOWN


def _is_new_delta(event: _LooseEvent) -> bool:
    if event.type != "content_block_delta" or not is_there(event.delta):
        return False
    kind = _decode_delta_type(event.delta).type
    return kind is not None and kind not in _TAGS


def decode_block(raw: msgspec.Raw) -> Block:
    """Read a content block. Raises one of `UNREADABLE`."""
    return leniently(_decode_block, raw)


def decode_answer(body: bytes) -> Answer:
    """Read a plain answer. Raises one of `UNREADABLE`."""
    return leniently(_decode_answer, body)
