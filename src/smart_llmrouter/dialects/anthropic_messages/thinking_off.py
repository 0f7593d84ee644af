"""A conversation that goes on without thinking which its provider would refuse.

With `thinking: enabled` Anthropic demands that an answer which called tools begins with
a thought when their results follow. Where that thought was another's, and had to go,
thinking is switched off for this one request, together with what works with it only.
With `adaptive` no thought is demanded, and nothing is changed.
"""

from contextlib import suppress
from typing import Final

import msgspec

from smart_llmrouter.dialects.anthropic_messages.thinking import items_of
from smart_llmrouter.wire.jsonobject import (
    NotAnObject,
    RawMembers,
    parse_members,
    render_members,
)
from smart_llmrouter.wire.rawvalues import UNREADABLE

_OFF: Final = msgspec.Raw(b'{"type":"disabled"}')
_CLEARS_THINKING: Final = "clear_thinking"


class _Typed(msgspec.Struct):
    type: str = ""


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


_decode_typed: Final = msgspec.json.Decoder(_Typed).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode


def with_messages(members: RawMembers, messages: msgspec.Raw) -> RawMembers:
    """Return a request with `messages`, out of which thinking was taken."""
    changed = members | {"messages": messages}
    asked = members.get("thinking")
    if asked is None or _type_of(bytes(asked)) != "enabled":
        return changed
    if _demands_a_thought(messages):
        changed["thinking"] = _OFF
        _stop_clearing(changed)
    return changed


def _demands_a_thought(messages: msgspec.Raw) -> bool:
    """Say whether results of tools are last, and their call has no thought before."""
    told: list[_Message] = []
    with suppress(*UNREADABLE):
        told = [_decode_message(item) for item in items_of(bytes(messages))]
    said = [message for message in told if message.role != "system"]
    if len(said) < 2 or said[-1].role != "user" or said[-2].role != "assistant":
        return False
    results = [_type_of(block) for block in items_of(bytes(said[-1].content))]
    first = [_type_of(block) for block in items_of(bytes(said[-2].content))][:1]
    return "tool_result" in results and first not in (
        ["thinking"],
        ["redacted_thinking"],
    )


def _stop_clearing(members: RawMembers) -> None:
    """Take out the clearing of thoughts, which is refused where nobody thinks."""
    managed = members.get("context_management")
    if managed is None or _CLEARS_THINKING.encode() not in bytes(managed):
        return
    try:
        management = parse_members(bytes(managed))
    except NotAnObject:
        return
    edits = [
        edit
        for edit in items_of(bytes(management.get("edits", b"[]")))
        if not _type_of(edit).startswith(_CLEARS_THINKING)
    ]
    if edits:
        management["edits"] = msgspec.Raw(b"[" + b",".join(edits) + b"]")
        members["context_management"] = msgspec.Raw(render_members(management))
    else:
        del members["context_management"]


def _type_of(block: bytes) -> str:
    with suppress(*UNREADABLE):
        return _decode_typed(block).type
    return ""
