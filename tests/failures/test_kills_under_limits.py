"""`kill -9` under load, again and again: nothing is held for ever, or counted wrongly.

A process that dies keeps what it has reserved for no longer than a lease, and what was
spent is what the rows say. Only what was in flight when it died can be lost.
"""

import os
import random
import signal
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import SOAK
from tests.support.gateway import Gateway
from tests.support.limited import (
    CONCURRENT,
    Seen,
    limited,
    nothing_in_flight,
    served,
    spent_to_the_last_call,
    under_load,
    use_up,
)
from tests.support.process import arguments, children
from tests.support.wait import eventually

ROUNDS: Final = 20 if SOAK else 4
CALLS_A_ROUND: Final = 10
MOST_CALLS: Final = ROUNDS * 4 * CALLS_A_ROUND
"""What the lifetime budget is enough for: more than what passes before a kill."""
LEASE_S: Final = 2
VALKEY: Final = {"counters": "embedded-valkey", "counters_lease_s": LEASE_S}
LOST: Final = ROUNDS * CONCURRENT

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


async def test_a_killed_router_holds_nothing_and_forgets_nothing(
    tmp_path: Path,
) -> None:
    """It counts in its memory: all of that is gone, and the rows have it."""
    seed = random.randrange(2**32)
    chance, seen = random.Random(seed), Seen()
    async with limited(tmp_path, MOST_CALLS) as (gateway, mock):
        for _ in range(ROUNDS):
            async with under_load(gateway, seen, chance):
                await served(seen, chance.randrange(CALLS_A_ROUND))
                await gateway.stop(signal.SIGKILL)
            await gateway.start()
            assert await nothing_in_flight(gateway), f"seed {seed}"
        await use_up(gateway, seen, chance)
        await spent_to_the_last_call(
            gateway, mock, seen, most_calls=MOST_CALLS, lost=LOST
        )


def store_of(gateway: Gateway) -> int:
    """Return the process id of the router's own Valkey."""
    (found,) = [
        pid for pid in children(gateway.pid) if b"valkey-server" in arguments(pid)
    ]
    return found


def workers_of(gateway: Gateway) -> list[int]:
    """Return the process ids of the workers."""
    own = arguments(gateway.pid)
    return [pid for pid in children(gateway.pid) if arguments(pid) == own]


async def test_a_killed_worker_holds_nothing_for_longer_than_its_lease(
    tmp_path: Path,
) -> None:
    """The other worker counts on in the Valkey that both share."""
    seed = random.randrange(2**32)
    chance, seen = random.Random(seed), Seen()
    async with limited(tmp_path, MOST_CALLS, server={"workers": 2}, state=VALKEY) as (
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
                what=f"free slots (seed {seed})",
            )
            await eventually(lambda: len(workers_of(gateway)) == 2, what="two workers")
        await use_up(gateway, seen, chance)
        await spent_to_the_last_call(
            gateway, mock, seen, most_calls=MOST_CALLS, lost=LOST
        )


async def test_killed_routers_go_on_in_the_valkey_that_they_left(
    tmp_path: Path,
) -> None:
    """Killed as a whole; and now and then the Valkey is killed, too."""
    seed = random.randrange(2**32)
    chance, seen = random.Random(seed), Seen()
    async with limited(tmp_path, MOST_CALLS, server={"workers": 2}, state=VALKEY) as (
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
                what=f"free slots (seed {seed})",
            )
        await use_up(gateway, seen, chance)
        await spent_to_the_last_call(
            gateway, mock, seen, most_calls=MOST_CALLS, lost=LOST
        )
