"""The few fields of Chat Completions that the router reads, as typed structs.

Everything that is not named here is skipped by the decoder and passes untouched.
"""

from decimal import Decimal
from typing import Final

import msgspec

from smart_llmrouter.wire.surrogates import without_half_pairs

ABSENT: Final = msgspec.Raw()
"""A raw field that is not there; msgspec has no optional raw values."""


class PromptDetails(msgspec.Struct, frozen=True):
    """`usage.prompt_tokens_details`."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct, frozen=True):
    """`usage.completion_tokens_details`."""

    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct, frozen=True):
    """`usage`; `cost` is what some providers report, in dollars."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    cost: Decimal | None = None


class Answer(msgspec.Struct, frozen=True):
    """A plain answer; `usage` is read apart, so that a wrong one harms nothing else."""

    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = ABSENT


class ChunkChoice(msgspec.Struct, frozen=True):
    """One choice of a streamed chunk."""

    delta: dict[str, msgspec.Raw] | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, frozen=True):
    """One event of a streamed answer."""

    choices: list[ChunkChoice] | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class StreamOptions(msgspec.Struct, frozen=True):
    """`stream_options` of a request."""

    include_usage: bool | None = None


def is_there(raw: msgspec.Raw) -> bool:
    """Say whether a raw field has a value other than `null`."""
    return bytes(raw) not in (b"", b"null")


decode_usage: Final = msgspec.json.Decoder(WireUsage).decode
DECODE_USAGE_FIELD: Final = {
    field.encode_name: msgspec.json.Decoder(field.type).decode
    for field in msgspec.structs.fields(WireUsage)
}
"""How each field of `usage` is read by itself, where they cannot be read together."""
_decode_answer: Final = msgspec.json.Decoder(Answer).decode
_decode_chunk: Final = msgspec.json.Decoder(Chunk).decode


def decode_answer(body: bytes) -> Answer:
    """Read a plain answer. Raises as `msgspec.json.decode` does."""
    try:
        return _decode_answer(body)
    except msgspec.DecodeError:
        return _decode_answer(without_half_pairs(body))


def decode_chunk(payload: bytes) -> Chunk:
    """Read one event of a streamed answer. Raises as `msgspec.json.decode` does."""
    try:
        return _decode_chunk(payload)
    except msgspec.DecodeError:
        return _decode_chunk(without_half_pairs(payload))
