"""Staying awake between two events that are only a moment apart, and no longer."""

import asyncio
from collections.abc import Sized

from smart_llmrouter.edge.wakeful import Wakeful


class Core:
    """A clock that goes on by itself when the core is given away."""

    def __init__(self) -> None:
        """Begin at 100 s."""
        self.now_s = 100.0
        self.given_away = 0

    def now(self) -> float:
        """Return the time."""
        return self.now_s

    def give_way(self) -> None:
        """Let somebody else have the core for a hundred microseconds."""
        self.given_away += 1
        self.now_s += 0.0001

    def wakeful(self, connections: Sized = ()) -> Wakeful:
        """Return what keeps the running loop awake on this core."""
        loop = asyncio.get_running_loop()
        return Wakeful(loop, connections, now=self.now, give_way=self.give_way)


async def turns(number: int = 20) -> None:
    """Let the loop turn so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_two_events_a_moment_apart_keep_the_loop_awake() -> None:
    """It looks for a third one for a quarter of a millisecond, and gives way often."""
    core = Core()
    wakeful = core.wakeful()

    wakeful.stir(core.now_s)
    wakeful.stir(core.now_s + 0.0001)
    core.now_s += 0.0001
    await turns()

    assert core.given_away == 3


async def test_another_event_prolongs_the_watch() -> None:
    """The moment begins anew with each event, and the loop is watched only once."""
    core = Core()
    wakeful = core.wakeful()

    wakeful.stir(core.now_s)
    wakeful.stir(core.now_s)
    await turns(2)
    wakeful.stir(core.now_s)
    await turns()

    assert core.given_away == 2 + 3


async def taken(core: Core, wakeful: Wakeful, *, rewarded: bool = False) -> bool:
    """Offer an occasion to wait, on which something comes or not; say if it was."""
    before = core.given_away
    core.now_s += 1.0
    wakeful.stir(core.now_s)
    wakeful.stir(core.now_s)
    if rewarded:
        await turns(1)
        wakeful.stir(core.now_s)
    await turns()
    return core.given_away > before


async def test_whoever_waits_in_vain_waits_more_and_more_rarely() -> None:
    """Of a hundred occasions with a slow provider, few are taken."""
    core = Core()
    wakeful = core.wakeful()

    waited = [at for at in range(100) if await taken(core, wakeful)]

    assert waited == [0, 2, 6, 14, 30, 62]


async def test_what_came_in_time_lets_it_wait_at_each_occasion_again() -> None:
    """One wait that was not in vain, and the ones before are forgotten."""
    core = Core()
    wakeful = core.wakeful()

    in_vain = [await taken(core, wakeful) for _ in range(2)]
    rewarded = [await taken(core, wakeful, rewarded=True) for _ in range(3)]

    assert in_vain == [True, False]
    assert rewarded == [True, True, True]


async def test_a_clock_that_stands_still_does_not_keep_it_awake() -> None:
    """There is an end also where no time seems to pass."""
    core = Core()
    loop, looked = asyncio.get_running_loop(), []
    wakeful = Wakeful(loop, (), now=core.now, give_way=lambda: looked.append(core))

    wakeful.stir(core.now_s)
    wakeful.stir(core.now_s)
    await turns(2000)

    assert len(looked) == 1000


async def test_events_far_apart_let_the_loop_sleep() -> None:
    """A caller that comes a second later, or an answer that takes one, costs none."""
    core = Core()
    wakeful = core.wakeful()

    for _ in range(5):
        core.now_s += 1.0
        wakeful.stir(core.now_s)
    await turns()

    assert core.given_away == 0


async def test_many_connections_need_no_watch() -> None:
    """Among more than four of them the loop sleeps when there is nothing to do."""
    core = Core()
    wakeful = core.wakeful(connections=range(5))

    for _ in range(5):
        wakeful.stir(core.now_s)
    await turns()

    assert core.given_away == 0
