"""A request of a caller, read into the canon.

Tool results, which stand in messages of the user, become a turn of their own before
what else the user says there. A message of the system between the others stays where
it is. What only this dialect knows is kept in extras or, where an answer would not be
the same without it, named in `needs`.

`thinking.display` other than `summarized` is an extra, and so is an effort beside
thinking that is switched off.

`output_config.format` says nothing of strictness, and is not taken for strict: OpenAI's
strict schemas have demands that these need not meet.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from smart_llmrouter.core.content import (
    NO_EXTRAS,
    Extras,
    Role,
    Text,
    Turn,
)
from smart_llmrouter.core.request import (
    OutputFormat,
    ReasoningAsk,
    Request,
    Tool,
)
from smart_llmrouter.dialects.anthropic_messages.fields import Fields
from smart_llmrouter.dialects.anthropic_messages.parse_content import (
    parse_parts,
    parse_text,
    turns_of,
)
from smart_llmrouter.dialects.anthropic_messages.parse_tools import (
    parse_choice,
    parse_tool,
)
from smart_llmrouter.dialects.anthropic_messages.usual import (
    usual_request,
    usual_system,
    usual_tools,
    usual_turns,
)
from smart_llmrouter.dialects.base import Peek

_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
}
_NEEDS: Final = {
    "mcp_servers": "mcp",
    "container": "container",
    "compaction": "compaction",
    "thread": "thread",
    "safeguards": "safeguards",
    "inference_geo": "inference-geo",
}
"""Fields that a provider of another dialect must not miss, and what they require."""
_TIERS: Final = {"auto": "auto", "standard_only": "default"}
_EMPTY: Final = frozenset({b"[]", b"{}"})

_NEEDING: Final = frozenset(_NEEDS)

KNOWN_EXTRAS: Final = frozenset(
    {
        *("top_k", "cache_control", "context_management", "diagnostics", "speed"),
        *("metadata", "output_config", "output_format", "fallbacks", "betas"),
        *(
            "fallback_credit_token",
            "user_profile_id",
            "billing_policy",
            "anthropic_beta",
        ),
        *("workspace_id", "anthropic_version", "thinking", *_NEEDS),
        *("system.cache_control", "system.citations", "messages.output_config"),
        *("messages.clear_at", "content.cache_control", "content.citations"),
        *("content.context", "content.source", "content.tool_reference"),
        *("content.caller", "content.toolset_name", "content.transformations"),
        *("tools.cache_control", "tools.defer_loading", "tools.input_examples"),
        *("tools.eager_input_streaming", "tools.allowed_callers", "tools.type"),
        *("tools.max_characters", "reasoning.display", "reasoning.type"),
        "reasoning.effort",
    }
)


def parse_request(peek: Peek, *, needs_cap: bool = True) -> Request:
    """Read a whole request. Raises `InvalidRequest`.

    `needs_cap` is whether `max_tokens` must be there, as it must but in a request to
    count tokens.
    """
    usual = usual_request(peek)
    if usual is not None:
        return usual
    fields = Fields(dict(peek.members))
    fields.raw("model")
    fields.raw("stream")
    cap = fields.integer("max_tokens")
    if cap is None and needs_cap:
        fields.miss("max_tokens", "a whole number")
    turns = _turns(fields)
    choice, parallel = parse_choice(fields.object("tool_choice"))
    output = fields.object("output_config")
    effort = None if output is None else output.text("effort")
    metadata = fields.object("metadata")
    tier = fields.text("service_tier")
    return Request(
        dialect="anthropic-messages",
        model=peek.model,
        turns=turns,
        stream=peek.stream,
        system=_system(fields),
        tools=_tools(fields),
        tool_choice=choice,
        parallel_tools=parallel,
        output_cap=cap,
        output_format=_format(fields, output),
        reasoning=_reasoning(fields.object("thinking"), effort),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        stop=fields.texts("stop_sequences"),
        user=None if metadata is None else metadata.text("user_id"),
        service_tier=None if tier is None else _TIERS.get(tier, tier),
        needs=_needs(fields),
        extras=_extras(fields, output_config=output, metadata=metadata),
    )


def _turns(fields: Fields) -> tuple[Turn, ...]:
    raw = fields.peeked("messages")
    turns = None if raw is None else usual_turns(raw)
    if turns is not None:
        fields.raw("messages")
        return turns
    messages = fields.objects("messages")
    if messages is None:
        fields.miss("messages", "a list of messages")
    return tuple(turn for message in messages for turn in _turns_of(message))


def _turns_of(message: Fields) -> Iterable[Turn]:
    role = _ROLES.get(message.text("role") or "")
    if role is None:
        message.miss("role", "user, assistant or system")
    parts = parse_parts(message.content("content"))
    return turns_of(role, parts, message.rest())


def _system(fields: Fields) -> tuple[Text, ...]:
    raw = fields.peeked("system")
    texts = () if raw is None else usual_system(raw)
    if texts is not None:
        fields.raw("system")
        return texts
    content = fields.content("system")
    if content is None or isinstance(content, str):
        return (Text(text=content),) if content else ()
    return tuple(_system_text(block) for block in content)


def _system_text(block: Fields) -> Text:
    if block.text("type") != "text":
        block.miss("type", "text")
    return parse_text(block)


def _tools(fields: Fields) -> tuple[Tool, ...]:
    raw = fields.peeked("tools")
    tools = () if raw is None else usual_tools(raw)
    if tools is not None:
        fields.raw("tools")
        return tools
    return tuple([parse_tool(tool) for tool in fields.objects("tools") or ()])


def _reasoning(thinking: Fields | None, effort: str | None) -> ReasoningAsk | None:
    if thinking is None:
        return None if effort is None else ReasoningAsk(effort=effort)
    kind = thinking.text("type")
    budget = thinking.integer("budget_tokens")
    summary = None
    if thinking.peeked("display") == msgspec.Raw(b'"summarized"'):
        thinking.raw("display")
        summary = "auto"
    extras = thinking.rest()
    if kind == "disabled" and effort is not None:
        # Effort goes beyond thinking here; elsewhere it is nothing else.
        extras = {**extras, "effort": msgspec.Raw(msgspec.json.encode(effort))}
        effort = None
    if kind not in ("enabled", "adaptive", "disabled"):
        extras = {**extras, "type": msgspec.Raw(msgspec.json.encode(kind))}
    return ReasoningAsk(
        effort=effort,
        budget_tokens=budget if kind == "enabled" else None,
        adaptive=kind not in ("enabled", "disabled"),
        off=kind == "disabled",
        summary=summary,
        extras=extras,
    )


def _format(fields: Fields, output: Fields | None) -> OutputFormat | None:
    wanted = None if output is None else output.object("format")
    wanted = fields.object("output_format") if wanted is None else wanted
    if wanted is None:
        return None
    if wanted.text("type") != "json_schema":
        wanted.miss("type", "json_schema")
    return OutputFormat(kind="json_schema", schema=wanted.raw("schema"))


def _needs(fields: Fields) -> tuple[str, ...]:
    if not fields.has_any(_NEEDING):
        return ()
    return tuple(
        need
        for field, need in _NEEDS.items()
        if (raw := fields.peeked(field)) is not None and bytes(raw) not in _EMPTY
    )


def _extras(fields: Fields, **parts: Fields | None) -> Extras:
    """Return what is left of the request, and what is left in some parts of it."""
    extras = dict(fields.rest())
    for name, part in parts.items():
        if part is not None and part.rest():
            extras[name] = part.whole()
    return extras or NO_EXTRAS
