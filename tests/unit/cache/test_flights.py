"""One goes in front, others wait: whatever happens to whom, nobody waits for ever."""

import asyncio
import random
from collections import Counter

import pytest

from smart_llmrouter.cache.answers import Answer
from smart_llmrouter.cache.flights import Flights, Turn
from tests.support.virtual import run_virtually

KEY = b"k"
ANSWER = Answer(label="a/b", identity=b"", notes=(), body=b"x")


async def waiting(flights: Flights, count: int) -> list[asyncio.Task[Turn]]:
    """Let so many wait for the flight that there is."""
    flight = flights.of(KEY)
    assert flight is not None
    tasks = [asyncio.create_task(flight.turn()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_all_who_wait_have_the_answer() -> None:
    """And there is no flight any more."""
    flights = Flights()
    flight = flights.begin(KEY)
    tasks = await waiting(flights, 3)

    flight.land(ANSWER)

    assert await asyncio.gather(*tasks) == [ANSWER] * 3
    assert len(flights) == 0


async def test_in_vain_each_goes_alone() -> None:
    """All of them at once."""
    flights = Flights()
    flight = flights.begin(KEY)
    tasks = await waiting(flights, 3)

    flight.land(None)

    assert await asyncio.gather(*tasks) == ["alone"] * 3
    assert len(flights) == 0


async def test_the_next_one_leads_that_still_waits() -> None:
    """Who has stopped waiting is passed over; the flight goes on."""
    flights = Flights()
    flight = flights.begin(KEY)
    first, second, third = await waiting(flights, 3)
    first.cancel()
    await asyncio.sleep(0)

    flight.pass_on()
    turn = await second
    flight.land(ANSWER)

    assert turn == "lead"
    assert await third == ANSWER
    assert first.cancelled()


async def test_who_is_cancelled_when_it_was_to_lead_passes_on() -> None:
    """Before it could know: the one behind it leads."""
    flights = Flights()
    flight = flights.begin(KEY)
    first, second = await waiting(flights, 2)

    flight.pass_on()
    first.cancel()

    assert await second == "lead"
    assert first.cancelled() or first.exception() is not None
    assert len(flights) == 1
    flight.land(None)


async def test_without_anybody_behind_it_is_over() -> None:
    """To land twice, or to pass on what has landed, changes nothing."""
    flights = Flights()
    flight = flights.begin(KEY)

    flight.pass_on()
    later = flights.begin(KEY)
    flight.land(None)
    flight.pass_on()

    assert flights.of(KEY) is later


@pytest.mark.parametrize("seed", range(20))
def test_nobody_waits_for_ever(seed: int) -> None:
    """Whoever leads and however it ends, in any order, all get somewhere."""
    chance = random.Random(seed)
    flights, ends = Flights(), Counter[str]()

    async def lead(flight_of: Flights) -> None:
        flight = flight_of.of(KEY)
        assert flight is not None
        try:
            await asyncio.sleep(chance.random())
        except asyncio.CancelledError:
            flight.pass_on()
            raise
        flight.land(chance.choice([ANSWER, None]))
        ends["led"] += 1

    async def call() -> None:
        await asyncio.sleep(chance.random())
        flight = flights.of(KEY)
        if flight is None:
            flights.begin(KEY)
            await lead(flights)
            return
        turn = await flight.turn()
        if turn == "lead":
            await lead(flights)
        else:
            ends["waited"] += 1

    async def crowd() -> None:
        tasks = [asyncio.create_task(call()) for _ in range(30)]
        for each in chance.sample(tasks, 12):
            asyncio.get_running_loop().call_later(chance.random() * 1.5, each.cancel)
        async with asyncio.timeout(60):
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        left = sum(isinstance(each, asyncio.CancelledError) for each in ended)
        assert left + ends.total() == len(tasks)
        assert len(flights) == 0

    run_virtually(crowd())
