"""Each requirement under each strategy: one reason, wherever it is told.

The error, the explanation and what is kept of the real call name the same codes.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import pytest
import pytest_asyncio

from smart_llmrouter.core.decisions import Decision
from smart_llmrouter.ledger.explained import Explained, explained
from smart_llmrouter.stores.database import open_for_reading
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.lacking import LACKS, asked_of
from tests.support.mock import running_mock

STRATEGIES: Final = (
    "static",
    "failover",
    "weighted",
    "dynamic",
    "rules",
    "script",
    "external",
)
CASES: Final = [(strategy, code) for strategy in STRATEGIES for code in LACKS]
SCRIPT: Final = "def route(ctx):\n    return {'targetIndex': 0}\n"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Seen:
    """One case: the real answer, the explanation, and what is kept of the call."""

    answer: httpx2.Response
    told: dict[str, Any]
    kept: Explained


@dataclass(frozen=True, slots=True)
class Scene:
    """All cases by their groups, and how often a provider was called for them."""

    cases: Mapping[str, Seen]
    called: int


def codec(code: str) -> str:
    """Return what the target speaks that misses something."""
    return "anthropic-messages" if code == "dialect" else "openai-chat"


def settings(url: str, policy_url: str) -> dict[str, Any]:
    """Return a configuration with two groups a case: all miss it, or one has it."""
    providers: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for code, lack in LACKS.items():
        for name in ("a", "b"):
            providers[f"{name}-{code}"] = provider(
                url,
                dialect=codec(code),
                models={"less": {"model": "mock-mini", **lack.without}},
            )
        providers[f"c-{code}"] = provider(
            url, models={"more": {"model": "mock-mini", **lack.having}}
        )
        less = [{"use": f"{name}-{code}/less", **lack.group} for name in ("a", "b")]
        more = {"use": f"c-{code}/more"}
        for strategy in STRATEGIES:
            few = strategy == "static"
            usual = {"strategy": strategy, **decided_by(strategy, policy_url)}
            if code == "dialect":
                usual["bridges"] = "off"
            nobody, somebody = (
                less[: 1 if few else 2],
                [more] if few else [less[0], more],
            )
            for group, targets in (("nobody", nobody), ("somebody", somebody)):
                chosen = dict(usual)
                if strategy == "rules":
                    used = [target["use"] for target in targets]
                    chosen["rules"] = {"rules": [{"when": "true", "use": used}]}
                groups[f"{strategy}-{code}-{group}"] = {**chosen, "targets": targets}
    return configuration(
        providers,
        groups=groups,
        callers=[caller(allow=list(groups))],
        diagnostics={"decisions": "all"},
    )


def decided_by(strategy: str, policy_url: str) -> dict[str, Any]:
    """Return the section of a group whose policy decides."""
    if strategy == "script":
        return {"script": {"file": "route.py", "timeout_ms": 5000}}
    if strategy == "external":
        external = {"url": policy_url, "allow_hosts": ["127.0.0.1"], "timeout_ms": 5000}
        return {"external": external}
    return {}


@asynccontextmanager
async def policy_service() -> AsyncGenerator[str]:
    """Run a service that always chooses the first target; yield its URL."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(
            line.lower().split(b": ", 1)
            for line in head.split(b"\r\n")
            if b": " in line
        )
        await reader.readexactly(int(fields[b"content-length"]))
        body = b'{"targetIndex": 0}'
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
            b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/route"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Ask in all cases, together: each for itself would wait for the database."""
    directory: Path = tmp_path_factory.mktemp("strategies")
    (directory / "route.py").write_text(SCRIPT)
    async with (
        running_mock() as mock,
        policy_service() as policy_url,
        running_gateway(directory, settings(mock.base_url, policy_url)) as gateway,
    ):
        groups = [f"{strategy}-{code}" for strategy, code in CASES]
        async with gateway.http() as http:
            room = asyncio.Semaphore(8)
            found = await asyncio.gather(
                *[
                    asked(http, f"{group}-{who}", group.partition("-")[2], room)
                    for group in groups
                    for who in ("nobody", "somebody")
                ]
            )
        cases = dict(pair for pair in found)
        kept = await recorded(gateway, [answer for answer, _ in cases.values()])
    return Scene(
        {
            group: Seen(answer, told, kept[answer.headers["x-request-id"]])
            for group, (answer, told) in cases.items()
        },
        called=len(mock.received),
    )


async def asked(
    http: httpx2.AsyncClient, group: str, code: str, room: asyncio.Semaphore
) -> tuple[str, tuple[httpx2.Response, dict[str, Any]]]:
    """Send the request of a case, and ask how it would be decided."""
    body = asked_of(group, code)
    async with room:
        answer = await http.post("/v1/chat/completions", json=body)
        told = await http.post("/v1/route/explain", json=body)
    return group, (answer, told.json())


async def recorded(
    gateway: Gateway, answers: Sequence[httpx2.Response]
) -> Mapping[str, Explained]:
    """Wait until all calls are on record; return what is kept of them."""
    await gateway.recorded(2 * len(answers))
    found = {}
    url = f"sqlite:///{gateway.state / 'usage.sqlite'}"
    with open_for_reading(url).connect() as connection:
        for answer in answers:
            request_id = answer.headers["x-request-id"]
            call = explained(connection, request_id)
            assert call is not None
            found[request_id] = call
    return found


def missing_in(decision: Decision) -> dict[str, list[str]]:
    """Return what each target misses, as the error tells it."""
    return {
        each.label: list(each.missing) for each in decision.candidates if each.missing
    }


@pytest.mark.parametrize(("strategy", "code"), CASES)
async def test_nobody_has_it(scene: Scene, strategy: str, code: str) -> None:
    """No provider is called, and the one reason is told three times alike."""
    group = f"{strategy}-{code}-nobody"
    seen = scene.cases[group]

    error = seen.answer.json()["error"]
    decision = msgspec.convert(seen.told["decision"], Decision)

    assert (seen.answer.status_code, error["code"]) == (502, "no-eligible-target")
    assert error["details"]["requirements"] == [code]
    assert error["details"]["model"] == group
    assert error["details"]["dialect"] == "openai-chat"
    assert error["details"]["hint"]
    assert seen.answer.headers["x-should-retry"] == "false"
    assert seen.told["error"]["code"] == "no-eligible-target"
    assert seen.told["selected"] is None
    assert missing_in(decision) == error["details"]["targets"]
    assert seen.kept.kept is not None
    assert plain(seen.kept.kept.decision) == plain(decision)
    assert (seen.kept.record["status"], seen.kept.record["attempts"]) == (502, 0)


async def test_only_who_is_eligible_is_called(scene: Scene) -> None:
    """Once for each case that somebody can serve, and never for an explanation."""
    assert scene.called == len(CASES)


@pytest.mark.parametrize(("strategy", "code"), CASES)
async def test_somebody_has_it(scene: Scene, strategy: str, code: str) -> None:
    """It serves the call; the explanation and what is kept say why not the other."""
    seen = scene.cases[f"{strategy}-{code}-somebody"]
    server = f"c-{code}/more"

    decision = msgspec.convert(seen.told["decision"], Decision)

    assert seen.answer.status_code == 200, seen.answer.text
    assert seen.answer.headers["x-router-target"] == server
    assert seen.answer.headers["x-router-attempts"] == "1"
    assert (seen.told["selected"], seen.told["error"]) == (server, None)
    less = {} if strategy == "static" else {f"a-{code}/less": [code]}
    assert missing_in(decision) == less
    assert seen.kept.kept is not None
    kept = seen.kept.kept.decision
    (attempt,) = kept.attempts
    assert (attempt.label, attempt.error_class) == (server, None)
    assert attempt.then == "answered"
    assert plain(kept) == plain(decision)
    decides = strategy in {"rules", "script", "external"}
    assert (kept.policy.kind if kept.policy else None) == (
        strategy if decides else None
    )


def plain(decision: Decision) -> str:
    """Return a decision without attempts, and without how long a policy took.

    Of a real call the input is only counted where something depends on it.
    """
    built = msgspec.to_builtins(decision)
    built["needs"]["estimated_input_tokens"] = None
    built["attempts"] = []
    if built["policy"]:
        built["policy"]["duration_us"] = 0
    for candidate in built["candidates"]:
        candidate["score"] = candidate["observations"] = None
        candidate["terms"] = []
    return json.dumps(built, sort_keys=True)
