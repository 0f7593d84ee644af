"""Requests of real clients, read and written again."""

import json
from typing import Any

import msgspec
import pytest

from smart_llmrouter.core.notes import Notes
from smart_llmrouter.dialects.base import Serving
from smart_llmrouter.dialects.openai_chat.dialect import OPENAI_CHAT
from tests.support.captures import captured

OPENAI = Serving(label="t", model="gpt-5.1")
REQUESTS = [
    pytest.param(each.raw, id=each.name) for each in captured("/v1/chat/completions")
]


@pytest.mark.parametrize("raw", REQUESTS)
def test_a_real_request_comes_back(raw: bytes) -> None:
    """Nothing that a real client says is lost on the way to the canon and back."""
    notes = Notes()
    body = json.loads(raw)
    request = OPENAI_CHAT.parse(OPENAI_CHAT.peek(raw))

    rendered = json.loads(OPENAI_CHAT.render(request, OPENAI, notes))

    said = {name: value for name, value in body.items() if value not in (None, False)}
    assert set(said) - {"max_tokens"} <= set(rendered)
    assert rendered["messages"] == [_usual(message) for message in body["messages"]]
    assert rendered.get("tools") == body.get("tools")
    assert notes.all() == ()


@pytest.mark.parametrize("raw", REQUESTS)
def test_a_real_request_crosses_without_a_loss(raw: bytes) -> None:
    """The same request from another dialect would be sent with all it says."""
    body = json.loads(raw)
    request = OPENAI_CHAT.parse(OPENAI_CHAT.peek(raw))
    foreign = msgspec.structs.replace(request, dialect="anthropic-messages")
    notes = Notes()

    rendered = json.loads(OPENAI_CHAT.render(foreign, OPENAI, notes))

    assert rendered["messages"] == [_usual(message) for message in body["messages"]]
    assert notes.all() == ()


def _usual(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as it is usually said: one text is no list."""
    content = message.get("content")
    if isinstance(content, list) and len(content) == 1 and content[0]["type"] == "text":
        content = content[0]["text"]
    said = {name: value for name, value in message.items() if value is not None}
    return {**said, "content": content}
