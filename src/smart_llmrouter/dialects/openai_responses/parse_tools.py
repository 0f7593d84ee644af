"""Reading the tools of a request, and which of them must be called."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from smart_llmrouter.core.content import Extras
from smart_llmrouter.core.request import (
    IMAGE_GENERATION,
    WEB_SEARCH,
    ChoiceMode,
    CustomTool,
    FunctionTool,
    HostedKind,
    HostedTool,
    SearchTool,
    Tool,
    ToolChoice,
)
from smart_llmrouter.dialects.openai_responses.fields import Fields

NAMESPACE_FIELD: Final = "namespace."
"""How the fields of a namespace are named in the extras of its first tool."""

_HOSTED: Final[Mapping[str, HostedKind]] = {
    WEB_SEARCH: WEB_SEARCH,
    "web_search_preview": WEB_SEARCH,
    IMAGE_GENERATION: IMAGE_GENERATION,
    "mcp": "mcp",
    "file_search": "file_search",
    "code_interpreter": "code_interpreter",
    "computer": "computer_use",
    "computer_use": "computer_use",
    "computer_use_preview": "computer_use",
}
_CALLABLE: Final = frozenset({"function", "custom", "tool_search"})
_MODES: Final[Mapping[str, ChoiceMode]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}
_FORCED: Final = "forced-tool-choice"


class Tools:
    """The tools that a request declares, wherever it does; each is kept once.

    Tools of a namespace are found by both names; what a namespace says of itself is
    kept in the extras of the first tool in it.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._tools: list[Tool] = []
        self._known: set[tuple[str | None, str]] = set()

    def add(self, declared: Iterator[Fields]) -> tuple[str, ...]:
        """Add what is declared in a list of tools; return the names in it."""
        names: list[str] = []
        for tool in declared:
            for each in _read_tool(tool):
                if isinstance(each, HostedTool):
                    self._tools.append(each)
                    continue
                place = (each.namespace, each.name)
                names.append(".".join(name for name in place if name))
                if place not in self._known:
                    self._known.add(place)
                    self._tools.append(each)
        return tuple(names)

    def all(self) -> tuple[Tool, ...]:
        """Return all tools in the order in which they were declared."""
        return tuple(self._tools)


def _read_tool(tool: Fields) -> Iterator[Tool]:
    kind = tool.needed_text("type")
    if kind == "namespace":
        yield from _read_namespace(tool)
    elif kind == "function":
        yield _read_function(tool, None)
    elif kind == "custom":
        yield _read_custom(tool, None)
    elif kind == "tool_search" and tool.text("execution") == "client":
        yield SearchTool(
            description=tool.text("description"),
            schema=tool.raw("parameters"),
            extras=tool.rest("type", "execution", "description", "parameters"),
        )
    else:
        dated = kind.partition("_2025")[0].partition("_2026")[0]
        yield HostedTool(kind=_HOSTED.get(dated, "other"), raw=tool.whole())


def _read_namespace(space: Fields) -> Iterator[Tool]:
    name = space.needed_text("name")
    own = {
        NAMESPACE_FIELD + field: raw
        for field, raw in space.rest("type", "name", "tools").items()
    }
    for tool in space.items("tools"):
        kind = tool.needed_text("type")
        if kind == "custom":
            each: CustomTool | FunctionTool = _read_custom(tool, name)
        elif kind == "function":
            each = _read_function(tool, name)
        else:
            yield HostedTool(kind="other", raw=tool.whole())
            continue
        yield msgspec.structs.replace(each, extras={**each.extras, **own})
        own = {}


def _read_function(tool: Fields, namespace: str | None) -> FunctionTool:
    return FunctionTool(
        name=tool.needed_text("name"),
        description=tool.text("description"),
        schema=tool.raw("parameters"),
        strict=tool.flag("strict"),
        namespace=namespace,
        extras=tool.rest("type", "name", "description", "parameters", "strict"),
    )


def _read_custom(tool: Fields, namespace: str | None) -> CustomTool:
    return CustomTool(
        name=tool.needed_text("name"),
        description=tool.text("description"),
        format=tool.raw("format"),
        namespace=namespace,
        extras=tool.rest("type", "name", "description", "format"),
    )


def read_choice(request: Fields) -> tuple[ToolChoice | None, Extras, tuple[str, ...]]:
    """Return the choice of a tool, what of it only this dialect says, and its needs."""
    if request.raw("tool_choice") is None:
        return None, {}, ()
    if request.is_text("tool_choice"):
        mode = _MODES.get(request.needed_text("tool_choice"))
        if mode is None:
            raise request.wrong("tool_choice", "`auto`, `none`, `required` or a tool")
        return ToolChoice(mode=mode), {}, ()
    choice = request.inner("tool_choice")
    if choice is None:
        return None, {}, ()
    kind = choice.needed_text("type")
    if kind == "allowed_tools":
        return _read_allowed(choice)
    if kind not in _CALLABLE:
        return None, {"tool_choice": choice.whole()}, (_FORCED,)
    name = kind if kind == "tool_search" else choice.needed_text("name")
    named = ToolChoice(mode="named", name=name, namespace=choice.text("namespace"))
    return named, {}, ()


def _read_allowed(
    choice: Fields,
) -> tuple[ToolChoice, Extras, tuple[str, ...]]:
    """Read a choice among some tools; those that are not callable stay extras."""
    names, others = [], False
    for tool in choice.items("tools"):
        name = tool.text("name")
        if tool.text("type") in _CALLABLE and name and tool.raw("namespace") is None:
            names.append(name)
        else:
            others = True
    allowed = ToolChoice(
        mode="allowed",
        names=tuple(names),
        required=choice.text("mode") == "required",
    )
    extras = {"tool_choice.tools": choice.members["tools"]} if others else {}
    return allowed, extras, ()
