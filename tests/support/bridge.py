"""Translations without sockets: what a provider is asked, and a caller reads."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec import structs

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.core.usage import Usage
from smart_llmrouter.dialects.registry import DIALECTS
from smart_llmrouter.engine.translation import Asked, Translation
from tests.support.golden import GROUP, REQUEST_ID, SERVING, SIMPLE

CHAT: Final[DialectName] = "openai-chat"
RESPONSES: Final[DialectName] = "openai-responses"
MESSAGES: Final[DialectName] = "anthropic-messages"
NAMES: Final = (CHAT, RESPONSES, MESSAGES)
PAIRS: Final = [(one, other) for one in NAMES for other in NAMES if one != other]


def bridge(
    client: DialectName,
    provider: DialectName,
    body: Mapping[str, object] | None = None,
    *,
    label: str = SERVING.label,
) -> Translation:
    """Return the translation of a request, a simple one if none is given."""
    dialect = DIALECTS[client]
    members = SIMPLE[client] if body is None else body
    asked = Asked(dialect, dialect.peek(json.dumps(members).encode()), GROUP)
    serving = structs.replace(SERVING, label=label)
    return Translation(asked, DIALECTS[provider], serving, request_id=REQUEST_ID)


def sent(
    client: DialectName, provider: DialectName, body: Mapping[str, object]
) -> dict[str, Any]:
    """Return what a provider is sent for a request."""
    read: dict[str, Any] = json.loads(bridge(client, provider, body).take_body())
    return read


def noted(translation: Translation) -> set[str]:
    """Return the fields that notes name."""
    return {note.field for note in translation.noted()}


@dataclass(frozen=True, slots=True)
class Streamed:
    """What a client was sent, whether it is whole, and what was metered."""

    stream: bytes
    done: bool
    usage: Usage

    def events(self) -> list[dict[str, Any]]:
        """Return the data of all events."""
        return [
            json.loads(line.removeprefix(b"data: "))
            for line in self.stream.splitlines()
            if line.startswith(b"data: ") and line != b"data: [DONE]"
        ]


def streamed(translation: Translation, stream: bytes) -> Streamed:
    """Send a provider's stream through."""
    meter = translation.meter()
    told = meter.feed(stream) + meter.end() + meter.ending
    return Streamed(told, meter.done, meter.usage)


def chat_stream(*chunks: Mapping[str, object], done: bool = True) -> bytes:
    """Return a stream of Chat; a chunk is its own `delta`, or has `choices`."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m"}
    whole = [
        {**head, "created": 1, **(each if "choices" in each else _delta(each))}
        for each in chunks
    ]
    events = [json.dumps(each) for each in whole] + (["[DONE]"] if done else [])
    return b"".join(b"data: %b\n\n" % event.encode() for event in events)


def _delta(delta: Mapping[str, object]) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def chat_end(reason: str = "stop", **usage: object) -> list[dict[str, object]]:
    """Return the last chunks of a stream of Chat: the reason, and the usage."""
    end = [{"index": 0, "delta": {}, "finish_reason": reason}]
    counts = usage or {"prompt_tokens": 20, "completion_tokens": 9}
    return [{"choices": end}, {"choices": [], "usage": counts}]


def event_stream(*events: Mapping[str, Any]) -> bytes:
    """Return a stream of Messages or Responses."""
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (event["type"].encode(), json.dumps(event).encode())
        for event in events
    )


def message_stream(
    *blocks: Iterable[Mapping[str, Any]],
    reason: str = "end_turn",
    usage: Mapping[str, object] | None = None,
) -> bytes:
    """Return a stream of Messages: for each block its start, and its deltas."""
    start: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 20, "output_tokens": 1},
    }
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, (block, *deltas) in enumerate(blocks):
        events.append(
            {"type": "content_block_start", "index": index, "content_block": block}
        )
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta}
            for delta in deltas
        ]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": reason, "stop_sequence": None}
    ended = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}
    return event_stream(*events, ended, {"type": "message_stop"})


def responses_stream(*items: Mapping[str, Any], told: Iterable[int] = ()) -> bytes:
    """Return a stream of Responses in which items come whole, in their last events.

    `told` are the places of items that are told of on the way; the others are in
    the last event alone.
    """
    response = {"id": "resp_1", "object": "response", "model": "m", "output": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress"}}
    ]
    for place in told:
        item = items[place]
        begun = {**item, "status": "in_progress"}
        if "arguments" in item:
            begun["arguments"] = ""
        where = {"output_index": place}
        events += [
            {"type": "response.output_item.added", **where, "item": begun},
            {"type": "response.output_item.done", **where, "item": item},
        ]
    usage = {"input_tokens": 20, "output_tokens": 9, "total_tokens": 29}
    ended = {**response, "status": "completed", "output": [*items], "usage": usage}
    return event_stream(*events, {"type": "response.completed", "response": ended})
