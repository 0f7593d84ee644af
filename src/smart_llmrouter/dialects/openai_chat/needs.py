"""What a Chat Completions request needs of a target, read from its raw values.

Where `max_tokens` and `max_completion_tokens` differ, the first counts. What the wild
adds for reasoning (`reasoning`, `thinking`) counts as `reasoning_effort` does.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from smart_llmrouter.core.requirements import CallKind, Requirements
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.glancing import (
    Objects,
    Reader,
    bytes_in,
    count_in,
    format_in,
    is_list,
    is_text,
    is_true,
    link_kind,
    members_in,
    read_needs,
    text_in,
)
from smart_llmrouter.dialects.reasoning import NO_DEMAND, Demand, demand_of
from smart_llmrouter.wire.jsonobject import RawMembers
from smart_llmrouter.wire.rawvalues import ABSENT, NULL

_FORCING: Final = frozenset({"required", "any"})
_NAMING: Final = frozenset({"function", "custom"})
_CALLABLE: Final[Mapping[str, CallKind]] = {
    "function": "function",
    "custom": "custom",
}
_TEXT_ONLY: Final = msgspec.Raw(b'["text"]')


class _Message(msgspec.Struct, gc=False):
    content: msgspec.Raw = ABSENT


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    image_url: msgspec.Raw = ABSENT


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None


_MESSAGES: Final = Objects(_Message)
_PARTS: Final = Objects(_Part)
_TOOLS: Final = Objects(_Tool)


def requirements_of(peek: Peek, *, body: bytes) -> Requirements:
    """Return what the request in `body` needs of a target.

    What cannot be understood needs nothing.
    """
    needs = Requirements(body=body, dialect="openai-chat", stream=peek.stream)
    read_needs(needs, peek, _READERS)
    return needs


def _messages(members: RawMembers, needs: Requirements) -> None:
    for part in parts_in(members["messages"]):
        if part.type == "image_url":
            kind = link_kind(part.image_url)
            needs.image_urls += kind == "url"
            needs.image_data += kind == "data"
        elif part.type == "file":
            needs.documents += 1
        elif part.type == "input_audio":
            needs.audio = True


def parts_in(messages: msgspec.Raw) -> Iterator[_Part]:
    """Go through the parts of all messages whose content is a list."""
    for message in _MESSAGES.read(messages):
        content = message.content
        if content is not ABSENT and is_list(content):
            yield from _PARTS.read(content)


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
    if kind == "disabled" or asked.get("enabled") == msgspec.Raw(b"false"):
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
    "response_format": _format,
    "reasoning_effort": _reasoning,
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "modalities": _sound,
    "audio": _sound,
}
