"""What real clients send passes through the canon and comes out the same."""

import json

import pytest

from smart_llmrouter.core.notes import Notes
from smart_llmrouter.dialects.anthropic_messages.parse import (
    KNOWN_EXTRAS,
    parse_request,
)
from smart_llmrouter.dialects.anthropic_messages.render import render_request
from smart_llmrouter.dialects.anthropic_messages.requests import peek_request
from smart_llmrouter.dialects.base import Serving
from smart_llmrouter.dialects.lowering import bridged
from tests.support.captures import Captured, captured

REQUESTS = captured("/messages")


def in_blocks(value: object) -> object:
    """Return a request with each content as a list of blocks, which means the same."""
    if isinstance(value, list):
        return [in_blocks(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: [{"type": "text", "text": inner}]
        if name in ("content", "system") and isinstance(inner, str)
        else in_blocks(inner)
        for name, inner in value.items()
    }


@pytest.mark.parametrize("captured_", REQUESTS, ids=lambda request: request.name)
def test_nothing_of_a_real_request_is_lost(captured_: Captured) -> None:
    """Read and written again, it says all that it said."""
    body = {"max_tokens": 32000, **captured_.body}
    notes = Notes()

    request = parse_request(peek_request(captured_.raw), needs_cap=False)
    written = render_request(
        request, Serving(label="acme/claude", model=str(body["model"])), notes
    )

    if not body.get("tools"):
        body.pop("tools", None)
    assert in_blocks(json.loads(written)) == in_blocks(body)
    assert [note for note in notes.all() if note.field != "max_tokens"] == []


@pytest.mark.parametrize("captured_", REQUESTS, ids=lambda request: request.name)
def test_other_providers_get_it_with_notes_of_what_is_lost(
    captured_: Captured,
) -> None:
    """Every loss is named by a name that we know."""
    request = parse_request(peek_request(captured_.raw), needs_cap=False)
    notes = Notes()

    bridged(request, known_extras=KNOWN_EXTRAS, hosted_tools="refuse", notes=notes)

    assert "other" not in [note.field for note in notes.all()]
