"""Putting turns into the order that strict providers of Chat Completions demand.

All results of an assistant's calls follow it at once, in the order in which they came.
Turns of the assistant without anything in between are one.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.content import Part, Text, ToolCall, ToolResult, Turn
from smart_llmrouter.core.notes import Notes

NO_RESULT: Final = "(The call was broken off: it has no result.)"


def arranged(turns: Iterable[Turn], notes: Notes) -> list[Turn]:
    """Return the turns with every call answered, and every answer after its call.

    A call without a result gets one that says so; the result of a call that is not
    there becomes a text of the user. Both are noted.
    """
    merged = _merged(turns)
    answers, orphans = _answers(merged)
    placed: list[Turn] = []
    for place, turn in enumerate(merged):
        if turn.role != "tool":
            placed.append(turn)
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        if calls:
            given = answers.get(place, [])
            missing = _missing(calls, given)
            if missing:
                notes.approximated("tool_calls", "a call without a result got one")
            placed.append(Turn(role="tool", parts=(*given, *missing)))
        if place in orphans:
            notes.approximated(
                "tool_results", "a result without a call is said as text"
            )
            placed += [_as_text(orphan) for orphan in orphans[place]]
    return placed


def _merged(turns: Iterable[Turn]) -> list[Turn]:
    """Join turns of the assistant that follow each other."""
    merged: list[Turn] = []
    for turn in turns:
        last = merged[-1] if merged else None
        if last is not None and last.role == turn.role == "assistant":
            parts = (*_ending_in_blank(last.parts, turn.parts), *turn.parts)
            merged[-1] = msgspec.structs.replace(last, parts=parts)
        elif turn.parts:
            merged.append(turn)
    return merged


def _ending_in_blank(
    parts: Sequence[Part], following: Sequence[Part]
) -> Sequence[Part]:
    """Keep two texts apart that were two turns: texts of one turn are joined."""
    last = parts[-1]
    if isinstance(last, Text) and following and isinstance(following[0], Text):
        return (*parts[:-1], msgspec.structs.replace(last, text=f"{last.text}\n\n"))
    return parts


def _answers(
    turns: Sequence[Turn],
) -> tuple[dict[int, list[ToolResult]], dict[int, list[ToolResult]]]:
    """Return results by the place of the turn that called, and those that none did."""
    waiting: dict[str, int] = {}
    answers: dict[int, list[ToolResult]] = {}
    orphans: dict[int, list[ToolResult]] = {}
    for place, turn in enumerate(turns):
        for part in turn.parts:
            if isinstance(part, ToolCall):
                waiting[part.id] = place
            elif isinstance(part, ToolResult):
                caller = waiting.pop(part.call_id, None)
                if caller is None:
                    orphans.setdefault(place, []).append(part)
                else:
                    answers.setdefault(caller, []).append(part)
    return answers, orphans


def _missing(
    calls: Iterable[ToolCall], given: Iterable[ToolResult]
) -> tuple[ToolResult, ...]:
    answered = {result.call_id for result in given}
    return tuple(
        ToolResult(call_id=call.id, content=(Text(text=NO_RESULT),), kind=call.kind)
        for call in calls
        if call.id not in answered
    )


def _as_text(result: ToolResult) -> Turn:
    told = Text(text=f"Result of the tool call {result.call_id}:")
    return Turn(role="user", parts=(told, *result.content))
