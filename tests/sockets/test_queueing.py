"""Calls that come too fast, as callers meet it: they wait, in turns, or are refused.

One router in this process counts in its memory; a mock answers at once.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from smart_llmrouter.core.request import DialectName
from smart_llmrouter.dialects.registry import DIALECTS
from tests.support.gateway import caller, configuration, provider
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


@asynccontextmanager
async def shaped(
    tmp_path: Path,
    mock: Mock,
    *,
    wait_ms: int = 60_000,
    depth: int = 1000,
    callers: int = 1,
    weights: tuple[int, ...] = (),
    **more: Any,  # noqa: ANN401 - a pace, and parts of a configuration
) -> AsyncGenerator[Router]:
    """Run a router whose group takes so many calls a second, from several callers."""
    pace = {"requests_per_second": more.pop("per_second"), "burst": 1}
    rules = {"max_wait_ms": wait_ms, "max_depth": depth}
    settings = configuration(
        {"acme": provider(mock.base_url)},
        callers=[
            caller(f"k{number + 1}", **_weighing(weights[number : number + 1], rules))
            for number in range(callers)
        ],
        **more,
    )
    settings["groups"]["chat"]["shaping"] = {**pace, "queue": rules}
    async with running_router(tmp_path, settings) as router:
        yield router


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
async def test_calls_wait_for_their_turn(tmp_path: Path, mock: Mock, path: str) -> None:
    """They are answered like any others, and the record says how long they waited."""
    async with shaped(tmp_path, mock, per_second=10) as router:
        answers = [await each for each in asking(router, 3, path=path)]
        records = await router.recorded(3)

    assert {each.status for each in answers} == {200}
    assert records[0].queued_us is None
    for each in records[1:]:
        assert each.queued_us is not None
        assert each.latency_us >= each.queued_us > 10_000


@pytest.mark.parametrize("headers", [{}, CODEX])
@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_is_kept_alive_while_it_waits(
    tmp_path: Path, mock: Mock, path: str, headers: dict[str, str]
) -> None:
    """The head of the answer leaves, and signs that its client understands."""
    dialect = DIALECTS[PATHS[path]]
    codex = bool(headers) and path == "/v1/responses"
    sign = dialect.codex_keep_alive if codex else dialect.keep_alive
    server = {"keepalive_after_s": 0.1}
    async with (
        shaped(tmp_path, mock, per_second=1, server=server) as router,
        line_to(router) as line,
    ):
        await ask(router)
        body = body_of(path, stream=True)
        line.send(request("POST", path, headers=headers, body=body))
        head = await line.head()
        beats = [await line.chunk() for _ in range(2)]
        asked = len(mock.received)
        rest = await line.until(b"0\r\n\r\n")
        record = (await router.recorded(2))[1]

    assert head.status == 200
    assert head.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert beats == [sign] * 2
    assert asked == 1
    assert len(rest) > len(sign)
    assert record.status == 200
    assert record.queued_us is not None


async def test_a_call_that_would_wait_for_too_long(tmp_path: Path, mock: Mock) -> None:
    """It is told at once when it would pass, and then it does."""
    async with shaped(tmp_path, mock, per_second=1, wait_ms=1500) as router:
        answers = [await each for each in asking(router, 3)]
        (refused,) = [each for each in answers if each.status != 200]
        records = await router.recorded(3)
        # It was told before the second one had its turn.
        early = records.index(next(each for each in records if each.status == 429))
        await asyncio.sleep(int(refused.headers["retry-after"]))
        again = await ask(router)

    assert (refused.status, refused.headers["retry-after"]) == (429, "2")
    error = json.loads(refused.body)["error"]
    assert error["code"] == "traffic-shaped"
    assert error["details"]["scope"] == "group:chat"
    assert error["details"]["limit"] == "requests_per_second"
    assert error["details"]["value"] == "1"
    assert early < 2
    assert records[early].refused_by == "group:requests_per_second"
    assert again.status_code == 200
    assert len(mock.received) == 3


async def test_a_full_queue(tmp_path: Path, mock: Mock) -> None:
    """Who has as many calls waiting as may must come again; others may wait."""
    async with shaped(tmp_path, mock, per_second=1, depth=2, callers=2) as router:
        await ask(router)
        calls = [*asking(router, 4), *asking(router, 1, "k2")]
        *own, other = [(await each).status for each in calls]

    assert sorted(own) == [200, 200, 429, 429]
    assert other == 200


async def test_a_stream_that_has_waited_too_long(tmp_path: Path, mock: Mock) -> None:
    """Its answer has begun, so that the refusal comes as its last event."""
    server = {"keepalive_after_s": 0.1}
    async with (
        shaped(
            tmp_path, mock, per_second=2, wait_ms=1250, callers=2, server=server
        ) as router,
        line_to(router) as line,
        line_to(router) as second,
    ):
        await ask(router)
        line.send(chat())
        second.send(chat(stream=True))
        await second.head()
        # The other caller's turn is before the second one of the first.
        (other,) = asking(router, 1, "k2")
        last = await second.until(b"0\r\n\r\n")
        statuses = [(await line.answer()).status, (await other).status]
        records = await router.recorded(4)

    assert statuses == [200, 200]
    assert b'"code":"traffic-shaped"' in last
    late = next(each for each in records if each.error_code is not None)
    assert (late.status, late.error_code) == (429, "traffic-shaped")
    assert late.refused_by == "group:requests_per_second"
    assert len(mock.received) == 3


async def test_a_caller_that_leaves_takes_no_turn(tmp_path: Path, mock: Mock) -> None:
    """It is noticed at once, and the next call has its turn."""
    server = {"keepalive_after_s": 0.05}
    async with shaped(tmp_path, mock, per_second=0.5, server=server) as router:
        await ask(router)
        async with line_to(router) as line:
            line.send(chat(stream=True))
            await line.head()
        left = (await router.recorded(2))[1]
        answer = await ask(router)
        records = await router.recorded(3)

    assert (left.status, left.attempts) == (499, 0)
    assert left.latency_us < 1_900_000
    assert answer.status_code == 200
    assert records[2].queued_us is not None
    assert records[2].queued_us < 2_000_000
    assert len(mock.received) == 2


async def test_the_deadline_counts_in_the_queue(tmp_path: Path, mock: Mock) -> None:
    """A call may take no longer in all, wherever it spends its time."""
    upstream = {"total_timeout_s": 0.3}
    async with shaped(tmp_path, mock, per_second=1, upstream=upstream) as router:
        await ask(router)
        late = await ask(router)
        record = (await router.recorded(2))[1]

    assert late.status_code == 504
    assert (record.status, record.attempts) == (504, 0)
    assert len(mock.received) == 1


async def test_a_hundred_calls_do_not_hold_up_one(tmp_path: Path, mock: Mock) -> None:
    """Another caller's only call is next, however many wait before it."""
    async with (
        shaped(tmp_path, mock, per_second=20, callers=2) as router,
        line_to(router) as line,
    ):
        hog = asking(router, 101)
        await eventually(lambda: len(mock.received) >= 5)

        before = len(mock.received)
        line.send(chat(key="k2"))
        other = await line.answer()
        after = len(mock.received)
        await abandoned(hog)
        record = next(
            each for each in router.records() if each.caller_id.endswith("k2")
        )

    assert other.status == 200
    # Its own call, one that was on its way, and one that came while it was told.
    assert after - before <= 4
    assert record.queued_us is not None
    assert record.queued_us <= 2 * 50_000 + 50_000


async def test_turns_by_weight(tmp_path: Path, mock: Mock) -> None:
    """Whoever has three times the weight has three of four turns."""
    async with shaped(
        tmp_path, mock, per_second=40, callers=2, weights=(3, 1)
    ) as router:
        both = [*asking(router, 60), *asking(router, 60, "k2")]
        await eventually(lambda: len(router.records()) >= 60)
        records = router.records()[:60]
        await abandoned(both)

    heavy = [each.caller_id for each in records[20:60]].count("alice-search-dev-k1")
    assert 28 <= heavy <= 32
