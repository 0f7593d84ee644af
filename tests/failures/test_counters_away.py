"""A counter store that is away: each process grants its share, and tells it later."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_llmrouter.admission.verdicts import Lease, Refusal
from smart_llmrouter.config.allowances import Cap, Limits
from smart_llmrouter.core.errors.faults import CountersAway
from tests.support.calendar import MIDDAY
from tests.support.counter_stores import chain, granted, refused, scope
from tests.support.sharing import Process, processes
from tests.support.valkey import ValkeyServer
from tests.support.wait import eventually

ALICE = scope(
    limits=Limits(rpm=100, concurrent=8), day=Cap(tokens=1000), timezone=MIDDAY
)
CALLS = chain(ALICE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Return a server of the test's own, which writes down what it is told."""
    made = ValkeyServer(tmp_path, "--appendonly", "yes")
    made.start()
    yield made
    made.kill()


async def noticed(*counting: Process) -> None:
    """Wait until all of them know that the store is away."""
    for each in counting:
        await eventually(each.counters.condition, what="noticing it")


async def reached(*counting: Process) -> None:
    """Wait until all of them have the store again, and have told it everything."""
    for each in counting:
        await eventually(each.reached, what="the store")


async def test_each_grants_its_share(tmp_path: Path, server: ValkeyServer) -> None:
    """Of the places, and of what was left of the budget when that was last known."""
    async with processes(tmp_path, server.url, 2, counters_away="local") as both:
        first, second = both
        for each in both:
            each.settle(await each.grant(CALLS, tokens=100), tokens=100)
        await first.use(ALICE)
        first.settle(await first.grant(CALLS, tokens=0), tokens=0)
        await asyncio.to_thread(server.kill)
        await noticed(*both)

        places = [await first.grant(CALLS) for _ in range(4)]
        full = refused(await first.take(CALLS))
        for place in places:
            first.settle(place, requests=0)
        within = await first.grant(CALLS, tokens=400)
        spent = refused(await first.take(CALLS, tokens=1))
        first.settle(within, tokens=400)
        with pytest.raises(CountersAway):
            await first.take(CALLS, tokens=401)
        granted(await second.take(CALLS, tokens=400))

    assert (full.scope, full.limit) == (ALICE, "concurrent")
    assert (spent.scope, spent.limit) == (ALICE, "day.tokens")


async def test_the_store_is_told_when_it_is_back(
    tmp_path: Path, server: ValkeyServer
) -> None:
    """What was used and what is in flight: nothing is lost or counts twice."""
    async with processes(tmp_path, server.url, 2, counters_away="local") as both:
        first, second = both
        before = await first.grant(CALLS, tokens=100)
        second.settle(await second.grant(CALLS, tokens=50), tokens=50)
        await asyncio.to_thread(server.kill)
        await noticed(*both)
        first.settle(before, tokens=70)
        for each in both:
            each.settle(await each.grant(CALLS, tokens=100), tokens=20)
        in_flight = await second.grant(CALLS, tokens=100)

        await asyncio.to_thread(server.start)
        await reached(*both)
        during = await told(first, {"day.tokens": (160, 100), "concurrent": (1, 0)})
        second.settle(in_flight, tokens=30)
        after = await told(first, {"day.tokens": (190, 0), "concurrent": (0, 0)})

    assert during["rpm"] == (5, 0)
    assert after["rpm"] == (5, 0)


async def told(
    process: Process, expected: dict[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """Wait until the store knows what is expected; return all that it knows."""
    found: dict[str, tuple[int, int]] = {}

    async def knows() -> bool:
        found.update(await process.use(ALICE))
        return found | expected == found

    try:
        await eventually(knows, what=f"{expected}")
    except AssertionError as error:
        raise AssertionError(found) from error
    return found


async def test_who_never_heard_of_a_budget_grants_nothing(
    tmp_path: Path, server: ValkeyServer
) -> None:
    """Limits of a minute need no history, and hold from the start."""
    await asyncio.to_thread(server.kill)
    limited = chain(scope("search", "project", limits=Limits(rpm=3)))

    async with processes(tmp_path, server.url, counters_away="local") as (process,):
        with pytest.raises(CountersAway):
            await process.take(CALLS)
        passed = [await process.take(limited) for _ in range(4)]

    assert [isinstance(each, Lease) for each in passed] == [True, True, True, False]


async def test_a_limit_below_the_number_of_processes_lets_nothing_pass(
    tmp_path: Path, server: ValkeyServer
) -> None:
    """Two processes cannot share one place."""
    await asyncio.to_thread(server.kill)
    one_place = chain(scope(limits=Limits(concurrent=1)))

    async with processes(tmp_path, server.url, 2, counters_away="local") as both:
        for each in both:
            with pytest.raises(CountersAway):
                await each.take(one_place)


async def test_a_stream_may_grow_within_the_share(
    tmp_path: Path, server: ValkeyServer
) -> None:
    """And is refused by the budget beyond it."""
    async with processes(tmp_path, server.url, counters_away="local") as (process,):
        process.settle(await process.grant(CALLS))
        await asyncio.to_thread(server.kill)
        await noticed(process)
        lease = await process.grant(CALLS, tokens=900)

        grown = process.counters.grow(lease, tokens=100, nusd=0)
        refusal = process.counters.grow(lease, tokens=50, nusd=0)

    assert grown is lease
    assert isinstance(refusal, Refusal)
    assert refusal.scope is ALICE
