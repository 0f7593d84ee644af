"""One target after another: what passes a call on, what does not, what is told."""

import json
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from smart_llmrouter.mockprovider.script import Raw, Step, StreamError
from tests.support.gateway import configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router
from tests.support.upstream_server import refusing_port
from tests.support.wait import eventually

CHAT = "/v1/chat/completions"
EVENTS = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}


def body(*, stream: bool = False) -> dict[str, Any]:
    """Return a request."""
    said = [{"role": "user", "content": "hi"}]
    return {"model": "chat", "messages": said, "stream": stream}


async def ask(router: Router, *, stream: bool = False) -> httpx2.Response:
    """Ask once, and read to the end."""
    async with router.http() as client:
        return await client.post(CHAT, json=body(stream=stream))


def told_of(health: dict[str, Any]) -> tuple[str, str | None]:
    """Return what `/readyz` says of a target's last attempts."""
    return health["condition"], health["last_error"]


def raw(text: str, headers: dict[str, str] = JSON) -> Step:
    """Return a step that answers 200 with these bytes."""
    return Step(raw=Raw(headers=headers, body=text))


PASSED_ON = [
    (Step(status=429), "upstream_rate_limited"),
    (Step(status=500), "upstream_server_error"),
    (Step(status=502), "upstream_server_error"),
    (Step(status=503), "upstream_overloaded"),
    (Step(status=529), "upstream_overloaded"),
    (Step(status=504), "upstream_timeout"),
    (Step(status=408), "upstream_timeout"),
    (Step(status=401), "upstream_auth_failed"),
    (Step(status=402), "upstream_quota_exhausted"),
    (Step(status=403), "upstream_access_denied"),
    (Step(status=404), "upstream_model_access_denied"),
    (Step(status=409), "upstream_conflict"),
    (Step(status=204), "upstream_unexpected_status"),
    (Step(status=302, headers={"location": "/v1/x"}), "upstream_unexpected_status"),
    (Step(hang_up_at_byte=0), "upstream_unanswered"),
    (Step(hang_up_at_byte=0, rst=True), "upstream_unanswered"),
    (Step(hang_up_at_byte=20), "upstream_unanswered"),
    (Step(malformed_http="status-line"), "upstream_malformed_answer"),
    (raw("<html></html>", {"content-type": "text/html"}), "upstream_malformed_answer"),
]
PLAIN_ONLY = [
    (Step(malformed_json=True), "upstream_malformed_answer"),
    (Step(hang_up_at_byte=100, count_from="body"), "upstream_connection_cut"),
    (raw('{"error":{"message":"overloaded"}}'), "upstream_error_in_stream"),
    (raw(""), "upstream_malformed_answer"),
    (raw("data: [DONE]\n\n", EVENTS), "upstream_malformed_answer"),
]
STREAM_ONLY = [
    (raw("", EVENTS), "upstream_malformed_answer"),
    (raw("data: [DONE]\n\n", EVENTS), "upstream_malformed_answer"),
    (raw(": ping\n\n", EVENTS), "upstream_malformed_answer"),
    (raw("data: <html>\n\n", EVENTS), "upstream_malformed_answer"),
    (raw('{"choices":[]}'), "upstream_malformed_answer"),
    (Step(error_in_stream=StreamError()), "upstream_error_in_stream"),
    (Step(error_in_stream=StreamError(after_events=1)), "upstream_error_in_stream"),
    (
        Step(error_in_stream=StreamError(code="insufficient_quota")),
        "upstream_quota_exhausted",
    ),
    (Step(hang_up_after_events=0), "upstream_connection_cut"),
    (Step(hang_up_after_events=1), "upstream_connection_cut"),
    (Step(end_after_events=1, no_done=True), "upstream_malformed_answer"),
]


@pytest.mark.parametrize(
    ("stream", "step", "error_class"),
    [
        *((False, *case) for case in [*PASSED_ON, *PLAIN_ONLY]),
        *((True, *case) for case in [*PASSED_ON, *STREAM_ONLY]),
    ],
)
async def test_a_failing_target_passes_the_call_on(
    failover: Router,
    mock: Mock,
    other: Mock,
    *,
    stream: bool,
    step: Step,
    error_class: str,
) -> None:
    """Before the first token a failure is invisible to the caller."""
    mock.will(step)

    answer = await ask(failover, stream=stream)
    record = await failover.record()

    assert answer.status_code == 200
    assert answer.headers["x-router-target"] == "other/mini"
    assert answer.text.endswith("data: [DONE]\n\n") == stream
    assert (len(mock.received), len(other.received)) == (1, 1)
    assert (record.status, record.attempts, record.target_provider) == (200, 2, "other")
    assert (record.error_code, record.error_class) == (None, None)
    async with failover.http(None) as client:
        health = (await client.get("/readyz")).json()["groups"]["chat"]
    assert told_of(health["acme/mini"]) == ("failing", error_class)
    assert told_of(health["other/mini"]) == ("healthy", None)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_target_that_refuses_connections(
    tmp_path: Path, mock: Mock, *, stream: bool
) -> None:
    """Nobody listening is a failure like any other."""
    with refusing_port() as port:
        nobody = provider(f"http://127.0.0.1:{port}/v1")
        settings = configuration({"nobody": nobody, "acme": provider(mock.base_url)})
        async with running_router(tmp_path, settings) as router:
            answer = await ask(router, stream=stream)
            record = await router.record()

    assert answer.headers["x-router-target"] == "acme/mini"
    assert record.attempts == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_silent_target_is_given_up(
    tmp_path: Path, mock: Mock, other: Mock, *, stream: bool
) -> None:
    """After `attempt_timeout_s` without a first event the next target is asked."""
    settings = configuration(
        {"acme": provider(mock.base_url), "other": provider(other.base_url)}
    )
    settings["groups"]["chat"]["attempt_timeout_s"] = 1.5
    mock.will(Step(stall_after_events=1 if stream else 0))
    async with running_router(tmp_path, settings) as router:
        answer = await ask(router, stream=stream)
        record = await router.record()
        await eventually(lambda: mock.open_connections == 0, what="a cut connection")

    assert answer.headers["x-router-target"] == "other/mini"
    assert record.attempts == 2
    assert record.latency_us >= 1_000_000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_wrong_request_is_wrong_everywhere(
    failover: Router, mock: Mock, other: Mock, *, status: int, stream: bool
) -> None:
    """A rejection of the request itself is the caller's, and nobody else is asked."""
    mock.will(Step(status=status))

    answer = await ask(failover, stream=stream)
    record = await failover.record()

    assert answer.status_code == status
    assert answer.headers["x-router-target"] == "acme/mini"
    assert answer.headers["x-upstream-status"] == str(status)
    assert other.received == []
    assert (record.status, record.attempts, record.upstream_status) == (
        status,
        1,
        status,
    )
    assert record.error_code == "upstream-rejected-request"


async def test_no_more_attempts_than_allowed(tmp_path: Path, mock: Mock) -> None:
    """`max_attempts` bounds how many targets one call may try."""
    names = ("one", "two", "three")
    settings = configuration({name: provider(mock.base_url) for name in names})
    settings["groups"]["chat"]["max_attempts"] = 2
    mock.always(Step(status=500))
    async with running_router(tmp_path, settings) as router:
        answer = await ask(router)
        record = await router.record()

    assert answer.json()["error"]["details"]["attempts"] == 2
    assert record.attempts == len(mock.received) == 2
    assert record.target_provider == "two"


@pytest.mark.parametrize(
    ("first", "second", "status", "code", "error_class"),
    [
        (429, 429, 503, "upstream-rate-limited", "upstream_rate_limited"),
        (402, 402, 503, "upstream-quota-exhausted", "upstream_quota_exhausted"),
        (401, 403, 503, "upstream-access-denied", "upstream_access_denied"),
        (504, 408, 504, "upstream-timeout", "upstream_timeout"),
        (529, 529, 529, "upstream-overloaded", "upstream_overloaded"),
        (500, 529, 502, "upstream-failed", "upstream_overloaded"),
        (429, 500, 502, "upstream-failed", "upstream_server_error"),
        (500, 429, 502, "upstream-failed", "upstream_rate_limited"),
        (500, 400, 400, "upstream-rejected-request", "upstream_bad_request"),
    ],
)
async def test_what_the_caller_is_told_when_all_failed(
    failover: Router,
    mock: Mock,
    other: Mock,
    *,
    first: int,
    second: int,
    status: int,
    code: str,
    error_class: str,
) -> None:
    """A telling kind is named only where it was the same everywhere."""
    mock.will(Step(status=first))
    other.will(Step(status=second))

    answer = await ask(failover)
    record = await failover.record()

    assert answer.status_code == record.status == status
    assert record.error_code == code
    assert record.error_class == answer.headers["x-router-error-class"] == error_class
    assert record.upstream_status == second
    assert (record.attempts, record.target_provider) == (2, "other")
    details = answer.json()["error"]["details"]
    assert details == {
        "attempts": 2,
        "error_class": error_class,
        "retryable": status != 400,
        "upstream_status": second,
    }


async def test_the_sooner_of_two_waits_is_promised(
    failover: Router, mock: Mock, other: Mock
) -> None:
    """The call would pass as soon as one of the targets takes it."""
    mock.will(Step(status=429, retry_after=3600))
    other.will(Step(status=429, retry_after=7))

    answer = await ask(failover)

    assert answer.headers["retry-after"] == "7"


async def test_redirects_are_not_followed(
    tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """A provider cannot send the router, and its key, to somebody else."""
    settings = configuration({"acme": provider(mock.base_url)})
    location = {"location": f"{other.base_url}/chat/completions"}
    mock.will(Step(status=307, headers=location))
    async with running_router(tmp_path, settings) as router:
        answer = await ask(router)
        record = await router.record()

    assert answer.status_code == 502
    assert record.error_class == "upstream_unexpected_status"
    assert other.received == []


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_is_too_large(
    tmp_path: Path, mock: Mock, *, stream: bool
) -> None:
    """What passes `max_response_bytes` is cut off, and never buffered whole."""
    settings = configuration(
        {"acme": provider(mock.base_url)}, upstream={"max_response_bytes": 100_000}
    )
    mock.will(Step(huge_bytes=5_000_000, delay_between_ms=1))
    async with running_router(tmp_path, settings) as router:
        answer = await ask(router, stream=stream)
        record = await router.record()

    assert record.error_class == "upstream_response_too_large"
    assert record.status == 502
    assert answer.status_code == (200 if stream else 502)
    assert len(answer.content) < 200_000
    assert answer.text.count("[DONE]") == 0
    assert "upstream.max_response_bytes" in answer.text


async def test_credentials_in_a_rejection_are_scrubbed(
    tmp_path: Path, mock: Mock
) -> None:
    """A provider that quotes the router's key does not hand it to the caller."""
    key = "pk-canary-0123456789abcdef"
    (tmp_path / "key").write_text(key)
    acme = provider(mock.base_url, api_key=f"file:{tmp_path / 'key'}")
    message = {"error": {"message": f"bad key {key}, really {key}", "code": "x"}}
    mock.will(Step(status=400, body=msgspec.Raw(json.dumps(message).encode())))
    async with running_router(tmp_path, configuration({"acme": acme})) as router:
        answer = await ask(router)

    assert mock.received[0].header("authorization") == f"Bearer {key}"
    assert answer.status_code == 400
    assert key not in answer.text
    assert answer.json()["error"]["message"] == "bad key [redacted], really [redacted]"


async def test_what_a_provider_is_sent(router: Router, mock: Mock) -> None:
    """Its model id, identity encoding, and no header of the caller's."""
    async with router.http() as client:
        await client.post(
            CHAT, json=body(), headers={"x-secret": "mine", "cookie": "a=b"}
        )

    (received,) = mock.received
    assert json.loads(received.raw_body) == {**body(), "model": "mock-mini"}
    assert {name.lower() for name, _ in received.headers} == {
        "host",
        "content-type",
        "content-length",
        "accept",
        "accept-encoding",
        "user-agent",
    }
    assert received.header("accept-encoding") == "identity"
    assert (received.header("user-agent") or "").startswith("smart-llmrouter/")
