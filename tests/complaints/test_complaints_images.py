"""How other gateways inflate, drop or choke on images."""

import json
from typing import Any, Final

import pytest

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.upstream.failure_endings import terminal_error
from smart_llmrouter.upstream.failures import failure_of_status
from tests.support.bridge import CHAT, MESSAGES, PAIRS, RESPONSES, sent

URL: Final = "https://example.com/a.jpg"
PNG: Final = "iVBORw0KGgo="
DATA: Final = f"data:image/png;base64,{PNG}"
TOOL: Final[dict[DialectName, dict[str, Any]]] = {
    CHAT: {"type": "function", "function": {"name": "look"}},
    RESPONSES: {"type": "function", "name": "look", "parameters": {"type": "object"}},
    MESSAGES: {"name": "look", "input_schema": {"type": "object"}},
}

pairs = pytest.mark.parametrize(("client", "provider"), PAIRS)


def image(dialect: DialectName, url: str) -> dict[str, Any]:
    """Return an image as a part of content."""
    if dialect == CHAT:
        return {"type": "image_url", "image_url": {"url": url}}
    if dialect == RESPONSES:
        return {"type": "input_image", "image_url": url}
    source = {"type": "url", "url": url}
    if url.startswith("data:"):
        source = {"type": "base64", "media_type": "image/png", "data": PNG}
    return {"type": "image", "source": source}


def shown(dialect: DialectName, url: str) -> dict[str, Any]:
    """Return a request in which a user shows an image."""
    said = [{"role": "user", "content": [image(dialect, url)]}]
    field = "input" if dialect == RESPONSES else "messages"
    return {"model": "chat", "max_tokens": 100, field: said}


def found(dialect: DialectName, url: str) -> dict[str, Any]:
    """Return a request in which a tool shows one."""
    part, user = image(dialect, url), {"role": "user", "content": "look"}
    body: dict[str, Any] = {"model": "chat", "tools": [TOOL[dialect]]}
    if dialect == RESPONSES:
        called = {"type": "function_call", "call_id": "c_1", "name": "look"}
        result = {"type": "function_call_output", "call_id": "c_1", "output": [part]}
        return {**body, "input": [user, {**called, "arguments": "{}"}, result]}
    if dialect == CHAT:
        function = {"name": "look", "arguments": "{}"}
        call = {"id": "c_1", "type": "function", "function": function}
        said = {"role": "assistant", "content": None, "tool_calls": [call]}
        result = {"role": "tool", "tool_call_id": "c_1", "content": [part]}
        return {**body, "messages": [user, said, result]}
    call = {"type": "tool_use", "id": "c_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c_1", "content": [part]}
    messages = [
        user,
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    return {**body, "max_tokens": 100, "messages": messages}


@pairs
def test_image_urls_are_inflated_to_data(
    client: DialectName, provider: DialectName
) -> None:
    """A URL is sent on as a URL: the router fetches nothing."""
    asked = json.dumps(sent(client, provider, shown(client, URL)))

    assert URL in asked
    assert "base64" not in asked


@pairs
def test_image_data_becomes_a_url_that_a_provider_refuses(
    client: DialectName, provider: DialectName
) -> None:
    """Data is sent on as data, in the form that each dialect has for it."""
    asked = json.dumps(sent(client, provider, shown(client, DATA)))

    assert asked.count(PNG) == 1
    assert "http" not in asked


@pairs
@pytest.mark.parametrize("url", [URL, DATA])
def test_images_in_tool_results_are_dropped(
    client: DialectName, provider: DialectName, url: str
) -> None:
    """They are in the result, or right behind it where results hold text only."""
    asked = sent(client, provider, found(client, url))

    turns = asked["input" if provider == RESPONSES else "messages"]
    assert (PNG if url == DATA else URL) in json.dumps(turns[-1])


def test_an_image_that_a_provider_refuses_is_a_fault_of_the_router() -> None:
    """Its 400 stays one, in its own words, and no other target is asked."""
    body = b'{"error":{"message":"Unsupported image format: image/bmp"}}'
    failure = failure_of_status(400, body=body, retry_after=None, credentials=())

    error = terminal_error([failure])

    assert error.status == 400
    assert not failure.retryable
