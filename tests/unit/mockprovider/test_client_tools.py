"""How the tools of different clients do the same thing."""

import json
import subprocess
from pathlib import Path
from typing import Final

import pytest

from smart_llmrouter.mockprovider.asked import Tool
from smart_llmrouter.mockprovider.client_tools import ACTIONS, Use

APPLY_PATCH: Final = Tool(name="apply_patch", kind="custom")
EXEC: Final = Tool(name="exec", kind="custom", namespace="functions")
ADDED: Final = "*** Begin Patch\n*** Add File: /a.txt\n+one\n+two\n*** End Patch\n"
CHANGED: Final = (
    "*** Begin Patch\n*** Update File: /a.txt\n@@\n-one\n+two\n*** End Patch\n"
)


def function(name: str, *fields: str, required: tuple[str, ...] = ()) -> Tool:
    """Return a function with fields of text."""
    properties = {field: {"type": "string"} for field in fields}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required or fields),
    }
    return Tool(name=name, schema=schema)


EXEC_COMMAND: Final = function(
    "exec_command", "cmd", "justification", required=("cmd",)
)
BASH: Final = function("Bash", "command", "description", required=("command",))
OPENCODE_BASH: Final = function("bash", "command", "description")
SHELL: Final = Tool(
    name="shell",
    schema={"type": "object", "properties": {"command": {"type": "array"}}},
)
WRITE: Final = function("Write", "file_path", "content")
EDIT: Final = function("Edit", "file_path", "old_string", "new_string")
OPENCODE_EDIT: Final = function("edit", "filePath", "oldString", "newString")
READ: Final = function("Read", "file_path")
VIEW: Final = function("view_image", "path")


def use(verb: str, rest: str, *tools: Tool) -> Use:
    """Return how `tools` do it."""
    found = ACTIONS[verb](tools, rest)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (EXEC_COMMAND, {"cmd": "ls"}),
        (BASH, {"command": "ls"}),
        (
            OPENCODE_BASH,
            {"command": "ls", "description": "a plausible description"},
        ),
        (SHELL, {"command": ["bash", "-lc", "ls"]}),
        (function("functions__run_command", "command"), {"command": "ls"}),
        (function("terminal", "cmd"), {"cmd": "ls"}),
    ],
)
def test_a_shell_gets_its_command(tool: Tool, arguments: object) -> None:
    """In the field that it has, with what it demands and nothing that it does not."""
    used = use("run", "ls", function("other", "query"), tool)

    assert used.tool == tool
    assert json.loads(used.arguments) == arguments


def test_a_shell_by_its_name_goes_before_one_by_its_fields() -> None:
    """Any tool may have a field that is called `command`."""
    used = use("run", "ls", function("schedule", "command"), BASH)

    assert used.tool == BASH


def test_a_program_runs_the_command_where_there_is_no_shell() -> None:
    """A tool that takes programs is called with one, as text or in its one field."""
    flat = function("functions__exec", "input")

    custom = use("run", 'echo "x"', EXEC)
    flattened = use("run", "ls", flat)

    assert custom.arguments == (
        'const r = await tools.exec_command({"cmd": "echo \\"x\\""}); text(r.output);\n'
    )
    assert json.loads(flattened.arguments) == {
        "input": 'const r = await tools.exec_command({"cmd": "ls"}); text(r.output);\n'
    }


def test_a_file_is_written_with_a_patch() -> None:
    """As free text, in the one field of a function, or in a program."""
    custom = use("write", "/a.txt one\\ntwo", BASH, APPLY_PATCH)
    flat = use("write", "/a.txt one\\ntwo", function("apply_patch", "patchText"))
    program = use("write", "/a.txt one\\ntwo", EXEC)

    assert custom.arguments == ADDED
    assert json.loads(flat.arguments) == {"patchText": ADDED}
    assert program.arguments == (
        f"const r = await tools.apply_patch({json.dumps(ADDED)}); text(r);\n"
    )


def test_a_file_is_written_whole() -> None:
    """By a tool that takes a path and the content."""
    used = use("write", "/a.txt one\\ntwo", BASH, WRITE)

    assert used.tool == WRITE
    assert json.loads(used.arguments) == {
        "file_path": "/a.txt",
        "content": "one\ntwo\n",
    }


def test_a_file_is_edited() -> None:
    """With a patch, or by a tool that replaces texts, whatever it calls them."""
    patch = use("edit", "/a.txt one => two", APPLY_PATCH)
    edited = use("edit", "/a.txt one => two", BASH, EDIT)
    other = use("edit", "/a.txt one => two", OPENCODE_EDIT)

    assert patch.arguments == CHANGED
    assert json.loads(edited.arguments) == {
        "file_path": "/a.txt",
        "old_string": "one",
        "new_string": "two",
    }
    assert json.loads(other.arguments) == {
        "filePath": "/a.txt",
        "oldString": "one",
        "newString": "two",
    }


def test_a_shell_can_do_it_all(tmp_path: Path) -> None:
    """Where there is nothing else: what it runs has the same effect."""
    path = tmp_path / "a file.txt"
    named = tmp_path / "a.txt"
    for verb, rest in (
        ("write", f"{named} it's [1/2] & more"),
        ("edit", f"{named} [1/2] & => a\\b/c &"),
    ):
        command = json.loads(use(verb, rest, BASH).arguments)["command"]
        subprocess.run(["sh", "-c", command], check=True)
    path.write_text("read me")
    command = json.loads(use("read", str(path), BASH).arguments)["command"]
    read = subprocess.run(["sh", "-c", command], check=True, capture_output=True)

    assert named.read_text() == "it's a\\b/c & more\n"
    assert read.stdout == b"read me"


def test_an_image_is_looked_at() -> None:
    """By the tool for images, else by the one that reads files, else by a program."""
    viewed = use("view", "/a.png", READ, VIEW)
    read = use("view", "/a.png", BASH, READ)
    program = use("view", "/a.png", EXEC)

    assert (viewed.tool, json.loads(viewed.arguments)) == (VIEW, {"path": "/a.png"})
    assert (read.tool, json.loads(read.arguments)) == (READ, {"file_path": "/a.png"})
    assert program.arguments == (
        'const r = await tools.view_image({"path": "/a.png"}); image(r);\n'
    )


def test_a_tool_is_called_by_name_with_just_these_arguments() -> None:
    """Nothing is added, and a longer name that ends so will do."""
    tool = function("mcp__toy__add", "a", "b")

    exact = use("call", 'Bash {"command": "ls"}', tool, BASH)
    ending = use("call", "add", tool)
    custom = use("call", "apply_patch some text", APPLY_PATCH)
    program = use("call", 'mcp__toy__sub {"a":1}', EXEC)

    assert exact == Use(BASH, '{"command": "ls"}')
    assert ending == Use(tool, "{}")
    assert custom == Use(APPLY_PATCH, "some text")
    assert program.arguments == (
        'const r = await tools.mcp__toy__sub({"a":1}); text(r);\n'
    )


def test_tools_are_searched() -> None:
    """With the search of the dialect, or with a function of that name."""
    native = Tool(name="tool_search", kind="search", schema={"type": "object"})
    named = function("ToolSearch", "query", "max_results")

    assert use("search", "add", BASH, native) == Use(native, '{"query": "add"}')
    assert json.loads(use("search", "add", named).arguments)["query"] == "add"


@pytest.mark.parametrize("verb", ACTIONS)
def test_what_no_tool_can_do_is_not_done(verb: str) -> None:
    """There is nothing then, also with a tool that has none of the right fields."""
    tools = (
        function("query", "q"),
        function("Write", "where", "what"),
        Tool(name="exec"),
        Tool(name="apply_patch"),
    )

    assert ACTIONS[verb](tools, "/a b => c") is None
