"""Five hundred calls at once against limits: exactly as many pass as there is room for.

The router is what operators run: one process that counts in its memory, and four
workers that count in the router's own Valkey.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from smart_llmrouter.core.estimates import input_tokens
from smart_llmrouter.mockprovider.script import Step
from tests.conftest import SOAK
from tests.support.calendar import MIDDAY
from tests.support.gateway import (
    CAPABLE,
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.line import Answered, Line, chat, line_to
from tests.support.mock import running_mock
from tests.support.puppet import completion, running_puppet
from tests.support.usage import limits_told
from tests.support.wait import eventually

CALLS: Final = 500
PASSING: Final = 60
TOKENS: Final = 50
"""What a call uses: 20 of input, 30 of output."""
COST_NUSD: Final = 20 * 1_000 + 30 * 10_000
MODEL: Final = {
    "model": "mock-mini",
    "price": {"input_per_million": "1", "output_per_million": "10"},
    **CAPABLE,
}
PROCESSES: Final[Mapping[str, Mapping[str, Any]]] = {
    "one-in-memory": {},
    "four-with-valkey": {
        "server": {"workers": 4},
        "state": {"counters": "embedded-valkey"},
    },
}
ASKED: Final = chat(max_tokens=TOKENS)
ESTIMATE: Final = input_tokens(ASKED.partition(b"\r\n\r\n")[2])
ROOMY: Final[Mapping[str, Any]] = {
    "limits": {"concurrent": 8, "rpm": 100, "tpm": 1_000_000},
    "budgets": {"timezone": MIDDAY, "day": {"tokens": 1_000_000, "usd": 10}},
}
SOON_S: Final = 2

every_way = pytest.mark.parametrize("processes", PROCESSES)


def allowance(**day: object) -> dict[str, Any]:
    """Return what a caller may use: all there is in all limits, but less in a day."""
    budget = {**ROOMY["budgets"]["day"], **day}
    return {**ROOMY, "budgets": {"timezone": MIDDAY, "day": budget}}


@asynccontextmanager
async def gateway_for(
    tmp_path: Path, base_url: str, processes: str, *allowances: Mapping[str, Any]
) -> AsyncGenerator[Gateway]:
    """Run a router whose callers `k1`, `k2`... may use so much."""
    settings = configuration(
        {"acme": provider(base_url, models={"mini": MODEL})},
        callers=[
            caller(f"k{at + 1}", metrics_admin=True, **each)
            for at, each in enumerate(allowances)
        ],
        **PROCESSES[processes],
    )
    async with running_gateway(tmp_path, settings) as gateway:
        yield gateway


@asynccontextmanager
async def lines_to(gateway: Gateway, count: int = CALLS) -> AsyncGenerator[list[Line]]:
    """Open as many connections."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(line_to(gateway)) for _ in range(count)]


async def until_told_otherwise(line: Line, key: str, waits: random.Random) -> Answered:
    """Ask, and again after each short `Retry-After`, as a client does."""
    asked = chat(max_tokens=TOKENS, key=key)
    while True:
        line.send(asked)
        answer = await line.answer()
        wait_s = int(answer.headers.get("retry-after", 0))
        if not 0 < wait_s <= SOON_S:
            return answer
        await asyncio.sleep(wait_s + waits.random())


def refused_by(answers: list[Answered]) -> Counter[tuple[str, str]]:
    """Count the refusals by their code, and the limit that they name."""
    told = [
        json.loads(answer.body)["error"] for answer in answers if answer.status != 200
    ]
    return Counter((each["code"], each["details"]["limit"]) for each in told)


async def settled(gateway: Gateway, key: str) -> dict[str, tuple[float, float]]:
    """Return what counters say when they have heard of the end of each call."""

    async def told() -> dict[str, tuple[float, float]] | None:
        found = await limits_told(gateway, key)
        held = [found["concurrent"][0], *(held for _, held in found.values())]
        return None if any(held) else found

    found = await eventually(told, what="the end of all calls")
    assert found is not None
    return found


@every_way
async def test_of_500_calls_at_once_as_many_pass_as_may_be_in_flight(
    tmp_path: Path, processes: str
) -> None:
    """Eight. The others have used nothing, and pass after the wait that is told."""
    async with (
        running_puppet() as puppet,
        gateway_for(tmp_path, puppet.base_url, processes, ROOMY) as gateway,
        lines_to(gateway) as lines,
    ):
        for line in lines:
            line.send(ASKED)
        held = [await puppet.call() for _ in range(8)]
        asking = {asyncio.create_task(line.answer()): line for line in lines}

        def told_so_far() -> list[asyncio.Task[Answered]]:
            return [task for task in asking if task.done()]

        await eventually(lambda: len(told_so_far()) == CALLS - 8, what="the refusals")
        over = told_so_far()
        more = puppet.unanswered
        for call in held:
            call.write(completion())
        passed = [await task for task in asking if task not in over]
        refused = [await task for task in over]
        others = [asking[task] for task in over]
        await asyncio.sleep(int(refused[0].headers["retry-after"]))
        for line in others[:8]:
            line.send(ASKED)
        for _ in range(8):
            (await puppet.call()).write(completion())
        again = [await line.answer() for line in others[:8]]
        told = await settled(gateway, "k1")

    assert more == 0
    assert [answer.status for answer in passed] == [200] * 8
    assert refused_by(refused) == {
        ("concurrency-exceeded", "concurrent"): CALLS - 8,
    }
    assert {each.headers["retry-after"] for each in refused} == {"1"}
    assert [answer.status for answer in again] == [200] * 8
    assert [told[limit] for limit in ("concurrent", "rpm")] == [(0, 0), (16, 0)]


@every_way
async def test_of_500_persistent_callers_as_many_pass_as_there_is_room_for(
    tmp_path: Path, processes: str
) -> None:
    """Whichever limit is the tightest, it alone is named in the end."""
    tokens = (PASSING - 1) * TOKENS + ESTIMATE + TOKENS
    nusd = (PASSING - 1) * COST_NUSD + ESTIMATE * 1_000 + TOKENS * 10_000
    dollars = f"{nusd // 10**9}.{nusd % 10**9:09}"
    allowances = {
        "k1": (ROOMY, 100, ("rpm-exceeded", "rpm")),
        "k2": (allowance(tokens=tokens), PASSING, ("quota-exhausted", "day.tokens")),
        "k3": (allowance(usd=dollars), PASSING, ("quota-exhausted", "day.usd")),
        "k4": (
            allowance(requests=PASSING),
            PASSING,
            ("quota-exhausted", "day.requests"),
        ),
    }
    seed = random.randrange(2**32)
    waits = random.Random(seed)
    answers: dict[str, list[Answered]] = {}
    told = {}
    async with running_mock() as mock:
        mock.always(Step(prompt_tokens=20, completion_tokens=30, delay_first_ms=20))
        given = [each for each, _, _ in allowances.values()]
        async with (
            gateway_for(tmp_path, mock.base_url, processes, *given) as gateway,
            lines_to(gateway) as lines,
        ):
            for key in allowances:
                answers[key] = await asyncio.gather(
                    *(until_told_otherwise(line, key, waits) for line in lines)
                )
                told[key] = await settled(gateway, key)
        received = len(mock.received)

    for key, (_, passing, refusal) in allowances.items():
        passed = [answer for answer in answers[key] if answer.status == 200]
        assert len(passed) == passing, (key, seed)
        assert refused_by(answers[key]) == {refusal: CALLS - passing}, (key, seed)
        # A minute is worth waiting for, a day is not.
        refused = [answer for answer in answers[key] if answer.status != 200]
        waiting = {"retry-after" in answer.headers for answer in refused}
        assert waiting == {key == "k1"}
        assert told[key]["concurrent"] == (0, 0)
        assert told[key]["day.tokens"] == (passing * TOKENS, 0)
        assert told[key]["day.usd"] == (passing * COST_NUSD / 10**9, 0)
    assert received == sum(passing for _, passing, _ in allowances.values())


@pytest.mark.skipif(not SOAK, reason="waits for most of a minute")
@pytest.mark.soak
@every_way
async def test_who_waits_for_the_minute_passes(tmp_path: Path, processes: str) -> None:
    """As long as is told, and by the clock on the wall."""
    async with running_mock() as mock:
        limits = {"limits": {"rpm": 20}}
        async with (
            gateway_for(tmp_path, mock.base_url, processes, limits) as gateway,
            lines_to(gateway, 21) as lines,
        ):
            first = []
            for line in lines:
                line.send(ASKED)
                first.append(await line.answer())
            wait_s = int(first[-1].headers["retry-after"])
            await asyncio.sleep(wait_s)
            lines[-1].send(ASKED)
            after = await lines[-1].answer()

    assert [answer.status for answer in first] == [200] * 20 + [429]
    assert 50 < wait_s <= 60
    assert after.status == 200
