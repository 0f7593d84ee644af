"""From the canon to a request that any provider of Chat Completions understands.

What is not said as it came, each time with a note:

* an output cap above what the model can put out is lowered to that;
* a choice among some of the tools leaves the others out;
* `verbosity`, `prompt_cache_key`, `service_tier`, and `store: false` go to OpenAI's
  models only (see `families`): others refuse them, or do not know them;
* `metadata` is dropped, as OpenAI takes it only for what it stores, and `store: true`
  of another dialect, which means another store;
* a `user` of more than 64 characters is sent as a fingerprint, as OpenAI takes no more;
* OpenAI's models get no more than four stop sequences.

Instructions and `developer` turns are said as `system`: OpenAI's models read it as
`developer`, and nobody else knows that. A stream is always asked to end with its usage.
"""

import hashlib
from typing import Final

import msgspec

from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import (
    WEB_SEARCH,
    CustomTool,
    FunctionTool,
    HostedTool,
    OutputFormat,
    ReasoningAsk,
    Request,
    SearchTool,
    ToolChoice,
)
from smart_llmrouter.dialects.base import Serving
from smart_llmrouter.dialects.lowering import lowered
from smart_llmrouter.dialects.openai_chat.families import cap_field, is_openai
from smart_llmrouter.dialects.openai_chat.render_messages import (
    plain_messages,
    render_messages,
)
from smart_llmrouter.dialects.openai_chat.render_own import own_messages
from smart_llmrouter.dialects.reasoning import budget_of, effort_of
from smart_llmrouter.dialects.said_as import said_as
from smart_llmrouter.dialects.tool_names import ToolNames
from smart_llmrouter.wire.jsonobject import NotAnObject, parse_members

Members = dict[str, object]

_ANSWER_NAME: Final = "response"
_SERVICE_TIERS: Final = frozenset({"auto", "default", "flex", "priority", "scale"})
_MOST_USER_CHARS: Final = 64
_MOST_STOPS: Final = 4
_GRAMMAR: Final = msgspec.Raw(b'"grammar"')
_LEAST_ANSWER_TOKENS: Final = 1_024
_encode: Final = msgspec.json.Encoder().encode


def render(request: Request, serving: Serving, notes: Notes) -> bytes:
    """Write a request of any dialect for a provider of this one.

    A request of this dialect is said with all that only it knows. Raises `NotBridged`.
    """
    own = request.dialect == "openai-chat"
    if own:
        messages = own_messages(request, notes)
    elif (texts := plain_messages(request)) is not None:
        messages = texts
    else:
        request = lowered(request, ToolNames(request.tools), notes)
        messages = render_messages(request, serving, notes)
    members: Members = {"model": serving.model, "messages": messages}
    _add_stream(members, request)
    _add_tools(members, request, notes)
    _add_output(members, request, serving, notes)
    _add_reasoning(members, request, serving, notes)
    _add_sampling(members, request, serving, notes)
    if own:
        _add_own(members, request)
    else:
        _add_openai(members, request, serving, notes)
    return _encode(members)


def _add_stream(members: Members, request: Request) -> None:
    if request.stream:
        members["stream"] = True
        members["stream_options"] = {"include_usage": True}


def _add_tools(members: Members, request: Request, notes: Notes) -> None:
    tools, choice = request.tools, request.tool_choice
    if not tools and choice is None:
        return
    own = request.dialect == "openai-chat"
    if choice is not None and choice.mode == "allowed" and not own:
        tools = tuple(
            tool
            for tool in tools
            if not isinstance(tool, HostedTool) and tool.name in choice.names
        )
        choice = ToolChoice(mode="required" if choice.required else "auto")
        notes.approximated("tool_choice", "tools that are not allowed are left out")
    said = [_tool(tool) for tool in tools if not isinstance(tool, HostedTool)]
    if said:
        members["tools"] = said
        if request.parallel_tools is not None:
            members["parallel_tool_calls"] = request.parallel_tools
    if choice is not None and (said or own):
        members["tool_choice"] = _choice(choice, request)
    for tool in tools:
        if isinstance(tool, HostedTool) and tool.kind == WEB_SEARCH:
            members["web_search_options"] = tool.raw


def _tool(tool: FunctionTool | CustomTool | SearchTool) -> Members:
    kind, inner = "function", Members()
    if isinstance(tool, CustomTool):
        kind, inner = "custom", {"format": _nested(tool.format)}
    else:
        inner["parameters"] = tool.schema
        inner["strict"] = tool.strict if isinstance(tool, FunctionTool) else None
    told = {"name": tool.name, "description": tool.description, **inner}
    there = {name: value for name, value in told.items() if value is not None}
    return {"type": kind, kind: there, **tool.extras}


def _nested(form: msgspec.Raw | None) -> object:
    """Return what free text must be as Chat says it: a grammar in an object."""
    if form is None:
        return None
    try:
        grammar = parse_members(bytes(form))
    except NotAnObject:
        return form
    if grammar.get("type") != _GRAMMAR or "grammar" in grammar:
        return form
    return {"type": grammar.pop("type"), "grammar": grammar}


def _choice(choice: ToolChoice, request: Request) -> object:
    kinds = {
        tool.name: "custom" if isinstance(tool, CustomTool) else "function"
        for tool in request.tools
        if not isinstance(tool, HostedTool)
    }

    def one(name: str | None) -> Members:
        kind = kinds.get(name or "", "function")
        return {"type": kind, kind: {"name": name}}

    if choice.mode == "named":
        return one(choice.name)
    if choice.mode == "allowed":
        mode = "required" if choice.required else "auto"
        allowed = {"mode": mode, "tools": [one(name) for name in choice.names]}
        return {"type": "allowed_tools", "allowed_tools": allowed}
    return choice.mode


def _add_output(
    members: Members, request: Request, serving: Serving, notes: Notes
) -> None:
    cap, most = request.output_cap, serving.output_cap
    if cap is not None:
        if most is not None and cap > most:
            field = said_as(request.dialect, "output_cap")
            notes.approximated(field, f"the model can put out {most} tokens")
            cap = most
        members[cap_field(serving.model)] = cap
    if request.output_format is not None:
        members["response_format"] = _form(request.output_format)


def _form(form: OutputFormat) -> Members:
    if form.kind == "json_object":
        return {"type": "json_object"}
    told = {
        "name": form.name or _ANSWER_NAME,
        "description": form.description,
        "schema": form.schema,
        "strict": form.strict,
    }
    there = {name: value for name, value in told.items() if value is not None}
    return {"type": "json_schema", "json_schema": there}


def _add_reasoning(
    members: Members, request: Request, serving: Serving, notes: Notes
) -> None:
    ask = request.reasoning
    if ask is None:
        return
    field = said_as(request.dialect, "reasoning")
    if serving.reasoning_control == "token_budget":
        budget = _budget(ask, members.get(cap_field(serving.model)), field, notes)
        if budget is not None:
            members["thinking"] = (
                {"type": "enabled", "budget_tokens": budget}
                if budget
                else {"type": "disabled"}
            )
    else:
        effort = effort_of(
            ask, levels=serving.reasoning_levels, field=field, notes=notes
        )
        if effort is not None:
            members["reasoning_effort"] = effort
    if ask.summary is not None:
        notes.dropped("reasoning.summary", "a provider of Chat shows what it likes")


def _budget(ask: ReasoningAsk, cap: object, field: str, notes: Notes) -> int | None:
    """Return how many tokens may be thought: fewer than the answer may have in all."""
    budget = budget_of(ask, field=field, notes=notes)
    if budget is None:
        if ask.adaptive or ask.effort is not None:
            notes.approximated(field, "the provider's default decides how much")
    elif isinstance(cap, int) and budget >= cap:
        notes.approximated(field, "the budget is less than the output cap")
        return max(cap - _LEAST_ANSWER_TOKENS, 0)
    return budget


def _add_sampling(
    members: Members, request: Request, serving: Serving, notes: Notes
) -> None:
    if request.temperature is not None:
        members["temperature"] = request.temperature
    if request.top_p is not None:
        members["top_p"] = request.top_p
    stop = request.stop
    if len(stop) > _MOST_STOPS and is_openai(serving.model):
        field = said_as(request.dialect, "stop")
        notes.approximated(field, f"OpenAI takes the first {_MOST_STOPS} only")
        stop = stop[:_MOST_STOPS]
    if stop:
        members["stop"] = stop
    if request.user is not None:
        members["user"] = request.user
        if len(request.user) > _MOST_USER_CHARS:
            members["user"] = hashlib.sha256(request.user.encode()).hexdigest()
            notes.approximated(
                said_as(request.dialect, "user"), "too long; sent as a fingerprint"
            )


_OPENAI_FIELDS: Final = ("verbosity", "service_tier", "prompt_cache_key", "store")


def _add_own(members: Members, request: Request) -> None:
    """Say what the caller said in this very dialect."""
    for name in _OPENAI_FIELDS:
        value = getattr(request, name)
        if value is not None:
            members[name] = value
    if request.metadata:
        members["metadata"] = request.metadata
    members.update(request.extras)


def _add_openai(
    members: Members, request: Request, serving: Serving, notes: Notes
) -> None:
    """Say what only OpenAI takes, if it is OpenAI that is asked."""
    if request.metadata:
        notes.dropped("metadata", "taken for stored answers only")
    for name in _OPENAI_FIELDS:
        value = getattr(request, name)
        if value is None:
            continue
        field = said_as(request.dialect, name)
        if name == "store" and value:
            notes.dropped(field, "the answer cannot be fetched later")
        elif name == "service_tier" and value not in _SERVICE_TIERS:
            notes.dropped(field, "the provider has no such tier")
        elif is_openai(serving.model):
            members[name] = value
        elif name != "store":
            # Who has no store keeps nothing, as was asked for.
            notes.dropped(field, "only OpenAI's models take it")
