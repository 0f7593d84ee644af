"""Adds a caller to a configuration file, and leaves everything else as it is.

The new lines are put in after the last caller, byte for byte beside what is there, so
that comments, order and layout stay. A list that is not written as a block is written
anew by ruamel.yaml, which keeps comments too. Whatever way, the result is read again
and must say exactly what the file said, plus the new entry.
"""

import io
from typing import Final, NamedTuple

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from yaml.nodes import MappingNode, Node, SequenceNode

from smart_llmrouter.config.document import Document, Plain
from smart_llmrouter.config.reader import read_bytes
from smart_llmrouter.config.yamltext import list_item

_CALLERS: Final = "callers"
_INDENT: Final = 2
_ENDLESS: Final = 2**20


class CannotAmend(Exception):
    """The file cannot be changed without changing more than was asked for."""


class _Place(NamedTuple):
    """Where new lines go: before the line of this index, indented so far."""

    line: int
    indent: int


def with_caller(document: Document, text: str, entry: dict[str, Plain]) -> str:
    """Return `text`, the file that `document` was read from, with one caller more.

    Raises `CannotAmend`.
    """
    callers = document.root.get(_CALLERS)
    expected = {
        **document.root,
        _CALLERS: [*(callers if isinstance(callers, list) else ()), entry],
    }
    for amend in (_inserted, _begun, _appended, _written_anew):
        amended = amend(text, entry)
        if amended is not None and _root(amended) == expected:
            return amended
    raise CannotAmend("no way was found to add the entry and nothing else")


def _root(text: str) -> object:
    document = read_bytes(text.encode(), file="").document
    return None if document is None else document.root


def _inserted(text: str, entry: dict[str, Plain]) -> str | None:
    """Put the entry after the last caller of a block list."""
    place = _place(text)
    if place is None:
        return None
    lines = _lines(text)
    return _joined(
        lines[: place.line], list_item(entry, indent=place.indent), lines[place.line :]
    )


def _begun(text: str, entry: dict[str, Plain]) -> str | None:
    """Put the entry in the place of `[]`, or of nothing, after `callers:`."""
    key, callers = _callers(text)
    if key is None or callers is None or callers.value:
        return None
    if isinstance(callers, SequenceNode):
        text = text[: callers.start_mark.index] + text[callers.end_mark.index :]
    line = key.end_mark.line
    lines = _lines(text)
    opening = lines[line]
    lines[line] = opening.rstrip() + opening[len(opening.rstrip("\r\n")) :]
    added = list_item(entry, indent=_INDENT)
    return _joined(lines[: line + 1], added, lines[line + 1 :])


def _appended(text: str, entry: dict[str, Plain]) -> str:
    """Put a list with the one entry at the end of the file."""
    added = ["", f"{_CALLERS}:", *list_item(entry, indent=_INDENT)]
    return _joined(_lines(text), added, [])


def _written_anew(text: str, entry: dict[str, Plain]) -> str | None:
    """Let ruamel.yaml write the file; comments stay, some of the layout may not."""
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = _ENDLESS
    writer.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    try:
        root = writer.load(text)
        root[_CALLERS] = [*(root.get(_CALLERS) or ()), entry]
        writer.dump(root, out)
    except (YAMLError, ValueError, TypeError, AttributeError):
        return None
    return out.getvalue()


def _lines(text: str) -> list[str]:
    """Split as YAML counts lines, which `str.splitlines` does not."""
    return list(io.StringIO(text, newline=""))


def _joined(before: list[str], added: list[str], after: list[str]) -> str:
    newline = "\r\n" if before and before[0].endswith("\r\n") else "\n"
    if before and not before[-1].endswith("\n"):
        before = [*before[:-1], before[-1] + newline]
    return "".join([*before, *(line + newline for line in added), *after])


def _place(text: str) -> _Place | None:
    """Find the end of the block list of callers, if there is one."""
    _, callers = _callers(text)
    if not isinstance(callers, SequenceNode) or callers.flow_style:
        return None
    end = _last_leaf(callers).end_mark
    line = end.line if end.column == 0 else end.line + 1
    return _Place(line=line, indent=callers.start_mark.column)


def _callers(text: str) -> tuple[Node | None, Node | None]:
    """Return the key `callers` and what stands after it, if that is there."""
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return None, None
    if isinstance(root, MappingNode):
        for key, value in root.value:
            if key.value == _CALLERS:
                return key, value
    return None, None


def _last_leaf(node: Node) -> Node:
    """Follow the last parts of block collections down to what ends precisely."""
    while isinstance(node, (MappingNode, SequenceNode)):
        if node.flow_style or not node.value:
            break
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node
