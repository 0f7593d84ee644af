"""A strict reader of a Responses stream: what it accepts, any client does.

It insists on all that the protocol promises, far more than real clients need: names of
events, ascending numbers, each item and each part opened, told and closed in order, the
sum of all deltas in what is done, and exactly one last event that holds it all.
"""

import json
from dataclasses import dataclass, field
from typing import Any

TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
_STATUS = {kind: kind.removeprefix("response.") for kind in TERMINAL}
_FIRST_PART = {"message": "content", "reasoning": "summary"}
_DELTAS = {
    "response.output_text.delta": ("response.output_text.done", "text"),
    "response.refusal.delta": ("response.refusal.done", "refusal"),
    "response.reasoning_text.delta": ("response.reasoning_text.done", "text"),
    "response.reasoning_summary_text.delta": (
        "response.reasoning_summary_text.done",
        "text",
    ),
    "response.function_call_arguments.delta": (
        "response.function_call_arguments.done",
        "arguments",
    ),
    "response.custom_tool_call_input.delta": (
        "response.custom_tool_call_input.done",
        "input",
    ),
}
_DONE = {done: (delta, name) for delta, (done, name) in _DELTAS.items()}
_PARTS = {
    "response.content_part.added": "response.content_part.done",
    "response.reasoning_summary_part.added": "response.reasoning_summary_part.done",
}
_CALLS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "tool_search_call": "arguments",
}


class NotGrammatical(AssertionError):
    """The stream breaks a rule of its dialect."""


@dataclass
class Read:
    """What a stream said: its items, and the object of its last event."""

    items: list[dict[str, Any]]
    response: dict[str, Any]
    kind: str


@dataclass
class _State:
    sequence: int = -1
    open_items: dict[int, dict[str, Any]] = field(default_factory=dict)
    texts: dict[tuple[Any, ...], str] = field(default_factory=dict)
    parts: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    done: dict[int, dict[str, Any]] = field(default_factory=dict)
    whole: set[tuple[Any, ...]] = field(default_factory=set)
    next_place: int = 0
    last: dict[str, Any] | None = None


def _insist(condition: object, rule: str) -> None:
    if not condition:
        raise NotGrammatical(rule)


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """Take a stream apart; each event must have its name and one line of data."""
    _insist(stream.endswith(b"\n\n") or not stream, "a stream ends with a blank line")
    events = []
    for block in stream.split(b"\n\n")[:-1]:
        lines = block.decode().split("\n")
        _insist(len(lines) == 2, "an event is a name and its data")
        name, data = lines
        _insist(name.startswith("event: "), "an event has a name")
        _insist(data.startswith("data: "), "an event has data")
        event = json.loads(data.removeprefix("data: "))
        _insist(event["type"] == name.removeprefix("event: "), "both names agree")
        events.append(event)
    return events


def read(stream: bytes) -> Read:
    """Read a complete stream. Raises `NotGrammatical`."""
    state = _State()
    events = [each for each in events_of(stream) if each["type"] != "keepalive"]
    kinds = [event["type"] for event in events]
    if kinds != ["response.failed"]:
        _insist(kinds[:1] == ["response.created"], "it begins with created")
        _insist(kinds[1:2] == ["response.in_progress"], "and goes on with in_progress")
    for event in events:
        _insist(state.last is None, "nothing follows the last event")
        _read_event(event, state)
    _insist(state.last is not None, "it ends with a last event")
    assert state.last is not None
    items = [state.done[place] for place in sorted(state.done)]
    answer = state.last["response"]
    if answer["status"] != "failed":
        _insist(not state.open_items, "no item is left open")
        _insist(answer["output"] == items, "the last event holds all items")
    return Read(items=items, response=answer, kind=state.last["type"])


def _read_event(event: dict[str, Any], state: _State) -> None:
    kind = event["type"]
    _insist(event["sequence_number"] > state.sequence, "numbers ascend")
    if kind != "response.failed":
        _insist(event["sequence_number"] == state.sequence + 1, "one by one")
    state.sequence = event["sequence_number"]
    if kind in ("response.created", "response.in_progress"):
        _insist(state.sequence < 2, "it begins once")
        _insist(event["response"]["status"] == "in_progress", "it has just begun")
        _insist(event["response"]["output"] == [], "there is nothing yet")
    elif kind in TERMINAL:
        _insist(event["response"]["status"] == _STATUS[kind], "both statuses agree")
        state.last = event
    elif kind == "response.output_item.added":
        _begin_item(event, state)
    elif kind == "response.output_item.done":
        _end_item(event, state)
    else:
        _read_piece(event, state)


def _begin_item(event: dict[str, Any], state: _State) -> None:
    place = event["output_index"]
    _insist(place == state.next_place, "items take their places in order")
    state.next_place += 1
    item = event["item"]
    if item["type"] in _FIRST_PART:
        others = [each for each in state.open_items.values() if "call_id" not in each]
        _insist(not others, "messages and reasoning do not overlap")
        _insist(not item[_FIRST_PART[item["type"]]], "an item begins empty")
    state.open_items[place] = item


def _end_item(event: dict[str, Any], state: _State) -> None:
    place, item = event["output_index"], event["item"]
    _insist(place in state.open_items, "an item is added before it is done")
    begun = state.open_items.pop(place)
    for name in ("id", "type", "call_id", "name", "namespace"):
        _insist(begun.get(name) == item.get(name), f"an item keeps its {name}")
    _insist(not any(key[0] == place for key in state.parts), "its parts are closed")
    if item["type"] == "message":
        _insist(item["content"], "a message is not empty")
        told = [key for key in state.texts if key[0] == place]
        _insist(len(item["content"]) == len(told), "it has all of its parts")
    if item["type"] == "reasoning":
        parts = [*item["summary"], *item.get("content", ())]
        told = [key for key in state.texts if key[0] == place]
        _insist(len(parts) == len(told), "it has all of its parts")
    if item["type"] in ("function_call", "custom_tool_call"):
        key = (place, None, None)
        _insist(key in state.whole, "its arguments are whole before it is done")
        given = item[_CALLS[item["type"]]]
        _insist(given == state.texts.get(key, ""), "its deltas make its arguments")
    state.done[place] = item


def _key(event: dict[str, Any]) -> tuple[Any, ...]:
    return (
        event["output_index"],
        event.get("content_index"),
        event.get("summary_index"),
    )


def _read_piece(event: dict[str, Any], state: _State) -> None:
    kind, key = event["type"], _key(event)
    _insist(key[0] in state.open_items, f"{kind} belongs to an open item")
    _insist(event["item_id"] == state.open_items[key[0]]["id"], "and names it")
    if kind in _PARTS:
        _insist(key not in state.texts, "a part is added once")
        state.texts[key] = ""
        state.parts[key] = event["part"]
    elif kind in _PARTS.values():
        _insist(key in state.whole, "a part is whole before it is done")
        begun = state.parts.pop(key, None)
        _insist(begun is not None, "a part is added before it is done")
        assert begun is not None
        _insist(begun["type"] == event["part"]["type"], "and keeps its type")
        text = event["part"].get("text", event["part"].get("refusal"))
        _insist(text == state.texts[key], "and has all of its text")
    elif kind in _DELTAS:
        _insist(key not in state.whole, "no delta after the whole")
        if key[1:] != (None, None):
            _insist(key in state.parts, "a delta belongs to an open part")
        _insist(event["delta"], "no delta is empty")
        state.texts[key] = state.texts.get(key, "") + event["delta"]
    elif kind in _DONE:
        _insist(key not in state.whole, "the whole is told once")
        _insist(event[_DONE[kind][1]] == state.texts.get(key, ""), "deltas add up")
        state.whole.add(key)
    else:
        _insist(kind == "response.output_text.annotation.added", f"{kind} is known")
