"""Reading usage from a plain Chat Completions answer, which passes untouched."""

from contextlib import suppress
from typing import Final

import msgspec

from smart_llmrouter.core.money import reported_nusd
from smart_llmrouter.core.usage import UNKNOWN_USAGE, Usage
from smart_llmrouter.dialects.base import NotAnAnswer
from smart_llmrouter.dialects.openai_chat.schema import (
    DECODE_USAGE_FIELD,
    WireUsage,
    decode_answer,
)
from smart_llmrouter.wire.jsonobject import NotAnObject, parse_members
from smart_llmrouter.wire.rawvalues import UNREADABLE, is_there

__all__ = ["NotAnAnswer", "parse_answer", "parse_usage"]

_decode_usage: Final = msgspec.json.Decoder(WireUsage).decode


def parse_answer(body: bytes) -> Usage:
    """Return the usage that a plain answer reports.

    Raises `NotAnAnswer` when the body is no chat completion: not JSON, cut short, or
    without `choices`. A 200 alone is not an answer.
    """
    try:
        answer = decode_answer(body)
    except UNREADABLE:
        raise NotAnAnswer from None
    if answer.choices is None:
        raise NotAnAnswer
    return parse_usage(answer.usage)


def parse_usage(wire: WireUsage | msgspec.Raw | None) -> Usage:
    """Read `usage`; whatever of it cannot be read stays unknown."""
    if isinstance(wire, msgspec.Raw):
        wire = _readable(wire) if is_there(wire) else None
    if wire is None:
        return UNKNOWN_USAGE
    prompt, completion = wire.prompt_tokens_details, wire.completion_tokens_details
    read = written = images = None
    if prompt is not None:
        read, written = prompt.cached_tokens, prompt.cache_write_tokens
        images = prompt.image_tokens
    reasoned = None if completion is None else completion.reasoning_tokens
    usd, ticks = wire.cost, wire.cost_in_usd_ticks
    return Usage(
        input_tokens=wire.prompt_tokens,
        cached_input_tokens=_read_from_cache(wire) if read is None else read,
        cache_write_5m_tokens=written,
        output_tokens=(
            _with_reasoning(wire, reasoned) if reasoned else wire.completion_tokens
        ),
        reasoning_tokens=reasoned,
        reported_cost_nusd=(
            None if usd is None and ticks is None else reported_nusd(usd, ticks)
        ),
        image_tokens=images,
    )


def _with_reasoning(wire: WireUsage, reasoned: int) -> int | None:
    """Return the output with the reasoning in it.

    xAI counts the reasoning apart from the rest, and both in the total.
    """
    made, given = wire.completion_tokens, wire.prompt_tokens
    if made is None or given is None or wire.total_tokens != given + made + reasoned:
        return made
    return made + reasoned


def _read_from_cache(wire: WireUsage) -> int | None:
    """Return the tokens read from a cache, as providers of their own call them."""
    hits = wire.prompt_cache_hit_tokens
    return wire.cached_tokens if hits is None else hits


def _readable(raw: msgspec.Raw) -> WireUsage:
    try:
        return _decode_usage(raw)
    except UNREADABLE:
        return _readable_part(raw)


def _readable_part(raw: msgspec.Raw) -> WireUsage:
    """Read each field by itself, since they cannot be read together.

    Some providers put an object of their own into `cost`, for one.
    """
    try:
        members = parse_members(bytes(raw))
    except NotAnObject:
        return WireUsage()
    read = {}
    for name, decode in DECODE_USAGE_FIELD.items():
        with suppress(KeyError, *UNREADABLE):
            read[name] = decode(members[name])
    return WireUsage(**read)
