"""Reading and writing the usage of the Messages API.

`input_tokens` there is what the provider's cache had no part in; what was read from it
and what was written into it are counted apart. A single count of writes, without their
lifetimes, is one of writes for five minutes.
"""

from contextlib import suppress
from typing import Final

import msgspec

from smart_llmrouter.core.usage import (
    UNKNOWN_USAGE,
    CacheWrites,
    InputParts,
    Usage,
    additive_usage,
    input_parts,
)
from smart_llmrouter.wire.jsonobject import NotAnObject, parse_members
from smart_llmrouter.wire.rawvalues import UNREADABLE, Tokens, is_there

_NOTHING: Final = InputParts(uncached=0, read=0, write_5m=0, write_1h=0)

_WRITTEN: Final = (
    b'{"input_tokens":%d,"cache_creation_input_tokens":%d,'
    b'"cache_read_input_tokens":%d,"cache_creation":{"ephemeral_5m_input_tokens":%d,'
    b'"ephemeral_1h_input_tokens":%d},"output_tokens":%d'
)
_WRITTEN_DETAILS: Final = b',"output_tokens_details":{"thinking_tokens":%d}'


class CacheCreation(msgspec.Struct, frozen=True, gc=False):
    """Writes into the cache, by how long they stay there."""

    ephemeral_5m_input_tokens: Tokens | None = None
    ephemeral_1h_input_tokens: Tokens | None = None


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    """Of which the output is."""

    thinking_tokens: Tokens | None = None


class WireUsage(msgspec.Struct, frozen=True, gc=False):
    """`usage`."""

    input_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    cache_creation_input_tokens: Tokens | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: Tokens | None = None
    output_tokens_details: OutputDetails | None = None


_decode_usage: Final = msgspec.json.Decoder(WireUsage).decode
_DECODE_FIELD: Final = {
    field.encode_name: msgspec.json.Decoder(field.type).decode
    for field in msgspec.structs.fields(WireUsage)
}


def read_usage(raw: msgspec.Raw, known: Usage = UNKNOWN_USAGE) -> Usage:
    """Return what `raw` reports, beside what was known of the same call before.

    Whatever of it cannot be read stays unknown.
    """
    if not is_there(raw):
        return known
    try:
        wire = _decode_usage(raw)
    except UNREADABLE:
        wire = _readable_part(raw)
    creation, details = wire.cache_creation, wire.output_tokens_details
    return additive_usage(
        uncached_tokens=wire.input_tokens,
        read_tokens=wire.cache_read_input_tokens,
        writes=CacheWrites(
            total=wire.cache_creation_input_tokens,
            for_5m=None if creation is None else creation.ephemeral_5m_input_tokens,
            for_1h=None if creation is None else creation.ephemeral_1h_input_tokens,
        ),
        output_tokens=wire.output_tokens,
        reasoning_tokens=None if details is None else details.thinking_tokens,
        known=known,
    )


def _readable_part(raw: msgspec.Raw) -> WireUsage:
    """Read each field by itself, since they cannot be read together."""
    try:
        members = parse_members(bytes(raw))
    except NotAnObject:
        return WireUsage()
    read = {}
    for name, decode in _DECODE_FIELD.items():
        with suppress(KeyError, *UNREADABLE):
            read[name] = decode(members[name])
    return WireUsage(**read)


def written_usage(usage: Usage) -> bytes:
    """Return `usage` as this dialect writes it; what is unknown counts as 0 there.

    The SDKs of this dialect demand numbers.
    """
    parts = input_parts(usage) or _NOTHING
    written = _WRITTEN % (
        parts.uncached,
        parts.write_5m + parts.write_1h,
        parts.read,
        parts.write_5m,
        parts.write_1h,
        usage.output_tokens or 0,
    )
    if usage.reasoning_tokens is not None:
        written += _WRITTEN_DETAILS % usage.reasoning_tokens
    return written + b"}"
