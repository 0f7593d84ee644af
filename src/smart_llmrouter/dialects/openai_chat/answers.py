"""Reading usage from a plain Chat Completions answer, which passes untouched."""

from contextlib import suppress
from decimal import Decimal
from typing import Final

import msgspec
from msgspec.structs import replace

from smart_llmrouter.core.money import nusd_from_usd
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.openai_chat.schema import (
    DECODE_USAGE_FIELD,
    WireUsage,
    decode_answer,
    decode_usage,
    is_there,
)
from smart_llmrouter.wire.jsonobject import NotAnObject, parse_members

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MOST_USD: Final = 1_000_000


class NotAnAnswer(ValueError):
    """A body with status 200 that holds no chat completion."""


def parse_answer(body: bytes) -> Usage:
    """Return the usage that a plain answer reports.

    Raises `NotAnAnswer` when the body is no chat completion: not JSON, cut short, or
    without `choices`. A 200 alone is not an answer.
    """
    try:
        answer = decode_answer(body)
    except _UNREADABLE:
        raise NotAnAnswer from None
    if answer.choices is None:
        raise NotAnAnswer
    return parse_usage(answer.usage)


def parse_usage(raw: msgspec.Raw) -> Usage:
    """Read `usage`; whatever of it cannot be read stays unknown."""
    if not is_there(raw):
        return UNKNOWN_USAGE
    try:
        wire = decode_usage(raw)
    except _UNREADABLE:
        wire = _readable_part(raw)
    prompt, completion = wire.prompt_tokens_details, wire.completion_tokens_details
    usage = Usage(
        input_tokens=_count(wire.prompt_tokens),
        cached_input_tokens=_count(prompt.cached_tokens if prompt else None),
        output_tokens=_count(wire.completion_tokens),
        reasoning_tokens=_count(completion.reasoning_tokens if completion else None),
    )
    if wire.cost is None or not _is_amount(wire.cost):
        return usage
    return replace(usage, reported_cost_nusd=nusd_from_usd(wire.cost))


def _readable_part(raw: msgspec.Raw) -> WireUsage:
    """Read each field by itself, since one of them cannot be read.

    Some providers put an object of their own into `cost`, for one.
    """
    try:
        members = parse_members(bytes(raw))
    except NotAnObject:
        return WireUsage()
    read = {}
    for name, decode in DECODE_USAGE_FIELD.items():
        with suppress(KeyError, *_UNREADABLE):
            read[name] = decode(members[name])
    return WireUsage(**read)


def _is_amount(usd: Decimal) -> bool:
    """Say whether one call can have cost this much; sums stay within a column."""
    return usd.is_finite() and 0 <= usd <= _MOST_USD


def _count(tokens: int | None) -> int | None:
    """Take a token count for known only where it can be one.

    Negative or absurd counts would poison sums and prices; the bound is far above any
    context window and well inside a 64-bit column at any price.
    """
    return tokens if tokens is not None and 0 <= tokens <= 1_000_000_000 else None
