"""Requests as nearly all of them are, read in one go.

Text, signed thinking, calls and their results, with or without marks for a cache, are
decoded by types at once. A conversation with anything else in it, or with anything that
is not as it should be, is read field by field elsewhere: that finds the same of what is
known here, keeps what is not, and tells what is wrong.
"""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from smart_llmrouter.core.content import (
    NO_EXTRAS,
    Extras,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.core.request import FunctionTool, Request
from smart_llmrouter.dialects.anthropic_messages.parse_content import (
    EMPTY_INPUT,
    signed,
    turns_of,
)
from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.wire.rawvalues import ABSENT, NULL, UNREADABLE, is_there


class _Text(msgspec.Struct, frozen=True, tag="text", forbid_unknown_fields=True):
    text: str
    cache_control: msgspec.Raw = ABSENT

    def part(self) -> Text:
        return Text(text=self.text, extras=_marked(self.cache_control))


class _Thinking(
    msgspec.Struct, frozen=True, tag="thinking", forbid_unknown_fields=True
):
    thinking: str
    signature: str

    def part(self) -> Reasoning:
        return signed(self.signature, text=self.thinking, extras=NO_EXTRAS)


class _Call(msgspec.Struct, frozen=True, tag="tool_use", forbid_unknown_fields=True):
    id: str
    name: str
    input: msgspec.Raw = NULL
    cache_control: msgspec.Raw = ABSENT

    def part(self) -> ToolCall:
        given = EMPTY_INPUT if self.input == NULL else self.input
        return ToolCall(
            id=self.id,
            name=self.name,
            arguments=bytes(given).decode(),
            extras=_marked(self.cache_control),
        )


class _Result(
    msgspec.Struct, frozen=True, tag="tool_result", forbid_unknown_fields=True
):
    tool_use_id: str
    content: str | list[_Text] | None = None
    is_error: bool | None = None
    cache_control: msgspec.Raw = ABSENT

    def part(self) -> ToolResult:
        return ToolResult(
            call_id=self.tool_use_id,
            content=_texts(self.content),
            is_error=self.is_error,
            extras=_marked(self.cache_control),
        )


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[_Text | _Thinking | _Call | _Result]


class _Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    input_schema: msgspec.Raw = NULL
    strict: bool | None = None
    type: Literal["custom"] | None = None
    cache_control: msgspec.Raw = ABSENT
    defer_loading: msgspec.Raw = ABSENT

    def has_two_extras(self) -> bool:
        return is_there(self.cache_control) and is_there(self.defer_loading)

    def tool(self) -> FunctionTool:
        extras = _marked(self.cache_control)
        if is_there(self.defer_loading):
            extras = {"defer_loading": self.defer_loading}
        return FunctionTool(
            name=self.name,
            description=self.description,
            schema=None if self.input_schema == NULL else self.input_schema,
            strict=self.strict,
            extras=extras,
        )


_FIELDS: Final = frozenset(
    {"model", "stream", "max_tokens", "messages", "system", "temperature"}
)
"""The fields of a request that asks for nothing out of the ordinary."""
_ABSENT_OR_UNREADABLE: Final = (KeyError, *UNREADABLE)
_decode_messages: Final = msgspec.json.Decoder(list[_Message]).decode
_decode_system: Final = msgspec.json.Decoder(str | list[_Text] | None).decode
_decode_tools: Final = msgspec.json.Decoder(list[_Tool] | None).decode
_decode_cap: Final = msgspec.json.Decoder(int).decode
_decode_number: Final = msgspec.json.Decoder(float | None).decode


def usual_request(peek: Peek) -> Request | None:
    """Read a whole request, if it is no other than usual."""
    members = peek.members
    if not members.keys() <= _FIELDS:
        return None
    try:
        return Request(
            dialect="anthropic-messages",
            model=peek.model,
            turns=_turns_in(_decode_messages(members["messages"])),
            stream=peek.stream,
            system=_texts(_decode_system(members.get("system", NULL))),
            output_cap=_decode_cap(members["max_tokens"]),
            temperature=_decode_number(members.get("temperature", NULL)),
        )
    except _ABSENT_OR_UNREADABLE:
        return None


def usual_turns(messages: msgspec.Raw) -> tuple[Turn, ...] | None:
    """Read the messages of a request, if they are no others than usual."""
    try:
        return _turns_in(_decode_messages(messages))
    except UNREADABLE:
        return None


def usual_system(system: msgspec.Raw) -> tuple[Text, ...] | None:
    """Read the instructions of a request, if they are no others than usual."""
    try:
        return _texts(_decode_system(system))
    except UNREADABLE:
        return None


def usual_tools(tools: msgspec.Raw) -> tuple[FunctionTool, ...] | None:
    """Read the tools of a request, if they are no others than usual."""
    try:
        read = _decode_tools(tools) or ()
    except UNREADABLE:
        return None
    # Notes name extras in the order of the request, which is not known here of two.
    if any(tool.has_two_extras() for tool in read):
        return None
    return tuple([tool.tool() for tool in read])


def _turns_in(messages: Iterable[_Message]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    for message in messages:
        content = message.content
        if isinstance(content, str):
            turns.append(Turn(role=message.role, parts=_texts(content)))
        else:
            parts: tuple[Part, ...] = tuple([block.part() for block in content])
            turns += turns_of(message.role, parts, NO_EXTRAS)
    return tuple(turns)


def _texts(content: str | list[_Text] | None) -> tuple[Text, ...]:
    if not content:
        return ()
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple([block.part() for block in content])


def _marked(cache_control: msgspec.Raw) -> Extras:
    """Return the mark of a block for a cache, if there is one."""
    return {"cache_control": cache_control} if is_there(cache_control) else NO_EXTRAS
