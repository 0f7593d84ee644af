"""The few fields of Chat Completions that the router reads, as typed structs.

Everything that is not named here is skipped by the decoder and passes untouched.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from smart_llmrouter.wire.rawvalues import ABSENT, Ticks, Tokens
from smart_llmrouter.wire.surrogates import without_half_pairs

T = TypeVar("T")


class PromptDetails(msgspec.Struct, frozen=True, gc=False):
    """`usage.prompt_tokens_details`."""

    cached_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None
    image_tokens: Tokens | None = None


class CompletionDetails(msgspec.Struct, frozen=True, gc=False):
    """`usage.completion_tokens_details`."""

    reasoning_tokens: Tokens | None = None


class WireUsage(msgspec.Struct, frozen=True, gc=False):
    """`usage`; `cost` is what some providers report, in dollars.

    `cost_in_usd_ticks` is what another does, in units of which ten are a nano-dollar.
    `prompt_cache_hit_tokens` and `cached_tokens` are what two of them call the tokens
    that were read from their cache.
    """

    # In the order of most providers, in which they are found at once.
    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    total_tokens: Tokens | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    cost: Decimal | None = None
    prompt_cache_hit_tokens: Tokens | None = None
    cached_tokens: Tokens | None = None
    cost_in_usd_ticks: Ticks | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A plain answer."""

    choices: list[msgspec.Raw] | None = None
    usage: WireUsage | None = None


class LenientAnswer(msgspec.Struct, frozen=True, gc=False):
    """A plain answer whose usage is not as it should be, and is read apart."""

    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = ABSENT


class ChunkChoice(msgspec.Struct, frozen=True, gc=False):
    """One choice of a streamed chunk; `delta` is read only where it matters."""

    delta: msgspec.Raw = ABSENT
    finish_reason: str | None = None


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One event of a streamed answer."""

    choices: list[ChunkChoice] | None = None
    usage: WireUsage | None = None
    error: msgspec.Raw = ABSENT


class GoingOn(msgspec.Struct, frozen=True, gc=False):
    """One choice of a chunk, if it does not end there."""

    finish_reason: None = None


class Silent(msgspec.Struct, frozen=True, gc=False):
    """One event of a streamed answer, if it tells nothing but its content.

    Whatever tells anything else is none, and cannot be decoded as one.
    """

    choices: list[GoingOn] | None = None
    usage: None = None
    error: None = None


class LenientChunk(msgspec.Struct, frozen=True, gc=False):
    """One event whose usage is not as it should be, and is read apart."""

    choices: list[ChunkChoice] | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class StreamOptions(msgspec.Struct, frozen=True, gc=False):
    """`stream_options` of a request."""

    include_usage: bool | None = None


DECODE_USAGE_FIELD: Final = {
    field.encode_name: msgspec.json.Decoder(field.type).decode
    for field in msgspec.structs.fields(WireUsage)
}
"""How each field of `usage` is read by itself, where they cannot be read together."""

decode_silent: Final = msgspec.json.Decoder(Silent).decode
decode_delta: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode

_decode_answer: Final = msgspec.json.Decoder(Answer).decode
_decode_lenient_answer: Final = msgspec.json.Decoder(LenientAnswer).decode
_decode_chunk: Final = msgspec.json.Decoder(Chunk).decode
_decode_lenient_chunk: Final = msgspec.json.Decoder(LenientChunk).decode


def decode_answer(body: bytes) -> Answer | LenientAnswer:
    """Read a plain answer. Raises as `msgspec.json.decode` does."""
    try:
        return _decode_answer(body)
    except msgspec.DecodeError:
        return _leniently(_decode_lenient_answer, body)


def decode_chunk(payload: bytes) -> Chunk | LenientChunk:
    """Read one event of a streamed answer. Raises as `msgspec.json.decode` does."""
    try:
        return _decode_chunk(payload)
    except msgspec.DecodeError:
        return _leniently(_decode_lenient_chunk, payload)


def _leniently(decode: Callable[[bytes], T], text: bytes) -> T:
    try:
        return decode(text)
    except msgspec.DecodeError:
        return decode(without_half_pairs(text))
