"""From a Chat Completions request to the canon.

Wishes that change what the answer means, and that no other dialect can say, are
`needs`: several answers (`n`), `logprobs`, sound (`audio_output`), forced or banned
tokens (`logit_bias`), and answers held to a grammar (`guided_decoding`,
`response_format`).
Everything else that the canon does not know stays in `extras`, and is a hint.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from smart_llmrouter.core.errors import InvalidRequest
from smart_llmrouter.core.request import NO_METADATA, ReasoningAsk, Request
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.openai_chat.fields import (
    COUNT,
    FLAG,
    LABELS,
    NUMBER,
    OBJECT,
    OBJECTS,
    TEXT,
    TEXTS,
    Fields,
)
from smart_llmrouter.dialects.openai_chat.parse_messages import Conversation
from smart_llmrouter.dialects.openai_chat.parse_tools import (
    read_output_format,
    read_tool_choice,
    read_tools,
)
from smart_llmrouter.wire.jsonobject import RawMembers, render_members
from smart_llmrouter.wire.surrogates import has_half_pairs, without_half_pairs

KNOWN_EXTRAS: Final = frozenset(
    {
        "audio", "chat_template_kwargs", "enable_thinking", "extra_body",
        "frequency_penalty", "logit_bias", "logprobs", "min_p", "modalities",
        "moderation", "n", "prediction", "presence_penalty", "prompt_cache_options",
        "prompt_cache_retention", "provider", "repetition_penalty", "response_format",
        "safety_identifier", "seed", "stream_options", "top_k", "top_logprobs",
        "thinking", "reasoning", "messages.audio", "messages.name",
        "messages.cache_control", "messages.reasoning_details", "system.name",
        "system.cache_control", "content.cache_control", "content.name",
        "content.image_url.format", "content.file.format", "tools.cache_control",
    }
)  # fmt: skip
"""The names of fields that only this dialect has, and that a note may spell out."""

_SAYS_NOTHING: Final = {
    "n": (b"1",),
    "logprobs": (b"false",),
    "top_logprobs": (b"0",),
    "frequency_penalty": (b"0", b"0.0"),
    "presence_penalty": (b"0", b"0.0"),
    "logit_bias": (b"{}",),
    "modalities": (b'["text"]',),
}
"""Values that are the same as saying nothing."""

_NEED_OF_FIELD: Final = {
    "n": "n",
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
    "logit_bias": "logit_bias",
    "modalities": "audio_output",
    "audio": "audio_output",
    "response_format": "response_format",
    "guided_json": "guided_decoding",
    "guided_regex": "guided_decoding",
    "guided_choice": "guided_decoding",
    "guided_grammar": "guided_decoding",
    "structured_outputs": "guided_decoding",
    "grammar": "guided_decoding",
}
"""What a provider must be able to do for a field that the canon does not know."""

_ADDRESSING: Final = ("model", "stream")
_ONLY_USAGE: Final = frozenset({"include_usage"})


def parse(peek: Peek) -> Request:
    """Read a whole request. Raises `InvalidRequest`, with the field's path."""
    try:
        return _parsed(peek, peek.members)
    except InvalidRequest:
        # Half a surrogate pair is no reason to refuse; it is read as U+FFFD.
        if not any(has_half_pairs(bytes(raw)) for raw in peek.members.values()):
            raise
    members = {
        name: msgspec.Raw(without_half_pairs(bytes(raw)))
        for name, raw in peek.members.items()
    }
    return _parsed(peek, members)


def _parsed(peek: Peek, members: RawMembers) -> Request:
    fields = Fields(members)
    fields.drop(*_ADDRESSING)
    talk = Conversation()
    talk.read(fields.demand("messages", OBJECTS))
    legacy = fields.look("functions") is not None
    parallel = fields.take("parallel_tool_calls", FLAG)
    choice, stop = read_tool_choice(fields), fields.take("stop", TEXTS)
    form, tools = read_output_format(fields), read_tools(fields)
    keeps_details = talk.keeps_details or fields.begins("reasoning", b"{")
    reasoning = _reasoning(fields)
    _drop_what_says_nothing(fields)
    return Request(
        dialect="openai-chat",
        model=peek.model,
        turns=tuple(talk.turns),
        stream=peek.stream,
        include_usage=peek.wants_usage or not peek.stream,
        legacy_functions=legacy,
        system=tuple(talk.system),
        tools=tools,
        tool_choice=choice,
        parallel_tools=False if legacy else parallel,
        output_cap=_output_cap(fields),
        output_format=form,
        reasoning=reasoning,
        wants_reasoning_state=keeps_details,
        verbosity=fields.take("verbosity", TEXT),
        temperature=fields.take("temperature", NUMBER),
        top_p=fields.take("top_p", NUMBER),
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        user=fields.take("user", TEXT),
        metadata=fields.take("metadata", LABELS) or NO_METADATA,
        service_tier=fields.take("service_tier", TEXT),
        prompt_cache_key=fields.take("prompt_cache_key", TEXT),
        store=fields.take("store", FLAG),
        needs=tuple(dict.fromkeys(_needs(fields))),
        extras=fields.extras(),
    )


def _output_cap(fields: Fields) -> int | None:
    cap = fields.take("max_completion_tokens", COUNT)
    older = fields.take("max_tokens", COUNT)
    if cap is not None and older is not None and cap != older:
        raise InvalidRequest(
            "`max_tokens` and `max_completion_tokens` differ: send one of them",
            details={"field": "max_tokens"},
        )
    return older if cap is None else cap


def _reasoning(fields: Fields) -> ReasoningAsk | None:
    """Read how much is to be thought: OpenAI's effort, or an object of the wild."""
    effort = fields.take("reasoning_effort", TEXT)
    if effort is not None:
        return ReasoningAsk(effort=effort)
    for name in ("reasoning", "thinking"):
        asked = fields.attempt(name, OBJECT)
        if asked is not None:
            return _asked(Fields(asked, name))
    return None


def _asked(fields: Fields) -> ReasoningAsk:
    kind, enabled = fields.take("type", TEXT), fields.take("enabled", FLAG)
    budget = fields.take("budget_tokens", COUNT) or fields.take("max_tokens", COUNT)
    return ReasoningAsk(
        effort=fields.take("effort", TEXT),
        budget_tokens=budget,
        adaptive=kind == "adaptive",
        off=kind == "disabled" or enabled is False,
        summary=fields.take("summary", TEXT),
        extras=fields.extras(),
    )


def _drop_what_says_nothing(fields: Fields) -> None:
    for name, values in _SAYS_NOTHING.items():
        if fields.look(name) in values:
            fields.drop(name)
    options = fields.attempt("stream_options", OBJECT)
    if options is not None and options.keys() - _ONLY_USAGE:
        fields.put("stream_options", msgspec.Raw(render_members(options)))


def _needs(fields: Fields) -> Iterable[str]:
    for name, need in _NEED_OF_FIELD.items():
        if fields.look(name) is not None:
            yield need
