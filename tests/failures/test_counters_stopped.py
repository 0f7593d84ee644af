"""The counter store is gone for ten seconds under load: its policy holds, nobody hangs.

It stands still, or it is killed and started again with what it has written down.
"""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from tests.support.gateway import Gateway
from tests.support.limited import (
    Seen,
    everybody_is_answered,
    limited,
    nothing_in_flight,
    served,
    spent_to_the_last_call,
    under_load,
    use_up,
)
from tests.support.valkey import ValkeyServer
from tests.support.wait import eventually

Way = Literal["still", "killed"]
Policy = Literal["closed", "local"]

AWAY_S: Final = 10
MOST_CALLS: Final[dict[Policy, int]] = {"closed": 800, "local": 2_500}
"""More than are served until the store is back; while it is away and `closed`, none."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Return a server that writes down what it is told before it answers."""
    directory = tmp_path / "valkey"
    directory.mkdir()
    server = ValkeyServer(directory, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.kill()


async def part(gateway: Gateway) -> str:
    """Return what `/readyz` says of the counters."""
    told: str = (await gateway.report())["parts"]["counters"]
    return told


@pytest.mark.parametrize("policy", ["closed", "local"])
@pytest.mark.parametrize("way", ["still", "killed"])
async def test_a_store_that_is_gone_for_ten_seconds(
    tmp_path: Path, store: ValkeyServer, way: Way, policy: Policy
) -> None:
    """Nobody waits for long meanwhile, and nothing is counted wrongly in the end."""
    seed = random.randrange(2**32)
    chance, seen = random.Random(seed), Seen()
    state: dict[str, Any] = {"counters": store.url, "counters_away": policy}
    most_calls = MOST_CALLS[policy]
    async with limited(tmp_path, most_calls, server={"workers": 2}, state=state) as (
        gateway,
        mock,
    ):
        async with under_load(gateway, seen, chance):
            await served(seen, 50)
            before = seen.statuses.copy()
            if way == "still":
                store.pause()
            else:
                store.kill()
            told = await eventually(lambda: is_away(gateway), what="noticing it")
            # By then the other worker may not have noticed; a call of each has told it.
            await everybody_is_answered(seen, 2)
            noticed = seen.statuses.copy()
            await asyncio.sleep(AWAY_S)
            await everybody_is_answered(seen, 2)
            during = seen.statuses - noticed
            if way == "still":
                store.go_on()
            else:
                await asyncio.to_thread(store.start)
            await eventually(lambda: is_ok(gateway), what="recovery")
            await served(seen, 50)
        await eventually(lambda: nothing_in_flight(gateway))
        await use_up(gateway, seen, chance)
        await spent_to_the_last_call(gateway, mock, seen, most_calls=most_calls, lost=0)

    assert before.keys() <= {200, 429}
    assert told.startswith("the counter store is away"), f"seed {seed}"
    if policy == "closed":
        assert during.keys() == {503}
    else:
        assert during[200] > 0


async def is_away(gateway: Gateway) -> str:
    """Return what a worker says that has noticed; nothing before."""
    told = await part(gateway)
    return "" if told == "ok" else told


async def is_ok(gateway: Gateway) -> bool:
    """Say whether all workers reach the store."""
    return await part(gateway) == "ok"
