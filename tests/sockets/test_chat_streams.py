"""Streams over the wire: real streaming, keep-alives, clean ends and broken ones."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smart_llmrouter.mockprovider.script import Drip, Raw, Step, StreamError
from tests.support.gateway import configuration, provider
from tests.support.line import chat, line_to
from tests.support.mock import Mock
from tests.support.puppet import DONE as LAST
from tests.support.puppet import FINISH, Puppet, content_event, running_puppet
from tests.support.router import Router, running_router
from tests.support.wait import eventually

CHAT = "/v1/chat/completions"
EVENTS = {"content-type": "text/event-stream"}
HELLO = 'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
STOP = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
DONE = "data: [DONE]\n\n"


def body(**fields: object) -> dict[str, Any]:
    """Return a streamed request."""
    said = [{"role": "user", "content": "hi"}]
    return {"model": "chat", "messages": said, "stream": True, **fields}


def told(*pieces: str) -> Step:
    """Return a step that streams these pieces, each in a chunk of its own."""
    return Step(raw=Raw(headers=EVENTS, chunks=pieces))


def error_in(text: str) -> dict[str, Any]:
    """Return the error in the last event of a stream."""
    last = text.rstrip("\n").rpartition("\n\n")[2]
    error: dict[str, Any] = json.loads(last.removeprefix("data: "))["error"]
    return error


@asynccontextmanager
async def opened(router: Router, **fields: object) -> AsyncGenerator[httpx2.Response]:
    """Open a stream, and leave it to the test to read it."""
    async with (
        router.http() as client,
        client.stream("POST", CHAT, json=body(**fields)) as answer,
    ):
        yield answer


async def heard(router: Router, **fields: object) -> tuple[httpx2.Response, str]:
    """Return a stream that was read to its end, and its text."""
    async with opened(router, **fields) as answer:
        return answer, (await answer.aread()).decode()


async def test_a_stream_has_its_headers(router: Router) -> None:
    """Neither caches nor proxies may hold events back."""
    answer, _ = await heard(router)

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-router-target"] == "acme/mini"


async def test_events_are_not_held_back(router: Router, mock: Mock) -> None:
    """The first event is here while the provider has not sent its last one."""
    mock.will(Step(content="one two three", stall_after_events=2))

    async with opened(router) as answer:
        text = ""
        async for piece in answer.aiter_text():
            text += piece
            if '"one"' in text:
                break
        outcome = mock.received[0].outcome

    assert "two" not in text
    assert outcome == "stalled"


async def test_a_caller_who_leaves_frees_the_provider(
    router: Router, mock: Mock
) -> None:
    """The provider's connection is cut, and the record says who left."""
    mock.will(Step(content="one two three", stall_after_events=2))

    async with opened(router) as answer:
        await anext(aiter(answer.aiter_text()))
    record = await router.record()
    await eventually(lambda: mock.open_connections == 0, what="a cut connection")

    assert (record.status, record.error_code) == (499, "client-left")
    assert record.ttft_us is not None


@pytest.mark.parametrize("crlf", [False, True])
async def test_comments_and_line_ends_pass(
    router: Router, mock: Mock, *, crlf: bool
) -> None:
    """A provider's own keep-alives and line ends reach the caller as they came."""
    mock.will(Step(content="one two", comments=2, crlf=crlf))

    _, text = await heard(router)

    assert text.startswith(":")
    assert ("\r\n\r\n" in text) == crlf
    assert text.endswith("data: [DONE]\r\n\r\n" if crlf else DONE)
    assert '"usage":{' not in text


async def test_a_character_cut_in_half(router: Router, mock: Mock) -> None:
    """Bytes that come one by one are joined to the same events."""
    mock.will(Step(content="äöü 😀", drip=Drip(bytes=1, every_ms=0)))

    _, text = await heard(router)

    said = [
        json.loads(line[6:])["choices"][0]["delta"].get("content", "")
        for line in text.split("\n")
        if line.startswith("data: {")
    ]
    assert "".join(said) == "äöü 😀"


async def test_a_missing_done_after_a_finish_reason(router: Router, mock: Mock) -> None:
    """An answer that came to its end is ended cleanly, even if its provider forgot."""
    mock.will(told(HELLO, STOP, USAGE))

    _, text = await heard(router)
    record = await router.record()

    assert text == HELLO + STOP + DONE
    assert (record.status, record.error_code) == (200, None)
    assert (record.input_tokens, record.output_tokens) == (7, 3)


@pytest.mark.parametrize(
    "rest", [USAGE.rstrip(), DONE.rstrip(), (USAGE + DONE).rstrip("\n"), ""]
)
async def test_a_missing_last_blank_line(router: Router, mock: Mock, rest: str) -> None:
    """A last event without its blank line is read all the same."""
    mock.will(told(HELLO, STOP, rest) if rest else told(HELLO, STOP.rstrip()))

    _, text = await heard(router)
    record = await router.record()

    assert text == HELLO + STOP + DONE
    assert record.status == 200
    assert record.output_tokens == (3 if "usage" in rest else None)


@pytest.mark.parametrize(
    ("step", "error_class"),
    [
        (told(HELLO, USAGE), "upstream_connection_cut"),
        (told(HELLO, USAGE, HELLO[:30]), "upstream_connection_cut"),
        (
            told(HELLO, USAGE, 'data: {"error":{"message":"no"}}\n\n', HELLO, DONE),
            "upstream_error_in_stream",
        ),
        (
            told(HELLO + USAGE + 'data: {"error":"no"}\n\n' + HELLO),
            "upstream_error_in_stream",
        ),
    ],
)
async def test_a_broken_stream_ends_with_an_error(
    router: Router, mock: Mock, step: Step, error_class: str
) -> None:
    """What came is kept, then comes the error, and never `[DONE]`."""
    mock.will(step)

    answer, text = await heard(router)
    record = await router.record()

    assert answer.status_code == 200
    assert text.startswith(HELLO + "data: {")
    assert text.count("\n\n") == 2
    error = error_in(text)
    assert error["code"] == "upstream-failed"
    assert error["details"] == {"error_class": error_class}
    assert error["request_id"] == answer.headers["x-request-id"] == record.request_id
    assert (record.status, record.error_code) == (502, "upstream-failed")
    assert record.error_class == error_class
    assert (record.input_tokens, record.output_tokens) == (7, 3)
    assert record.attempts == 1


@pytest.mark.parametrize("rst", [False, True])
async def test_a_cut_connection_ends_with_an_error(
    failover: Router, mock: Mock, other: Mock, *, rst: bool
) -> None:
    """After the first token nobody else is asked: the caller has half an answer."""
    mock.will(Step(content="one two three", hang_up_after_events=3, rst=rst))

    _, text = await heard(failover)
    record = await failover.record()

    assert "one" in text
    assert "[DONE]" not in text
    assert error_in(text)["details"] == {"error_class": "upstream_connection_cut"}
    assert other.received == []
    assert (record.status, record.target_provider) == (502, "acme")
    async with failover.http(None) as client:
        health = (await client.get("/readyz")).json()["groups"]["chat"]["acme/mini"]
    assert health["condition"] == "degraded"
    assert health["last_error"] == "upstream_connection_cut"


@asynccontextmanager
async def hasty(
    tmp_path: Path, base_url: str, **upstream: float
) -> AsyncIterator[Router]:
    """Run a router that soon says that it is there, and gives up after `upstream`."""
    settings = configuration(
        {"acme": provider(base_url)},
        server={"keepalive_after_s": 0.1},
        upstream=upstream,
    )
    async with running_router(tmp_path, settings) as running:
        yield running


async def health_of(router: Router) -> dict[str, Any]:
    """Return what `/readyz` says of the only target."""
    async with router.http(None) as client:
        report = (await client.get("/readyz")).json()
    found: dict[str, Any] = report["groups"]["chat"]["acme/mini"]
    return found


async def test_a_stream_that_falls_silent(tmp_path: Path, mock: Mock) -> None:
    """Silence is bridged with comments, until the provider's time is up."""
    mock.will(Step(content="one two three", stall_after_events=2))

    async with hasty(tmp_path, mock.base_url, idle_timeout_s=1.0) as router:
        _, text = await heard(router)
        record = await router.record()
        health = await health_of(router)

    assert '"one"' in text
    assert ": keep-alive\n\n" in text
    error = error_in(text)
    assert error["code"] == "upstream-timeout"
    assert error["details"] == {"error_class": "upstream_idle_timeout"}
    assert (record.status, record.error_class) == (504, "upstream_idle_timeout")
    assert health["last_error"] == "upstream_idle_timeout"


async def test_a_call_that_takes_too_long(tmp_path: Path, mock: Mock) -> None:
    """The deadline of the whole call holds for a stream that never falls silent."""
    # It would take more than a minute.
    mock.will(Step(words=700, delay_between_ms=100))

    async with hasty(tmp_path, mock.base_url, total_timeout_s=2.0) as router:
        _, text = await heard(router)
        record = await router.record()

    assert error_in(text)["details"] == {"error_class": "upstream_total_timeout"}
    assert (record.status, record.error_class) == (504, "upstream_total_timeout")
    assert 1_000_000 < record.latency_us < 60_000_000


async def test_a_stream_is_opened_while_the_provider_thinks(
    tmp_path: Path,
) -> None:
    """A slow first token is waited for with comments, and the stream goes on after."""
    async with (
        running_puppet() as puppet,
        hasty(tmp_path, puppet.base_url) as router,
        line_to(router) as line,
    ):
        line.send(chat(stream=True))
        call = await puppet.call()
        head = await line.head()
        first = await line.chunk()
        call.begin_stream()
        call.chunk(content_event("late") + FINISH + LAST)
        call.end_stream()
        rest = await line.until(b"0\r\n\r\n")
        record = await router.record()

    assert (head.status, first) == (200, b": keep-alive\n\n")
    assert b"late" in rest
    assert DONE.encode() in rest
    assert (record.status, record.error_code) == (200, None)


async def test_a_failure_after_the_stream_was_opened(
    tmp_path: Path, mock: Mock
) -> None:
    """Targets may still change after a keep-alive; a last failure is an error event."""
    mock.will(Step(content="saved"), Step(status=500))
    async with running_puppet() as puppet:
        settings = configuration(
            {"acme": provider(puppet.base_url), "other": provider(mock.base_url)},
            server={"keepalive_after_s": 0.1},
        )
        async with running_router(tmp_path, settings) as router:
            saved = await begun_and_failed(router, puppet)
            lost = await begun_and_failed(router, puppet)
            records = await router.recorded(2)

    assert "saved" in saved
    assert saved.endswith(DONE)
    assert error_in(lost)["code"] == "upstream-failed"
    assert "[DONE]" not in lost
    assert [record.status for record in records] == [200, 502]


async def begun_and_failed(router: Router, puppet: Puppet) -> str:
    """Return a stream that began with a keep-alive, and whose first target failed."""
    async with line_to(router) as line:
        line.send(chat(stream=True))
        call = await puppet.call()
        head, first = await line.head(), await line.chunk()
        assert (head.status, first) == (200, b": keep-alive\n\n")
        call.write(b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}")
        text = b""
        while piece := await line.chunk():
            text += piece
    return text.decode()


async def test_many_streams_at_once_keep_apart(router: Router) -> None:
    """Fifty streams, each with its own words, never mix."""
    texts = [f"stream-{number} says so" for number in range(50)]

    answers = await asyncio.gather(
        *(heard(router, messages=[{"role": "user", "content": text}]) for text in texts)
    )
    records = await router.recorded(50)

    for text, (_, answer) in zip(texts, answers, strict=True):
        joined = "".join(
            json.loads(line[6:])["choices"][0]["delta"].get("content", "")
            for line in answer.split("\n")
            if line.startswith("data: {")
        )
        assert text in joined
    assert {record.status for record in records} == {200}
    assert len({record.request_id for record in records}) == 50


async def test_an_error_before_any_content_is_a_status(
    router: Router, mock: Mock
) -> None:
    """Nothing was said yet, so the caller's SDK sees an HTTP error, and may retry."""
    mock.will(Step(error_in_stream=StreamError(code="rate_limit_exceeded")))

    answer, text = await heard(router)

    assert answer.status_code == 503
    assert json.loads(text)["error"]["code"] == "upstream-rate-limited"
