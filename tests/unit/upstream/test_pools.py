"""Places in a pool: who gets them, in which order, and that each is given once."""

import asyncio

from smart_llmrouter.upstream.lean_connection import LeanConnection
from smart_llmrouter.upstream.pools import Pool
from smart_llmrouter.upstream.transport import ConnectFailed


class Turning:
    """A clock that the test turns."""

    now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


async def waiting_for(pool: Pool, count: int) -> list[asyncio.Task[LeanConnection]]:
    """Begin to wait `count` times."""

    async def wait() -> LeanConnection:
        connection, new = await pool.grant(again=False)
        assert new
        return connection

    tasks = [asyncio.create_task(wait()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_places_are_given_in_the_order_of_asking() -> None:
    """As one becomes free, the first who waits has it, and nobody else."""
    pool = Pool(limit=1, now=Turning())
    first, *others = await waiting_for(pool, 4)
    served = []

    holder = await first
    for each in others:
        pool.drop(holder)
        await asyncio.sleep(0)
        served.append([task.done() for task in others])
        holder = await each

    assert served == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


async def test_a_place_is_given_away_once() -> None:
    """Dropped, lost, and lost again: two who wait do not both profit."""
    pool = Pool(limit=1, now=Turning())
    first, second, third = await waiting_for(pool, 3)
    holder = await first

    pool.drop(holder)
    pool.lost(holder)
    pool.lost(holder)
    await asyncio.sleep(0)

    assert [second.done(), third.done()] == [True, False]
    third.cancel()


async def test_those_who_have_left_are_passed_by() -> None:
    """A place that nobody wants any more is free for the next who comes."""
    pool = Pool(limit=1, now=Turning())
    first, *others = await waiting_for(pool, 3)
    holder = await first
    for each in others:
        each.cancel()

    pool.drop(holder)
    connection, new = await asyncio.wait_for(pool.grant(again=False), 1)

    assert new
    assert connection is not holder


async def test_who_was_served_badly_is_served_next() -> None:
    """Whoever got a closed connection does not go to the end of the queue."""
    pool = Pool(limit=1, now=Turning())
    first, second = await waiting_for(pool, 2)
    holder = await first
    again = asyncio.create_task(pool.grant(again=True))
    await asyncio.sleep(0)

    pool.drop(holder)
    await asyncio.sleep(0)

    assert [again.done(), second.done()] == [True, False]
    second.cancel()


async def test_what_cannot_be_used_again_is_not_given() -> None:
    """A connection that was closed meanwhile is replaced by a place for a new one."""
    pool = Pool(limit=1, now=Turning())
    [first] = await waiting_for(pool, 1)
    closed = await first
    pool.idle.append(closed)

    connection, new = await pool.grant(again=False)

    assert new
    assert connection is not closed
    assert pool.idle == []


async def test_only_what_has_been_idle_for_long_is_let_go() -> None:
    """The connections that were used least lately go first."""
    clock = Turning()
    pool = Pool(limit=9, now=clock)
    connections = [await each for each in await waiting_for(pool, 4)]
    for connection in connections:
        connection.idle_since_s = clock.now_s
        pool.idle.append(connection)
        clock.now_s += 10

    left = []
    for _ in range(4):
        pool.expire(idle_s=25)
        left.append(pool.idle.copy())
        clock.now_s += 10

    assert left == [
        connections[2:], connections[3:], [], [],
    ]  # fmt: skip


async def test_closing_tells_those_who_wait() -> None:
    """Nobody is left waiting for a place that will not come."""
    pool = Pool(limit=1, now=Turning())
    _, *others = await waiting_for(pool, 3)

    pool.close(ConnectFailed("the router stops"))
    results = await asyncio.gather(*others, return_exceptions=True)

    assert [type(each) for each in results] == [ConnectFailed] * 2
