"""What a Responses request needs of a target, read from its raw values.

Tools count wherever they are declared: in `tools`, in an item with more of them, and in
what a search has found. A namespace is a kind of its own, whatever is in it; its tools
are counted one by one. A tool that the caller runs without having declared more than
its type, such as `local_shell`, counts as a function.
"""

from collections.abc import Iterable, Iterator, Mapping
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
    is_list,
    is_text,
    is_true,
    members_in,
    read_needs,
    text_in,
)
from smart_llmrouter.dialects.reasoning import Demand, demand_of
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import ABSENT, NULL, UNREADABLE, is_there

_CALLABLE: Final[Mapping[str, CallKind]] = {
    "function": "function",
    "custom": "custom",
    "namespace": "namespace",
    "tool_search": "tool_search",
    "local_shell": "function",
    "shell": "function",
    "apply_patch": "function",
    "computer": "function",
    "computer_use": "function",
    "computer_use_preview": "function",
}
_MEDIA: Final[Mapping[str, MediumKind]] = {
    "input_image": "image",
    "computer_screenshot": "image",
    "input_file": "document",
    "input_audio": "audio",
}


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    image_url: msgspec.Raw = ABSENT
    file_url: msgspec.Raw = ABSENT
    file_id: msgspec.Raw = ABSENT


_Content = str | list[_Part] | _Part | None


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    role: msgspec.Raw = ABSENT
    content: _Content = None
    output: _Content = None
    tools: msgspec.Raw = ABSENT


class _OddItem(msgspec.Struct, gc=False):
    type: str | None = None
    role: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    output: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT


class _Tool(msgspec.Struct, gc=False):
    type: str = ""
    execution: str | None = None
    tools: msgspec.Raw = ABSENT


_ODD_ITEMS: Final = Objects(_OddItem)
_PARTS: Final = Objects(_Part)
_TOOLS: Final = Objects(_Tool)
_decode_items: Final = msgspec.json.Decoder(list[_Item]).decode


def requirements_of(peek: Peek, *, body: bytes) -> Requirements:
    """Return what the request in `body` needs of a target.

    What cannot be understood needs nothing.
    """
    needs = Requirements(
        body=body, dialect="openai-responses", stream=peek.stream, fields=peek.members
    )
    read_needs(needs, peek, _READERS)
    return needs


def _input(members: RawMembers, needs: Requirements) -> None:
    given = members["input"]
    if not is_list(given):
        return
    for item in _items(given):
        count_media(needs, _media_of(item.content, item.output))
        if is_there(item.tools):
            _add_tools(item.tools, needs)
        if item.type == "item_reference" or (item.type is None and item.role is ABSENT):
            needs.goes_on = True


def _prompt(members: RawMembers, needs: Requirements) -> None:
    count_media(needs, _media_of(*_variables(members)))


def media_in(members: RawMembers) -> Iterator[Medium]:
    """Go through what is not text: in messages, results and variables of a prompt."""
    for item in _items(members.get("input", NULL)):
        yield from _media_of(item.content, item.output)
    yield from _media_of(*_variables(members))


def _items(given: msgspec.Raw) -> Iterable[_Item]:
    try:
        return _decode_items(given)
    except UNREADABLE:
        return map(_item_of, _ODD_ITEMS.read(given))


def _item_of(odd: _OddItem) -> _Item:
    content, output = _content(odd.content), _content(odd.output)
    return _Item(odd.type, odd.role, content, output, odd.tools)


def _variables(members: RawMembers) -> Iterator[_Content]:
    prompt = members_in(members.get("prompt"))
    return map(_content, members_in(prompt.get("variables")).values())


def _content(raw: msgspec.Raw) -> _Content:
    """Read a content that may not be as it should be; a text says nothing here."""
    if raw is ABSENT or is_text(raw):
        return None
    return _PARTS.read(raw) if is_list(raw) else _PARTS.one(raw)


def _media_of(*contents: _Content) -> Iterator[Medium]:
    """Give what is not text; a URL counts whatever the part calls itself."""
    for content in contents:
        if content is None or isinstance(content, str):
            continue
        for part in content if isinstance(content, list) else (content,):
            kind = _MEDIA.get(part.type or "")
            if part.image_url is not ABSENT:
                yield Medium("image", part.image_url, is_there(part.file_id))
            elif kind is not None:
                yield Medium(kind, part.file_url, is_there(part.file_id))


def _tools(members: RawMembers, needs: Requirements) -> None:
    _add_tools(members["tools"], needs)


def _add_tools(declared: msgspec.Raw, needs: Requirements) -> None:
    kinds: list[CallKind] = []
    count = 0
    for tool in _TOOLS.read(declared):
        kind = _CALLABLE.get(tool.type)
        if kind is None or (kind == "tool_search" and tool.execution != "client"):
            continue
        kinds.append(kind)
        count += len(_TOOLS.read(tool.tools)) if kind == "namespace" else 1
    needs.tools = needs.tools.union(kinds)
    needs.tool_count += count
    needs.tool_schema_bytes += bytes_in(declared)


def _choice(members: RawMembers, needs: Requirements) -> None:
    raw = members["tool_choice"]
    if is_text(raw):
        needs.forced_choice = text_in(raw) == "required"
        return
    choice = members_in(raw)
    kind = text_in(choice.get("type"))
    if kind == "allowed_tools":
        needs.forced_choice = text_in(choice.get("mode")) == "required"
    else:
        needs.forced_choice = kind is not None


def _parallel(members: RawMembers, needs: Requirements) -> None:
    needs.parallel_tools = is_true(members["parallel_tool_calls"])


def _cap(members: RawMembers, needs: Requirements) -> None:
    needs.output_cap = count_in(members["max_output_tokens"])


def _format(members: RawMembers, needs: Requirements) -> None:
    needs.output_format = format_in(members_in(members["text"]).get("format"))


def _reasoning(members: RawMembers, needs: Requirements) -> None:
    demand = demanded(members)
    needs.reasoning, needs.reasoning_level, needs.reasoning_budget = demand


def demanded(members: RawMembers) -> Demand:
    """Return which reasoning is asked for; an account of it alone is none."""
    asked = members_in(members.get("reasoning"))
    return demand_of(effort=text_in(asked.get("effort")))


def _goes_on(_: RawMembers, needs: Requirements) -> None:
    needs.goes_on = True


_READERS: Final[Mapping[str, Reader]] = {
    "input": _input,
    "prompt": _prompt,
    "tools": _tools,
    "tool_choice": _choice,
    "parallel_tool_calls": _parallel,
    "max_output_tokens": _cap,
    "text": _format,
    "reasoning": _reasoning,
    "previous_response_id": _goes_on,
    "conversation": _goes_on,
}
