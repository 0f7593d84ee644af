"""From what a request says about tools and the form of its answer to the canon."""

from typing import Final, Literal

import msgspec

from smart_llmrouter.core.request import (
    WEB_SEARCH,
    CustomTool,
    FunctionTool,
    HostedTool,
    OutputFormat,
    Tool,
    ToolChoice,
)
from smart_llmrouter.dialects.openai_chat.fields import (
    FLAG,
    OBJECT,
    OBJECTS,
    RAW,
    TEXT,
    TEXT_OR_OBJECT,
    Fields,
    invalid,
)
from smart_llmrouter.wire.jsonobject import RawMembers, render_members
from smart_llmrouter.wire.rawvalues import UNREADABLE

_MODES: Final[dict[str, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",
}


def read_tools(fields: Fields) -> tuple[Tool, ...]:
    """Read `tools`, the older `functions`, and the search that is asked for apart."""
    tools: list[Tool] = [
        _tool(members, f"tools.{place}")
        for place, members in enumerate(fields.take("tools", OBJECTS) or ())
    ]
    tools += [
        _function(Fields(members, f"functions.{place}"))
        for place, members in enumerate(fields.take("functions", OBJECTS) or ())
    ]
    search = fields.take("web_search_options", RAW)
    if search is not None:
        tools.append(HostedTool(kind=WEB_SEARCH, raw=search))
    return tuple(tools)


def read_tool_choice(fields: Fields) -> ToolChoice | None:
    """Read `tool_choice`, or the older `function_call`. Raises `InvalidRequest`."""
    for field in ("tool_choice", "function_call"):
        given = fields.take(field, TEXT_OR_OBJECT)
        if isinstance(given, str):
            mode = _MODES.get(given)
            if mode is None:
                raise invalid(field, "must be one of auto, none, required or an object")
            return ToolChoice(mode=mode)
        if given is not None:
            return _chosen(Fields(given, field))
    return None


def read_output_format(fields: Fields) -> OutputFormat | None:
    """Read `response_format`; one of an unknown type stays where it is."""
    raw = fields.look("response_format")
    if raw is None:
        return None
    outer = Fields({"response_format": msgspec.Raw(raw)}).inside("response_format")
    kind = outer.demand("type", TEXT)
    if kind not in ("text", "json_object", "json_schema"):
        return None
    fields.drop("response_format")
    if kind == "text":
        return None
    if kind == "json_object":
        return OutputFormat(kind="json_object")
    form = outer.inside("json_schema")
    return OutputFormat(
        kind="json_schema",
        name=form.take("name", TEXT),
        description=form.take("description", TEXT),
        schema=form.take("schema", RAW),
        strict=form.take("strict", FLAG),
    )


def _tool(members: RawMembers, path: str) -> Tool:
    fields = Fields(members, path)
    kind = fields.take("type", TEXT) or "function"
    if kind == "function":
        return _function(fields.inside("function"), fields)
    if kind == "custom":
        custom = fields.inside("custom")
        return CustomTool(
            name=custom.demand("name", TEXT),
            description=custom.take("description", TEXT),
            format=_flat(custom.take("format", RAW)),
            extras={**fields.extras(), **custom.extras()},
        )
    return HostedTool(kind="other", raw=msgspec.Raw(render_members(members)))


def _flat(form: msgspec.Raw | None) -> msgspec.Raw | None:
    """Return what free text must be as Responses says it: a grammar in no object."""
    if form is None:
        return None
    try:
        said = OBJECT.decode(form)
        grammar = OBJECT.decode(said["grammar"])
    except (KeyError, *UNREADABLE):
        return form
    outer = {name: raw for name, raw in said.items() if name != "grammar"}
    return msgspec.Raw(render_members({**outer, **grammar}))


def _function(function: Fields, outer: Fields | None = None) -> FunctionTool:
    return FunctionTool(
        name=function.demand("name", TEXT),
        description=function.take("description", TEXT),
        schema=function.take("parameters", RAW),
        strict=function.take("strict", FLAG),
        extras={**(outer.extras() if outer else {}), **function.extras()},
    )


def _chosen(fields: Fields) -> ToolChoice:
    """Read a choice that is an object: one tool, or those that are allowed."""
    kind = fields.take("type", TEXT) or "function"
    if kind == "allowed_tools":
        return _allowed(fields.inside("allowed_tools"))
    if kind not in ("function", "custom"):
        raise invalid(
            fields.path_of("type"), "must be function, custom or allowed_tools"
        )
    named = fields.inside(kind) if fields.look(kind) is not None else fields
    return ToolChoice(mode="named", name=named.demand("name", TEXT))


def _allowed(fields: Fields) -> ToolChoice:
    names = []
    for place, members in enumerate(fields.demand("tools", OBJECTS)):
        tool = Fields(members, fields.path_of(f"tools.{place}"))
        kind = tool.take("type", TEXT) or "function"
        inner = tool.inside(kind) if tool.look(kind) is not None else tool
        names.append(inner.demand("name", TEXT))
    return ToolChoice(
        mode="allowed",
        names=tuple(names),
        required=fields.take("mode", TEXT) == "required",
    )
