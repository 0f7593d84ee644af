"""A strict reader of streams of Chat Completions: what is not in the grammar fails.

    stream   role-chunk  (delta-chunk)*  finish-chunk  usage-chunk?  [DONE]

Every event is one line of data. All chunks have the same id, time and model, and one
choice, but for the usage chunk, which has none. Calls are numbered from 0 upwards; the
first piece of each has its id, type and name, and later ones have arguments only.
"""

import json
from dataclasses import dataclass, field
from typing import Any

_HEAD = ("id", "object", "created", "model")
_DELTA_FIELDS = {
    "content", "refusal", "reasoning_content", "tool_calls", "function_call",
    "annotations", "reasoning_details",
}  # fmt: skip
_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}


class NotChat(AssertionError):
    """The stream breaks the grammar; the message says where."""


@dataclass
class ReadStream:
    """What a stream said; it is `complete` if it came to its end."""

    head: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    calls: list[dict[str, str]] = field(default_factory=list)
    annotations: list[Any] = field(default_factory=list)
    details: list[Any] = field(default_factory=list)
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    complete: bool = False


def read_stream(data: bytes, *, include_usage: bool) -> ReadStream:
    """Read a stream; one that stops between two events is not `complete`.

    Raises `NotChat`.
    """
    read = ReadStream()
    *events, rest = data.split(b"\n\n")
    _demand(rest == b"", f"half an event: {rest!r}")
    for event in events:
        _demand(not read.complete, "something after [DONE]")
        _demand(event.startswith(b"data: ") and b"\n" not in event, f"{event!r}")
        payload = event.removeprefix(b"data: ")
        if payload == b"[DONE]":
            _demand(read.finish_reason is not None, "[DONE] without a finish reason")
            read.complete = True
        else:
            _chunk(json.loads(payload), read, include_usage=include_usage)
    return read


def _chunk(chunk: dict[str, Any], read: ReadStream, *, include_usage: bool) -> None:
    head = {name: chunk.pop(name) for name in _HEAD}
    _demand(head["object"] == "chat.completion.chunk", f"object {head['object']}")
    first, read.head = not read.head, read.head or head
    _demand(head == read.head, "the head changed")
    choices = chunk.pop("choices")
    usage = chunk.pop("usage", None) if include_usage else None
    _demand(not chunk, f"unknown members {sorted(chunk)}")
    if not choices:
        _demand(read.finish_reason is not None, "usage before the finish reason")
        _demand(isinstance(usage, dict) and read.usage is None, "usage twice, or none")
        read.usage = usage
        return
    _demand(usage is None and len(choices) == 1, "usage beside a choice, or two")
    _demand(read.finish_reason is None, "a choice after the finish reason")
    choice = choices[0]
    _demand(sorted(choice) == ["delta", "finish_reason", "index"], f"{sorted(choice)}")
    _demand(choice["index"] == 0, "a choice other than 0")
    if first:
        opening = {"role": "assistant", "content": ""}
        _demand(choice["delta"] == opening, "no role at the beginning")
    else:
        _delta(choice["delta"], read)
    reason = choice["finish_reason"]
    if reason is not None:
        _demand(reason in _REASONS and not choice["delta"], f"finish {reason}")
        called = reason in ("tool_calls", "function_call")
        _demand(bool(read.calls) or not called, "calls that are not there")
        _demand(reason != "stop" or not read.calls, "stop although there are calls")
        read.finish_reason = reason


def _delta(delta: dict[str, Any], read: ReadStream) -> None:
    _demand(set(delta) <= _DELTA_FIELDS, f"unknown in delta: {sorted(delta)}")
    for name in ("content", "refusal", "reasoning_content"):
        if name in delta:
            _demand(isinstance(delta[name], str), f"{name} is no text")
            read.texts[name] = read.texts.get(name, "") + delta[name]
    read.annotations += delta.get("annotations", [])
    read.details += delta.get("reasoning_details", [])
    for piece in delta.get("tool_calls", []):
        _call(piece, read)
    if "function_call" in delta:
        piece = delta["function_call"]
        if not read.calls:
            read.calls.append({"name": piece.pop("name"), "given": ""})
        read.calls[0]["given"] += piece.pop("arguments")
        _demand(not piece, f"unknown in function_call: {sorted(piece)}")


def _call(piece: dict[str, Any], read: ReadStream) -> None:
    index = piece.pop("index")
    if index == len(read.calls):
        kind = piece.pop("type")
        called = piece.pop(kind)
        given = called.pop("arguments" if kind == "function" else "input")
        read.calls.append(
            {
                "id": piece.pop("id"),
                "kind": kind,
                "name": called.pop("name"),
                "given": given,
            }
        )
    else:
        _demand(0 <= index < len(read.calls), f"the call {index} is out of order")
        kind = read.calls[index]["kind"]
        called = piece.pop(kind)
        given = called.pop("arguments" if kind == "function" else "input")
        read.calls[index]["given"] += given
    _demand(not piece and not called, f"unknown in a call: {piece} {called}")


def _demand(holds: bool, told: str) -> None:  # noqa: FBT001
    if not holds:
        raise NotChat(told)
