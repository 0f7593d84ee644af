"""A policy service decides, over HTTP."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import msgspec
import pytest

from smart_llmrouter.config.policies import External
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.engine.policies.external import ExternalPolicy
from smart_llmrouter.routing.features import question_document
from smart_llmrouter.routing.policy import PolicyFault, Verdict
from tests.support.policies import question
from tests.support.transports import KINDS, Kind
from tests.support.upstream_server import (
    Peer,
    Script,
    Upstream,
    answering,
    chunked,
    head,
    plain,
    refusing_port,
    running_upstream,
)

GENEROUS_MS: Final = 10_000
FIRST: Final = plain(b'{"targetIndex": 0}')

LEAN: Final = next(each for each in KINDS if each.name == "lean")

Service = Callable[..., AbstractAsyncContextManager[tuple[ExternalPolicy, Upstream]]]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return one transport after the other."""
    found: Kind = request.param
    return found


@pytest.fixture
def service(kind: Kind) -> Service:
    """Return what plays a policy service, and the policy that asks it."""

    @asynccontextmanager
    async def play(
        script: Script,
        *,
        timeout_ms: int = GENEROUS_MS,
        max_response_bytes: int = 65_536,
        include_request: bool = False,
        headers: tuple[tuple[str, Secret | str], ...] = (),
    ) -> AsyncGenerator[tuple[ExternalPolicy, Upstream]]:
        async with running_upstream(script) as upstream, kind.open() as transport:
            external = External(
                url=f"http://127.0.0.1:{upstream.port}/route?v=1",
                timeout_ms=timeout_ms,
                max_response_bytes=max_response_bytes,
                headers=headers,
                include_request=include_request,
            )
            yield ExternalPolicy(external, transport, user_agent="tests/1"), upstream

    return play


async def fault_of(policy: ExternalPolicy) -> str:
    """Return how a decision failed."""
    with pytest.raises(PolicyFault) as fault:
        await policy.decide(question("a", "b"))
    return fault.value.code


async def test_a_service_decides(service: Service) -> None:
    """It is told the features by POST, and its answer is the verdict."""
    answer = plain(
        b'{"target": {"provider": "b", "model": "mini"}, "fallbackIndexes": [0],'
        b' "classLabel": "cheap", "metadata": {"took": 3}}'
    )
    asked = question("a", "b", tool_count=2)
    headers = (("X-Policy-Key", Secret("sk-canary-1", source="tests")), ("X-Zone", "1"))

    async with service(answering(answer), headers=headers) as (policy, upstream):
        verdict = await policy.decide(asked)

    assert policy.kind == "external"
    assert verdict == Verdict(
        order=("b/mini", "a/mini"), complete=True, class_label="cheap"
    )
    (request,) = upstream.requests
    assert request.line == "POST /route?v=1 HTTP/1.1"
    assert json.loads(request.body) == json.loads(
        msgspec.json.encode(question_document(asked))
    )
    sent = dict(request.headers)
    assert sent["content-type"] == sent["accept"] == "application/json"
    assert sent["user-agent"] == "tests/1"
    assert (sent["x-policy-key"], sent["x-zone"]) == ("sk-canary-1", "1")


async def test_a_prompt_is_sent_only_where_it_is_switched_on(service: Service) -> None:
    """Without `include_request` nothing of it leaves; with it, all does."""
    said = "the secret recipe"
    body = {"model": "chat", "messages": [{"role": "user", "content": said}]}
    asked = question("a", body=body)

    async with service(answering(FIRST)) as (policy, upstream):
        await policy.decide(asked)
        closed = upstream.requests[0].body
    async with service(answering(FIRST), include_request=True) as (policy, upstream):
        await policy.decide(asked)
        opened = upstream.requests[0].body

    assert said.encode() not in closed
    assert "request" not in json.loads(closed)
    assert json.loads(opened)["request"] == body


async def test_a_connection_is_used_again(service: Service) -> None:
    """Decisions follow each other on one connection."""
    async with service(answering(FIRST)) as (policy, upstream):
        for _ in range(5):
            await policy.decide(question("a"))

        assert len(upstream.peers) == 1
        assert len(upstream.requests) == 5


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (plain(b"{}", status="500 Oops"), "bad-status"),
        (plain(b'{"targetIndex": 0}', status="404 Not Found"), "bad-status"),
        (plain(b"<html>"), "malformed"),
        (plain(b""), "malformed"),
        (plain(b"\xff"), "malformed"),
        (plain(b"[" * 60_000), "malformed"),
        (plain(b'{"targetIndex": 7}'), "unknown-target"),
        (b"no HTTP at all\r\n\r\n", "malformed"),
    ],
)
async def test_an_answer_that_is_not_believed(
    service: Service, answer: bytes, code: str
) -> None:
    """Statuses, bodies and targets that are none."""
    async with service(answering(answer)) as (policy, _):
        assert await fault_of(policy) == code


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(service: Service, status: int) -> None:
    """Wherever it leads: nobody is asked but the host of the configuration."""
    async with running_upstream(answering(FIRST)) as elsewhere:
        away = f"Location: http://127.0.0.1:{elsewhere.port}/route"
        answer = plain(b"", away, status=f"{status} Elsewhere")
        async with service(answering(answer)) as (policy, _):
            code = await fault_of(policy)

        assert code == "bad-status"
        assert elsewhere.peers == []


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_decision_that_is_too_large(service: Service, framing: str) -> None:
    """It is read up to its bound, whatever it says about its length."""
    body = b'{"targetIndex": 0, "metadata": "' + b"x" * 2000 + b'"}'
    answer = plain(body) if framing == "length" else chunked(body[:900], body[900:])

    async with service(answering(answer), max_response_bytes=2000) as (policy, _):
        over = await fault_of(policy)
    async with service(answering(answer), max_response_bytes=3000) as (policy, _):
        under = await policy.decide(question("a"))

    assert over == "too-large"
    assert under == Verdict(order=("a/mini",))


async def silent(peer: Peer) -> None:
    """Read a request, and say nothing."""
    await peer.request()
    await peer.gone()


async def slow(peer: Peer) -> None:
    """Begin an answer, and do not end it."""
    await peer.request()
    await peer.send(head("Content-Length: 100") + b"{")
    await peer.gone()


async def leaving(peer: Peer) -> None:
    """Close the connection instead of answering."""
    await peer.request()
    peer.close()


@pytest.mark.parametrize(
    ("script", "timeout_ms", "code"),
    [
        (silent, 100, "timeout"),
        (slow, 100, "timeout"),
        (leaving, GENEROUS_MS, "unreachable"),
    ],
)
async def test_a_service_that_does_not_answer(
    service: Service, script: Script, timeout_ms: int, code: str
) -> None:
    """It has its time, and leaves no connection behind."""
    async with service(script, timeout_ms=timeout_ms) as (policy, upstream):
        assert await fault_of(policy) == code
        for peer in upstream.peers:
            await peer.over.wait()


async def test_a_service_that_is_not_there(kind: Kind) -> None:
    """Nobody listens."""
    with refusing_port() as port:
        external = External(url=f"http://127.0.0.1:{port}/route")

        async with kind.open() as transport:
            policy = ExternalPolicy(external, transport, user_agent="tests/1")
            code = await fault_of(policy)

    assert code == "unreachable"


async def test_no_connection_is_free() -> None:
    """All connections that the transport may have to the service are in use.

    The other transport does not tell it from a host that cannot be reached in time.
    """
    async with (
        running_upstream(silent) as upstream,
        LEAN.open(max_connections=1, connect_timeout_s=1.0) as transport,
    ):
        external = External(
            url=f"http://127.0.0.1:{upstream.port}/route",
            timeout_ms=3000,
        )
        policy = ExternalPolicy(external, transport, user_agent="tests/1")
        codes = await asyncio.gather(fault_of(policy), fault_of(policy))

    assert sorted(codes) == ["busy", "timeout"]
