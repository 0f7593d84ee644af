"""What a Messages request needs of a target, read from its raw values.

Tools of Anthropic's own that the caller runs (a shell, an editor, a memory, a screen)
count as functions; those that the provider runs are none. A document that is plain
text, or made of blocks of it, needs nothing but a model that reads.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from smart_llmrouter.core.requirements import CallKind, Requirements
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.glancing import (
    Medium,
    MediumKind,
    Objects,
    Reader,
    bytes_in,
    count_in,
    count_media,
    format_in,
    holds_lists,
    is_false,
    is_list,
    members_in,
    read_needs,
    text_in,
)
from smart_llmrouter.dialects.reasoning import NO_DEMAND, Demand, demand_of
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import ABSENT, NULL, UNREADABLE

_FUNCTION: Final[frozenset[CallKind]] = frozenset({"function"})
_CLIENT_RUN: Final = ("bash_", "text_editor_", "memory_", "computer_", "browser_")
_FORCING: Final = frozenset({"any", "tool"})
_MEDIA: Final[Mapping[str, MediumKind]] = {"image": "image", "document": "document"}
_SOME_DATA: Final = msgspec.Raw(b'"data:"')
"""Stands for data: what it is does not matter here."""
_LINKLESS: Final[Mapping[str, Callable[[MediumKind], Medium]]] = {
    "base64": lambda kind: Medium(kind, _SOME_DATA),
    "file": lambda kind: Medium(kind, is_file=True),
}


class _Source(msgspec.Struct):
    type: str = ""
    url: msgspec.Raw = ABSENT
    content: "str | list[_Block] | None" = None


class _Block(msgspec.Struct):
    type: str = ""
    source: _Source | None = None
    content: "str | list[_Block] | None" = None


class _Message(msgspec.Struct):
    content: str | list[_Block] | None = None


class _OddMessage(msgspec.Struct, gc=False):
    content: msgspec.Raw = ABSENT


class _OddBlock(msgspec.Struct, gc=False):
    type: str = ""
    source: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT


class _OddSource(msgspec.Struct, gc=False):
    type: str = ""
    url: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None


_ODD_MESSAGES: Final = Objects(_OddMessage)
_ODD_BLOCKS: Final = Objects(_OddBlock)
_ODD_SOURCES: Final = Objects(_OddSource)
_TOOLS: Final = Objects(_Tool)
_decode_messages: Final = msgspec.json.Decoder(list[_Message]).decode


def requirements_of(peek: Peek, *, body: bytes) -> Requirements:
    """Return what the request in `body` needs of a target.

    What cannot be understood needs nothing.
    """
    needs = Requirements(
        body=body, dialect="anthropic-messages", stream=peek.stream, fields=peek.members
    )
    read_needs(needs, peek, _READERS)
    return needs


def _messages(members: RawMembers, needs: Requirements) -> None:
    # Where all contents are texts, there is nothing but text.
    if holds_lists(members["messages"], needs.body):
        count_media(needs, media_in(members))


def media_in(members: RawMembers) -> Iterator[Medium]:
    """Go through images and documents, those in results and documents among them."""
    messages = members.get("messages", NULL)
    try:
        waiting = [message.content for message in _decode_messages(messages)]
    except UNREADABLE:
        yield from _odd_media_in(messages)
        return
    while waiting:
        content = waiting.pop()
        if not isinstance(content, list):
            continue
        for block in content:
            waiting.append(block.content)
            source, kind = block.source, _MEDIA.get(block.type)
            if kind is not None and source is not None:
                waiting.append(source.content)
                yield from _medium(kind, source)


def _odd_media_in(messages: msgspec.Raw) -> Iterator[Medium]:
    """Go through the same where not all of it is as it should be."""
    waiting = [message.content for message in _ODD_MESSAGES.read(messages)]
    while waiting:
        content = waiting.pop()
        if content is ABSENT or not is_list(content):
            continue
        for block in _ODD_BLOCKS.read(content):
            waiting.append(block.content)
            kind = _MEDIA.get(block.type)
            source = None if kind is None else _ODD_SOURCES.one(block.source)
            if kind is not None and source is not None:
                waiting.append(source.content)
                yield from _medium(kind, source)


def _medium(kind: MediumKind, source: _Source | _OddSource) -> Iterator[Medium]:
    """Give what a source holds; text in a document is no medium of its own.

    A URL counts whatever the source calls itself: some provider may go for it.
    """
    if source.url is not ABSENT:
        yield Medium(kind, source.url)
    elif source.type in _LINKLESS:
        yield _LINKLESS[source.type](kind)


def _tools(members: RawMembers, needs: Requirements) -> None:
    count = sum(_is_called(tool.type) for tool in _TOOLS.read(members["tools"]))
    needs.tool_count = count
    needs.tool_schema_bytes = bytes_in(members["tools"])
    if count:
        needs.tools = _FUNCTION


def _is_called(kind: str | None) -> bool:
    return kind is None or kind == "custom" or kind.startswith(_CLIENT_RUN)


def _choice(members: RawMembers, needs: Requirements) -> None:
    choice = members_in(members["tool_choice"])
    needs.forced_choice = text_in(choice.get("type")) in _FORCING
    needs.parallel_tools = is_false(choice.get("disable_parallel_tool_use"))


def _cap(members: RawMembers, needs: Requirements) -> None:
    needs.output_cap = count_in(members["max_tokens"])


def _output(members: RawMembers, needs: Requirements) -> None:
    """Read the form of the answer, and the effort; the older field is the second."""
    output = members_in(members.get("output_config"))
    needs.output_format = format_in(output.get("format")) or format_in(
        members.get("output_format")
    )
    _reasoning(members, needs)


def _reasoning(members: RawMembers, needs: Requirements) -> None:
    demand = demanded(members)
    needs.reasoning, needs.reasoning_level, needs.reasoning_budget = demand


def demanded(members: RawMembers) -> Demand:
    """Return which thinking is asked for; where it is switched off, none is."""
    output = members_in(members.get("output_config"))
    effort = text_in(output.get("effort"))
    thinking = members.get("thinking", NULL)
    if thinking == NULL:
        return demand_of(effort=effort)
    asked = members_in(thinking)
    kind = text_in(asked.get("type"))
    if kind == "disabled":
        return NO_DEMAND
    if kind == "enabled":
        budget = count_in(asked.get("budget_tokens"))
        return demand_of(effort=effort, budget=budget, enabled=True)
    return demand_of(effort=effort, adaptive=kind is not None)


_READERS: Final[Mapping[str, Reader]] = {
    "messages": _messages,
    "tools": _tools,
    "tool_choice": _choice,
    "max_tokens": _cap,
    "output_config": _output,
    "output_format": _output,
    "thinking": _reasoning,
}
