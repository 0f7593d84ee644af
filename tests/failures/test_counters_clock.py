"""A store whose clock is set: limits neither let more pass nor lock callers out."""

from collections.abc import AsyncIterator

import pytest

from smart_llmrouter.config.allowances import Limits
from tests.support.counter_stores import chain, granted, refused, scope
from tests.support.valkey_store import InValkey, get_ready

ALICE = scope(limits=Limits(rpm=2, concurrent=2))
CALLS = chain(ALICE)


@pytest.fixture(scope="module", autouse=True)
def valkey_server() -> None:
    """Have a server that all tests share."""
    get_ready()


@pytest.fixture
async def store() -> AsyncIterator[InValkey]:
    """Return a store that trusts its clock for a few seconds at a time."""
    made = InValkey(longest_gap="")
    yield made
    await made.close()


async def ticks(store: InValkey, seconds: int) -> None:
    """Let time pass, with a look at the clock each second."""
    for _ in range(seconds):
        store.clocks.turn(1)
        await store.catch_up()


async def test_a_clock_that_is_set_ahead_empties_no_minute(store: InValkey) -> None:
    """An hour that nobody has lived through is five seconds at most."""
    leases = [granted(await store.take(CALLS)) for _ in range(2)]

    store.clocks.turn(3600)
    refusal = refused(await store.take(CALLS))
    used = await store.use(ALICE)
    for lease in leases:
        await store.settle(lease)
    await ticks(store, 56)

    assert 54 <= refusal.wait_s <= 60.1
    assert refusal.limit == "rpm"
    assert used["concurrent"] == (2, 0)
    assert await store.use(ALICE) == {"rpm": (0, 0), "concurrent": (0, 0)}


async def test_a_clock_that_is_set_back_locks_nobody_out(store: InValkey) -> None:
    """The minute goes on from where it was."""
    for _ in range(2):
        await store.settle(granted(await store.take(CALLS)))

    store.clocks.turn(-3600)
    refusal = refused(await store.take(CALLS))
    await ticks(store, 61)
    again = granted(await store.take(CALLS))

    assert 59.9 <= refusal.wait_s <= 60.2
    assert (again.rpm, again.requests_left) == (2, 1)
