"""A caller with limits, connections that ask without rest, and what it comes to."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from smart_llmrouter.mockprovider.script import Step
from tests.support.calendar import MIDDAY
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
from tests.support.usage import limits_told, spent_by
from tests.support.wait import NeverHappened, eventually

CALLERS: Final = 12
"""More than may be served at one time, which is `CONCURRENT`."""
CONCURRENT: Final = 8
TOKENS: Final = 50
MODEL: Final = {
    "model": "mock-mini",
    "price": {"input_per_million": "1", "output_per_million": "10"},
    **CAPABLE,
}
GONE: Final = (ConnectionError, asyncio.IncompleteReadError, OSError, TimeoutError)
REST_S: Final = 0.05


@dataclass(slots=True)
class Seen:
    """What callers were answered, by the status, and by the caller."""

    statuses: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    """How many answers each caller has had, by its number."""


@asynccontextmanager
async def limited(
    tmp_path: Path, most_calls: int, **more: Mapping[str, Any]
) -> AsyncGenerator[tuple[Gateway, Mock]]:
    """Run a router with one caller, for `most_calls` in all, in front of a mock."""
    allowance: dict[str, Any] = {
        "limits": {"concurrent": CONCURRENT},
        "budgets": {
            "timezone": MIDDAY,
            "day": {"tokens": 10_000_000, "usd": 100},
            "lifetime": {"requests": most_calls},
        },
    }
    async with running_mock() as mock:
        mock.always(Step(prompt_tokens=20, completion_tokens=30, delay_first_ms=50))
        settings = configuration(
            {"acme": provider(mock.base_url, models={"mini": MODEL})},
            callers=[caller(**allowance)],
            **more,
        )
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway, mock


async def call_on_and_on(
    gateway: Gateway,
    seen: Seen,
    chance: random.Random,
    *,
    number: int,
    until_gone: bool,
) -> None:
    """Ask again and again; a lost connection is the end, or opened again."""
    while True:
        with suppress(*GONE):
            async with line_to(gateway) as line:
                while True:
                    line.send(chat(max_tokens=TOKENS, stream=chance.random() < 0.5))
                    answer = await line.answer()
                    seen.statuses[answer.status] += 1
                    seen.answered[number] += 1
                    if answer.status != 200:
                        await asyncio.sleep(REST_S)
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
            call_on_and_on(gateway, seen, chance, number=number, until_gone=until_gone)
        )
        for number in range(CALLERS)
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
    await eventually(lambda: seen.statuses[200] >= before + count, what="answers")


async def everybody_is_answered(seen: Seen, count: int) -> None:
    """Wait until each caller has had so many more answers: nobody hangs."""
    before = seen.answered.copy()
    await eventually(
        lambda: all(
            seen.answered[number] >= before[number] + count for number in range(CALLERS)
        ),
        what=f"{count} answers for each caller",
    )


async def use_up(gateway: Gateway, seen: Seen, chance: random.Random) -> None:
    """Ask until the lifetime budget refuses."""
    async with under_load(gateway, seen, chance):
        await eventually(lambda: seen.statuses[403] >= CALLERS, within_s=400)


async def spent_to_the_last_call(
    gateway: Gateway, mock: Mock, seen: Seen, *, most_calls: int, lost: int
) -> None:
    """See that rows and counters have all calls but the `lost`, and not one more."""

    async def agree() -> bool:
        return spent_by(gateway.rows()) == await counted(gateway)

    with suppress(NeverHappened):
        await eventually(agree)
    spent = spent_by(gateway.rows())
    assert await counted(gateway) == spent
    assert spent["requests"] == most_calls
    assert seen.statuses[200] <= most_calls
    assert len(mock.received) - most_calls <= lost
    assert set(seen.statuses) <= {200, 403, 429, 503}
