"""What the Responses API looks like on the wire, as far as the router reads it.

Fields whose shape depends on others stay raw here and are read where that is known.
"""

from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from smart_llmrouter.core.content import Extras
from smart_llmrouter.core.money import reported_nusd
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import (
    ABSENT,
    NULL,
    UNREADABLE,
    Ticks,
    Tokens,
    is_there,
    leniently,
)

T = TypeVar("T")


class InputDetails(msgspec.Struct, frozen=True, gc=False):
    """`usage.input_tokens_details`; all are parts of `input_tokens`."""

    cached_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None
    image_tokens: Tokens | None = None


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    """`usage.output_tokens_details`."""

    reasoning_tokens: Tokens | None = None


class WireUsage(msgspec.Struct, frozen=True, gc=False):
    """`usage`; `cost` and `cost_in_usd_ticks` are what two providers report."""

    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    cost: Decimal | None = None
    cost_in_usd_ticks: Ticks | None = None


class Incomplete(msgspec.Struct, frozen=True, gc=False):
    """`incomplete_details` of an answer."""

    reason: str | None = None


class WireResponse(msgspec.Struct, frozen=True, gc=False):
    """An answer, whole or inside of an event of a stream."""

    id: str | None = None
    object: str | None = None
    status: str | None = None
    model: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    incomplete_details: Incomplete | None = None
    store: bool | None = None


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream, with the fields of all kinds that are read.

    `output_index` is negative where the provider leaves it out.
    """

    type: str = ""
    delta: str | None = None
    output_index: int = -1
    content_index: int = 0
    summary_index: int = 0
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: msgspec.Raw = ABSENT
    annotation: msgspec.Raw = ABSENT
    response: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class FrameKind(msgspec.Struct, frozen=True, gc=False):
    """One event of which nothing but its kind can be read."""

    type: str = ""


class OutputPart(msgspec.Struct, frozen=True, gc=False):
    """A part of a message, of a reasoning or of a summary in an answer."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[msgspec.Raw] | None = None


class OutputItem(msgspec.Struct, frozen=True, gc=False):
    """An item of an answer; `arguments` is text, but an object for a tool search."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    execution: str | None = None
    input: str | None = None
    encrypted_content: str | None = None
    arguments: msgspec.Raw = ABSENT
    content: list[OutputPart] | None = None
    summary: list[OutputPart] | None = None


encode: Final = msgspec.json.Encoder().encode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_usage: Final = msgspec.json.Decoder(WireUsage | None).decode
_decode_tokens: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_DECODE_FIELD: Final = {
    field.encode_name: msgspec.json.Decoder(field.type).decode
    for field in msgspec.structs.fields(WireUsage)
}
_decode_response: Final = msgspec.json.Decoder(WireResponse).decode
_decode_item: Final = msgspec.json.Decoder(OutputItem).decode


def read_response(raw: bytes) -> WireResponse:
    """Read an answer. Raises as `msgspec.json.decode` does."""
    return leniently(_decode_response, raw)


def read_item(raw: bytes) -> OutputItem:
    """Read an item of an answer. Raises as `msgspec.json.decode` does."""
    return leniently(_decode_item, raw)


def text_of(raw: msgspec.Raw | None) -> str | None:
    """Return a text, if it is one."""
    if raw is None or bytes(raw)[:1] != b'"':
        return None
    return leniently(_decode_text, bytes(raw))


def usage_from(raw: msgspec.Raw) -> Usage:
    """Read `usage`; whatever of it cannot be read stays unknown."""
    if not is_there(raw):
        return UNKNOWN_USAGE
    try:
        wire = _decode_usage(raw)
    except UNREADABLE:
        wire = _readable_part(raw)
    if wire is None:
        return UNKNOWN_USAGE
    given, made = wire.input_tokens_details, wire.output_tokens_details
    return Usage(
        input_tokens=wire.input_tokens,
        cached_input_tokens=None if given is None else given.cached_tokens,
        cache_write_5m_tokens=None if given is None else given.cache_write_tokens,
        output_tokens=wire.output_tokens,
        reasoning_tokens=None if made is None else made.reasoning_tokens,
        reported_cost_nusd=reported_nusd(wire.cost, wire.cost_in_usd_ticks),
        image_tokens=None if given is None else given.image_tokens,
    )


def _readable_part(raw: msgspec.Raw) -> WireUsage:
    """Read each field by itself, since they cannot be read together."""
    try:
        members = _decode_tokens(raw) or {}
    except UNREADABLE:
        return WireUsage()
    read = {}
    for name, decode in _DECODE_FIELD.items():
        with suppress(KeyError, *UNREADABLE):
            read[name] = decode(members[name])
    return WireUsage(**read)


def without(members: RawMembers, known: Iterable[str]) -> Extras:
    """Return the members that are not `known` and have a value."""
    return {
        name: raw for name, raw in members.items() if name not in known and raw != NULL
    }
