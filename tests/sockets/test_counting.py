"""Counting tokens: asked of a provider that counts, estimated where none does."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from structlog.testing import capture_logs

from smart_llmrouter.admission.gate import Gate
from smart_llmrouter.bootstrap import surface
from smart_llmrouter.core.estimates import input_tokens
from smart_llmrouter.core.identity import Caller
from tests.support.gateway import (
    PRICE,
    configuration,
    provider,
    running_gateway,
    token,
)
from tests.support.line import chat, line_to
from tests.support.mock import Mock
from tests.support.plain_clients import anthropic_without_tls
from tests.support.puppet import running_puppet
from tests.support.router import Router, running_router
from tests.support.upstream_server import (
    Upstream,
    answering,
    plain,
    refusing_port,
    running_upstream,
)
from tests.support.wait import PATIENCE_S

MESSAGES = "/v1/messages/count_tokens"
RESPONSES = "/v1/responses/input_tokens"
HI: Any = [{"role": "user", "content": "How long is this?"}]
BODY = {"model": "chat", "messages": HI}
BODY_OF: Any = {RESPONSES: {"model": "chat", "input": HI}}
COUNT = plain(
    b'{"input_tokens": 4711, "more": [1.00]}', "content-type: application/json"
)
WRONG_KEY = plain(
    b'{"type":"error","error":{"type":"authentication_error","message":"bad key"}}',
    status="401 Unauthorized",
)
NO_MODEL = plain(
    b'{"type":"error","error":{"type":"not_found_error","message":"model: mock-mini"}}',
    status="404 Not Found",
)


def settings_for(*dialects_and_ports: tuple[str, int]) -> dict[str, Any]:
    """Return a configuration whose group `chat` has a provider for each of these."""
    return configuration(
        {
            f"p{at}": provider(f"http://127.0.0.1:{port}/v1", dialect=dialect)
            for at, (dialect, port) in enumerate(dialects_and_ports)
        }
    )


@asynccontextmanager
async def counting(
    directory: Path, *answers: bytes, dialect: str = "anthropic-messages"
) -> AsyncIterator[tuple[Router, list[Upstream]]]:
    """Run a router before providers of which each always gives the same answer."""
    async with AsyncExitStack() as stack:
        upstreams = [
            await stack.enter_async_context(running_upstream(answering(answer)))
            for answer in answers
        ]
        settings = settings_for(*((dialect, each.port) for each in upstreams))
        router = await stack.enter_async_context(running_router(directory, settings))
        yield router, upstreams


async def asked(
    router: Router, path: str = MESSAGES, **headers: str
) -> httpx2.Response:
    """Ask for a count."""
    async with router.http() as client:
        return await client.post(
            path,
            json=BODY_OF.get(path, BODY),
            headers={k.replace("_", "-"): v for k, v in headers.items()},
        )


async def test_a_provider_that_counts_is_asked(tmp_path: Path) -> None:
    """Its answer goes on as it came; it is asked for its own model, at its own path."""
    async with counting(tmp_path, COUNT) as (router, (upstream,)):
        answer = await asked(
            router,
            f"{MESSAGES}?beta=true",
            anthropic_version="2026-10-21",
            anthropic_beta="token-counting-2024-11-01",
        )
        record = await router.record()

    (request,) = upstream.requests
    sent = dict(request.headers)
    assert answer.content == b'{"input_tokens": 4711, "more": [1.00]}'
    assert answer.headers["x-router-target"] == "p0/mini"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert "x-router-estimate" not in answer.headers
    assert request.line == "POST /v1/messages/count_tokens HTTP/1.1"
    assert json.loads(request.body) == {**BODY, "model": "mock-mini"}
    assert sent["anthropic-version"] == "2026-10-21"
    assert sent["anthropic-beta"] == "token-counting-2024-11-01"
    assert (record.status, record.attempts) == (200, 1)
    assert record.inbound_dialect == "anthropic-messages/count"


async def test_a_count_costs_nothing(tmp_path: Path) -> None:
    """It is on record as a call that consumed nothing, not as one of unknown cost."""
    async with counting(tmp_path, COUNT) as (router, _):
        await asked(router)
        record = await router.record()

    assert PRICE["input_per_million"] != "0"
    assert (record.input_tokens, record.output_tokens) == (0, 0)
    assert record.total_cost_nusd == 0
    assert record.target_provider == "p0"


@pytest.mark.parametrize(
    ("path", "document"),
    [
        (MESSAGES, {"estimate": True}),
        (f"/anthropic{MESSAGES}", {"estimate": True}),
        (RESPONSES, {"estimate": True, "object": "response.input_tokens"}),
    ],
)
async def test_without_such_a_provider_it_is_estimated(
    router: Router, mock: Mock, path: str, document: dict[str, object]
) -> None:
    """The answer says so in a header and in its body, and no provider is asked."""
    answer = await asked(router, path)
    record = await router.record()

    tokens = input_tokens(answer.request.content)
    assert answer.json() == {"input_tokens": tokens, **document}
    assert answer.headers["x-router-estimate"] == "true"
    assert "x-router-target" not in answer.headers
    assert (record.attempts, record.target_provider) == (0, None)
    assert mock.received == []


async def test_responses_are_counted_by_responses_targets(tmp_path: Path) -> None:
    """Each dialect has a path of its own for it."""
    said = plain(b'{"object":"response.input_tokens","input_tokens":12}')
    async with counting(tmp_path, said, dialect="openai-responses") as (router, up):
        answer = await asked(router, RESPONSES)
        other = await asked(router, MESSAGES)

    assert answer.json()["input_tokens"] == 12
    assert [each.line for each in up[0].requests] == [
        "POST /v1/responses/input_tokens HTTP/1.1"
    ]
    assert other.headers["x-router-estimate"] == "true"


async def test_a_stored_answer_is_counted_only_for_who_asked_for_it(
    tmp_path: Path,
) -> None:
    """The id of somebody else's leads nowhere, and no provider is asked about it."""
    said = plain(b'{"object":"response.input_tokens","input_tokens":12}')
    body = {"model": "chat", "input": "go on", "previous_response_id": "resp_1"}
    async with (
        counting(tmp_path, said, dialect="openai-responses") as (router, up),
        router.http() as client,
    ):
        answer = await client.post(RESPONSES, json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unknown-response-id"
    assert up[0].requests == []


async def test_a_stored_answer_is_counted_by_its_keeper(tmp_path: Path) -> None:
    """The target that gave the answer is asked, and not one before it."""
    stored = (
        b'{"id":"resp_1","object":"response","status":"completed","output":[{"type":'
        b'"message","role":"assistant","id":"msg_1","content":[{"type":"output_text",'
        b'"text":"hi"}]}],"input_tokens":12,"store":true}'
    )
    said = plain(stored, "content-type: application/json")
    broken = plain(b"{}", status="500 No")
    go_on = {"model": "chat", "input": "go on", "previous_response_id": "resp_1"}
    async with (
        counting(tmp_path, broken, said, dialect="openai-responses") as (
            router,
            upstreams,
        ),
        router.http() as client,
    ):
        first = await client.post("/v1/responses", json=BODY_OF[RESPONSES])
        answer = await client.post(RESPONSES, json=go_on)

    assert first.status_code == answer.status_code == 200
    assert answer.json()["input_tokens"] == 12
    assert answer.headers["x-router-target"] == "p1/mini"
    assert len(upstreams[0].requests) == 1


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (WRONG_KEY, 503, "upstream-access-denied"),
        (NO_MODEL, 503, "upstream-access-denied"),
        (plain(b"{}", status="500 No"), 502, "upstream-failed"),
        (plain(b"{}", status="429 No"), 503, "upstream-rate-limited"),
        (plain(b'{"input_tokens": "many"}'), 502, "upstream-failed"),
        (plain(b"<html>"), 502, "upstream-failed"),
    ],
    ids=["key", "model", "broken", "limited", "no-number", "no-json"],
)
async def test_a_failure_is_never_masked_by_an_estimate(
    tmp_path: Path, answer: bytes, status: int, code: str
) -> None:
    """Whoever reads a number must be able to believe it."""
    async with counting(tmp_path, answer) as (router, _):
        told = await asked(router)
        record = await router.record()

    assert told.status_code == status
    assert "input_tokens" not in told.text
    assert (record.status, record.error_code) == (status, code)


@pytest.mark.parametrize(
    "status", ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented"]
)
async def test_a_provider_without_such_a_path(tmp_path: Path, status: str) -> None:
    """Many that speak the dialect do not count; then it is an estimate."""
    async with counting(tmp_path, plain(b"no such page", status=status)) as (router, _):
        answer = await asked(router)

    assert answer.status_code == 200
    assert answer.headers["x-router-estimate"] == "true"


async def test_the_next_target_may_count(tmp_path: Path) -> None:
    """A failure of one is no answer, as with every other call."""
    async with counting(tmp_path, WRONG_KEY, COUNT) as (router, _):
        answer = await asked(router)
        record = await router.record()

    assert answer.json()["input_tokens"] == 4711
    assert (record.attempts, record.target_provider) == (2, "p1")
    assert record.error_class is None


async def test_a_rejected_request_is_told_as_the_provider_said_it(
    tmp_path: Path,
) -> None:
    """No other target is asked: it would be refused there, too."""
    said = b'{"type":"error","error":{"type":"invalid_request_error","message":"bad"}}'
    rejecting = plain(said, status="400 Bad Request")
    async with counting(tmp_path, rejecting, COUNT) as (router, upstreams):
        answer = await asked(router)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "bad"
    assert answer.headers["x-router-target"] == "p0/mini"
    assert upstreams[1].requests == []


async def test_a_provider_that_says_nothing(tmp_path: Path) -> None:
    """It has as long as the group gives it for a first event, and no longer."""

    async def silent(peer: Any) -> None:  # noqa: ANN401 - a script of the provider
        await peer.request()

    async with running_upstream(silent) as upstream:
        settings = settings_for(("anthropic-messages", upstream.port))
        settings["groups"]["chat"]["attempt_timeout_s"] = 0.2
        async with running_router(tmp_path, settings) as router:
            answer = await asked(router)

    assert answer.status_code == 504


async def test_a_provider_that_is_not_there(tmp_path: Path) -> None:
    """Nobody listens: that is a failure, too."""
    with refusing_port() as port:
        settings = settings_for(("anthropic-messages", port))
        async with running_router(tmp_path, settings) as router:
            answer = await asked(router)

    assert answer.status_code == 502


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no json", 400),
        (b'{"messages": []}', 400),
        (b'{"model": 1}', 400),
        (b'{"model": null}', 400),
        (b'{"model": "hidden"}', 403),
    ],
)
async def test_a_count_that_is_refused(
    router: Router, mock: Mock, body: bytes, status: int
) -> None:
    """It is checked as every call is, and on record."""
    async with router.http() as client:
        answer = await client.post(
            MESSAGES, content=body, headers={"content-type": "application/json"}
        )
    record = await router.record()

    assert (answer.status_code, record.status) == (status, status)
    assert mock.received == []


async def test_a_count_of_another_media_type(router: Router) -> None:
    """It is refused by its head, in its dialect, and on record."""
    async with router.http() as client:
        answer = await client.post(
            MESSAGES, content=b"x", headers={"content-type": "text/plain"}
        )
    record = await router.record()

    assert (answer.status_code, answer.json()["type"]) == (415, "error")
    assert record.inbound_dialect == "anthropic-messages/count"


async def test_a_caller_that_leaves_before_the_count(tmp_path: Path) -> None:
    """The provider's call ends with it, and the record says so."""
    async with running_puppet() as puppet:
        acme = provider(puppet.base_url, dialect="anthropic-messages")
        async with running_router(tmp_path, configuration({"acme": acme})) as router:
            async with line_to(router) as line:
                line.send(chat(path=MESSAGES))
                call = await puppet.call()
                line.leave()
                await asyncio.wait_for(call.left.wait(), PATIENCE_S)
            record = await router.record()

    assert (record.status, record.error_code) == (499, "client-left")


class BrokenGate(Gate):
    """A gate with a defect."""

    def chain(self, caller: Caller, group: str) -> None:
        """Fail in a way that nobody foresaw."""
        raise LookupError(f"{caller.id}, {group}")


async def test_a_defect_is_an_error_of_the_router(
    tmp_path: Path, mock: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is answered, and the traceback is in the log only."""
    monkeypatch.setattr(surface, "Gate", BrokenGate)
    settings = configuration({"acme": provider(mock.base_url)})
    # Drawing the traceback with all its values would take longer than the test may.
    with capture_logs() as logged:
        async with running_router(tmp_path, settings) as router:
            answer = await asked(router)
            record = await router.record()

    assert answer.status_code == record.status == 500
    assert "alice" not in answer.text
    assert any(each.get("exc_info") for each in logged)


@pytest.mark.slow
async def test_a_count_that_cannot_be_recorded(tmp_path: Path, mock: Mock) -> None:
    """It is withheld, as every answer is."""
    settings = configuration({"acme": provider(mock.base_url)})
    async with running_gateway(tmp_path, settings) as gateway:
        limits = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
        async with gateway.http() as client:
            answer = await client.post(MESSAGES, json=BODY)
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, limits)

    assert answer.status_code == 503
    assert answer.json()["error"]["details"]["error_code"] == "journal-unwritable"
    assert answer.headers["request-id"]


@pytest.mark.parametrize("path", [MESSAGES, f"/anthropic{MESSAGES}", RESPONSES])
async def test_nobody_counts_without_a_token(router: Router, path: str) -> None:
    """A count may be asked of a provider, and costs time in any case."""
    async with router.http(None) as stranger:
        answer = await stranger.post(path, json=BODY)
        wrong_method = await stranger.get(path)

    assert answer.status_code == 401
    assert wrong_method.status_code == 405


async def test_the_anthropic_sdk_counts(tmp_path: Path) -> None:
    """Whether it is counted or estimated, the SDK reads it."""
    async with (
        counting(tmp_path, COUNT) as (router, _),
        anthropic.AsyncAnthropic(
            base_url=router.url,
            api_key=token(),
            max_retries=0,
            http_client=anthropic_without_tls(),
        ) as client,
    ):
        counted = await client.messages.count_tokens(model="chat", messages=HI)

    assert counted.input_tokens == 4711
