"""The answers of Chat Completions, as providers of many kinds write them.

One struct a thing, with what OpenAI writes and what the wild adds. A chunk that is not
of these types is read field by field: what can be read of it is kept.
"""

from typing import Any, Final, TypeVar, get_args

import msgspec

from smart_llmrouter.wire.rawvalues import ABSENT, UNREADABLE, is_there
from smart_llmrouter.wire.surrogates import without_half_pairs

S = TypeVar("S", bound=msgspec.Struct)


class Thought(msgspec.Struct, frozen=True, gc=False):
    """One piece of a thought in a list of them."""

    text: str | None = None
    summary: str | None = None


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One part of a content that is a list: a text, a refusal, or a thought."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    thinking: str | list[Thought] | None = None


class Called(msgspec.Struct, frozen=True, gc=False):
    """The function of a call, or a part of it; `input` is that of a custom tool."""

    name: str | None = None
    arguments: str | dict[str, object] | None = None
    input: str | None = None


class CallPiece(msgspec.Struct, frozen=True, gc=False):
    """A call, or a part of it; `extra_content` has what Google proves it with."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: Called | None = None
    custom: Called | None = None
    extra_content: msgspec.Raw = ABSENT


class Said(msgspec.Struct, frozen=True, gc=False):
    """What a message says, or one more piece of it."""

    content: str | list[Piece] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking: str | None = None
    reasoning_details: list[Thought] | None = None
    tool_calls: list[CallPiece] | None = None
    function_call: Called | None = None
    refusal: str | None = None
    annotations: list[msgspec.Raw] | None = None
    images: msgspec.Raw = ABSENT
    audio: msgspec.Raw = ABSENT


class AnswerChoice(msgspec.Struct, frozen=True, gc=False):
    """One choice; a chunk has its `delta`, a plain answer its `message`."""

    index: int | None = None
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw = ABSENT


class GroqExtra(msgspec.Struct, frozen=True, gc=False):
    """What Groq adds to a chunk."""

    usage: msgspec.Raw = ABSENT


class AnswerPiece(msgspec.Struct, frozen=True, gc=False):
    """One chunk of a streamed answer, or a plain answer."""

    id: str | None = None
    model: str | None = None
    object: str | None = None
    choices: list[AnswerChoice] | None = None
    usage: msgspec.Raw = ABSENT
    x_groq: GroqExtra | None = None
    error: msgspec.Raw = ABSENT


_decode: Final = msgspec.json.Decoder(AnswerPiece).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_piece(payload: bytes) -> AnswerPiece:
    """Read a chunk or an answer. Raises as `msgspec.json.decode` does."""
    try:
        return _decode(payload)
    except msgspec.ValidationError:
        return _salvaged(AnswerPiece, payload)
    except msgspec.DecodeError:
        payload = without_half_pairs(payload)
        try:
            return _decode(payload)
        except msgspec.ValidationError:
            return _salvaged(AnswerPiece, payload)


def _salvaged(of: type[S], text: bytes | msgspec.Raw) -> S:
    """Read each field by itself, and the objects in it alike."""
    members = _decode_members(text)
    read = {}
    for field in msgspec.structs.fields(of):
        raw = members.get(field.encode_name, ABSENT)
        if not is_there(raw):
            continue
        try:
            read[field.name] = msgspec.json.decode(raw, type=field.type)
        except UNREADABLE:
            value = _salvaged_value(field.type, raw)
            if value is not None:
                read[field.name] = value
    return of(**read)


def _salvaged_value(of: Any, raw: msgspec.Raw) -> object:  # noqa: ANN401 - a hint
    """Return what can be read of an object or of a list of them."""
    try:
        for kind in get_args(of):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                return _salvaged(kind, raw)
            held = get_args(kind)
            if (
                held
                and isinstance(held[0], type)
                and issubclass(held[0], msgspec.Struct)
            ):
                return [_salvaged(held[0], each) for each in _decode_list(raw)]
    except UNREADABLE:
        return None
    return None
