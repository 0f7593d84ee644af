"""Every error of the tree in Anthropic's shape, plain and as a stream's last event."""

import json

import pytest

from smart_llmrouter.core.errors import (
    InvalidRequest,
    ModelNotAllowed,
    RouterError,
    Unauthorized,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRejectedRequest,
    UpstreamTimeout,
)
from smart_llmrouter.dialects.anthropic_messages.errors import (
    encode_error_event,
    render_error,
)

ID = "req_" + "0" * 32


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("x", details={"field": "f"}), "invalid_request_error"),
        (Unauthorized(), "authentication_error"),
        (ModelNotAllowed(), "permission_error"),
        (UpstreamFailed("x"), "api_error"),
        (UpstreamRateLimited("x"), "overloaded_error"),
        (UpstreamTimeout("x"), "timeout_error"),
    ],
)
def test_an_error_has_anthropics_type_and_our_code(
    error: RouterError, kind: str
) -> None:
    """The same in a body and in a stream."""
    body = render_error(error, request_id=ID)
    event = encode_error_event(error, request_id=ID)

    assert json.loads(body) == {
        "type": "error",
        "error": {
            "type": kind,
            "message": f"{error.message} (request {ID})",
            "details": {"error_code": error.code, **error.details},
        },
        "request_id": ID,
    }
    assert event == b"event: error\ndata: " + body + b"\n\n"


def test_a_rejection_of_anthropic_keeps_its_words() -> None:
    """Clients act on what it says; our id and details are added."""
    said = {"type": "invalid_request_error", "message": "messages.1.role: Input"}
    body = json.dumps({"type": "error", "error": said, "request_id": "req_theirs"})
    error = UpstreamRejectedRequest(status=400, body=body.encode())

    rendered = json.loads(render_error(error, request_id=ID))

    assert rendered == {
        "type": "error",
        "error": said | {"details": {"error_code": "upstream-rejected-request"}},
        "request_id": ID,
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "bad tool", "code": "x"}}, "bad tool"),
        ({"error": "bad"}, "bad"),
        ({"message": "bad"}, "bad"),
        (
            {
                "error": {
                    "message": "This model's maximum context length is 8,192 tokens. "
                    "However, your messages resulted in 9000 tokens.",
                    "code": "context_length_exceeded",
                }
            },
            "prompt is too long: 9000 tokens > 8192 maximum",
        ),
        (
            {"error": {"message": "Too much", "code": "context_length_exceeded"}},
            "prompt is too long: Too much",
        ),
    ],
)
def test_a_rejection_of_another_dialect_is_said_in_this_one(
    body: dict[str, object], message: str
) -> None:
    """A context that is too long is told in the words that Claude Code knows."""
    error = UpstreamRejectedRequest(status=400, body=json.dumps(body).encode())

    rendered = json.loads(render_error(error, request_id=ID))

    assert rendered["type"] == "error"
    assert rendered["error"]["type"] == "invalid_request_error"
    assert rendered["error"]["message"] == message


def test_a_rejection_that_is_no_json_is_told_in_ours() -> None:
    """There are no words to keep."""
    error = UpstreamRejectedRequest(status=400, body=b"<html>")

    rendered = json.loads(render_error(error, request_id=ID))

    assert rendered["error"]["details"] == {"error_code": "upstream-rejected-request"}
