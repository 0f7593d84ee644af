"""`kill -9` under load, again and again: nothing is held for ever, or counted wrongly.

A process that dies keeps what it has reserved for no longer than a lease, and what was
spent is what the rows say. Only what was in flight when it died can be lost.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.conftest import SOAK
from tests.support.gateway import (
    CAPABLE,
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.line import chat, line_to
from tests.support.mock import Mock, running_mock
from tests.support.process import arguments, children
from tests.support.usage import limits_told, spent_by
from tests.support.wait import NeverHappened, eventually

ROUNDS: Final = 20 if SOAK else 4
CALLERS: Final = 12
CONCURRENT: Final = 8
TOKENS: Final = 50
CALLS_A_ROUND: Final = 10
MOST_CALLS: Final = ROUNDS * 4 * CALLS_A_ROUND
"""What the lifetime budget is enough for: more than what passes before a kill."""
LEASE_S: Final = 2
MODEL: Final = {
    "model": "mock-mini",
    "price": {"input_per_million": "1", "output_per_million": "10"},
    **CAPABLE,
}
ALLOWANCE: Final[Mapping[str, Any]] = {
    "limits": {"concurrent": CONCURRENT},
    "budgets": {
        "day": {"tokens": 10_000_000, "usd": 100},
        "lifetime": {"requests": MOST_CALLS},
    },
}
VALKEY: Final = {"counters": "embedded-valkey", "counters_lease_s": LEASE_S}
GONE: Final = (ConnectionError, asyncio.IncompleteReadError, OSError, TimeoutError)
REST_S: Final = 0.05

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600 if SOAK else 120)]


@dataclass(slots=True)
class Seen:
    """What callers were answered, by the status; and how often they were cut off."""

    statuses: Counter[int] = field(default_factory=Counter)
    cut: int = 0


@asynccontextmanager
async def limited(
    tmp_path: Path, **more: Mapping[str, Any]
) -> AsyncGenerator[tuple[Gateway, Mock]]:
    """Run a router with one caller that has limits, in front of a mock."""
    async with running_mock() as mock:
        mock.always(Step(prompt_tokens=20, completion_tokens=30, delay_first_ms=50))
        settings = configuration(
            {"acme": provider(mock.base_url, models={"mini": MODEL})},
            callers=[caller(**ALLOWANCE)],
            **more,
        )
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway, mock


async def call_on_and_on(
    gateway: Gateway, seen: Seen, chance: random.Random, *, until_gone: bool
) -> None:
    """Ask again and again; a lost connection is the end, or opened again."""
    while True:
        with suppress(*GONE):
            async with line_to(gateway) as line:
                while True:
                    line.send(chat(max_tokens=TOKENS, stream=chance.random() < 0.5))
                    answer = await line.answer()
                    seen.statuses[answer.status] += 1
                    if answer.status != 200:
                        await asyncio.sleep(REST_S)
        seen.cut += 1
        if until_gone:
            return
        await asyncio.sleep(REST_S)


@asynccontextmanager
async def under_load(
    gateway: Gateway, seen: Seen, chance: random.Random, *, until_gone: bool = True
) -> AsyncGenerator[None]:
    """Keep more callers busy than may be served at one time."""
    calling = [
        asyncio.create_task(
            call_on_and_on(gateway, seen, chance, until_gone=until_gone)
        )
        for _ in range(CALLERS)
    ]
    try:
        yield
    finally:
        for task in calling:
            task.cancel()
        await asyncio.gather(*calling, return_exceptions=True)


async def nothing_in_flight(gateway: Gateway) -> bool:
    """Say whether no slot is taken, and nothing is reserved."""
    with suppress(httpx2.TransportError):
        told = await limits_told(gateway)
        return not any([told["concurrent"][0], *(held for _, held in told.values())])
    return False


async def counted(gateway: Gateway) -> dict[str, float]:
    """Return what the counters say was spent."""
    told = await limits_told(gateway)
    return {
        "requests": told["lifetime.requests"][0],
        "tokens": told["day.tokens"][0],
        "usd": told["day.usd"][0],
    }


async def served(seen: Seen, count: int) -> None:
    """Wait until so many more calls were answered."""
    before = seen.statuses[200]
    await eventually(
        lambda: seen.statuses[200] >= before + count, within_s=30, what="answers"
    )


async def use_up(gateway: Gateway, seen: Seen, chance: random.Random) -> None:
    """Ask until the lifetime budget refuses."""
    async with under_load(gateway, seen, chance):
        await eventually(lambda: seen.statuses[403] >= CALLERS, within_s=60)


async def at_the_end(gateway: Gateway, mock: Mock, seen: Seen, *, kills: int) -> None:
    """See that the budget was spent to the last call, but for what kills have cut."""

    async def agree() -> bool:
        return spent_by(gateway.rows()) == await counted(gateway)

    with suppress(NeverHappened):
        await eventually(agree, within_s=20)
    spent = spent_by(gateway.rows())
    assert await counted(gateway) == spent
    assert spent["requests"] == MOST_CALLS
    assert seen.statuses[200] <= MOST_CALLS
    assert len(mock.received) - MOST_CALLS <= kills * CONCURRENT
    assert set(seen.statuses) <= {200, 403, 429, 503}


async def test_a_killed_router_holds_nothing_and_forgets_nothing(
    tmp_path: Path,
) -> None:
    """It counts in its memory: all of that is gone, and the rows have it."""
    seed = random.randrange(2**32)
    chance, seen = random.Random(seed), Seen()
    async with limited(tmp_path) as (gateway, mock):
        for _ in range(ROUNDS):
            async with under_load(gateway, seen, chance):
                await served(seen, chance.randrange(CALLS_A_ROUND))
                await gateway.stop(signal.SIGKILL)
            await gateway.start()
            assert await nothing_in_flight(gateway), f"seed {seed}"
        await use_up(gateway, seen, chance)
        await at_the_end(gateway, mock, seen, kills=ROUNDS)


def store_of(gateway: Gateway) -> int:
    """Return the process id of the router's own Valkey."""
    (found,) = [
        pid for pid in children(gateway.pid) if b"valkey-server" in arguments(pid)
    ]
    return found


def workers_of(gateway: Gateway) -> list[int]:
    """Return the process ids of the workers."""
    return [
        pid
        for pid in children(gateway.pid)
        if b"valkey" not in arguments(pid) and b"ingest_command" not in arguments(pid)
    ]


async def test_a_killed_worker_holds_nothing_for_longer_than_its_lease(
    tmp_path: Path,
) -> None:
    """The other worker counts on in the Valkey that both share."""
    seed = random.randrange(2**32)
    chance, seen = random.Random(seed), Seen()
    async with limited(tmp_path, server={"workers": 2}, state=VALKEY) as (
        gateway,
        mock,
    ):
        for _ in range(ROUNDS):
            async with under_load(gateway, seen, chance, until_gone=False):
                await served(seen, chance.randrange(CALLS_A_ROUND))
                os.kill(chance.choice(workers_of(gateway)), signal.SIGKILL)
                await served(seen, chance.randrange(1, CALLS_A_ROUND))
            await eventually(
                lambda: nothing_in_flight(gateway),
                within_s=LEASE_S + 2,
                what=f"free slots (seed {seed})",
            )
            await eventually(
                lambda: len(workers_of(gateway)) == 2, within_s=20, what="two workers"
            )
        await use_up(gateway, seen, chance)
        await at_the_end(gateway, mock, seen, kills=ROUNDS)


async def test_killed_routers_go_on_in_the_valkey_that_they_left(
    tmp_path: Path,
) -> None:
    """Killed as a whole; and now and then the Valkey is killed, too."""
    seed = random.randrange(2**32)
    chance, seen = random.Random(seed), Seen()
    async with limited(tmp_path, server={"workers": 2}, state=VALKEY) as (
        gateway,
        mock,
    ):
        for turn in range(ROUNDS):
            async with under_load(gateway, seen, chance):
                await served(seen, chance.randrange(CALLS_A_ROUND))
                if turn % 3 == 0:
                    os.kill(store_of(gateway), signal.SIGKILL)
                await gateway.stop(signal.SIGKILL)
            await gateway.start()
            await eventually(
                lambda: nothing_in_flight(gateway),
                within_s=LEASE_S + 2,
                what=f"free slots (seed {seed})",
            )
        await use_up(gateway, seen, chance)
        await at_the_end(gateway, mock, seen, kills=ROUNDS)
