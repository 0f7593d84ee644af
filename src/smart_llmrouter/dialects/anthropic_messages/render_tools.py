"""Tools of the canon, and the choice among them, for a provider.

A choice of some tools out of many leaves the others out. What was called before and is
not declared any more is declared again, for the model to understand, not to call:
Anthropic refuses calls in a conversation without tools.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    Request,
    SearchTool,
    Tool,
    ToolChoice,
)
from smart_llmrouter.dialects.anthropic_messages.parse_tools import TYPE
from smart_llmrouter.dialects.anthropic_messages.render_content import Block, Scope
from smart_llmrouter.dialects.anthropic_messages.render_messages import called_names
from smart_llmrouter.wire.jsonobject import NotAnObject, parse_members, render_members

_ANY_OBJECT: Final = msgspec.Raw(b'{"type":"object","properties":{}}')
_OBJECT: Final = msgspec.Raw(b'"object"')
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}


def render_tools(request: Request, scope: Scope) -> dict[str, object]:
    """Return `tools` and `tool_choice`, as far as there are any."""
    tools, choice = request.tools, request.tool_choice
    if choice is not None and choice.mode == "allowed":
        tools, choice = _allowed(tools, choice, scope.notes)
    if tools:
        rendered: dict[str, object] = {"tools": [_tool(tool, scope) for tool in tools]}
        chosen = _choice(choice, alone=request.parallel_tools is False)
        return rendered | ({"tool_choice": chosen} if chosen else {})
    names = [] if scope.own else called_names(request.turns)
    if not names:
        return {}
    scope.notes.approximated(
        "tools", "tools that were called are declared, not offered"
    )
    return {
        "tools": [{"name": name, "input_schema": _ANY_OBJECT} for name in names],
        "tool_choice": {"type": "none"},
    }


def _allowed(
    tools: Sequence[Tool], choice: ToolChoice, notes: Notes
) -> tuple[tuple[Tool, ...], ToolChoice]:
    left = tuple(
        tool
        for tool in tools
        if isinstance(tool, HostedTool) or tool.name in choice.names
    )
    if len(left) < len(tools):
        notes.approximated("tool_choice", "tools that may not be called are left out")
    return left, ToolChoice(mode="required" if choice.required else "auto")


def _choice(choice: ToolChoice | None, *, alone: bool) -> dict[str, object]:
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if alone else {}
    rendered: dict[str, object] = {"type": _CHOICES[choice.mode]}
    if choice.mode == "named":
        rendered["name"] = choice.name
    if alone and choice.mode != "none":
        rendered["disable_parallel_tool_use"] = True
    return rendered


def _tool(tool: Tool, scope: Scope) -> Block:
    match tool:
        case HostedTool():
            return tool.raw
        case FunctionTool():
            return _function(tool, scope)
        case CustomTool() | SearchTool():  # pragma: no cover - lowered before
            raise AssertionError("only functions reach a provider of Messages")


def _function(tool: FunctionTool, scope: Scope) -> Block:
    block: dict[str, object] = {"name": tool.name}
    if scope.own and TYPE in tool.extras:
        strict = {"strict": True} if tool.strict else {}
        return {**block, **tool.extras, **strict}
    if tool.description is not None:
        block["description"] = tool.description
    block["input_schema"] = _schema(tool.schema)
    if tool.strict:
        block["strict"] = True
    return scope.with_extras(block, tool.extras)


def _schema(schema: msgspec.Raw | None) -> msgspec.Raw:
    """Return the schema of an object, which it must be."""
    if schema is None:
        return _ANY_OBJECT
    try:
        members = parse_members(bytes(schema))
    except NotAnObject:
        return _ANY_OBJECT
    if "type" in members:
        return schema
    return msgspec.Raw(render_members({"type": _OBJECT, **members}))
