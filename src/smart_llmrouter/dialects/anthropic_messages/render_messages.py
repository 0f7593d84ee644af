"""Turns of the canon as the messages of a provider.

Messages knows instructions before the conversation, and then the user and the assistant
in turn. So what stands first of the system and the developer becomes `system`; what
they say later becomes text of the user (noted), unless the request came in this
dialect. Turns of one side that follow each other become one message, in which results
of tools come first, as Anthropic demands. A conversation that is empty, or that the
assistant begins, gets a first message of the user (noted).
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final, Literal

import msgspec

from smart_llmrouter.core.content import Text, ToolCall, Turn
from smart_llmrouter.core.request import Request
from smart_llmrouter.dialects.anthropic_messages.render_content import (
    Block,
    Scope,
    render_parts,
    render_text,
)
from smart_llmrouter.dialects.arranging import arranged

Side = Literal["user", "assistant", "system"]

_OPENING: Final[Block] = {"type": "text", "text": "."}
"""Said where the caller's user says nothing; blank text would be refused."""


class _Message:
    """One message while it is put together."""

    __slots__ = ("blocks", "extras", "results", "side")

    def __init__(self, side: Side) -> None:
        self.side = side
        self.results: list[Block] = []
        self.blocks: list[Block] = []
        self.extras: dict[str, msgspec.Raw] = {}

    def add(self, turn: Turn, blocks: list[Block]) -> None:
        (self.results if turn.role == "tool" else self.blocks).extend(blocks)
        self.extras.update(turn.extras)

    def rendered(self, *, own: bool) -> dict[str, object]:
        content = shortest(self.results + self.blocks)
        message: dict[str, object] = {"role": self.side, "content": content}
        return message | self.extras if own else message


def render_conversation(
    request: Request, scope: Scope
) -> tuple[list[Block], list[dict[str, object]]]:
    """Return `system` and `messages`. Raises `NotBridged`."""
    leading = () if scope.own else tuple(takewhile(_instructs, request.turns))
    texts = [*request.system, *(part for turn in leading for part in turn.parts)]
    system = [
        block
        for text in texts
        if isinstance(text, Text) and (block := render_text(text, scope)) is not None
    ]
    turns: Sequence[Turn] = request.turns[len(leading) :]
    if not scope.own:
        turns = arranged(turns, scope.notes)
    messages = _messages(turns, scope)
    if not messages and system and not scope.own:
        # Instructions alone are no conversation; the user says them, then.
        opening, system = system, []
        scope.notes.approximated(
            "messages", "instructions alone are sent as the user's"
        )
        messages = [_opened(opening)]
    elif not scope.own and (not messages or messages[0].side == "assistant"):
        scope.notes.approximated(
            "messages", "a first message of the user is put before"
        )
        messages.insert(0, _opened([_OPENING]))
    return system, [message.rendered(own=scope.own) for message in messages]


def called_names(turns: Sequence[Turn]) -> list[str]:
    """Return the names of all tools that were called, each once, in order."""
    calls = (part for turn in turns for part in turn.parts)
    return list(dict.fromkeys(c.name for c in calls if isinstance(c, ToolCall)))


def _instructs(turn: Turn) -> bool:
    return turn.role in ("system", "developer") and all(
        isinstance(part, Text) for part in turn.parts
    )


def _messages(turns: Sequence[Turn], scope: Scope) -> list[_Message]:
    messages: list[_Message] = []
    for turn in turns:
        side = _side(turn, scope)
        blocks = render_parts(turn.parts, scope)
        if not blocks and not (scope.own and turn.extras):
            continue
        if not messages or messages[-1].side != side or side == "system":
            messages.append(_Message(side))
        messages[-1].add(turn, blocks)
    if messages and messages[-1].side == "assistant":
        _strip_end(messages, scope)
    return messages


def _side(turn: Turn, scope: Scope) -> Side:
    if turn.role == "assistant":
        return "assistant"
    if turn.role in ("system", "developer"):
        if scope.own:
            return "system"
        scope.notes.approximated(
            "messages.role", "instructions in mid-conversation are sent as the user's"
        )
    return "user"


def _strip_end(messages: list[_Message], scope: Scope) -> None:
    """Take white space from the end of a text that the model shall go on with."""
    blocks = messages[-1].blocks
    last = blocks[-1] if blocks else None
    if isinstance(last, dict) and last.get("type") == "text":
        text = str(last["text"])
        if text != text.rstrip():
            scope.notes.approximated(
                "content.text", "white space at the very end is refused"
            )
            blocks[-1] = last | {"text": text.rstrip()}


def _opened(blocks: list[Block]) -> _Message:
    message = _Message("user")
    message.blocks += blocks
    return message


def shortest(blocks: list[Block]) -> str | list[Block]:
    """Return the blocks, or the text that a single plain one holds."""
    only = blocks[0] if len(blocks) == 1 else None
    if isinstance(only, dict) and only.keys() == {"type", "text"}:
        return str(only["text"])
    return blocks
