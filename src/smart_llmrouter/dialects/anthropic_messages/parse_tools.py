"""Tools of a request, and the choice among them, as the canon has them.

A tool of Anthropic's own that the caller runs (a shell, an editor of text, a memory) is
a function whose arguments are known beforehand; a real provider knows them, too, all
others are told. What the provider would run, or what takes a model made for it (the
screen of a computer), is hosted.
"""

from typing import Final

import msgspec

from smart_llmrouter.core.request import (
    WEB_SEARCH,
    ChoiceMode,
    FunctionTool,
    HostedKind,
    HostedTool,
    Tool,
    ToolChoice,
)
from smart_llmrouter.dialects.anthropic_messages.fields import Fields

TYPE: Final = "type"

_HOSTED_KINDS: Final[tuple[tuple[str, HostedKind], ...]] = (
    ("web_search_", WEB_SEARCH),
    ("web_fetch_", "web_fetch"),
    ("code_execution_", "code_interpreter"),
    ("mcp_toolset", "mcp"),
    ("computer_", "computer_use"),
    ("browser_", "computer_use"),
)


class _Known(msgspec.Struct, frozen=True):
    """What a model must be told of a tool that Anthropic's models know."""

    description: str
    schema: msgspec.Raw


_PATH: Final = b'"path":{"type":"string","description":"An absolute path."}'
_VIEW_RANGE: Final = (
    b'"view_range":{"type":"array","items":{"type":"integer"},"description":'
    b'"First and last line to view, counted from 1; -1 is the last one."}'
)
_CLIENT_TOOLS: Final = (
    (
        "bash_",
        _Known(
            "Run a command in a shell that keeps its state between calls.",
            msgspec.Raw(
                b'{"type":"object","properties":{"command":{"type":"string",'
                b'"description":"The command; not needed with restart."},'
                b'"restart":{"type":"boolean",'
                b'"description":"Begin with a new shell."}}}'
            ),
        ),
    ),
    (
        "text_editor_",
        _Known(
            "View, create and change text files.",
            msgspec.Raw(
                b'{"type":"object","properties":{"command":{"type":"string",'
                b'"enum":["view","create","str_replace","insert","undo_edit"]},'
                + _PATH
                + b","
                + _VIEW_RANGE
                + b',"file_text":{"type":"string","description":"For create."},'
                b'"old_str":{"type":"string","description":"For str_replace: '
                b'text that stands in the file exactly once."},'
                b'"new_str":{"type":"string","description":"For str_replace."},'
                b'"insert_line":{"type":"integer","description":"For insert: '
                b'the line after which to insert, 0 for the beginning."},'
                b'"insert_text":{"type":"string","description":"For insert."}},'
                b'"required":["command","path"]}'
            ),
        ),
    ),
    (
        "memory_",
        _Known(
            "Keep notes in files under /memories, for later conversations, too.",
            msgspec.Raw(
                b'{"type":"object","properties":{"command":{"type":"string",'
                b'"enum":["view","create","str_replace","insert","delete","rename"]},'
                + _PATH
                + b","
                + _VIEW_RANGE
                + b',"file_text":{"type":"string","description":"For create."},'
                b'"old_str":{"type":"string","description":"For str_replace."},'
                b'"new_str":{"type":"string","description":"For str_replace."},'
                b'"insert_line":{"type":"integer","description":"For insert."},'
                b'"insert_text":{"type":"string","description":"For insert."},'
                b'"old_path":{"type":"string","description":"For rename."},'
                b'"new_path":{"type":"string","description":"For rename."}},'
                b'"required":["command"]}'
            ),
        ),
    ),
)
_MODES: Final[dict[str, ChoiceMode]] = {
    "auto": "auto",
    "any": "required",
    "tool": "named",
    "none": "none",
}


def parse_tool(tool: Fields) -> Tool:
    """Read one tool. Raises `InvalidRequest`."""
    kind = tool.peeked(TYPE)
    if kind is None or kind == msgspec.Raw(b'"custom"'):
        tool.raw(TYPE)
        return _function(tool, None)
    name = tool.peeked_text(TYPE)
    for prefix, known in _CLIENT_TOOLS:
        if name.startswith(prefix):
            return _function(tool, known)
    for prefix, hosted in _HOSTED_KINDS:
        if name.startswith(prefix):
            return HostedTool(kind=hosted, raw=tool.whole())
    return HostedTool(kind="other", raw=tool.whole())


def parse_choice(choice: Fields | None) -> tuple[ToolChoice | None, bool | None]:
    """Read `tool_choice`: the choice, and whether calls may be made in parallel.

    Raises `InvalidRequest`.
    """
    if choice is None:
        return None, None
    mode = _MODES.get(choice.text("type") or "")
    if mode is None:
        choice.miss("type", "auto, any, tool or none")
    name = choice.given_text("name") if mode == "named" else None
    alone = choice.flag("disable_parallel_tool_use")
    return ToolChoice(mode=mode, name=name), False if alone else None


def _function(tool: Fields, known: _Known | None) -> FunctionTool:
    description, schema = tool.text("description"), tool.raw("input_schema")
    if known is not None:
        description, schema = description or known.description, known.schema
    return FunctionTool(
        name=tool.given_text("name"),
        description=description,
        schema=schema,
        strict=tool.flag("strict"),
        extras=tool.rest(),
    )
