"""How the tools that a client offers do what a directive wants.

Agents name the same thing differently: a shell is `exec_command` with `cmd` for one and
`Bash` with `command` for another, and a third takes a program that calls it. Here is
what is known of them; a tool is found by its name, then by the fields that it takes.
"""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.mockprovider.asked import Tool
from smart_llmrouter.mockprovider.samples import Schema, sample

SHELLS: Final = (
    "exec_command", "shell_command", "shell", "bash", "run_command",
    "run_shell_command", "execute_command",
)  # fmt: skip
COMMAND_FIELDS: Final = ("cmd", "command")
WRITERS: Final = ("write", "write_file", "create_file")
EDITORS: Final = ("edit", "edit_file", "str_replace", "replace")
READERS: Final = ("read", "read_file")
VIEWERS: Final = ("view_image", *READERS)
PATH_FIELDS: Final = ("file_path", "filePath", "path", "filename")
CONTENT_FIELDS: Final = ("content", "contents", "file_text", "text")
OLD_FIELDS: Final = ("old_string", "oldString", "old_str", "old_text", "oldText")
NEW_FIELDS: Final = ("new_string", "newString", "new_str", "new_text", "newText")
PATCHER: Final = "apply_patch"
CODE_RUNNER: Final = "exec"
_NAME_ENDS: Final = ("__", ".", "-")


@dataclass(frozen=True, slots=True)
class Use:
    """A tool, and what it is called with: JSON, or free text for a custom tool."""

    tool: Tool
    arguments: str


Action = Callable[[Sequence[Tool], str], Use | None]


def run(tools: Sequence[Tool], command: str) -> Use | None:
    """Run a shell command."""
    for tool in (*_named(tools, SHELLS), *tools):
        if (field := _field(tool, COMMAND_FIELDS)) is not None:
            argv = ["bash", "-lc", command]
            listed = _properties(tool)[field].get("type") == "array"
            return _called(tool, {field: argv if listed else command})
    return _coded(tools, "exec_command", {"cmd": command}, "text(r.output)")


def write(tools: Sequence[Tool], rest: str) -> Use | None:
    """Write a file: `<path> <text>`; the file ends with a line end."""
    path, _, text = rest.partition(" ")
    text = text.replace("\\n", "\n") + "\n"
    added = "".join(f"+{line}\n" for line in text.splitlines())
    patch = f"*** Begin Patch\n*** Add File: {path}\n{added}*** End Patch\n"
    return (
        _patched(tools, patch)
        or _filed(tools, WRITERS, {PATH_FIELDS: path, CONTENT_FIELDS: text})
        or _coded(tools, PATCHER, patch, "text(r)")
        or run(tools, f"printf %s {shlex.quote(text)} > {shlex.quote(path)}")
    )


def edit(tools: Sequence[Tool], rest: str) -> Use | None:
    """Change whole lines of a file: `<path> <old> => <new>`."""
    path, _, change = rest.partition(" ")
    old, _, new = (part.replace("\\n", "\n") for part in change.partition(" => "))
    lines = [f"-{line}\n" for line in old.splitlines()]
    lines += [f"+{line}\n" for line in new.splitlines()]
    patch = (
        f"*** Begin Patch\n*** Update File: {path}\n@@\n{''.join(lines)}*** End Patch\n"
    )
    return (
        _patched(tools, patch)
        or _filed(tools, EDITORS, {PATH_FIELDS: path, OLD_FIELDS: old, NEW_FIELDS: new})
        or _coded(tools, PATCHER, patch, "text(r)")
        or run(tools, _substitution(path, old, new))
    )


def read(tools: Sequence[Tool], path: str) -> Use | None:
    """Read a file."""
    return _filed(tools, READERS, {PATH_FIELDS: path}) or run(
        tools, f"cat {shlex.quote(path)}"
    )


def view(tools: Sequence[Tool], path: str) -> Use | None:
    """Look at an image file."""
    return _filed(tools, VIEWERS, {PATH_FIELDS: path}) or _coded(
        tools, "view_image", {"path": path}, "image(r)"
    )


def call(tools: Sequence[Tool], rest: str) -> Use | None:
    """Call a tool by its name: `<name> <arguments>`, with just these arguments."""
    name, _, arguments = rest.partition(" ")
    arguments = arguments.strip()
    for tool in _named(tools, (name,)):
        return Use(tool, arguments or ("" if tool.kind == "custom" else "{}"))
    return _coded(tools, name, _Verbatim(arguments or "{}"), "text(r)")


def search(tools: Sequence[Tool], query: str) -> Use | None:
    """Search for more tools."""
    for tool in tools:
        if tool.kind == "search":
            return _called(tool, {"query": query})
    for tool in _named(tools, ("tool_search", "toolsearch")):
        return _called(tool, {"query": query})
    return None


ACTIONS: Final[Mapping[str, Action]] = {
    "call": call,
    "edit": edit,
    "read": read,
    "run": run,
    "search": search,
    "view": view,
    "write": write,
}
"""The directives that need a tool, and how it is called."""


class _Verbatim(str):
    """JSON that goes into a program as it is."""

    __slots__ = ()


def _named(tools: Sequence[Tool], names: Sequence[str]) -> Iterator[Tool]:
    """Yield tools by the order of `names`: whole names, then ends of longer names.

    A router may have put the name of a namespace or of a server before that of a tool.
    """
    lower = [(tool.name.lower(), tool) for tool in tools]
    for name in names:
        yield from (tool for own, tool in lower if own == name.lower())
    for name in names:
        ends = tuple(between + name.lower() for between in _NAME_ENDS)
        yield from (tool for own, tool in lower if own.endswith(ends))


def _called(tool: Tool, arguments: Mapping[str, object]) -> Use:
    """Call a function with `arguments` and samples for what else it demands."""
    required = (tool.schema or {}).get("required")
    demanded = sample(tool.schema) if isinstance(required, list) and required else {}
    if isinstance(demanded, Mapping):
        arguments = {**demanded, **arguments}
    return Use(tool, json.dumps(arguments, ensure_ascii=False))


def _filed(
    tools: Sequence[Tool],
    names: Sequence[str],
    values: Mapping[tuple[str, ...], str],
) -> Use | None:
    """Call the first of `names` that has a field for each of `values`."""
    for tool in _named(tools, names):
        fields = {_field(tool, known): value for known, value in values.items()}
        if None not in fields:
            return _called(tool, {str(field): value for field, value in fields.items()})
    return None


def _patched(tools: Sequence[Tool], patch: str) -> Use | None:
    """Hand `patch` to the tool that takes patches, as text or in its one field."""
    for tool in _named(tools, (PATCHER,)):
        if tool.kind == "custom":
            return Use(tool, patch)
        if (field := _text_field(tool)) is not None:
            return _called(tool, {field: patch})
    return None


def _coded(
    tools: Sequence[Tool], name: str, argument: object, shown: str
) -> Use | None:
    """Write a program that calls `name`, for the tool that runs programs."""
    for tool in _named(tools, (CODE_RUNNER,)):
        spelt = argument if isinstance(argument, _Verbatim) else json.dumps(argument)
        program = f"const r = await tools.{name}({spelt}); {shown};\n"
        if tool.kind == "custom":
            return Use(tool, program)
        if (field := _text_field(tool)) is not None:
            return _called(tool, {field: program})
    return None


def _substitution(path: str, old: str, new: str) -> str:
    escaped_old = "".join(f"\\{sign}" if sign in r"\/.*[]^$&" else sign for sign in old)
    escaped_new = "".join(f"\\{sign}" if sign in r"\/&" else sign for sign in new)
    program = f"s/{escaped_old}/{escaped_new}/"
    return f"sed -i {shlex.quote(program)} {shlex.quote(path)}"


def _properties(tool: Tool) -> Mapping[str, Schema]:
    properties = (tool.schema or {}).get("properties")
    if tool.kind != "function" or not isinstance(properties, Mapping):
        return {}
    return {
        str(name): schema
        for name, schema in properties.items()
        if isinstance(schema, Mapping)
    }


def _field(tool: Tool, known: Sequence[str]) -> str | None:
    properties = _properties(tool)
    return next((name for name in known if name in properties), None)


def _text_field(tool: Tool) -> str | None:
    """Return the first field of text that is not a shell's command."""
    for name, schema in _properties(tool).items():
        if schema.get("type") == "string" and name not in COMMAND_FIELDS:
            return name
    return None
