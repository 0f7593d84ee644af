"""Trying again: when, how often, and what it must never do."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from smart_llmrouter.engine import retries
from smart_llmrouter.mockprovider.script import Raw, Step
from tests.support.gateway import CAPABLE, PRICE, caller, configuration, provider
from tests.support.line import chat, line_to
from tests.support.mock import Mock
from tests.support.provider_errors import QUOTA_ERRORS, ProviderError
from tests.support.puppet import running_puppet
from tests.support.router import Router, running_router
from tests.support.upstream_server import refusing_port
from tests.support.wait import eventually

CHAT = "/v1/chat/completions"
ENDLESS_S = 250
"""Longer than any test."""
OVERFLOW = msgspec.Raw(
    b'{"error":{"message":"maximum context length is 1000 tokens",'
    b'"code":"context_length_exceeded"}}'
)


def body(*, stream: bool = False) -> dict[str, Any]:
    """Return a request."""
    said = [{"role": "user", "content": "hi"}]
    return {"model": "chat", "messages": said, "stream": stream}


async def ask(
    router: Router, *, stream: bool = False, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """Ask once, and read to the end."""
    async with router.http() as client:
        return await client.post(CHAT, json=body(stream=stream), headers=headers)


@asynccontextmanager
async def patient(
    tmp_path: Path,
    *mocks: Mock,
    group: dict[str, Any] | None = None,
    **changes: object,
) -> AsyncGenerator[Router]:
    """Run a router which asks each target once more when no other one is left."""
    providers = {f"p{at}": provider(each.base_url) for at, each in enumerate(mocks)}
    settings = configuration(providers, **changes)
    settings["groups"]["chat"] |= {"same_target_retries": 1, **(group or {})}
    async with running_router(tmp_path, settings) as router:
        yield router


PASSING = [
    Step(status=500),
    Step(status=502),
    Step(status=503),
    Step(status=529),
    Step(hang_up_at_byte=0),
    Step(hang_up_at_byte=0, rst=True),
    Step(status=503, retry_after=1),
]
LASTING = [
    (Step(status=401), 503, "upstream_auth_failed"),
    (Step(status=402), 503, "upstream_quota_exhausted"),
    (Step(status=403), 503, "upstream_access_denied"),
    (Step(status=404), 503, "upstream_model_access_denied"),
    (Step(status=408), 504, "upstream_timeout"),
    (Step(status=409), 502, "upstream_conflict"),
    (Step(status=504), 504, "upstream_timeout"),
    (Step(status=400), 400, "upstream_bad_request"),
    (Step(status=429), 503, "upstream_rate_limited"),
    (Step(status=429, retry_after=3), 503, "upstream_rate_limited"),
    (Step(status=503, retry_after=30), 529, "upstream_overloaded"),
    (Step(hang_up_at_byte=100, count_from="body"), 502, "upstream_connection_cut"),
    (Step(malformed_json=True), 502, "upstream_malformed_answer"),
    (Step(malformed_http="status-line"), 502, "upstream_malformed_answer"),
    (Step(raw=Raw(status=204)), 502, "upstream_unexpected_status"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("step", PASSING)
async def test_what_failed_in_passing_is_asked_again(
    tmp_path: Path, mock: Mock, step: Step, *, stream: bool
) -> None:
    """There is one answer, one row, and the header says how many attempts it took."""
    mock.will(step)
    async with patient(tmp_path, mock) as router:
        answer = await ask(router, stream=stream)
        record = await router.record()

    assert answer.status_code == 200
    assert answer.headers["x-router-attempts"] == "2"
    assert answer.text.count("[DONE]") == int(stream)
    assert len(mock.received) == record.attempts == 2
    assert (record.status, record.error_class) == (200, None)
    assert not record.fallback_used
    assert record.output_tokens is not None


@pytest.mark.parametrize(("step", "status", "error_class"), LASTING)
async def test_nothing_else_is_asked_of_the_same_target_twice(
    tmp_path: Path, mock: Mock, *, step: Step, status: int, error_class: str
) -> None:
    """What may have been generated would be paid for twice; the rest fails again."""
    mock.will(step)
    async with patient(tmp_path, mock) as router:
        answer = await ask(router)
        record = await router.record()

    assert (answer.status_code, record.error_class) == (status, error_class)
    assert answer.headers["x-router-attempts"] == "1"
    assert len(mock.received) == record.attempts == 1


async def test_nobody_listening_is_asked_again(tmp_path: Path) -> None:
    """A connection that was not made has cost nobody anything."""
    with refusing_port() as port:
        settings = configuration({"gone": provider(f"http://127.0.0.1:{port}/v1")})
        settings["groups"]["chat"]["same_target_retries"] = 2
        async with running_router(tmp_path, settings) as router:
            answer = await ask(router)
            record = await router.record()

    assert (answer.status_code, record.attempts) == (502, 3)
    assert record.error_class == "upstream_connect_failed"
    assert answer.json()["error"]["details"]["attempts"] == 3


async def test_a_rate_limit_that_passes_soon_is_waited_for(
    tmp_path: Path, mock: Mock
) -> None:
    """The provider said when; the call passes, and not before that."""
    mock.will(Step(status=429, retry_after=1))
    async with patient(tmp_path, mock) as router:
        began = time.monotonic()
        answer = await ask(router)
        took_s = time.monotonic() - began

    assert answer.status_code == 200
    # Far below what it would rest if nobody had said when.
    assert 1.0 <= took_s < 25
    assert len(mock.received) == 2


@pytest.mark.parametrize(
    "error", QUOTA_ERRORS, ids=lambda e: f"{e.provider} {e.status}"
)
async def test_an_empty_account_passes_the_call_on_however_it_is_worded(
    tmp_path: Path, mock: Mock, other: Mock, error: ProviderError
) -> None:
    """The next target serves it; the first one rests, and nobody is asked twice."""
    mock.will(Step(status=error.status, body=msgspec.Raw(_quoted(error.body))))
    async with patient(tmp_path, mock, other) as router:
        first = await ask(router)
        second = await ask(router)
        records = await router.recorded(2)

    assert [first.status_code, second.status_code] == [200, 200]
    assert first.headers["x-router-target"] == "p1/mini"
    assert (len(mock.received), len(other.received)) == (1, 2)
    assert [record.attempts for record in records] == [2, 1]


def _quoted(text: bytes) -> bytes:
    """Return what stands for a text in a step."""
    return json.dumps(text.decode()).encode()


async def test_each_target_once_and_then_again_in_the_same_order(
    tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """`max_attempts` bounds all of them together."""
    mock.always(Step(status=500))
    other.always(Step(status=500))
    group = {"same_target_retries": 5, "max_attempts": 5}
    async with patient(tmp_path, mock, other, group=group) as router:
        answer = await ask(router)
        record = await router.record()

    assert answer.status_code == 502
    assert answer.headers["x-router-attempts"] == "5"
    assert (len(mock.received), len(other.received)) == (3, 2)
    assert record.attempts == 5
    assert record.target_provider == "p0"


@pytest.mark.parametrize(("count", "requests"), [("0", 2), ("1", 1), ("7", 1)])
async def test_a_caller_that_asks_again_itself_is_not_multiplied(
    tmp_path: Path, mock: Mock, *, count: str, requests: int
) -> None:
    """The SDKs say so; ten tries of theirs must not become twenty."""
    mock.will(Step(status=500))
    async with patient(tmp_path, mock) as router:
        answer = await ask(router, headers={"x-stainless-retry-count": count})

    assert len(mock.received) == requests
    assert answer.status_code == (200 if requests == 2 else 502)


async def test_a_general_outage_is_not_made_worse(tmp_path: Path, mock: Mock) -> None:
    """A group's budget is a share of its calls, and a few more."""
    mock.always(Step(status=500))
    backoff = {"on_failure": {"failures": 1000}}
    settings = configuration({"acme": provider(mock.base_url, backoff=backoff)})
    settings["groups"]["chat"]["same_target_retries"] = 1
    async with running_router(tmp_path, settings) as router:
        began = time.monotonic()
        await asyncio.gather(*(ask(router) for _ in range(40)))
        took_s = time.monotonic() - began
        records = await router.recorded(40)

    retried = len(mock.received) - 40
    assert 10 <= retried <= 10 + 40 // 5 + took_s + 1
    assert sum(record.attempts for record in records) == len(mock.received)


async def test_leaving_while_the_router_waits_asks_nobody_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait is over with the caller who waits."""
    monkeypatch.setattr(retries, "WAIT_MAX_S", ENDLESS_S)
    async with running_puppet() as puppet:
        settings = configuration({"acme": provider(puppet.base_url)})
        settings["groups"]["chat"]["same_target_retries"] = 1
        async with running_router(tmp_path, settings) as router:
            async with line_to(router) as line:
                line.send(chat())
                call = await puppet.call()
                call.write(
                    b"HTTP/1.1 503 No\r\nretry-after: %d\r\ncontent-length: 0\r\n\r\n"
                    % ENDLESS_S
                )
                await eventually(lambda: has_failed(router))
                line.writer.write_eof()
                await line.rest()
            record = await router.record()

    assert (record.status, record.attempts) == (499, 1)
    assert record.latency_us < ENDLESS_S * 1_000_000
    assert puppet.unanswered == 0


async def has_failed(router: Router) -> bool:
    """Say whether an attempt at the only target has failed."""
    async with router.http(None) as client:
        report = (await client.get("/readyz")).json()
    return report["groups"]["chat"]["acme/mini"]["last_error"] is not None


async def test_a_wait_that_the_deadline_would_cut_off_is_not_begun(
    tmp_path: Path, mock: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one deadline for the whole call; what can be said is said at once."""
    monkeypatch.setattr(retries, "WAIT_MAX_S", ENDLESS_S)
    mock.always(Step(status=503, retry_after=ENDLESS_S))
    upstream = {"total_timeout_s": ENDLESS_S - 10}
    async with patient(tmp_path, mock, upstream=upstream) as router:
        began = time.monotonic()
        answer = await ask(router)
        took_s = time.monotonic() - began

    assert answer.status_code == 529
    assert took_s < ENDLESS_S - 10
    assert len(mock.received) == 1


def sized(mock: Mock, context_tokens: int | None) -> dict[str, Any]:
    """Return a provider whose model has a context of this size."""
    model = {"model": "mock-mini", "price": PRICE, **CAPABLE}
    if context_tokens is not None:
        model["context_tokens"] = context_tokens
    return provider(mock.base_url, models={"mini": model})


@pytest.mark.parametrize(
    ("second", "third", "served_by"),
    [
        (2000, 1000, "second/mini"),
        (1000, 2000, "third/mini"),
        (500, None, "third/mini"),
        (None, 4000, "second/mini"),
        (1000, 500, None),
    ],
)
async def test_a_request_that_is_too_long_goes_to_a_larger_target(
    tmp_path: Path,
    mock: Mock,
    other: Mock,
    *,
    second: int | None,
    third: int | None,
    served_by: str | None,
) -> None:
    """Where there is none, the caller gets the words at which it makes room."""
    mock.will(Step(status=400, body=OVERFLOW))
    providers = {
        "first": sized(mock, 1000),
        "second": sized(other, second),
        "third": sized(other, third),
    }
    async with running_router(tmp_path, configuration(providers)) as router:
        answer = await ask(router)
        record = await router.record()

    if served_by is None:
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "context_length_exceeded"
        assert (record.attempts, other.received) == (1, [])
        assert record.error_class == "upstream_context_overflow"
    else:
        assert answer.headers["x-router-target"] == served_by
        assert record.attempts == 2


async def test_all_targets_at_rest_are_told_with_an_honest_time(
    tmp_path: Path, mock: Mock
) -> None:
    """Nobody is called, and the caller learns when it may ask again."""
    mock.will(Step(status=402))
    async with patient(tmp_path, mock) as router:
        began = time.monotonic()
        await ask(router)
        answer = await ask(router)
        least_s = max(1.0, 29 - (time.monotonic() - began))
        records = await router.recorded(2)

    details = answer.json()["error"]["details"]
    assert answer.status_code == 503
    assert records[1].error_code == "upstream-capacity-throttled"
    assert least_s <= int(answer.headers["retry-after"]) <= 30
    assert details["target_count"] == 1
    assert details["retryable"]
    assert least_s * 1000 <= details["retry_after_ms"] <= 30_000
    assert "x-router-attempts" not in answer.headers
    assert (len(mock.received), records[1].attempts) == (1, 0)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, Step(status=402)),
        ({"shaping": {"requests_per_second": 0.01, "burst": 1}}, Step()),
    ],
)
async def test_a_target_that_has_no_room_any_more_is_passed_over(
    tmp_path: Path, mock: Mock, *, changes: dict[str, Any], step: Step
) -> None:
    """It was in the plan; when its turn comes it rests, or is called enough."""
    mock.will(step)
    async with running_puppet() as puppet:
        settings = configuration(
            {
                "slow": provider(puppet.base_url),
                "acme": provider(mock.base_url, **changes),
            },
            callers=[caller(allow=["chat", "other"])],
        )
        settings["groups"]["other"] = {"targets": [{"use": "acme/mini"}]}
        async with running_router(tmp_path, settings) as router:
            async with line_to(router) as line:
                line.send(chat())
                held = await puppet.call()
                async with router.http() as client:
                    await client.post(CHAT, json={**body(), "model": "other"})
                held.write(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
                answer = await line.answer()
            records = await router.recorded(2)

    assert (answer.status, answer.headers["x-router-attempts"]) == (502, "1")
    assert len(mock.received) == 1
    assert records[-1].error_class == "upstream_server_error"
