"""Every error of the tree in OpenAI's shape, as a body and as a stream's last event."""

import json
from typing import Any

import pytest

from smart_llmrouter.core import errors
from smart_llmrouter.core.errors import RouterError, UpstreamRejectedRequest
from smart_llmrouter.dialects.openai_chat.errors import encode_error_event
from smart_llmrouter.dialects.openai_errors import render_error
from tests.support.errors import LEAVES, made

ID = "req_" + "0" * 32

OURS = [kind for kind in LEAVES if kind is not UpstreamRejectedRequest]


@pytest.mark.parametrize("kind", OURS)
def test_every_leaf_has_openais_shape(kind: type[RouterError]) -> None:
    """Message, type, code, param, request id and details: each leaf has them all."""
    error = made(kind)

    document = json.loads(render_error(error, request_id=ID))

    assert list(document) == ["error"]
    assert set(document["error"]) == {
        "message",
        "type",
        "code",
        "param",
        "request_id",
        "details",
    }
    assert document["error"]["code"] == kind.code
    assert document["error"]["request_id"] == ID
    assert ID in document["error"]["message"]
    assert document["error"]["details"] == dict(error.details)


@pytest.mark.parametrize("kind", LEAVES)
def test_every_leaf_can_end_a_stream(kind: type[RouterError]) -> None:
    """As the last event of a stream it is the same body on one line."""
    error = made(kind)

    event = encode_error_event(error, request_id=ID)

    assert event == b"data: " + render_error(error, request_id=ID) + b"\n\n"
    assert event.count(b"\n") == 2


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (502, "server_error"),
        (504, "server_error"),
    ],
)
def test_types_follow_the_status(status: int, told: str) -> None:
    """`error.type` is OpenAI's name for the status."""
    error = RouterError("x")
    error.status = status

    assert json.loads(render_error(error, request_id=ID))["error"]["type"] == told


def test_the_wrong_field_is_the_param() -> None:
    """A field that is wrong is named where OpenAI's clients look for it."""
    error = errors.InvalidRequest("no", details={"field": "stream"})

    assert json.loads(render_error(error, request_id=ID))["error"]["param"] == "stream"


def rejection(body: bytes) -> dict[str, Any]:
    """Render a provider's rejection, and read it."""
    error = UpstreamRejectedRequest(status=400, body=body)
    document: dict[str, Any] = json.loads(render_error(error, request_id=ID))
    return document


def test_a_rejection_keeps_all_that_the_provider_said() -> None:
    """Only the request id and our details are added."""
    body = (
        b'{"x": 1.00, "error": {"message": "no", "param": null, "code": 7, "y": 1E2}}'
    )
    error = UpstreamRejectedRequest(status=400, body=body)

    rendered = render_error(error, request_id=ID)

    assert rendered.startswith(
        b'{"x":1.00,"error":{"message":"no","param":null,"code":7,"y":1E2,'
    )
    assert json.loads(rendered)["error"]["request_id"] == ID
    assert json.loads(rendered)["error"]["type"] == "invalid_request_error"


def test_a_rejection_cannot_choose_our_request_id() -> None:
    """An id of the provider's own is replaced: ours is the one in our log."""
    document = rejection(b'{"error": {"message": "no", "request_id": "req_theirs"}}')

    assert document["error"]["request_id"] == ID
    assert document["error"]["message"] == "no"


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "too long"}',
        b'{"message": "too long", "type": "x"}',
        b'{"detail": "too long"}',
        b'{"error": null, "message": "too long"}',
    ],
)
def test_a_message_in_another_place_is_found(body: bytes) -> None:
    """Providers that only resemble OpenAI are quoted, too."""
    document = rejection(body)

    assert document["error"]["message"] == "too long"
    assert document["error"]["code"] == "upstream-rejected-request"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"error": 7}',
        b'{"error": [1]}',
        b'{"detail": [1]}',
    ],
)
def test_a_rejection_without_words_gets_ours(body: bytes) -> None:
    """What cannot be read is replaced as a whole."""
    document = rejection(body)

    assert document["error"]["code"] == "upstream-rejected-request"
    assert ID in document["error"]["message"]
