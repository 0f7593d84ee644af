"""The rules of Anthropic about calls and results: each call is answered at once."""

from collections.abc import Iterator, Sequence

from smart_llmrouter.mockprovider import anthropic_schema as anthropic
from smart_llmrouter.mockprovider.dialect import Refused

Turn = tuple[str, int, list[anthropic.Block]]
"""A role, the number of its first message, and the blocks of all its messages."""


def check_tools_answered(request: anthropic.MessagesRequest) -> None:
    """Refuse calls without a result in the next turn, and results without a call."""
    turns = list(_turns(request.messages))
    for place, (role, number, blocks) in enumerate(turns):
        before = turns[place - 1][2] if place and role == "user" else []
        _check_results(blocks, _ids(before), number)
        called = _ids(blocks)
        if len(called) > len(set(called)):
            raise Refused(f"messages.{number}: `tool_use` ids must be unique")
        after = turns[place + 1][2] if place + 1 < len(turns) else []
        _check_calls(called, after, number)
    if request.thinking is not None and request.thinking.type == "enabled":
        _check_thought(turns)


def _turns(messages: Sequence[anthropic.Message]) -> Iterator[Turn]:
    """Yield turns: messages in a row of one role are one; the system's are between."""
    open_turn: Turn | None = None
    for number, message in enumerate(messages):
        if message.role == "system":
            continue
        if open_turn is not None and open_turn[0] == message.role:
            open_turn[2].extend(message.blocks)
            continue
        if open_turn is not None:
            yield open_turn
        open_turn = (message.role, number, list(message.blocks))
    if open_turn is not None:
        yield open_turn


def _ids(blocks: Sequence[anthropic.Block]) -> list[str]:
    return [block.id or "" for block in blocks if block.type == "tool_use"]


def _check_results(
    blocks: Sequence[anthropic.Block], called: Sequence[str], number: int
) -> None:
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        if block.type != "tool_result":
            continue
        given = block.tool_use_id or ""
        if given not in called:
            raise Refused(
                f"messages.{number}.content.{index}: unexpected `tool_use_id` found in "
                f"`tool_result` blocks: {given}. Each `tool_result` block must have a "
                "corresponding `tool_use` block in the previous message."
            )
        if given in seen:
            raise Refused(
                f"messages.{number}.content.{index}: each tool_use must have a single "
                f"result. Found multiple `tool_result` blocks with id: {given}"
            )
        seen.add(given)


def _check_calls(
    called: Sequence[str], after: Sequence[anthropic.Block], number: int
) -> None:
    """Refuse calls that are not answered before anything else is said."""
    answered: set[str] = set()
    for block in after:
        if block.type != "tool_result":
            break
        answered.add(block.tool_use_id or "")
    open_ids = [each for each in called if each not in answered]
    if open_ids:
        raise Refused(
            f"messages.{number}: `tool_use` ids were found without `tool_result` "
            f"blocks immediately after: {', '.join(open_ids)}. Each `tool_use` block "
            "must have a corresponding `tool_result` block in the next message."
        )


def _check_thought(turns: Sequence[Turn]) -> None:
    """Refuse a last call of tools that does not begin with the thought behind it."""
    if len(turns) < 2 or turns[-1][0] != "user":
        return
    _, number, blocks = turns[-2]
    answers = any(block.type == "tool_result" for block in turns[-1][2])
    first = blocks[0].type if blocks else "thinking"
    if answers and first not in {"thinking", "redacted_thinking"}:
        raise Refused(
            f"messages.{number}.content.0.type: Expected `thinking` or "
            f"`redacted_thinking`, but found `{first}`. When `thinking` is enabled, a "
            "final `assistant` message must start with a thinking block."
        )
