"""Which requests always have the same answer, as far as a request can tell.

Only fields that are known are let through: what a new one would do, nobody knows yet.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from smart_llmrouter.cache.words import Reason
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.requirements import Requirements
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import NULL, UNREADABLE

Fixing = frozenset[str]
"""The fields of a request because of which its answer is always the same."""
_Holds = Callable[[RawMembers, Requirements], bool]

_NONE: Final[Fixing] = frozenset()
_FALSE: Final = msgspec.Raw(b"false")
_NOTHING: Final = (NULL, msgspec.Raw(b"[]"), msgspec.Raw(b"{}"))
_decode_number: Final = msgspec.json.Decoder(float).decode

_TOOLS: Final = frozenset(
    {"tools", "functions", "web_search_options", "plugins", "mcp_servers", "container"}
)
_STATE: Final = frozenset(
    {"previous_response_id", "conversation", "prompt", "background", "store"}
)
_SAMPLING: Final = frozenset(
    {
        "frequency_penalty", "logit_bias", "min_p", "min_tokens", "presence_penalty",
        "repetition_penalty", "seed", "stop", "temperature", "top_a", "top_k", "top_p",
        "typical_p",
    }
)  # fmt: skip
_ANSWERING: Final[Mapping[DialectName, frozenset[str]]] = {
    "openai-chat": _SAMPLING
    | {
        "chat_template_kwargs", "enable_thinking", "function_call", "guided_choice",
        "guided_grammar", "guided_json", "guided_regex", "logprobs",
        "max_completion_tokens", "max_tokens", "messages", "modalities", "model", "n",
        "parallel_tool_calls", "prediction", "reasoning", "reasoning_effort",
        "response_format", "service_tier", "skip_special_tokens", "stop_token_ids",
        "stream", "stream_options", "structured_outputs", "thinking", "tool_choice",
        "top_logprobs", "verbosity",
    },
    "openai-responses": _SAMPLING
    | {
        # The answer repeats what is said here, whoever it is said of.
        "include", "input", "instructions", "max_output_tokens", "max_tool_calls",
        "metadata", "model", "parallel_tool_calls", "prompt_cache_key",
        "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier",
        "stream", "stream_options", "text", "tool_choice", "top_logprobs", "truncation",
        "user",
    },
    "anthropic-messages": _SAMPLING
    | {
        "max_tokens", "messages", "model", "output_config", "output_format",
        "service_tier", "stop_sequences", "stream", "system", "thinking",
        "tool_choice",
    },
}  # fmt: skip
"""The fields by dialect on which an answer depends."""

LEFT_OUT: Final[Mapping[DialectName, frozenset[str]]] = {
    "openai-chat": frozenset(
        {
            "metadata",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "store",
            "user",
        }
    ),
    "openai-responses": frozenset({"background", "store"}),
    "anthropic-messages": frozenset({"cache_control", "metadata"}),
}
"""The fields by dialect that do not change an answer; where one matters otherwise, such
as `store`, the request is refused here before."""

_KNOWN: Final = {name: _ANSWERING[name] | left for name, left in LEFT_OUT.items()}


def fixing(members: RawMembers) -> Fixing:
    """Return why a request always has the same answer; nothing: it has not."""
    if "temperature" not in members and "seed" not in members:
        return _NONE
    found = set()
    if _number_in(members.get("temperature")) == 0:
        found.add("temperature")
    if _number_in(members.get("seed")) is not None:
        found.add("seed")
    return frozenset(found)


def _number_in(raw: msgspec.Raw | None) -> float | None:
    try:
        return None if raw is None else _decode_number(raw)
    except UNREADABLE:
        return None


def bypass_of(members: RawMembers, needs: Requirements) -> Reason | None:
    """Return why a request has nothing to do with the cache, if it has not."""
    for reason, holds in _BYPASSES:
        if holds(members, needs):
            return reason
    return None


def _has_unknown_fields(members: RawMembers, needs: Requirements) -> bool:
    known = _KNOWN[needs.dialect]
    # As most have none, that is looked at all at once.
    return not members.keys() <= known and any(
        name not in known and raw not in _NOTHING for name, raw in members.items()
    )


def _has_tools(members: RawMembers, needs: Requirements) -> bool:
    """Say whether the model may call anything, or its provider may for it."""
    if _TOOLS.isdisjoint(members):
        return bool(needs.tools)
    named = _TOOLS & members.keys()
    return bool(needs.tools) or any(members[name] not in _NOTHING for name in named)


def _wants_state(members: RawMembers, needs: Requirements) -> bool:
    """Say whether the provider is to keep something, or to go on from it.

    Answers of the Responses API are kept unless the caller says otherwise.
    """
    if needs.goes_on:
        return True
    if _STATE.isdisjoint(members):
        return needs.dialect == "openai-responses"
    kept = needs.dialect == "openai-responses" and members.get("store", NULL) == NULL
    asked = _STATE & members.keys()
    return kept or any(members[name] not in (NULL, _FALSE) for name in asked)


_BYPASSES: Final[tuple[tuple[Reason, _Holds], ...]] = (
    ("not-deterministic", lambda members, _: not fixing(members)),
    ("choices", lambda _, needs: needs.choices > 1),
    ("tools", _has_tools),
    ("images", lambda _, needs: needs.images > 0),
    ("files", lambda _, needs: not needs.is_text or needs.other_urls > 0),
    ("state", _wants_state),
    ("other-fields", _has_unknown_fields),
)
"""Why a request has nothing to do with the cache; the first that holds is told."""
