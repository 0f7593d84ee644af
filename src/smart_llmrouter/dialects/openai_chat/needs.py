"""What a Chat Completions request needs of a target, read from its raw values.

Where `max_tokens` and `max_completion_tokens` differ, the first counts. What the wild
adds for reasoning (`reasoning`, `thinking`) counts as `reasoning_effort` does.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from smart_llmrouter.core.requirements import CallKind, Requirements
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.glancing import (
    Medium,
    Objects,
    Reader,
    bytes_in,
    count_in,
    count_media,
    format_in,
    holds_lists,
    is_false,
    is_list,
    is_text,
    is_true,
    looks_linked,
    members_in,
    read_needs,
    text_in,
)
from smart_llmrouter.dialects.reasoning import NO_DEMAND, Demand, demand_of
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import ABSENT, NULL, UNREADABLE

_FORCING: Final = frozenset({"required", "any"})
_NAMING: Final = frozenset({"function", "custom"})
_CALLABLE: Final[Mapping[str, CallKind]] = {
    "function": "function",
    "custom": "custom",
}
_TEXT_ONLY: Final = msgspec.Raw(b'["text"]')


class _OddMessage(msgspec.Struct, gc=False):
    content: msgspec.Raw = ABSENT


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    image_url: msgspec.Raw = ABSENT
    audio_url: msgspec.Raw = ABSENT
    video_url: msgspec.Raw = ABSENT
    file: msgspec.Raw = ABSENT


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None


_ODD_MESSAGES: Final = Objects(_OddMessage)
_PARTS: Final = Objects(_Part)
_TOOLS: Final = Objects(_Tool)
_decode_messages: Final = msgspec.json.Decoder(list[_Message]).decode


def requirements_of(peek: Peek, *, body: bytes) -> Requirements:
    """Return what the request in `body` needs of a target.

    What cannot be understood needs nothing.
    """
    needs = Requirements(
        body=body, dialect="openai-chat", stream=peek.stream, fields=peek.members
    )
    read_needs(needs, peek, _READERS)
    return needs


def _messages(members: RawMembers, needs: Requirements) -> None:
    # Where all contents are texts, there is nothing but text.
    if holds_lists(members["messages"], needs.body):
        count_media(needs, media_in(members))


def media_in(members: RawMembers) -> Iterator[Medium]:
    """Go through what is not text in all messages, those with results among them."""
    messages = members.get("messages", NULL)
    contents: Iterable[str | list[_Part] | None]
    try:
        contents = [message.content for message in _decode_messages(messages)]
    except UNREADABLE:
        contents = _odd_contents(messages)
    for parts in contents:
        if isinstance(parts, list):
            for part in parts:
                yield from _media_of(part)


def _odd_contents(messages: msgspec.Raw) -> Iterator[list[_Part]]:
    """Go through the contents that are lists, where not all are as they should be."""
    for message in _ODD_MESSAGES.read(messages):
        if message.content is not ABSENT and is_list(message.content):
            yield _PARTS.read(message.content)


def _media_of(part: _Part) -> Iterator[Medium]:
    """Give what is not text; a URL counts whatever the part calls itself."""
    if part.image_url is not ABSENT:
        yield Medium("image", part.image_url)
    elif part.type == "file":
        yield Medium("document", _link_of_file(part.file))
    elif part.type == "input_audio":
        yield Medium("audio")
    elif part.audio_url is not ABSENT:
        yield Medium("audio", part.audio_url)
    elif part.video_url is not ABSENT:
        yield Medium("video", part.video_url)


def _link_of_file(file: msgspec.Raw) -> msgspec.Raw | None:
    """Return the URL of a file, which some say where its data should be."""
    link = members_in(file).get("file_data")
    return link if link is not None and looks_linked(link) else None


def _tools(members: RawMembers, needs: Requirements) -> None:
    kinds = [
        _CALLABLE[tool.type or "function"]
        for tool in _TOOLS.read(members["tools"])
        if (tool.type or "function") in _CALLABLE
    ]
    _add_tools(needs, kinds, members["tools"])


def _functions(members: RawMembers, needs: Requirements) -> None:
    functions = _TOOLS.read(members["functions"])
    _add_tools(needs, ["function" for _ in functions], members["functions"])


def _add_tools(needs: Requirements, kinds: list[CallKind], raw: msgspec.Raw) -> None:
    needs.tools = needs.tools.union(kinds)
    needs.tool_count += len(kinds)
    needs.tool_schema_bytes += bytes_in(raw)


def _choice(members: RawMembers, needs: Requirements) -> None:
    """Read `tool_choice` or, where there is none, the older `function_call`."""
    raw = members.get("tool_choice", NULL)
    if raw == NULL:
        raw = members.get("function_call", NULL)
    if is_text(raw):
        needs.forced_choice = text_in(raw) in _FORCING
        return
    choice = members_in(raw)
    kind = text_in(choice.get("type")) or ("function" if choice else "")
    allowed = members_in(choice.get("allowed_tools"))
    needs.forced_choice = kind in _NAMING or text_in(allowed.get("mode")) in _FORCING


def _parallel(members: RawMembers, needs: Requirements) -> None:
    """Read whether several calls are asked for; functions are called one by one."""
    needs.parallel_tools = (
        is_true(members["parallel_tool_calls"])
        and members.get("functions", NULL) == NULL
    )


def _cap(members: RawMembers, needs: Requirements) -> None:
    older, newer = members.get("max_tokens"), members.get("max_completion_tokens")
    needs.output_cap = count_in(older) or count_in(newer)


def _choices(members: RawMembers, needs: Requirements) -> None:
    needs.choices = count_in(members["n"]) or 1


def _format(members: RawMembers, needs: Requirements) -> None:
    needs.output_format = format_in(members["response_format"])


def _reasoning(members: RawMembers, needs: Requirements) -> None:
    demand = demanded(members)
    needs.reasoning, needs.reasoning_level, needs.reasoning_budget = demand


def demanded(members: RawMembers) -> Demand:
    """Return which reasoning is asked for: OpenAI's effort, or what the wild has."""
    effort = text_in(members.get("reasoning_effort"))
    if effort is not None:
        return demand_of(effort=effort)
    for name in ("reasoning", "thinking"):
        asked = members_in(members.get(name))
        if asked:
            return _demanded(asked)
    return NO_DEMAND


def _demanded(asked: RawMembers) -> Demand:
    kind = text_in(asked.get("type"))
    if kind == "disabled" or is_false(asked.get("enabled")):
        return NO_DEMAND
    return demand_of(
        effort=text_in(asked.get("effort")),
        budget=count_in(asked.get("budget_tokens"))
        or count_in(asked.get("max_tokens")),
        enabled=kind == "enabled" or is_true(asked.get("enabled")),
        adaptive=kind == "adaptive",
    )


def _sound(members: RawMembers, needs: Requirements) -> None:
    modalities = members.get("modalities", _TEXT_ONLY)
    needs.audio = needs.audio or "audio" in members or b'"audio"' in bytes(modalities)


_READERS: Final[Mapping[str, Reader]] = {
    "messages": _messages,
    "tools": _tools,
    "functions": _functions,
    "tool_choice": _choice,
    "function_call": _choice,
    "parallel_tool_calls": _parallel,
    "max_tokens": _cap,
    "max_completion_tokens": _cap,
    "n": _choices,
    "response_format": _format,
    "reasoning_effort": _reasoning,
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "modalities": _sound,
    "audio": _sound,
}
