"""Requests, streams and answers of the Responses API for tests."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from smart_llmrouter.core.events import Delta, Event, Failed, Finished
from smart_llmrouter.core.notes import Notes
from smart_llmrouter.core.request import Request
from smart_llmrouter.dialects.base import Answering, Serving
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from tests.support.repository import ROOT

SERVING = Serving(label="openai/gpt", model="gpt-5.5")
ID = "0123456789abcdef0123456789abcdef"
CAPTURES = ROOT / "tests" / "data" / "captures"


def parsed(**fields: object) -> Request:
    """Return a request with these fields, as it is read."""
    body = {"model": "gpt-5.5", "input": "hi"} | fields
    return OPENAI_RESPONSES.parse(OPENAI_RESPONSES.peek(json.dumps(body).encode()))


def rendered(request: Request, *, serving: Serving = SERVING) -> dict[str, Any]:
    """Return a request as it is sent, and insist that nothing was lost."""
    body, notes = rendered_with_notes(request, serving=serving)
    assert notes == []
    return body


def rendered_with_notes(
    request: Request, *, serving: Serving = SERVING
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return a request as it is sent, and what was noted of it."""
    notes = Notes()
    body = json.loads(OPENAI_RESPONSES.render(request, serving, notes))
    return body, [(note.action, note.field) for note in notes.all()]


def answering(
    request: Request | None = None, *, notes: Notes | None = None
) -> Answering:
    """Return what an answer to a request is written for."""
    return Answering(
        request=request or parsed(include=["reasoning.encrypted_content"]),
        id=ID,
        created_s=1_700_000_000,
        model="fast",
        label="anthropic/claude",
        notes=notes or Notes(),
    )


def streamed(events: Iterable[Event], given: Answering | None = None) -> bytes:
    """Return the stream that tells these events."""
    encoder = OPENAI_RESPONSES.encoder(given or answering())
    told = list(events)
    last = told[-1]
    if isinstance(last, Finished):
        return encoder.encode(told[:-1]) + encoder.finish(last)
    return encoder.encode(told)


def decoded(stream: bytes) -> list[Event]:
    """Return what a whole stream tells."""
    decoder = OPENAI_RESPONSES.decoder()
    return decoder.feed(stream) + decoder.end()


def sse(*events: dict[str, Any]) -> bytes:
    """Return these events as a provider sends them, numbered and with their names."""
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (
            event["type"].encode(),
            json.dumps({"sequence_number": place} | event).encode(),
        )
        for place, event in enumerate(events)
    )


def answer(*items: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Return a whole answer that holds these items."""
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-5.5-2026",
        "output": list(items),
        "usage": {
            "input_tokens": 12,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 19,
        },
    } | fields


def completed(*items: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Return the last event of a stream with these items."""
    return {"type": "response.completed", "response": answer(*items, **fields)}


def joined(events: Iterable[Event]) -> list[Event]:
    """Return events with all deltas of a part in one, where it began."""
    texts: dict[int, str] = {}
    told: list[Event] = []
    for event in events:
        if isinstance(event, Delta):
            if event.index not in texts:
                told.append(event)
            texts[event.index] = texts.get(event.index, "") + event.text
        else:
            told.append(event)
    return [
        Delta(event.index, texts[event.index]) if isinstance(event, Delta) else event
        for event in told
    ]


def captured(*prefixes: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the Responses requests of real clients, with a name for each."""
    for path in sorted(CAPTURES.glob("*.json")):
        if prefixes and not path.name.startswith(prefixes):
            continue
        requests = json.loads(path.read_text())["requests"]
        for number, request in enumerate(requests, start=1):
            if request["path"].endswith("/responses") and request["body"]:
                yield f"{path.stem}-{number}", _filled(request["body"], requests)


def _filled(body: dict[str, Any], requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a body with what it has in common with an earlier one put back."""
    begin = "<same as in request "
    return {
        name: (
            requests[int(value.removeprefix(begin).rstrip(">")) - 1]["body"][name]
            if isinstance(value, str) and value.startswith(begin)
            else value
        )
        for name, value in body.items()
    }


def ended(events: Iterable[Event]) -> bool:
    """Say whether an answer came to an end, good or bad."""
    return any(isinstance(event, Finished | Failed) for event in events)
