"""A router that ends, however it ends, forgets nothing that was spent."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.conftest import SOAK
from tests.support.calendar import MIDDAY
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.load import under_load
from tests.support.mock import Mock, running_mock
from tests.support.wait import PATIENCE_S, eventually

ROUNDS = 20 if SOAK else 3
CALLERS = 40
MOST = 2000 if SOAK else 600
SEED = random.randrange(2**32)
CALLS_A_ROUND = 12
WHO = "alice-search-dev-k1"

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


@asynccontextmanager
async def budgeted(
    tmp_path: Path, *, workers: int = 1, **budgets: object
) -> AsyncGenerator[tuple[Gateway, Mock]]:
    """Run a router whose one caller has these budgets, and a mock behind it."""
    async with running_mock() as mock:
        settings = configuration(
            {"acme": provider(mock.base_url)},
            callers=[caller(budgets={"timezone": MIDDAY, **budgets})],
            server={"workers": workers},
            state={"counters": "memory" if workers == 1 else "embedded-valkey"},
        )
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway, mock


async def ask(gateway: Gateway) -> httpx2.Response:
    """Ask once, and read to the end."""
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
    async with gateway.http() as client:
        return await client.post("/v1/chat/completions", json=body)


async def statuses(gateway: Gateway, count: int) -> list[int]:
    """Ask so often at the same time, and return how that was answered."""
    answers = await asyncio.gather(*(ask(gateway) for _ in range(count)))
    return [each.status_code for each in answers]


async def test_a_budget_outlives_every_kill(tmp_path: Path) -> None:
    """In all, exactly so many calls pass as it has, and the rows say the same."""
    most = ROUNDS * CALLS_A_ROUND
    passed = []
    async with budgeted(tmp_path, lifetime={"requests": most}) as (gateway, mock):
        for _ in range(ROUNDS):
            passed += await statuses(gateway, CALLS_A_ROUND - 1)
            await gateway.stop(how=signal.SIGKILL)
            await gateway.start()
        passed += await statuses(gateway, ROUNDS)
        refused = await ask(gateway)
        rows = await gateway.recorded(most + 1)

    assert passed == [200] * most
    assert (refused.status_code, len(mock.received)) == (403, most)
    assert "key-exhausted" in refused.text
    assert sum(row["attempts"] for row in rows) == most


async def test_the_minute_outlives_a_kill(tmp_path: Path) -> None:
    """Three calls a minute are three, however often the router starts in it."""
    async with running_mock() as mock:
        settings = configuration(
            {"acme": provider(mock.base_url)}, callers=[caller(limits={"rpm": 3})]
        )
        async with running_gateway(tmp_path, settings) as gateway:
            before = await statuses(gateway, 2)
            await gateway.stop(how=signal.SIGKILL)
            await gateway.start()
            between = await statuses(gateway, 1)
            await gateway.stop(how=signal.SIGKILL)
            await gateway.start()
            refused = await ask(gateway)

    assert before + between == [200] * 3
    assert (refused.status_code, len(mock.received)) == (429, 3)
    assert "rpm-exceeded" in refused.text
    assert 0 < int(refused.headers["retry-after"]) <= 60


async def asked(mock: Mock, count: int) -> None:
    """Wait until the provider was asked so often."""
    await eventually(lambda: len(mock.received) >= count, what=f"{count} calls")


async def test_killed_under_load_it_never_spends_twice(tmp_path: Path) -> None:
    """Beyond its budget only what was in flight at each kill: those calls have no row.

    In the end the rows are the budget, to the call.
    """
    chance = random.Random(SEED)
    async with budgeted(tmp_path, lifetime={"requests": MOST}) as (gateway, mock):
        mock.always(Step(delay_first_ms=20, words=3))
        for number in range(1, ROUNDS + 1):
            async with under_load(gateway, callers=CALLERS, chance=chance):
                await asked(mock, number * MOST // (ROUNDS + 2))
                await gateway.stop(how=signal.SIGKILL)
            await gateway.start()
        async with under_load(gateway, callers=CALLERS, chance=chance) as seen:
            await eventually(lambda: len(seen.whole) > 2 * MOST, what="refusals")
        # It waits for the journal: the rows of all calls are there then.
        shown = json.loads(
            await asyncio.to_thread(budget, gateway, "show", "--format", "json")
        )
        rows = gateway.rows()

    counted = [row for row in rows if row["attempts"]]
    [line] = shown["limits"]
    assert len(counted) == line["used"] == MOST, f"seed {SEED}"
    assert MOST <= len(mock.received) <= MOST + ROUNDS * CALLERS, f"seed {SEED}"


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_router_that_runs_sees_that_a_budget_was_reset(
    tmp_path: Path, workers: int
) -> None:
    """Without being started again, and within seconds; also where workers share."""
    async with budgeted(tmp_path, workers=workers, day={"requests": 2}) as (gateway, _):
        before = await statuses(gateway, 2)
        refused = await ask(gateway)
        done = await asyncio.to_thread(budget, gateway, "reset", f"caller:{WHO}", "day")

        async def passes() -> bool:
            return (await ask(gateway)).status_code == httpx2.codes.OK

        await eventually(passes, what="a call that passes")
        shown = await asyncio.to_thread(budget, gateway, "show", "--format", "json")

    assert (before, refused.status_code) == ([200, 200], 429)
    assert "had used 2 of 2 calls" in done
    assert '"used": 1' in shown
    assert f'"source": "{"records" if workers == 1 else "store"}"' in shown


def budget(gateway: Gateway, *words: str) -> str:
    """Run `smart-llmrouter budget` as an operator would, and return what it says."""
    yes = ["--yes"] if words[0] == "reset" else []
    done = subprocess.run(
        [sys.executable, "-m", "smart_llmrouter", "budget", *words, *yes],
        cwd=gateway.directory,
        env={
            name: os.environ[name]
            for name in ("PATH", "PYTHONPATH")
            if name in os.environ
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
