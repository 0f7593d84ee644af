"""Reading the items of `input` as the turns of a conversation.

What a model said between two inputs is one turn: its reasoning, its messages and its
calls in their order. So are the results that follow. Where a message of its begins is
kept in the extras of the message's first part.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from smart_llmrouter.core.content import (
    NO_EXTRAS,
    CallKind,
    Extras,
    Opaque,
    Part,
    Reasoning,
    ReasoningState,
    Refusal,
    ResultPart,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from smart_llmrouter.dialects.openai_responses.compaction import (
    REQUEST_TURN,
    summary_in,
)
from smart_llmrouter.dialects.openai_responses.fields import Fields
from smart_llmrouter.dialects.openai_responses.parse_content import (
    read_content,
    read_output,
)
from smart_llmrouter.dialects.openai_responses.parse_tools import Tools
from smart_llmrouter.dialects.sealed import unseal

UNKNOWN_ITEM: Final = "item"
"""The kind of an item that was not known when this was written."""
ITEM_REFERENCE: Final = "item_reference"

_ROLES: Final[Mapping[str, Role]] = {
    "user": "user",
    "system": "system",
    "developer": "developer",
    "assistant": "assistant",
}
_IGNORED: Final = "internal_chat_message_metadata_passthrough"
"""What Codex sends to its own service, to be ignored by all others."""
_HINTS: Final = frozenset(
    {
        "web_search_call",
        "file_search_call",
        "image_generation_call",
        "code_interpreter_call",
        "mcp_list_tools",
        "mcp_call",
    }
)
"""What a provider did by itself; its answer tells what came of it."""
_INSISTING: Final = frozenset(
    {
        "computer_call",
        "computer_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "compaction",
    }
)
"""What a conversation cannot go on without, and only this dialect has."""
OWN_ITEMS: Final = _HINTS | _INSISTING | {UNKNOWN_ITEM, "tool_search_call"}
"""The kinds under which items travel that only this dialect understands."""


class Conversation:
    """The turns that the items make, in order."""

    def __init__(self) -> None:
        """Begin without any."""
        self._turns: list[Turn] = []
        self._said: list[Part] = []
        self._results: list[Part] = []
        self.tools = Tools()
        self.needs: list[str] = []
        self.wants_summary = False

    def all(self) -> tuple[Turn, ...]:
        """Return the turns so far."""
        self._close()
        return tuple(self._turns)

    def add(self, turn: Turn) -> None:
        """Add a turn of somebody else than the model and the tools."""
        self._close()
        self._turns.append(turn)

    def say(self, *parts: Part) -> None:
        """Add what the model said."""
        if self._results:
            self._close()
        self._said += parts

    def answer(self, result: ToolResult) -> None:
        """Add what a tool gave back."""
        if self._said:
            self._close()
        self._results.append(result)

    def says_message(self) -> bool:
        """Say whether the model's last word is a message."""
        return bool(self._said) and isinstance(self._said[-1], Text | Refusal)

    def finish_turn(self) -> None:
        """Let the next part begin a new turn."""
        self._close()

    def _close(self) -> None:
        if self._said:
            self._turns.append(Turn(role="assistant", parts=tuple(self._said)))
            self._said = []
        if self._results:
            self._turns.append(Turn(role="tool", parts=tuple(self._results)))
            self._results = []


def read_item(item: Fields, conversation: Conversation) -> None:
    """Add one item to the conversation."""
    kind = item.text("type")
    if kind is None:
        kind = "message" if "role" in item.members else ITEM_REFERENCE
    read = _READERS.get(kind)
    if read is not None:
        read(item, conversation)
    else:
        _keep(item, conversation, kind)


def _keep(item: Fields, conversation: Conversation, kind: str) -> None:
    """Keep an item that only this dialect understands, in its place."""
    known = kind if kind in OWN_ITEMS else UNKNOWN_ITEM
    own = Opaque(kind=known, raw=item.whole(), hint=known not in _INSISTING)
    if kind.endswith("_call"):
        conversation.say(own)
    else:
        conversation.add(Turn(role="user", parts=(own,)))


def _read_message(item: Fields, conversation: Conversation) -> None:
    role = _ROLES.get(item.needed_text("role"))
    if role is None:
        raise item.wrong("role", "`user`, `assistant`, `system` or `developer`")
    parts = read_content(item, "content")
    extras = item.rest("type", "role", "content", _IGNORED)
    if role != "assistant":
        conversation.add(Turn(role=role, parts=parts, extras=extras))
        return
    if parts and extras:
        parts = (_beginning(parts[0], extras), *parts[1:])
    elif conversation.says_message():
        conversation.finish_turn()
    conversation.say(*parts)


def _beginning(part: Part, extras: Extras) -> Part:
    """Return the first part of a message, with what the message says of itself."""
    if isinstance(part, Opaque):
        return part
    return msgspec.structs.replace(part, extras={**part.extras, **extras})


def _read_call(item: Fields, conversation: Conversation) -> None:
    conversation.say(
        ToolCall(
            id=item.needed_text("call_id"),
            name=item.needed_text("name"),
            arguments=_arguments(item),
            namespace=item.text("namespace"),
            extras=item.rest(
                "type", "call_id", "name", "arguments", "namespace", _IGNORED
            ),
        )
    )


def _read_custom_call(item: Fields, conversation: Conversation) -> None:
    conversation.say(
        ToolCall(
            id=item.needed_text("call_id"),
            name=item.needed_text("name"),
            arguments=item.needed_text("input"),
            kind="custom",
            namespace=item.text("namespace"),
            extras=item.rest("type", "call_id", "name", "input", "namespace", _IGNORED),
        )
    )


def _read_search_call(item: Fields, conversation: Conversation) -> None:
    call_id = item.text("call_id")
    if call_id is None or item.text("execution") == "server":
        _keep(item, conversation, "tool_search_call")
        return
    conversation.say(
        ToolCall(
            id=call_id,
            name="tool_search",
            arguments=_arguments(item),
            kind="tool_search",
            extras=item.rest("type", "call_id", "arguments", "execution", _IGNORED),
        )
    )


def _arguments(item: Fields) -> str:
    """Return JSON arguments, which some callers send as what they are."""
    if item.is_text("arguments"):
        return item.needed_text("arguments")
    raw = item.raw("arguments")
    return "" if raw is None else bytes(raw).decode()


def _result(
    item: Fields, kind: CallKind, content: tuple[ResultPart, ...]
) -> ToolResult:
    return ToolResult(
        call_id=item.needed_text("call_id"),
        content=content,
        kind=kind,
        extras=item.rest("type", "call_id", "output", _IGNORED),
    )


def _read_result(item: Fields, conversation: Conversation) -> None:
    conversation.answer(_result(item, "function", read_output(item, "output")))


def _read_custom_result(item: Fields, conversation: Conversation) -> None:
    conversation.answer(_result(item, "custom", read_output(item, "output")))


def _read_search_result(item: Fields, conversation: Conversation) -> None:
    """Make the tools that were found callable, and tell their names as the result."""
    names = conversation.tools.add(item.items("tools"))
    if item.text("call_id") is None or item.text("execution") == "server":
        return
    conversation.answer(
        ToolResult(
            call_id=item.needed_text("call_id"),
            content=(Text(text=found_text(names)),),
            kind="tool_search",
            extras=item.rest("type", "call_id", "tools", "execution", _IGNORED),
        )
    )


def found_text(names: tuple[str, ...]) -> str:
    """Return how a model is told which tools a search has found."""
    return msgspec.json.encode({"tools": names}).decode()


def _read_more_tools(item: Fields, conversation: Conversation) -> None:
    conversation.tools.add(item.items("tools"))


def _read_reasoning(item: Fields, conversation: Conversation) -> None:
    text = "".join(part.text("text") or "" for part in item.items("content"))
    state, item_id = None, item.text("id")
    value = item.text("encrypted_content")
    unsealed = unseal(value) if value else None
    if unsealed is not None:
        kept, sealed_text = unsealed
        text = text or sealed_text
        state = kept if kept.value else None
    elif value:
        state = ReasoningState(kind="encrypted", value=value, item_id=item_id)
    known = ["type", "content", "summary", "encrypted_content", _IGNORED]
    if state is not None:
        known.append("id")
    conversation.say(
        Reasoning(
            text=text,
            summary=tuple(part.text("text") or "" for part in item.items("summary")),
            state=state,
            extras=item.rest(*known) or NO_EXTRAS,
        )
    )


def _read_compaction(item: Fields, conversation: Conversation) -> None:
    summary = summary_in(item.text("encrypted_content") or "")
    if summary is None:
        _keep(item, conversation, "compaction")
    else:
        conversation.add(Turn(role="user", parts=(Text(text=summary),)))


def _read_trigger(_: Fields, conversation: Conversation) -> None:
    conversation.add(REQUEST_TURN)
    conversation.wants_summary = True


def _read_reference(_: Fields, conversation: Conversation) -> None:
    conversation.needs.append(ITEM_REFERENCE)


_READERS: Final[Mapping[str, Callable[[Fields, Conversation], None]]] = {
    "message": _read_message,
    "function_call": _read_call,
    "custom_tool_call": _read_custom_call,
    "tool_search_call": _read_search_call,
    "function_call_output": _read_result,
    "custom_tool_call_output": _read_custom_result,
    "tool_search_output": _read_search_result,
    "additional_tools": _read_more_tools,
    "reasoning": _read_reasoning,
    "compaction": _read_compaction,
    "compaction_summary": _read_compaction,
    "compaction_trigger": _read_trigger,
    ITEM_REFERENCE: _read_reference,
}
