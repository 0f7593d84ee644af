"""Groups that decide by a policy, from the caller's request to the provider's."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from smart_llmrouter.core.decisions import PolicyRun
from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import configuration, provider
from tests.support.mock import Mock
from tests.support.router import Router, running_router
from tests.support.upstream_server import Peer, Script, plain, running_upstream

KINDS: Final = ("rules", "script", "external")
GENEROUS_MS: Final = 5000
TOOL: Final = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object"}},
}

SCRIPT: Final = """
def route(ctx):
    if ctx["context"]["hasTools"]:
        return {"target": "other/mini", "fallbacks": [], "classLabel": "tools"}
    return {"target": "other/mini", "classLabel": "plain"}
"""
RULES: Final = [
    {"when": "has_tools", "use": ["other/mini"], "only": True, "label": "tools"},
    {"when": "true", "use": ["other/mini"], "label": "plain"},
]
TOOLS_ANSWER: Final = b'{"targetIndex": 1, "fallbacks": [], "classLabel": "tools"}'
PLAIN_ANSWER: Final = b'{"targetIndex": 1, "classLabel": "plain"}'


async def deciding(peer: Peer) -> None:
    """Be the policy service that says what the script says."""
    while True:
        asked = await peer.request()
        with_tools = b'"hasTools":true' in asked.body
        await peer.send(plain(TOOLS_ANSWER if with_tools else PLAIN_ANSWER))


async def broken(peer: Peer) -> None:
    """Be a policy service that fails."""
    await peer.request()
    await peer.send(plain(b"", status="500 Oops"))


def section(kind: str, port: int, *, fails: bool, on_error: str) -> dict[str, Any]:
    """Return the section of a policy that decides, or always fails."""
    if kind == "rules":
        broken = [{"when": "1 / tool_count < 0", "use": ["other/mini"]}]
        return {"rules": broken if fails else RULES, "on_error": on_error}
    if kind == "script":
        return {
            "file": "policy.py",
            "timeout_ms": GENEROUS_MS,
            "on_error": on_error,
        }
    return {
        "url": f"http://127.0.0.1:{port}/route",
        "allow_hosts": ["127.0.0.1"],
        "timeout_ms": GENEROUS_MS,
        "on_error": on_error,
    }


@asynccontextmanager
async def router_with(
    kind: str,
    directory: Path,
    providers: tuple[Mock, Mock],
    *,
    fails: bool = False,
    on_error: str = "fail_closed",
) -> AsyncGenerator[Router]:
    """Run a router whose group `chat` decides by a policy of this kind."""
    (directory / "policy.py").write_text(
        "def route(ctx): raise KeyError('x')" if fails else SCRIPT
    )
    service: Script = broken if fails else deciding
    async with running_upstream(service) as upstream:
        settings = configuration(
            {
                name: provider(mock.base_url)
                for name, mock in zip(("acme", "other"), providers, strict=True)
            },
            diagnostics={"decisions": "all"},
        )
        settings["groups"]["chat"] |= {
            "strategy": kind,
            kind: section(kind, upstream.port, fails=fails, on_error=on_error),
        }
        async with running_router(directory, settings) as router:
            yield router


async def ask(router: Router, *, tools: bool = False) -> httpx2.Response:
    """Ask once."""
    body: dict[str, Any] = {
        "model": "chat",
        "messages": [{"role": "user", "content": "hi"}],
    }
    if tools:
        body["tools"] = [TOOL]
    async with router.http() as client:
        return await client.post("/v1/chat/completions", json=body)


async def run_of(router: Router) -> PolicyRun:
    """Return the run of the policy that the one record tells of."""
    await router.record()
    (kept,) = router.decisions()
    assert kept.decision.policy is not None
    return kept.decision.policy


@pytest.mark.parametrize("kind", KINDS)
async def test_a_policy_says_who_is_called_first(
    kind: str, tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """The target that it names answers, and its label is on record."""
    async with router_with(kind, tmp_path, (mock, other)) as router:
        answer = await ask(router)
        run = await run_of(router)

    assert answer.status_code == 200
    assert answer.headers["x-router-target"] == "other/mini"
    assert (len(mock.received), len(other.received)) == (0, 1)
    assert (run.kind, run.outcome, run.class_label, run.error) == (
        kind,
        "decided",
        "plain",
        None,
    )
    assert run.duration_us > 0


@pytest.mark.parametrize("kind", KINDS)
async def test_the_others_are_called_when_the_first_fails(
    kind: str, tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """A policy that names one target leaves the others as fallbacks."""
    other.always(Step(status=503))

    async with router_with(kind, tmp_path, (mock, other)) as router:
        answer = await ask(router)

    assert answer.status_code == 200
    assert answer.headers["x-router-target"] == "acme/mini"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_complete_decision_leaves_no_others(
    kind: str, tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """Who was left out is not called, whatever happens to those that were named."""
    other.always(Step(status=503))

    async with router_with(kind, tmp_path, (mock, other)) as router:
        answer = await ask(router, tools=True)
        run = await run_of(router)

    assert answer.status_code >= 500
    assert mock.received == []
    assert run.class_label == "tools"


FAULTS: Final = {"rules": "raised", "script": "raised", "external": "bad-status"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_policy_that_fails_closes_the_group(
    kind: str, tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """The caller is told which policy and why; nobody is called; it is recorded."""
    async with router_with(kind, tmp_path, (mock, other), fails=True) as router:
        answer = await ask(router)
        record = await router.record()
        run = await run_of(router)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (502, "routing-policy-error")
    assert error["details"] == {
        "group": "chat",
        "strategy": kind,
        "error": FAULTS[kind],
    }
    assert (mock.received, other.received) == ([], [])
    assert (record.status, record.error_code) == (502, "routing-policy-error")
    assert (run.kind, run.outcome, run.error) == (kind, "failed", FAULTS[kind])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_policy_that_fails_may_leave_it_to_the_file(
    kind: str, tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """With `on_error: fallback` the order of the file holds, and the fault is kept."""
    async with router_with(
        kind, tmp_path, (mock, other), fails=True, on_error="fallback"
    ) as router:
        answer = await ask(router)
        run = await run_of(router)

    assert answer.status_code == 200
    assert answer.headers["x-router-target"] == "acme/mini"
    assert (run.kind, run.outcome, run.error) == (kind, "fallback", FAULTS[kind])
