"""What the public surface refuses: in OpenAI's shape, with its request id."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import configuration, provider, token
from tests.support.mock import Mock
from tests.support.raw_http import exchange
from tests.support.router import Router, running_router

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}
REQUEST_ID = re.compile(r"req_[0-9a-f]{32}")


def error_of(answer: httpx2.Response, *, permanent: bool = True) -> dict[str, Any]:
    """Return the error object, which every refusal must have in the same shape."""
    document = answer.json()
    assert list(document) == ["error"]
    error: dict[str, Any] = document["error"]
    assert set(error) == {"message", "type", "code", "param", "request_id", "details"}
    assert REQUEST_ID.fullmatch(error["request_id"])
    assert answer.headers.get_list("x-request-id") == [error["request_id"]]
    assert error["request_id"] in error["message"]
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers.get("x-should-retry") == "false") == permanent
    return error


async def refused(router: Router, body: bytes, **headers: str) -> httpx2.Response:
    """Post a body to the Chat endpoint."""
    async with router.http() as client:
        return await client.post(CHAT, content=body, headers={**JSON, **headers})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"chat"',
        b'{"model":"chat",}',
        b'{"model":"chat"} {}',
        b'\xef\xbb\xbf{"model":"chat","messages":[]}',
        b'{"model":"chat","messages":["\xff"]}',
        b'{"model":"chat","messages":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
)
async def test_malformed_json(router: Router, mock: Mock, body: bytes) -> None:
    """Whatever is not one JSON object in UTF-8 is `invalid-json`, and on record."""
    answer = await refused(router, body)
    record = await router.record()

    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["code"], error["type"]) == ("invalid-json", "invalid_request_error")
    assert (record.status, record.error_code) == (400, "invalid-json")
    assert record.request_id == error["request_id"]
    assert mock.received == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 7}, "model"),
        ({"model": ["chat"]}, "model"),
        ({"stream": "true"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream": True, "stream_options": "usage"}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options"),
    ],
)
async def test_wrong_types(
    router: Router, mock: Mock, fields: dict[str, object], param: str
) -> None:
    """A field that the router must read and cannot is named in `param`."""
    body = {"model": "chat", "messages": [], **fields}

    answer = await refused(router, json.dumps(body).encode())

    assert answer.status_code == 400
    error = error_of(answer)
    assert (error["code"], error["param"]) == ("invalid-request", param)
    assert mock.received == []


async def test_a_missing_model(router: Router) -> None:
    """Without a default group a request must name its model."""
    answer = await refused(router, b'{"messages":[]}')

    assert answer.status_code == 400
    assert error_of(answer)["code"] == "missing-model"


@pytest.mark.parametrize("body", [b"{}", b'{"model":null}', b'{"model":""}'])
async def test_a_missing_model_goes_to_the_default_group(
    tmp_path: Path, mock: Mock, body: bytes
) -> None:
    """With `server.default_group` a request need not name one."""
    settings = configuration(
        {"acme": provider(mock.base_url)}, server={"default_group": "chat"}
    )
    document = {**json.loads(body), "messages": [{"role": "user", "content": "hi"}]}

    async with running_router(tmp_path, settings) as router:
        answer = await refused(router, json.dumps(document).encode())
        record = await router.record()

    assert answer.status_code == 200
    assert record.resolved_group == "chat"
    assert not record.requested_model


async def test_a_responses_body(router: Router) -> None:
    """A body of the Responses API is recognised, and refused by name."""
    answer = await refused(router, b'{"model":"chat","input":"hi"}')

    assert answer.status_code == 400
    error = error_of(answer)
    assert error["code"] == "responses-body-on-chat-endpoint-disabled"
    assert error["param"] == "input"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "json", ""]
)
async def test_a_wrong_content_type(router: Router, content_type: str) -> None:
    """Only JSON is taken; nothing is guessed."""
    answer = await refused(router, b"{}", **{"content-type": content_type})

    assert answer.status_code == 415
    assert error_of(answer)["code"] == "unsupported-content-type"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8"],
)
async def test_right_content_types(router: Router, content_type: str) -> None:
    """Case and parameters of the content type do not matter."""
    body = b'{"model":"chat","messages":[{"role":"user","content":"hi"}]}'

    answer = await refused(router, body, **{"content-type": content_type})

    assert answer.status_code == 200


async def test_a_compressed_body(router: Router) -> None:
    """A compressed body is refused by its header, before anything unpacks it."""
    body = gzip.compress(b'{"model":"chat","messages":[]}')

    answer = await refused(router, body, **{"content-encoding": "gzip"})

    assert answer.status_code == 415
    error = error_of(answer)
    assert error["code"] == "unsupported-content-type"
    assert "compression" in error["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_wrong_method(router: Router, method: str) -> None:
    """The methods that a path takes stand in `Allow` and in the details."""
    async with router.http(None) as client:
        chat = await client.request(method, CHAT)
        health = await client.request("POST", "/healthz")

    assert chat.status_code == health.status_code == 405
    assert chat.headers["allow"] == "POST"
    assert error_of(chat)["code"] == "method-not-allowed"
    assert error_of(health)["details"] == {"allowed": ["GET", "HEAD"]}
    assert health.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/v2/x", "/v1", "/v1/embeddings", CHAT + "/x"])
async def test_an_unknown_path(router: Router, path: str) -> None:
    """Nothing of the path, which may hold a secret, is repeated."""
    async with router.http(None) as client:
        answer = await client.post(path, content=b"{}")

    assert answer.status_code == 404
    error = error_of(answer)
    assert error["code"] == "unknown-path"
    assert path.rpartition("/")[2] not in error["message"].replace("/v1,", "")


@pytest.fixture
async def small(tmp_path: Path, mock: Mock) -> AsyncGenerator[Router]:
    """Return a router that takes 2,000 bytes."""
    settings = configuration(
        {"acme": provider(mock.base_url)}, server={"max_request_bytes": 2000}
    )
    async with running_router(tmp_path, settings) as running:
        yield running


def body_of(size: int) -> bytes:
    """Return a request of exactly this size."""
    head, tail = b'{"model":"chat","messages":[{"role":"user","content":"', b'"}]}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


async def test_the_limit_itself_is_allowed(small: Router) -> None:
    """A body of exactly `max_request_bytes` passes."""
    answer = await refused(small, body_of(2000))

    assert answer.status_code == 200


async def test_a_body_above_the_limit(small: Router, mock: Mock) -> None:
    """One byte more is refused, and the limit is told."""
    answer = await refused(small, body_of(2001))

    assert answer.status_code == 413
    error = error_of(answer)
    assert error["code"] == "request-too-large"
    assert error["details"] == {"max_request_bytes": 2000}
    assert mock.received == []


async def test_a_chunked_body_above_the_limit(small: Router, mock: Mock) -> None:
    """A body that does not say its length is counted while it comes."""

    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(30):
            yield b"x" * 100

    async with small.http() as client:
        answer = await client.post(CHAT, content=pieces(), headers=JSON)

    assert answer.status_code == 413
    assert error_of(answer)["code"] == "request-too-large"
    assert mock.received == []


async def test_a_length_alone_is_enough_to_refuse(small: Router) -> None:
    """A `Content-Length` above the limit is refused before the body is sent."""
    request = (
        f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token()}\r\n"
        "content-type: application/json\r\ncontent-length: 99999999\r\n\r\n"
    )

    heard = await exchange(small.port, request.encode(), enough=b"request-too-large")

    assert heard.status == 413
    assert b"request-too-large" in heard.body


async def test_a_large_request_and_a_large_answer_pass(
    router: Router, mock: Mock
) -> None:
    """Twenty megabytes each way pass untouched within the default limits."""
    mock.will(Step(huge_bytes=20_000_000))
    body = body_of(20_000_000)

    answer = await refused(router, body)

    assert answer.status_code == 200
    assert len(answer.json()["choices"][0]["message"]["content"]) == 20_000_000
    assert mock.received[0].raw_body == body.replace(b'"chat"', b'"mock-mini"')


async def test_a_large_stream_passes(router: Router, mock: Mock) -> None:
    """A stream of ten megabytes arrives whole."""
    mock.will(Step(huge_bytes=10_000_000))
    body = b'{"model":"chat","stream":true,"messages":[{"role":"user","content":"x"}]}'

    answer = await refused(router, body)

    events = [line for line in answer.text.split("\n") if line.startswith("data: {")]
    texts = [json.loads(event[6:])["choices"][0]["delta"] for event in events]
    assert sum(len(text.get("content") or "") for text in texts) == 10_000_000
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_every_request_has_an_id_of_its_own(router: Router) -> None:
    """Concurrent requests, hot or not, never share a request id."""
    async with router.http() as client:
        answers = await asyncio.gather(
            *(client.get("/healthz") for _ in range(10)),
            *(client.post(CHAT, content=b"{", headers=JSON) for _ in range(10)),
        )

    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 20
    assert all(REQUEST_ID.fullmatch(each) for each in ids)


@pytest.mark.parametrize(
    ("given", "sent_on"),
    [(0, "0"), (5, "5"), (60, "60"), (61, None), (86400, None), ("soon", None)],
)
async def test_retry_after_is_honest_or_absent(
    router: Router, mock: Mock, given: int | str, sent_on: str | None
) -> None:
    """A provider's `Retry-After` is passed on only where waiting for it is sensible."""
    mock.will(Step(status=429, retry_after=given))

    answer = await refused(router, body_of(100))

    assert answer.status_code == 503
    assert error_of(answer, permanent=False)["code"] == "upstream-rate-limited"
    assert answer.headers.get("retry-after") == sent_on


@pytest.mark.parametrize("step", [Step(status=502, retry_after=5), Step(status=500)])
async def test_only_rate_limits_promise_a_time(
    router: Router, mock: Mock, step: Step
) -> None:
    """Other failures name no time to come back."""
    mock.will(step)

    answer = await refused(router, body_of(100))

    assert answer.status_code == 502
    assert "retry-after" not in answer.headers
    assert error_of(answer, permanent=False)["details"]["attempts"] == 1
