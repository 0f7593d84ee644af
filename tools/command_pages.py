"""The page of the command line, derived from the command tree itself."""

import inspect
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from smart_llmrouter.cli.main import app

HEAD = """\
# Commands

`smart-llmrouter COMMAND --help` says the same at the prompt. Exit codes: 0 all is well,
1 there are findings or something failed, 2 the command line itself is wrong, 130 it was
interrupted (Ctrl-C). What may be run again after that says so.

*Generated from the command tree.*
"""


def commands_page() -> str:
    """Return the page of every command with its arguments and options."""
    parts = [HEAD]
    for words, command in walk(get_command(app), ("smart-llmrouter",)):
        parts.append(f"## `{' '.join(words)}`\n")
        parts.append(paragraphs(command.help) + "\n")
        rows = [row for each in command.params if (row := parameter_row(each))]
        if rows:
            parts.append("| argument or option | default | what it does |")
            parts.append("| --- | --- | --- |")
            parts.extend([*rows, ""])
    return "\n".join(parts)


def walk(
    command: object, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    """Yield every command that can be run, with the words that name it."""
    match command:
        case TyperGroup():
            for name, child in sorted(command.commands.items()):
                if not child.hidden:
                    yield from walk(child, (*words, name))
        case TyperCommand():
            yield words, command
        case _:
            raise TypeError(f"neither a group nor a command: {command!r}")


def parameter_row(parameter: object) -> str | None:
    """Return the table row of one argument or option; `None` for a hidden one."""
    match parameter:
        case TyperArgument(name=str(name)):
            shown = f"`{name.upper()}`"
        case TyperOption(hidden=False):
            names = [*parameter.opts, *parameter.secondary_opts]
            shown = ", ".join(f"`{name}`" for name in names)
        case _:
            return None
    text = " ".join(paragraphs(parameter.help).split()).replace("|", "\\|")
    values: object = parameter.type_descriptor.annotation
    if get_origin(values) is Literal:
        text += f" One of {', '.join(f'`{value}`' for value in get_args(values))}."
    return f"| {shown} | {default_of(parameter)} | {text} |"


def default_of(parameter: TyperArgument | TyperOption) -> str:
    """Return what holds where the argument or option is not given."""
    fallback = parameter.default
    shown = "" if fallback in {None, False, ()} else f"`{fallback}`"
    if parameter.required:
        shown = "required"
    return f"`${parameter.envvar}`, else {shown}" if parameter.envvar else shown


def paragraphs(text: str | None) -> str:
    """Return help text without the indentation that it has in the code."""
    return inspect.cleandoc(text or "").replace("\b\n", "")
