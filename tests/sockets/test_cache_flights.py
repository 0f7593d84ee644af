"""Identical calls at the same time: one goes to a target, and the others wait."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.support.caching import PATHS, caching, request, verdicts
from tests.support.puppet import (
    DONE,
    FINISH,
    Puppet,
    PuppetCall,
    answer_head,
    completion,
    content_event,
    running_puppet,
)
from tests.support.router import Router, running_router
from tests.support.wait import PATIENCE_S, eventually

CHAT: Final = PATHS["openai-chat"]
FAILURE: Final = b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture
async def puppet() -> AsyncGenerator[Puppet]:
    """Return a provider that answers when it is told to."""
    async with running_puppet() as running:
        yield running


@pytest.fixture
async def router(tmp_path: Path, puppet: Puppet) -> AsyncGenerator[Router]:
    """Return a router that keeps answers, and keeps callers alive at once."""
    settings = caching(puppet.base_url)
    settings["server"]["keepalive_after_s"] = 0.05
    async with running_router(tmp_path, settings) as running:
        yield running


class Crowd:
    """Callers that ask the same at the same time."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        """Ask nothing yet."""
        self._client = client
        self.asking: list[asyncio.Task[httpx2.Response]] = []
        self.began = 0

    async def join(self, count: int = 1, *, stream: bool = False) -> None:
        """Ask so many times more, and wait until the router has these calls."""
        expected = sum(not each.done() for each in self.asking) + count
        for _ in range(count):
            self.asking.append(asyncio.create_task(self._ask(stream=stream)))
        await eventually(
            lambda: self.in_flight(expected), what=f"{expected} calls in flight"
        )

    async def _ask(self, *, stream: bool) -> httpx2.Response:
        async with self._client.stream(
            "POST", CHAT, json=request(stream=stream)
        ) as answer:
            self.began += 1
            await answer.aread()
        return answer

    async def in_flight(self, count: int) -> bool:
        """Say whether the router carries so many calls now."""
        answer = await self._client.get("/metrics")
        return f"smart_llmrouter_calls_in_flight {count}.0" in answer.text

    async def answers(self) -> list[httpx2.Response]:
        """Return what those were answered that are still there."""
        return list(await asyncio.gather(*self.asking))

    async def leave(self, which: int) -> None:
        """Let one of them hang up."""
        task = self.asking.pop(which)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def crowd(router: Router) -> AsyncGenerator[Crowd]:
    """Return callers that ask nothing yet; they may see metrics."""
    async with router.http() as client:
        yield Crowd(client)


def stream(call: PuppetCall, *events: bytes) -> None:
    """Answer with a whole stream."""
    call.begin_stream()
    call.chunk(b"".join((content_event("hel"), content_event("lo"), *events)))
    call.end_stream()


async def counted(router: Router, count: int) -> Counter[Any]:
    """Return what the cache did with each of so many calls."""
    return Counter(verdicts(await router.recorded(count)))


async def test_one_goes_and_the_others_wait(
    router: Router, puppet: Puppet, crowd: Crowd
) -> None:
    """The target is asked once, and all have the same bytes."""
    await crowd.join(20)
    call = await puppet.call()
    call.write(completion())

    answers = await crowd.answers()

    assert {each.status_code for each in answers} == {200}
    assert len({each.content for each in answers}) == 1
    assert puppet.unanswered == 0
    assert await counted(router, 20) == {
        ("miss", "stored"): 1,
        ("hit", "waited"): 19,
    }


async def test_streams_are_kept_alive_until_the_first_one_ends(
    router: Router, puppet: Puppet, crowd: Crowd
) -> None:
    """Each has all events then, behind comments; what is kept has no comments."""
    await crowd.join(3, stream=True)
    call = await puppet.call()
    await eventually(lambda: crowd.began == 3, what="three streams that began")
    stream(call, FINISH, DONE)

    waited = await crowd.answers()
    async with router.http() as client:
        after = await client.post(CHAT, json=request(stream=True))

    assert all(each.content.endswith(after.content) for each in waited)
    assert b": " in waited[0].content
    assert after.content.startswith(b"data: ")
    assert after.content.count(b"data: [DONE]") == 1
    assert after.headers["x-router-cache"] == "hit"
    assert await counted(router, 4) == {
        ("miss", "stored"): 1,
        ("hit", "waited"): 2,
        ("hit", None): 1,
    }


async def test_where_the_first_one_fails_each_goes_by_itself(
    router: Router, puppet: Puppet, crowd: Crowd
) -> None:
    """All at once: nobody waits for the failures of others one after the other."""
    await crowd.join(4)
    (await puppet.call()).write(FAILURE)
    others = [await puppet.call() for _ in range(3)]
    for each in others:
        each.write(completion())

    answers = await crowd.answers()

    statuses = Counter(each.status_code for each in answers)
    assert statuses == {502: 1, 200: 3}
    assert await counted(router, 4) == {("miss", "error"): 1, ("miss", "stored"): 3}


async def test_where_an_answer_is_not_kept_each_goes_by_itself(
    router: Router, puppet: Puppet, crowd: Crowd
) -> None:
    """What is cut off for one may be whole for another."""
    await crowd.join(3)
    cut = completion().replace(b'"stop"', b'"length"')
    (await puppet.call()).write(_measured(cut))
    for _ in range(2):
        (await puppet.call()).write(completion())

    await crowd.answers()

    assert await counted(router, 3) == {
        ("miss", "incomplete"): 1,
        ("miss", "stored"): 2,
    }


async def test_where_the_first_one_leaves_the_next_one_goes(
    router: Router, puppet: Puppet, crowd: Crowd
) -> None:
    """And the others wait on, for that one."""
    await crowd.join(1)
    first = await puppet.call()
    await crowd.join(4)
    await crowd.leave(0)
    second = await puppet.call()
    await asyncio.wait_for(first.left.wait(), PATIENCE_S)
    second.write(completion())

    answers = await crowd.answers()

    assert {each.status_code for each in answers} == {200}
    assert puppet.unanswered == 0
    assert await counted(router, 5) == {
        ("miss", "left"): 1,
        ("miss", "stored"): 1,
        ("hit", "waited"): 3,
    }


async def test_the_first_one_may_leave_in_the_middle_of_its_stream(
    router: Router, puppet: Puppet, crowd: Crowd
) -> None:
    """What it has had of the answer is nobody's: the next one asks from the start."""
    await crowd.join(1, stream=True)
    first = await puppet.call()
    await crowd.join(2, stream=True)
    first.begin_stream()
    first.chunk(content_event("hel"))
    await eventually(lambda: crowd.began, what="a stream that began")
    await crowd.leave(0)
    stream(await puppet.call(), FINISH, DONE)

    answers = await crowd.answers()

    assert [each.content.count(b"hel") for each in answers] == [1, 1]
    assert await counted(router, 3) == {
        ("miss", "left"): 1,
        ("miss", "stored"): 1,
        ("hit", "waited"): 1,
    }


async def test_an_answer_that_is_read_to_its_end_for_nobody_is_kept(
    tmp_path: Path, puppet: Puppet
) -> None:
    """Where a target wants that (`drain`), those who wait have it all the same."""
    settings = caching(puppet.base_url)
    settings["groups"]["chat"]["targets"][0]["on_disconnect"] = "drain"

    async with running_router(tmp_path, settings) as router, router.http() as client:
        crowd = Crowd(client)
        await crowd.join(1)
        call = await puppet.call()
        await crowd.join(1)
        await crowd.leave(0)
        call.write(completion())
        (answer,) = await crowd.answers()
        records = await router.recorded(2)

    assert answer.status_code == 200
    assert Counter(
        (each.status, each.cache, each.cache_reason) for each in records
    ) == {
        (499, "miss", "stored"): 1,
        (200, "hit", "waited"): 1,
    }


async def test_one_that_waits_may_leave(
    router: Router, puppet: Puppet, crowd: Crowd
) -> None:
    """It is on record as having left, and nobody else notices."""
    await crowd.join(1)
    call = await puppet.call()
    await crowd.join(2)
    await crowd.leave(2)
    await eventually(lambda: crowd.in_flight(2), what="a caller that has left")
    call.write(completion())

    await crowd.answers()
    records = await router.recorded(3)

    assert sorted(each.status for each in records) == [200, 200, 499]
    assert Counter(verdicts(records)) == {
        ("miss", "stored"): 1,
        ("hit", "waited"): 1,
        (None, None): 1,
    }


async def test_a_stream_that_breaks_off_is_nobody_elses(
    router: Router, puppet: Puppet, crowd: Crowd
) -> None:
    """Who waited for it asks by itself, and has a whole one."""
    await crowd.join(1, stream=True)
    call = await puppet.call()
    await crowd.join(1, stream=True)
    call.begin_stream()
    call.chunk(content_event("hel"))
    call.writer.close()
    stream(await puppet.call(), FINISH, DONE)

    broken, whole = await crowd.answers()

    assert b"[DONE]" not in broken.content
    assert b"error" in broken.content
    assert b"[DONE]" in whole.content
    assert await counted(router, 2) == {("miss", "error"): 1, ("miss", "stored"): 1}


async def test_who_wants_it_afresh_neither_waits_nor_is_waited_for(
    router: Router, puppet: Puppet, crowd: Crowd
) -> None:
    """`no-cache` goes at once; what it brings is kept."""
    await crowd.join(1)
    first = await puppet.call()
    async with router.http() as client:
        asking = asyncio.create_task(
            client.post(CHAT, json=request(), headers={"cache-control": "no-cache"})
        )
        second = await puppet.call()
        second.write(completion("second"))
        afresh = await asking
    first.write(completion("first"))
    (answer,) = await crowd.answers()

    assert (b"second" in afresh.content, b"first" in answer.content) == (True, True)
    assert await counted(router, 2) == {
        ("bypass", "no-cache"): 1,
        ("miss", "stored"): 1,
    }


async def test_waiting_has_an_end(tmp_path: Path, puppet: Puppet) -> None:
    """Each by its own deadline: who came first is told first, and nobody hangs."""
    settings = caching(puppet.base_url)
    settings["upstream"]["total_timeout_s"] = 0.5

    async with running_router(tmp_path, settings) as router, router.http() as client:
        answers = await asyncio.gather(
            *(client.post(CHAT, json=request()) for _ in range(3))
        )
        records = await router.recorded(3)

    assert {each.status_code for each in answers} == {504}
    assert {each.error_code for each in records} == {"upstream-timeout"}


def _measured(answer: bytes) -> bytes:
    """Return a plain answer with the length that it has."""
    _, _, body = answer.partition(b"\r\n\r\n")
    return answer_head(len(body)) + body
