"""Writing tools, and the choice among them, for a provider of this dialect."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from smart_llmrouter.core.content import Extras
from smart_llmrouter.core.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    Request,
    SearchTool,
    Tool,
    ToolChoice,
)
from smart_llmrouter.dialects.openai_responses.parse_tools import NAMESPACE_FIELD
from smart_llmrouter.wire.rawvalues import NULL

DIALECT: Final = "openai-responses"
_TYPES: Final[Mapping[type, str]] = {
    FunctionTool: "function",
    CustomTool: "custom",
    SearchTool: "tool_search",
}


def render_tools(tools: Iterable[Tool], *, own: bool) -> list[object]:
    """Render tools; `own` says that they were declared in this dialect.

    Here a function is strict unless it says otherwise, and elsewhere it is not.
    """
    rendered: list[object] = []
    for namespace, group in groupby(tools, key=_namespace_of):
        members = list(group)
        inner = [_render_tool(tool, own=own) for tool in members]
        if namespace is None:
            rendered += inner
        else:
            said = _said_of_namespace(members[0])
            rendered.append(
                {"type": "namespace", "name": namespace, **said, "tools": inner}
            )
    return rendered


def _namespace_of(tool: Tool) -> str | None:
    return None if isinstance(tool, HostedTool) else tool.namespace


def _said_of_namespace(first: Tool) -> Extras:
    if isinstance(first, HostedTool):
        return {}
    return {
        name.removeprefix(NAMESPACE_FIELD): raw
        for name, raw in first.extras.items()
        if name.startswith(NAMESPACE_FIELD)
    }


def _render_tool(tool: Tool, *, own: bool) -> object:
    if isinstance(tool, HostedTool):
        return tool.raw
    rendered: dict[str, object] = {"type": _TYPES[type(tool)]}
    if isinstance(tool, SearchTool):
        rendered["execution"] = "client"
    else:
        rendered["name"] = tool.name
    if tool.description is not None:
        rendered["description"] = tool.description
    rendered |= _shape_of(tool, own=own)
    if own:
        rendered |= {
            name: raw
            for name, raw in tool.extras.items()
            if not name.startswith(NAMESPACE_FIELD)
        }
    return rendered


def _shape_of(
    tool: FunctionTool | CustomTool | SearchTool, *, own: bool
) -> dict[str, object]:
    """Render what a tool is called with."""
    if isinstance(tool, CustomTool):
        return {} if tool.format is None else {"format": tool.format}
    shape: dict[str, object] = {}
    if tool.schema is not None or not own:
        shape["parameters"] = tool.schema or _ANY_OBJECT
    if isinstance(tool, FunctionTool) and (tool.strict is not None or not own):
        shape["strict"] = bool(tool.strict)
    return shape


_ANY_OBJECT: Final = {"type": "object", "properties": {}}


def render_choice(choice: ToolChoice, request: Request) -> object:
    """Render which tools may or must be called."""
    if choice.mode == "allowed":
        return {
            "type": "allowed_tools",
            "mode": "required" if choice.required else "auto",
            "tools": _allowed(choice, request),
        }
    if choice.mode != "named":
        return choice.mode
    kind = _type_of(choice.name, choice.namespace, request.tools)
    if kind == "tool_search":
        return {"type": kind}
    named = {"type": kind, "name": choice.name}
    if choice.namespace is not None:
        named["namespace"] = choice.namespace
    return named


def _allowed(choice: ToolChoice, request: Request) -> object:
    as_said = request.extras.get("tool_choice.tools", NULL)
    if request.dialect == DIALECT and as_said != NULL:
        return as_said
    return [
        {"type": _type_of(name, None, request.tools), "name": name}
        for name in choice.names
    ]


def _type_of(name: str | None, namespace: str | None, tools: Sequence[Tool]) -> str:
    for tool in tools:
        if (
            not isinstance(tool, HostedTool)
            and tool.name == name
            and tool.namespace == namespace
        ):
            return _TYPES[type(tool)]
    return "function"


def found_tools(text: str, request: Request) -> list[object]:
    """Render the tools that a search result names, as far as they are declared."""
    try:
        names = set(_decode_found(text).tools)
    except msgspec.MsgspecError:
        return []
    found = [
        tool
        for tool in request.tools
        if not isinstance(tool, HostedTool)
        and ".".join(name for name in (tool.namespace, tool.name) if name) in names
    ]
    return render_tools(found, own=request.dialect == DIALECT)


class _Found(msgspec.Struct):
    tools: list[str]


_decode_found: Final = msgspec.json.Decoder(_Found).decode
