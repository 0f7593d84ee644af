"""Putting turns into the order that strict providers demand, whatever their dialect.

All results of an assistant's calls follow it at once, in the order in which they came.
Turns of the assistant without anything in between are one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from smart_llmrouter.core.content import Part, Text, ToolCall, ToolResult, Turn
from smart_llmrouter.core.notes import Notes

_OF_TOOLS: Final = (ToolCall, ToolResult)
NO_RESULT: Final = "(The call was broken off: it has no result.)"


def arranged(
    turns: Iterable[Turn], notes: Notes, *, joins_texts: bool = False
) -> list[Turn]:
    """Return the turns with every call answered, and every answer after its call.

    A call without a result gets one that says so; the result of a call that is not
    there becomes a text of the user. Both are noted. `joins_texts` says that texts of
    one turn will be one, so that a blank line must keep apart what was in two turns.
    """
    if not joins_texts:
        turns = list(turns)
        if not any(
            isinstance(part, _OF_TOOLS) for turn in turns for part in turn.parts
        ):
            return turns
    merged = _merged(turns, joins_texts=joins_texts)
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


def _merged(turns: Iterable[Turn], *, joins_texts: bool) -> list[Turn]:
    """Join turns of the assistant that follow each other, if their ids differ."""
    merged: list[Turn] = []
    for turn in turns:
        last = merged[-1] if merged else None
        follows = last is not None and last.role == turn.role == "assistant"
        if last is not None and follows and not _call_ids(last) & _call_ids(turn):
            before = last.parts
            if joins_texts:
                before = tuple(_ending_in_blank(before, turn.parts))
            merged[-1] = msgspec.structs.replace(last, parts=(*before, *turn.parts))
        elif turn.parts:
            merged.append(turn)
    return merged


def _call_ids(turn: Turn) -> set[str]:
    return {part.id for part in turn.parts if isinstance(part, ToolCall)}


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
    """Return results by the place of the turn that called, and those that none did.

    Some providers number their calls anew in each answer: a result is that of the
    latest call of its id that has none yet.
    """
    waiting: dict[str, list[int]] = {}
    answers: dict[int, list[ToolResult]] = {}
    orphans: dict[int, list[ToolResult]] = {}
    for place, turn in enumerate(turns):
        for part in turn.parts:
            if isinstance(part, ToolCall):
                waiting.setdefault(part.id, []).append(place)
            elif isinstance(part, ToolResult):
                callers = waiting.get(part.call_id)
                if callers:
                    answers.setdefault(callers.pop(), []).append(part)
                else:
                    orphans.setdefault(place, []).append(part)
    return answers, orphans


def _missing(
    calls: Iterable[ToolCall], given: Iterable[ToolResult]
) -> tuple[ToolResult, ...]:
    answered = Counter(result.call_id for result in given)
    missing = []
    for call in calls:
        answered[call.id] -= 1
        if answered[call.id] < 0:
            told = (Text(text=NO_RESULT),)
            missing.append(ToolResult(call_id=call.id, content=told, kind=call.kind))
    return tuple(missing)


def _as_text(result: ToolResult) -> Turn:
    told = Text(text=f"Result of the tool call {result.call_id}:")
    return Turn(role="user", parts=(told, *result.content))
