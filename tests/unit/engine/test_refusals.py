"""Every error in every dialect: its status, its headers, and its body."""

import json
import math
from typing import Any

import pytest

from smart_llmrouter.core.errors import (
    NOT_BRIDGED,
    NOT_LOSSLESS,
    CapabilityRejected,
    InvalidJson,
    KeyExhausted,
    LimitExceeded,
    MethodNotAllowed,
    ModelNotAllowed,
    QuotaExhausted,
    RouterError,
    RpmExceeded,
    ShuttingDown,
    Unauthorized,
    UnknownModel,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRejectedRequest,
    WebSocketNotServed,
)
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.engine.refusals import (
    Refusal,
    error_event,
    error_headers,
    refusal,
    unservable,
)
from tests.support.errors import LEAVES, made

ID = "req_" + "0" * 32
JSON = (b"content-type", b"application/json")
NO_RETRY = (b"x-should-retry", b"false")
RETRY = (b"x-should-retry", b"true")


def limit(kind: type[LimitExceeded], wait_s: float) -> LimitExceeded:
    """Return the refusal of a limit that passes in `wait_s`."""
    return kind("no", scope="caller:a", limit="x", value="1", left="0", wait_s=wait_s)


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (InvalidJson("x"), [JSON, NO_RETRY]),
        (ModelNotAllowed(), [JSON, NO_RETRY]),
        (Unauthorized(), [JSON, NO_RETRY, (b"www-authenticate", b"Bearer")]),
        (
            MethodNotAllowed(("GET", "HEAD")),
            [JSON, NO_RETRY, (b"allow", b"GET, HEAD")],
        ),
        (ShuttingDown(), [JSON, (b"retry-after", b"1")]),
        (UpstreamRateLimited("x", retry_after_s=0), [JSON, (b"retry-after", b"0")]),
        (UpstreamRateLimited("x"), [JSON]),
        (limit(RpmExceeded, 7), [JSON, (b"retry-after", b"7")]),
        # The SDKs ask again after any 429, and Claude Code for three minutes.
        (limit(QuotaExhausted, 7_000), [JSON, NO_RETRY]),
        (limit(QuotaExhausted, math.inf), [JSON, NO_RETRY]),
        # And they ask again after no 403, though calls in flight may leave enough.
        (limit(KeyExhausted, 1), [JSON, (b"retry-after", b"1"), RETRY]),
        (limit(KeyExhausted, math.inf), [JSON, NO_RETRY]),
        (
            UpstreamFailed(
                "x",
                details={"error_class": "upstream_conflict", "upstream_status": 409},
            ),
            [
                JSON,
                (b"x-router-error-class", b"upstream_conflict"),
                (b"x-upstream-status", b"409"),
            ],
        ),
        (UpstreamFailed("x"), [JSON]),
        (
            WebSocketNotServed(),
            [JSON, NO_RETRY, (b"upgrade", b"HTTP/1.1"), (b"connection", b"upgrade")],
        ),
    ],
)
def test_headers_of_an_error(
    error: RouterError, headers: list[tuple[bytes, bytes]]
) -> None:
    """Each says what a client may act on, and no more."""
    assert error_headers(error, dialect="openai-chat", request_id=ID) == headers


DIALECTS: tuple[DialectName, ...] = (
    "openai-chat",
    "openai-responses",
    "anthropic-messages",
)


def code_in(body: bytes, dialect: DialectName) -> str:
    """Return our code from an error body, and see that the rest is as it should be."""
    document = json.loads(body)
    error = document["error"]
    if dialect == "anthropic-messages":
        assert document["type"] == "error"
        assert document["request_id"] == ID
        code = error["details"]["error_code"]
    else:
        assert error["request_id"] == ID
        code = error["code"]
    assert isinstance(error["type"], str)
    assert error["message"]
    return str(code)


def answered(error: RouterError, dialect: DialectName, **to: bool) -> Refusal:
    """Return the answer that an error makes."""
    return refusal(error, dialect=dialect, request_id=ID, **to)


def event_in(block: bytes) -> tuple[str | None, dict[str, Any]]:
    """Return the name and the data of the one event in a block."""
    assert block.endswith(b"\n\n")
    assert block.count(b"\n\n") == 1
    fields = dict(line.split(b": ", 1) for line in block.rstrip().splitlines())
    name = fields.get(b"event")
    return name.decode() if name else None, json.loads(fields[b"data"])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", LEAVES)
def test_every_leaf_in_every_dialect(
    kind: type[RouterError], dialect: DialectName
) -> None:
    """The status is the same on all surfaces; the body is that of the dialect."""
    error = made(kind)

    status, headers, body = answered(error, dialect)

    assert status == error.status
    assert code_in(body, dialect) == error.code
    assert (b"x-should-retry: false" in headers) == error.permanent
    assert (b"\r\nrequest-id: " in headers) == (dialect == "anthropic-messages")


@pytest.mark.parametrize("kind", LEAVES)
def test_every_leaf_ends_a_chat_stream(kind: type[RouterError]) -> None:
    """It is a data object, as OpenAI's SDKs raise it."""
    error = made(kind)

    name, data = event_in(error_event(error, dialect="openai-chat", request_id=ID))

    assert name is None
    assert data["error"]["code"] == error.code


@pytest.mark.parametrize("kind", LEAVES)
def test_every_leaf_ends_a_stream_of_messages(kind: type[RouterError]) -> None:
    """It is an `error` event; its SDKs pass over data without a name."""
    error = made(kind)

    name, data = event_in(
        error_event(error, dialect="anthropic-messages", request_id=ID)
    )

    assert (name, data["type"]) == ("error", "error")
    assert data["error"]["details"]["error_code"] == error.code


@pytest.mark.parametrize("kind", LEAVES)
def test_every_leaf_ends_a_stream_of_responses(kind: type[RouterError]) -> None:
    """It is a `response.failed`; after a permanent one Codex stops."""
    error = made(kind)

    name, data = event_in(error_event(error, dialect="openai-responses", request_id=ID))

    assert (name, data["type"]) == ("response.failed", "response.failed")
    code, stops = data["response"]["error"]["code"], {"invalid_prompt"}
    assert (code in stops) == error.permanent
    assert ID in data["response"]["error"]["message"]


@pytest.mark.parametrize("kind", LEAVES)
def test_codex_is_told_of_every_leaf(kind: type[RouterError]) -> None:
    """What cannot pass comes as a stream that failed, but for two that it knows."""
    error = made(kind)
    understood = isinstance(error, (Unauthorized, ModelNotAllowed))

    status, headers, body = answered(error, "openai-responses", codex=True)

    if error.permanent and not understood:
        assert status == 200
        assert headers.startswith(b"content-type: text/event-stream")
        assert headers.count(b"content-type") == 1
        assert event_in(body)[0] == "response.failed"
    else:
        assert (status, headers, body) == answered(error, "openai-responses")


def test_claude_code_finds_the_exact_words_of_a_refused_capability() -> None:
    """It asks again without the feature, if nothing stands behind the words."""
    _, _, body = answered(CapabilityRejected("mid_conv_system"), "anthropic-messages")

    error = json.loads(body)["error"]
    assert error["message"] == "capability_rejected: mid_conv_system"
    assert error["type"] == "invalid_request_error"


def test_a_rejection_keeps_its_words_in_every_dialect() -> None:
    """Clients act on what the provider said."""
    said = b'{"type":"error","error":{"type":"invalid_request_error","message":"why"}}'
    error = UpstreamRejectedRequest(status=400, body=said)

    for dialect in DIALECTS:
        assert json.loads(answered(error, dialect).body)["error"]["message"] == "why"


def test_more_headers_go_along() -> None:
    """Such as the name of the target that rejected a request."""
    told = refusal(
        UnknownModel(),
        (b"x-router-target", b"a/b"),
        dialect="openai-chat",
        request_id=ID,
    )

    assert b"\r\nx-router-target: a/b\r\n" in told.headers


@pytest.mark.parametrize(
    ("dialect", "missing", "code"),
    [
        ("anthropic-messages", {"a/b": ["image"]}, "capability-rejected"),
        (
            "anthropic-messages",
            {"a/b": ["not-bridged"], "c/d": ["document", "document_url"]},
            "capability-rejected",
        ),
        ("anthropic-messages", {"a/b": ["image", "document"]}, "no-eligible-target"),
        ("anthropic-messages", {"a/b": ["not-bridged"]}, "no-eligible-target"),
        ("anthropic-messages", {}, "no-eligible-target"),
        ("openai-chat", {"a/b": ["image"]}, "no-eligible-target"),
    ],
)
def test_a_feature_that_may_be_left_out(
    dialect: DialectName, missing: dict[str, list[str]], code: str
) -> None:
    """Claude Code is told of it where that alone would help."""
    error = unservable("g", dialect=dialect, missing=missing, client="claude-code")

    assert error.code == code


def test_other_callers_of_messages_are_told_what_is_missing() -> None:
    """The words for Claude Code would tell them nothing."""
    error = unservable(
        "g", dialect="anthropic-messages", missing={"a/b": ["image"]}, client="curl"
    )

    assert error.code == "no-eligible-target"
    assert error.details["requirements"] == ["image"]


def test_capacity_alone_is_told_as_such() -> None:
    """Only who would serve the request counts, and when the first of them may."""
    error = unservable(
        "g",
        dialect="openai-chat",
        missing={"a/b": ["cooling-down"], "c/d": ["image", "capacity"]},
        wait_s=2.2,
    )

    assert (error.status, error.code) == (503, "upstream-capacity-throttled")
    assert error.retry_after_s == 3
    assert error.details["target_count"] == 1
    assert error.details["retry_after_ms"] == 2200


def test_a_wait_of_more_than_a_minute_is_not_promised() -> None:
    """It stands in the details, and in no header."""
    error = unservable(
        "g", dialect="openai-chat", missing={"a/b": ["cooling-down"]}, wait_s=60.5
    )

    assert error.retry_after_s is None
    assert error.details["retry_after_ms"] == 60_500


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        ({"a/b": ["dialect"]}, "(`bridges`)"),
        ({"a/b": [f"{NOT_BRIDGED}:n"]}, "leave out"),
        ({"a/b": [f"{NOT_LOSSLESS}:top_k"]}, "`bridges: best-effort`"),
        ({"a/b": ["tools", "image"], "c/d": ["audio"]}, "send no audio"),
        ({"a/b": ["tools", "image"]}, "`tools: [function]`"),
        ({"a/b": ["contract-required-tools"]}, "`contract`"),
        ({"a/b": ["threshold-error-rate"]}, "`thresholds`"),
        ({"a/b": ["unheard-of"]}, "add a target"),
        ({}, "add a target"),
    ],
)
def test_the_hint_fits_what_is_missing(
    missing: dict[str, list[str]], hint: str
) -> None:
    """Where a setting keeps all targets away, it is named."""
    error = unservable("g", dialect="openai-chat", missing=missing)

    assert hint in str(error.details["hint"])
