"""Calls that come too fast, as callers meet it: they wait, in turns, or are refused.

One router in this process counts in its memory, by a clock that the tests turn: however
long calls take to come, none has its turn before all are there. A mock answers at once.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.registry import DIALECTS
from tests.support.clock import Clock
from tests.support.gateway import caller, configuration, provider
from tests.support.gauges import gauge
from tests.support.line import Answered, chat, line_to, request
from tests.support.mock import Mock
from tests.support.router import Router, running_router
from tests.support.wait import eventually

CHAT: Final = "/v1/chat/completions"
PATHS: Final[dict[str, DialectName]] = {
    CHAT: "openai-chat",
    "/v1/responses": "openai-responses",
    "/v1/messages": "anthropic-messages",
}
SAID: Final = [{"role": "user", "content": "hi"}]
BODIES: Final[dict[str, dict[str, Any]]] = {
    CHAT: {"messages": SAID},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": SAID, "max_tokens": 9},
}
CODEX: Final = {"originator": "codex_cli_rs"}
RATE: Final = 50.0
TURN_S: Final = 1.001 / RATE
"""For so long the clock is turned for one call to pass."""


@pytest.fixture
def clock() -> Clock:
    """Return the clock of the buckets: nobody has a turn before a test turns it."""
    return Clock()


@asynccontextmanager
async def shaped(
    tmp_path: Path,
    mock: Mock,
    clock: Clock,
    *,
    per_second: float = RATE,
    wait_ms: int = 60_000,
    depth: int = 1000,
    callers: int = 1,
    weights: tuple[int, ...] = (),
    **more: Any,  # noqa: ANN401 - parts of a configuration
) -> AsyncGenerator[Router]:
    """Run a router whose group takes so many calls a second, from several callers."""
    pace = {"requests_per_second": per_second, "burst": 1}
    rules = {"max_wait_ms": wait_ms, "max_depth": depth}
    settings = configuration(
        {"acme": provider(mock.base_url)},
        callers=[
            caller(
                f"k{number + 1}",
                metrics_admin=True,
                **_weighing(weights[number : number + 1], rules),
            )
            for number in range(callers)
        ],
        **more,
    )
    settings["groups"]["chat"]["shaping"] = {**pace, "queue": rules}
    counters = Memory(now=clock, wall=time.time)
    async with running_router(tmp_path, settings, counters) as router:
        yield router


async def waiting(router: Router, count: int) -> None:
    """Wait until so many calls wait for their turn."""

    async def as_many() -> bool:
        return await gauge(router, "queued_calls") == count

    await eventually(as_many, what=f"{count} calls that wait")


async def served(clock: Clock, count: Callable[[], int]) -> None:
    """Let one call have its turn, and wait until it is seen in a count."""
    before = count()
    clock.turn(TURN_S)
    await eventually(lambda: count() > before, what="a turn")


def done(calls: list[asyncio.Task[Answered]]) -> int:
    """Return how many of these calls are answered."""
    return sum(each.done() for each in calls)


def _weighing(weights: tuple[int, ...], rules: dict[str, int]) -> dict[str, Any]:
    """Return the part of a caller that gives it a weight; the pace never holds it."""
    if not weights:
        return {}
    pace = {"requests_per_second": 1000, "burst": 1000}
    return {"shaping": {**pace, "queue": {**rules, "weight": weights[0]}}}


async def ask(router: Router, key: str = "k1", path: str = CHAT) -> httpx2.Response:
    """Ask once, and read to the end."""
    async with router.http(key) as client:
        return await client.post(path, json={"model": "chat", **BODIES[path]})


def asking(
    router: Router, count: int, key: str = "k1", path: str = CHAT
) -> list[asyncio.Task[Answered]]:
    """Let so many calls come at once, each on a connection of its own."""

    async def one() -> Answered:
        async with line_to(router) as line:
            line.send(request("POST", path, key=key, body=body_of(path)))
            return await line.answer()

    return [asyncio.create_task(one()) for _ in range(count)]


def body_of(path: str, **more: object) -> bytes:
    """Return a small request in the dialect of a path."""
    return json.dumps({"model": "chat", **BODIES[path], **more}).encode()


async def abandoned(calls: list[asyncio.Task[Answered]]) -> None:
    """Let these calls end, whatever becomes of them."""
    for each in calls:
        each.cancel()
    await asyncio.wait(calls)


@pytest.mark.parametrize("path", PATHS)
async def test_calls_wait_for_their_turn(
    tmp_path: Path, mock: Mock, clock: Clock, path: str
) -> None:
    """They are answered like any others, and the record says how long they waited."""
    async with shaped(tmp_path, mock, clock) as router:
        calls = asking(router, 3, path=path)
        await waiting(router, 2)
        await eventually(lambda: done(calls) == 1, what="the one that waits for none")
        asked = len(mock.received)
        for _ in range(2):
            await served(clock, lambda: done(calls))
        answers = [await each for each in calls]
        records = await router.recorded(3)

    assert asked == 1
    assert {each.status for each in answers} == {200}
    assert records[0].queued_us is None
    for each in records[1:]:
        assert each.queued_us is not None
        assert each.latency_us >= each.queued_us > 10_000


@pytest.mark.parametrize("headers", [{}, CODEX])
@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_is_kept_alive_while_it_waits(
    tmp_path: Path, mock: Mock, clock: Clock, path: str, headers: dict[str, str]
) -> None:
    """The head of the answer leaves, and signs that its client understands."""
    dialect = DIALECTS[PATHS[path]]
    codex = bool(headers) and path == "/v1/responses"
    sign = dialect.codex_keep_alive if codex else dialect.keep_alive
    server = {"keepalive_after_s": 0.1}
    async with (
        shaped(tmp_path, mock, clock, server=server) as router,
        line_to(router) as line,
    ):
        await ask(router)
        body = body_of(path, stream=True)
        line.send(request("POST", path, headers=headers, body=body))
        head = await line.head()
        beats = [await line.chunk() for _ in range(2)]
        asked = len(mock.received)
        clock.turn(TURN_S)
        rest = await line.until(b"0\r\n\r\n")
        record = (await router.recorded(2))[1]

    assert head.status == 200
    assert head.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert beats == [sign] * 2
    assert asked == 1
    assert len(rest) > len(sign)
    assert record.status == 200
    assert record.queued_us is not None


async def test_a_call_that_would_wait_for_too_long(
    tmp_path: Path, mock: Mock, clock: Clock
) -> None:
    """It is told at once when it would pass, and then it does."""
    async with shaped(tmp_path, mock, clock, per_second=0.04, wait_ms=37_500) as router:
        await ask(router)
        began_s = time.monotonic()
        calls = asking(router, 1)
        await waiting(router, 1)
        refused = await ask(router)
        most_s, least_s = 50, 49 - (time.monotonic() - began_s)
        await abandoned(calls)
        await waiting(router, 0)
        told_s = int(refused.headers["retry-after"])
        clock.turn(told_s)
        again = await ask(router)
        records = await router.recorded(4)

    assert refused.status_code == 429
    assert least_s <= told_s <= most_s
    error = refused.json()["error"]
    assert error["code"] == "traffic-shaped"
    assert error["details"]["scope"] == "group:chat"
    assert error["details"]["limit"] == "requests_per_second"
    assert error["details"]["value"] == "0.04"
    # It was told while the other one waited.
    assert [each.status for each in records] == [200, 429, 499, 200]
    assert records[1].refused_by == "group:requests_per_second"
    assert again.status_code == 200
    assert len(mock.received) == 2


async def test_a_full_queue(tmp_path: Path, mock: Mock, clock: Clock) -> None:
    """Who has as many calls waiting as may must come again; others may wait."""
    async with shaped(tmp_path, mock, clock, depth=2, callers=2) as router:
        await ask(router)
        own = asking(router, 4)
        await eventually(lambda: done(own) == 2, what="two that are refused")
        calls = [*own, *asking(router, 1, "k2")]
        await waiting(router, 3)
        for _ in range(3):
            await served(clock, lambda: done(calls))
        *statuses, other = [(await each).status for each in calls]

    assert sorted(statuses) == [200, 200, 429, 429]
    assert other == 200


async def test_a_stream_that_has_waited_too_long(
    tmp_path: Path, mock: Mock, clock: Clock
) -> None:
    """Its answer has begun, so that the refusal comes as its last event."""
    server = {"keepalive_after_s": 0.1}
    async with (
        shaped(tmp_path, mock, clock, wait_ms=2000, server=server) as router,
        line_to(router) as line,
    ):
        await ask(router)
        line.send(chat(stream=True))
        head = await line.head()
        last = await line.until(b"0\r\n\r\n")
        records = await router.recorded(2)

    assert head.status == 200
    assert b'"code":"traffic-shaped"' in last
    assert (records[1].status, records[1].error_code) == (429, "traffic-shaped")
    assert records[1].refused_by == "group:requests_per_second"
    assert len(mock.received) == 1


async def test_a_caller_that_leaves_takes_no_turn(
    tmp_path: Path, mock: Mock, clock: Clock
) -> None:
    """It is noticed at once, and the next call has its turn."""
    server = {"keepalive_after_s": 0.05}
    async with shaped(tmp_path, mock, clock, server=server) as router:
        await ask(router)
        async with line_to(router) as line:
            line.send(chat(stream=True))
            await line.head()
        left = (await router.recorded(2))[1]
        calls = asking(router, 1)
        await waiting(router, 1)
        await served(clock, lambda: done(calls))
        answer = await calls[0]
        records = await router.recorded(3)

    # Nobody had a turn until it was gone, and then there was one.
    assert (left.status, left.attempts) == (499, 0)
    assert answer.status == 200
    assert records[2].queued_us is not None
    assert len(mock.received) == 2


async def test_the_deadline_counts_in_the_queue(
    tmp_path: Path, mock: Mock, clock: Clock
) -> None:
    """A call may take no longer in all, wherever it spends its time."""
    upstream = {"total_timeout_s": 1.0}
    async with shaped(tmp_path, mock, clock, upstream=upstream) as router:
        await ask(router)
        asked = len(mock.received)
        late = await ask(router)
        record = (await router.recorded(2))[1]

    assert late.status_code == 504
    assert (record.status, record.attempts) == (504, 0)
    assert len(mock.received) == asked


async def test_a_hundred_calls_do_not_hold_up_one(
    tmp_path: Path, mock: Mock, clock: Clock
) -> None:
    """Another caller's only call is next, however many wait before it."""
    async with (
        shaped(tmp_path, mock, clock, callers=2) as router,
        line_to(router) as line,
    ):
        hog = asking(router, 101)
        await waiting(router, 100)
        await eventually(lambda: mock.received)
        for _ in range(4):
            await served(clock, lambda: len(mock.received))

        line.send(chat("one", key="k2"))
        await waiting(router, 97)
        turns = 0
        while b'"one"' not in mock.received[-1].raw_body:
            await served(clock, lambda: len(mock.received))
            turns += 1
        other = await line.answer()
        await abandoned(hog)

    assert other.status == 200
    # One may have been as far before it came.
    assert turns <= 2


async def test_turns_by_weight(tmp_path: Path, mock: Mock, clock: Clock) -> None:
    """Whoever has three times the weight has three of four turns."""
    async with shaped(tmp_path, mock, clock, callers=2, weights=(3, 1)) as router:
        both = [*asking(router, 60), *asking(router, 60, "k2")]
        await waiting(router, 119)
        await router.recorded(1)
        for _ in range(59):
            await served(clock, lambda: len(router.records()))
        records = router.records()
        await abandoned(both)

    assert len(records) == 60
    heavy = [each.caller_id for each in records[20:]].count("alice-search-dev-k1")
    assert 28 <= heavy <= 32
