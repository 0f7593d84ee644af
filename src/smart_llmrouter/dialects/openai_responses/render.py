"""Writing a request of any dialect for a provider of this one.

Nothing is lowered here: custom tools, namespaces and tool searches are what they are.
Answers are not stored unless that was asked for, since they could be found under the
provider's own ids only. A provider of this dialect has no stop sequences.
"""

from typing import Final

import msgspec

from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import OutputFormat, Request
from smart_llmrouter.dialects.base import NotBridged, Serving
from smart_llmrouter.dialects.lowering import renamed
from smart_llmrouter.dialects.openai_responses.parse import (
    LOGPROBS_INCLUDE,
    STATE_INCLUDE,
)
from smart_llmrouter.dialects.openai_responses.render_items import Items
from smart_llmrouter.dialects.openai_responses.render_tools import (
    DIALECT,
    render_choice,
    render_tools,
)
from smart_llmrouter.dialects.openai_responses.schema import (
    encode,
)
from smart_llmrouter.dialects.reasoning import effort_of
from smart_llmrouter.dialects.said_as import said_as
from smart_llmrouter.dialects.tool_names import ToolNames, are_flat
from smart_llmrouter.wire.rawvalues import UNREADABLE

_LEAST_OUTPUT_TOKENS: Final = 16
"""Fewer are refused by OpenAI."""
_TEXT: Final = "text."
_APART: Final = frozenset({"include", "tool_choice.tools"})
_decode_includes: Final = msgspec.json.Decoder(list[str]).decode

Body = dict[str, object]


def render_request(request: Request, serving: Serving, notes: Notes) -> bytes:
    """Write a request. Raises `NotBridged` for what no provider here can do."""
    if request.stop:
        raise NotBridged("stop")
    if request.dialect != DIALECT and not are_flat(request.tools):
        request = renamed(request, ToolNames(request.tools))
    body: Body = {"model": serving.model, **_said(request, serving, notes)}
    body |= _tool_values(request)
    body |= _plain_values(request)
    wanted: Body = {
        "max_output_tokens": _output_cap(request, serving, notes),
        "reasoning": _reasoning(request, serving, notes),
        "text": text_options(request) or None,
        "include": _includes(request) or None,
    }
    body |= {name: value for name, value in wanted.items() if value is not None}
    return encode(body | _own_values(request))


def _said(request: Request, serving: Serving, notes: Notes) -> Body:
    """Return the instructions and the conversation, which may not be empty."""
    instructions = "\n\n".join(part.text for part in request.system if part.text)
    items = Items(request, label=serving.label, notes=notes).rendered()
    if items or request.dialect == DIALECT:
        given = {"instructions": instructions} if instructions else {}
        return {**given, "input": items}
    role = "developer" if instructions else "user"
    content = [{"type": "input_text", "text": instructions}]
    return {"input": [{"type": "message", "role": role, "content": content}]}


def _tool_values(request: Request) -> Body:
    values: Body = {}
    if request.tools:
        values["tools"] = render_tools(request.tools, own=request.dialect == DIALECT)
    if request.tool_choice is not None:
        values["tool_choice"] = render_choice(request.tool_choice, request)
    return values


def _own_values(request: Request) -> Body:
    """Return what only this dialect can say, if the request was made in it."""
    if request.dialect != DIALECT:
        return {}
    return {
        name: raw
        for name, raw in request.extras.items()
        if name not in _APART and not name.startswith(_TEXT)
    }


def _plain_values(request: Request) -> Body:
    store = request.store
    if store is None and request.dialect != DIALECT:
        store = False
    values: Body = {
        "parallel_tool_calls": request.parallel_tools,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "user": request.user,
        "metadata": dict(request.metadata) or None,
        "service_tier": request.service_tier,
        "prompt_cache_key": request.prompt_cache_key,
        "store": store,
        "stream": request.stream or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _output_cap(request: Request, serving: Serving, notes: Notes) -> int | None:
    """Return how much the answer may be at most, within what the target can do."""
    asked = request.output_cap
    if asked is None:
        return None
    cap = asked if serving.output_cap is None else min(asked, serving.output_cap)
    if request.dialect != DIALECT:
        cap = max(cap, _LEAST_OUTPUT_TOKENS)
    if cap != asked:
        field = said_as(request.dialect, "output_cap")
        notes.approximated(field, f"the target was asked for {cap}")
    return cap


def _reasoning(request: Request, serving: Serving, notes: Notes) -> Body | None:
    ask = request.reasoning
    if ask is None:
        return None
    field = said_as(request.dialect, "reasoning")
    effort = effort_of(ask, levels=serving.reasoning_levels, field=field, notes=notes)
    said: Body = {"effort": effort, "summary": ask.summary}
    rendered = {name: value for name, value in said.items() if value is not None}
    if request.dialect == DIALECT:
        return {**rendered, **ask.extras}
    return rendered or None


def text_options(request: Request) -> Body:
    """Return how the text of the answer shall be, as `text` says it."""
    options: Body = {}
    if request.output_format is not None:
        options["format"] = _format(request.output_format)
    if request.verbosity is not None:
        options["verbosity"] = request.verbosity
    if request.dialect == DIALECT:
        options |= {
            name.removeprefix(_TEXT): raw
            for name, raw in request.extras.items()
            if name.startswith(_TEXT)
        }
    return options


def _format(wanted: OutputFormat) -> Body:
    if wanted.kind == "json_object":
        return {"type": "json_object"}
    said: Body = {
        "type": "json_schema",
        "name": wanted.name or "answer",
        "description": wanted.description,
        "schema": wanted.schema,
        "strict": wanted.strict,
    }
    return {name: value for name, value in said.items() if value is not None}


def _includes(request: Request) -> list[str]:
    if request.dialect != DIALECT:
        wanted = request.wants_reasoning_state and request.reasoning is not None
        return [STATE_INCLUDE] if wanted else []
    includes = [STATE_INCLUDE] if request.wants_reasoning_state else []
    others = request.extras.get("include")
    if others is not None:
        try:
            includes += _decode_includes(others)
        except UNREADABLE:
            return includes
    if "logprobs" in request.needs and LOGPROBS_INCLUDE not in includes:
        includes += [] if "top_logprobs" in request.extras else [LOGPROBS_INCLUDE]
    return includes
