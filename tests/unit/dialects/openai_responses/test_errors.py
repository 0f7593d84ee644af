"""Errors as callers of the Responses API read them, and as Codex acts on them."""

import json
import math
from typing import Any

import pytest

from smart_llmrouter.core.errors import (
    InternalError,
    InvalidRequest,
    KeyDisabled,
    KeyExhausted,
    LimitExceeded,
    NoEligibleTarget,
    QuotaExhausted,
    RouterError,
    RpmExceeded,
    ShuttingDown,
    TpmExceeded,
    TrafficShaped,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejectedRequest,
    UpstreamTimeout,
)
from smart_llmrouter.dialects.openai_responses.dialect import OPENAI_RESPONSES
from tests.support.grammar_openai_responses import read

REQUEST_ID = "req_0123"


def plain(error: RouterError) -> Any:  # noqa: ANN401 - any JSON
    """Return the body of an error answer."""
    return json.loads(OPENAI_RESPONSES.render_error(error, request_id=REQUEST_ID))


def failed(error: RouterError) -> dict[str, str]:
    """Return the error of a stream's last event, which must be the right one."""
    whole = read(OPENAI_RESPONSES.encode_error_event(error, request_id=REQUEST_ID))
    assert (whole.kind, whole.response["id"]) == ("response.failed", "resp_0123")
    told: dict[str, str] = whole.response["error"]
    return told


def rejected(body: bytes, status: int = 400) -> UpstreamRejectedRequest:
    """Return a provider's rejection."""
    return UpstreamRejectedRequest(status=status, body=body)


def test_a_failure_repeats_the_id_that_the_stream_began_with() -> None:
    """The SDK of OpenAI gives up on a stream whose answer changes its id."""
    event = OPENAI_RESPONSES.encode_error_event(
        UpstreamFailed("x"), request_id=REQUEST_ID, answer_id="resp_theirs"
    )

    assert read(event).response["id"] == "resp_theirs"


def test_an_error_has_the_shape_of_openai() -> None:
    """With our code, the request id, and the field that was wrong."""
    error = InvalidRequest("`input` must be a list", details={"field": "input"})

    assert plain(error) == {
        "error": {
            "message": "`input` must be a list (request req_0123)",
            "type": "invalid_request_error",
            "code": "invalid-request",
            "param": "input",
            "request_id": "req_0123",
            "details": {"field": "input"},
        }
    }
    assert plain(InternalError())["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamRateLimited("busy", retry_after_s=7), "rate_limit_exceeded"),
        (UpstreamQuotaExhausted("spent"), "insufficient_quota"),
        (UpstreamOverloaded("full"), "server_is_overloaded"),
        (
            UpstreamFailed("x", details={"error_class": "upstream_overloaded"}),
            "server_is_overloaded",
        ),
        (UpstreamFailed("x"), "server_error"),
        (UpstreamTimeout("x"), "server_error"),
        (ShuttingDown(), "server_error"),
        (KeyDisabled("t"), "invalid_prompt"),
        (
            NoEligibleTarget(group="g", dialect="d", missing={"a": ["image"]}),
            "invalid_prompt",
        ),
        (rejected(b'{"error":{"message":"bad schema"}}'), "invalid_prompt"),
        (rejected(b"prompt is too long: 9 > 8"), "context_length_exceeded"),
        (rejected(b'{"code":"context_length_exceeded"}'), "context_length_exceeded"),
    ],
)
def test_each_error_has_a_code_that_codex_knows(error: RouterError, code: str) -> None:
    """What can pass is tried again, and what cannot is told at once."""
    told = failed(error)

    assert told["code"] == code
    assert "(request req_0123)" in told["message"]


@pytest.mark.parametrize(
    ("kind", "wait_s", "code"),
    [
        (RpmExceeded, 40.0, "rate_limit_exceeded"),
        (TrafficShaped, 3.0, "rate_limit_exceeded"),
        (TpmExceeded, 3.0, "rate_limit_exceeded"),
        (TpmExceeded, math.inf, "invalid_prompt"),
        (TrafficShaped, 400.0, "invalid_prompt"),
        (QuotaExhausted, 1.0, "rate_limit_exceeded"),
        (QuotaExhausted, 30_000.0, "insufficient_quota"),
        (QuotaExhausted, math.inf, "insufficient_quota"),
        (KeyExhausted, 1.0, "rate_limit_exceeded"),
        (KeyExhausted, math.inf, "insufficient_quota"),
    ],
)
def test_codex_stops_at_a_limit_that_does_not_pass_soon(
    kind: type[LimitExceeded], wait_s: float, code: str
) -> None:
    """It would ask five times more within seconds, and only those codes stop it."""
    error = kind("no", scope="caller:a", limit="x", value="1", left="0", wait_s=wait_s)

    assert failed(error)["code"] == code


def test_a_limit_that_is_no_provider_s() -> None:
    """Any 429 may pass."""
    error = UpstreamFailed("slow down")
    error.status = 429

    assert failed(error)["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(("asked", "told"), [(7, "7s."), (None, "1s.")])
def test_codex_reads_from_the_message_how_long_to_wait(
    asked: int | None, told: str
) -> None:
    """There is no other place for it inside of a stream."""
    error = UpstreamRateLimited("busy", retry_after_s=asked)

    assert failed(error)["message"].endswith(f"try again in {told}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"bad schema"}}', "bad schema"),
        (b'{"error":"bad schema"}', "bad schema"),
        (b'{"detail":"bad schema"}', "bad schema"),
        (b'{"detail":1}', "the provider rejected the request"),
        (b"<html>", "the provider rejected the request"),
    ],
)
def test_a_rejection_is_told_in_the_provider_s_words(body: bytes, message: str) -> None:
    """Whatever shape they came in."""
    assert failed(rejected(body))["message"] == f"{message} (request req_0123)"


def test_a_rejection_keeps_its_body() -> None:
    """Only what is missing is added."""
    body = b'{"x":1,"error":{"message":"bad","code":null,"y":2}}'

    told = plain(rejected(body))

    assert told["x"] == 1
    assert told["error"] == {
        "message": "bad",
        "code": None,
        "y": 2,
        "request_id": "req_0123",
        "details": {},
        "type": "invalid_request_error",
    }


def test_an_overflow_has_the_code_that_codex_reads() -> None:
    """Also where the provider speaks another dialect."""
    body = b'{"type":"error","error":{"message":"prompt is too long: 9 > 8"}}'

    told = plain(rejected(body))["error"]

    assert told["code"] == "context_length_exceeded"
    assert told["message"] == "prompt is too long: 9 > 8"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message":"bad"}', "bad"),
        (b"[]", "the provider rejected the request (request req_0123)"),
    ],
)
def test_a_rejection_in_another_shape(body: bytes, message: str) -> None:
    """It gets the shape that callers read."""
    assert plain(rejected(body))["error"]["message"] == message
