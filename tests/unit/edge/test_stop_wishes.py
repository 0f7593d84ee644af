"""Wishes to stop: when they come, and to whom."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from smart_llmrouter.edge.server import StopWishes
from tests.support.upstream_server import turns
from tests.support.wait import eventually


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
async def number(request: pytest.FixtureRequest) -> AsyncIterator[signal.Signals]:
    """Return each signal; both mean what they did when the test is over."""
    both = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.getsignal(each) for each in both}
    yield request.param
    for each, handler in before.items():
        asyncio.get_running_loop().remove_signal_handler(each)
        signal.signal(each, handler)


async def test_one_that_came_before_is_told_at_once(number: signal.Signals) -> None:
    """Nobody listened when it came; whoever comes to it hears of it."""
    told: list[str] = []
    wishes = StopWishes()
    os.kill(os.getpid(), number)
    await turns()

    wishes.listen(lambda: told.append("stop"))

    assert told == ["stop"]


async def test_each_that_comes_is_told(number: signal.Signals) -> None:
    """The second one may mean more than the first."""
    told: list[str] = []
    StopWishes().listen(lambda: told.append("stop"))

    os.kill(os.getpid(), number)
    await eventually(lambda: len(told) == 1, what="the first call")
    os.kill(os.getpid(), number)
    await eventually(lambda: len(told) == 2, what="the second call")

    assert told == ["stop"] * 2


async def test_one_that_comes_just_then_is_not_lost(number: signal.Signals) -> None:
    """The loop has heard of it, but not come to calling anybody."""
    told: list[str] = []
    loop, awake = asyncio.get_running_loop(), asyncio.Event()
    wishes = StopWishes()
    reads, writes = os.pipe()
    loop.add_reader(reads, awake.set)
    await asyncio.sleep(0)
    os.write(writes, b".")
    os.kill(os.getpid(), number)
    await awake.wait()
    loop.remove_reader(reads)
    os.close(reads)
    os.close(writes)

    wishes.listen(lambda: told.append("stop"))

    await eventually(lambda: told, what="the call")
    assert told == ["stop"]
