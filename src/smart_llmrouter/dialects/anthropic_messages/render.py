"""A request, whatever its dialect, written for a provider of Messages.

A JSON schema for the answer is Anthropic's own; a wish for any JSON object becomes an
instruction. `parallel_tools: false` is `disable_parallel_tool_use`. Who asks is
`metadata.user_id`, which holds 256 characters. A service tier other than the default
one, a verbosity, metadata and the wish that an answer be stored have no place there; a
key for the prompt cache becomes markers (`caching`).

The caller of `render_request` sends `anthropic-version: 2023-06-01` along: later
versions know no temperature.
"""

from typing import Any, Final

import msgspec

from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import Request
from smart_llmrouter.dialects.anthropic_messages.caching import mark_for_cache
from smart_llmrouter.dialects.anthropic_messages.render_content import (
    Block,
    Scope,
)
from smart_llmrouter.dialects.anthropic_messages.render_messages import (
    render_conversation,
    shortest,
)
from smart_llmrouter.dialects.anthropic_messages.render_reasoning import (
    Thinking,
    sampling_for,
    thinking_as_asked,
    thinking_for,
)
from smart_llmrouter.dialects.anthropic_messages.render_tools import render_tools
from smart_llmrouter.dialects.base import Serving
from smart_llmrouter.dialects.lowering import lowered
from smart_llmrouter.dialects.said_as import said_as
from smart_llmrouter.dialects.tool_names import ToolNames
from smart_llmrouter.wire.jsonobject import parse_members

NAME: Final = "anthropic-messages"
_TIERS: Final = {"auto": "auto", "default": "standard_only"}
_MAX_USER_CHARS: Final = 256
_ONLY_JSON: Final[Block] = {
    "type": "text",
    "text": "Answer with one JSON object and nothing else, no fences around it.",
}
_encode: Final = msgspec.json.Encoder().encode


def render_request(request: Request, serving: Serving, notes: Notes) -> bytes:
    """Write `request` for the target of `serving`.

    What cannot be carried is noted. Raises `NotBridged`.
    """
    if request.dialect == NAME:
        return _render_own(request, serving, notes)
    request = lowered(request, ToolNames(request.tools), notes)
    scope = Scope(own=False, label=serving.label, notes=notes)
    thinking = thinking_for(request, serving, notes)
    body = _begun(request, serving, thinking, scope)
    body |= sampling_for(request, notes, thinking=thinking.on)
    output = _output(request, thinking, notes)
    if output:
        body["output_config"] = output
    body |= _hints(request, notes)
    if request.prompt_cache_key is not None:
        mark_for_cache(body)
        notes.approximated("prompt_cache_key", "asked of the provider with markers")
    _note_what_has_no_place(request, notes)
    return _encode(body)


def _render_own(request: Request, serving: Serving, notes: Notes) -> bytes:
    """Write a request that came in this dialect, with all that only it can say."""
    scope = Scope(own=True, label=serving.label, notes=notes)
    thinking = thinking_as_asked(request, serving, notes)
    body = _begun(request, serving, thinking, scope)
    sampling = {"temperature": request.temperature, "top_p": request.top_p}
    body |= {name: value for name, value in sampling.items() if value is not None}
    hints = _hints(request, notes)
    output = _output(request, thinking, notes)
    parts: dict[str, dict[str, object]] = {
        "output_config": output,
        "metadata": hints.pop("metadata", {}),
    }
    body |= hints
    body |= request.extras
    for name, part in parts.items():
        extras = request.extras.get(name)
        whole = part if extras is None else {**part, **parse_members(bytes(extras))}
        if whole:
            body[name] = whole
    if request.service_tier is not None:
        body["service_tier"] = _TIERS.get(request.service_tier, request.service_tier)
    return _encode(body)


def _begun(
    request: Request, serving: Serving, thinking: Thinking, scope: Scope
) -> dict[str, object]:
    """Return what every request has, and its tools."""
    system, messages = render_conversation(request, scope)
    wanted = request.output_format
    if wanted is not None and wanted.schema is None:
        field = said_as(request.dialect, "response_format")
        scope.notes.approximated(field, "asked for with an instruction")
        system.append(_ONLY_JSON)
    body: dict[str, object] = {
        "model": serving.model,
        "max_tokens": thinking.max_tokens,
    }
    if system:
        body["system"] = shortest(system)
    body["messages"] = messages
    body |= render_tools(request, scope)
    if thinking.config is not None:
        body["thinking"] = thinking.config
    if request.stream:
        body["stream"] = True
    return body


def _output(request: Request, thinking: Thinking, notes: Notes) -> dict[str, object]:
    """Return `output_config`."""
    wanted, dialect = request.output_format, request.dialect
    output: dict[str, object] = {}
    if thinking.effort is not None:
        output["effort"] = thinking.effort
    if wanted is None or wanted.schema is None:
        return output
    if wanted.name is not None:
        field = said_as(dialect, "response_format.name")
        notes.approximated(field, "the schema goes without its name")
    if wanted.description is not None:
        field = said_as(dialect, "response_format.description")
        notes.dropped(field, "Messages has no place for it")
    return output | {"format": {"type": "json_schema", "schema": wanted.schema}}


def _hints(request: Request, notes: Notes) -> dict[str, Any]:
    """Return `stop_sequences`, `metadata` and, of other dialects, `service_tier`."""
    hints: dict[str, Any] = {}
    stop = [each for each in request.stop if each and not each.isspace()]
    if len(stop) < len(request.stop):
        field = said_as(request.dialect, "stop")
        notes.dropped(field, "blank sequences are refused")
    if stop:
        hints["stop_sequences"] = stop
    if request.user is not None:
        if len(request.user) > _MAX_USER_CHARS:
            field = said_as(request.dialect, "user")
            notes.dropped(field, "longer than 256 characters")
        else:
            hints["metadata"] = {"user_id": request.user}
    tier = request.service_tier
    if tier is not None and tier in _TIERS:
        hints["service_tier"] = _TIERS[tier]
    elif tier is not None and request.dialect != NAME:
        notes.dropped("service_tier", "Messages has no such tier")
    return hints


def _note_what_has_no_place(request: Request, notes: Notes) -> None:
    """Note hints that Messages has no field for."""
    given = {
        "verbosity": request.verbosity,
        "metadata": request.metadata,
        "store": request.store,
    }
    for name, value in given.items():
        if value:
            field = said_as(request.dialect, name)
            notes.dropped(field, "Messages has no such field")
