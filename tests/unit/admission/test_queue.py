"""Calls that come too fast wait for their turn, on a clock that costs no time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Final

import pytest

from smart_llmrouter.admission.counters import Counters
from smart_llmrouter.admission.demand import NOTHING, Spent
from smart_llmrouter.admission.gate import Gate, Reservation
from smart_llmrouter.admission.queue import Queue
from smart_llmrouter.config.allowances import (
    Allowance,
    Allowances,
    Limits,
    ScopeKind,
)
from smart_llmrouter.core.errors import (
    ConcurrencyExceeded,
    CountersAway,
    LimitExceeded,
    RpmExceeded,
    TrafficShaped,
)
from tests.support.allowances import caller, demand, shaped
from tests.support.counters import Exact, Remote
from tests.support.virtual import run_virtually

ONE_CALL: Final = Spent(1, 0, 0)


def virtually(
    test: Callable[..., Coroutine[object, object, None]],
) -> Callable[..., None]:
    """Run a test on a virtual clock."""

    @wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        run_virtually(test(*args, **kwargs))

    return run


class Scene:
    """A gate with a queue, and calls that come through it."""

    def __init__(self, allowances: Allowances, *, remote: bool = False) -> None:
        """Begin with full buckets; a `remote` store answers later."""
        self.loop = asyncio.get_running_loop()
        self.exact = Exact(self.loop.time)
        self.store: Counters = Remote(self.exact) if remote else self.exact
        self.waits: list[float] = []
        self.kinds: list[ScopeKind] = []
        self.told: Callable[[float], None] = self.waits.append
        self.queue = Queue(self.store, self.loop, now=self.loop.time, waited=self.tell)
        self.gate = Gate(allowances, self.store, self.queue)
        self.began_s = self.loop.time()
        self.passed: list[tuple[str, float]] = []

    def tell(self, kind: ScopeKind, waited_s: float) -> None:
        """Pass on how long a call has waited."""
        self.kinds.append(kind)
        self.told(waited_s)

    @property
    def now_s(self) -> float:
        """How long it has been running."""
        return round(self.loop.time() - self.began_s, 6)

    async def call(
        self, who: str, name: str = "", *, group: str = "chat", input_tokens: int = 0
    ) -> float:
        """Make a call, which is over at once; return how long it was queued."""
        chain = self.gate.chain(caller(who), group)
        assert chain is not None
        granted = self.gate.reserve(
            chain, demand(name or who, input_tokens=input_tokens)
        )
        reservation = granted if isinstance(granted, Reservation) else await granted
        self.passed.append((name or who, self.now_s))
        with reservation:
            reservation.settle(ONE_CALL)
        return round(reservation.queued_s, 6)

    def start(self, who: str, name: str = "", **more: object) -> asyncio.Task[float]:
        """Let a call come now."""
        return self.loop.create_task(self.call(who, name, **more))  # type: ignore[arg-type] # passed on

    def times_of(self, prefix: str) -> list[float]:
        """Return when the calls have passed whose names begin like this."""
        return [at_s for name, at_s in self.passed if name.startswith(prefix)]

    @property
    def names(self) -> list[str]:
        """Who has passed, in their order."""
        return [name for name, _ in self.passed]


@asynccontextmanager
async def scene(
    allowances: Allowances, *, remote: bool = False
) -> AsyncIterator[Scene]:
    """Give a scene; in its end nobody waits any more, and nothing is left behind."""
    made = Scene(allowances, remote=remote)
    yield made
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert made.queue.depth == 0
    assert made.queue.lines == {}
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def refused(task: asyncio.Task[float]) -> LimitExceeded:
    """Return the error with which a call ends."""
    with pytest.raises(LimitExceeded) as raised:
        await task
    return raised.value


def of_group(allowance: Allowance, **callers: Allowance) -> Allowances:
    """Limit the group `chat`, and these callers."""
    return Allowances(groups={"chat": allowance}, callers=callers)


@pytest.mark.parametrize("remote", [False, True])
@virtually
async def test_calls_wait_for_their_turn(*, remote: bool) -> None:
    """They pass one by one as the bucket fills, in the order they came in."""
    async with scene(of_group(shaped(2, burst=2, wait_s=60)), remote=remote) as now:
        waits = await asyncio.gather(*(now.start("a", f"a{n}") for n in range(6)))

        assert now.names == [f"a{n}" for n in range(6)]
        assert waits == [0, 0, 0.5, 1.0, 1.5, 2.0]
        assert now.queue.endings == {"passed": 4}
        assert [round(each, 6) for each in now.waits] == [0.5, 1.0, 1.5, 2.0]
        assert now.kinds == ["group"] * 4


@virtually
async def test_a_call_after_a_quiet_time_does_not_wait() -> None:
    """Once nobody waits and the bucket is full, calls pass at once."""
    async with scene(of_group(shaped(2, burst=2, wait_s=60))) as now:
        await asyncio.gather(*(now.start("a") for _ in range(6)))
        await asyncio.sleep(1)

        assert await now.start("b") == 0
        assert await now.start("b") == 0


@virtually
async def test_without_a_queue_nobody_waits() -> None:
    """The caller is told when the bucket would let it pass."""
    async with scene(of_group(shaped(2))) as now:
        await now.call("a")

        error = await refused(now.start("a"))

        assert isinstance(error, TrafficShaped)
        assert error.retry_after_s == 1
        assert now.queue.endings == {"not-queued": 1}


@virtually
async def test_a_call_that_would_wait_for_too_long() -> None:
    """It is refused at once, and who waits as long as it is told to passes."""
    async with scene(of_group(shaped(0.5, wait_s=10))) as now:
        waiting = [now.start("a", f"a{n}") for n in range(6)]
        await asyncio.sleep(0.5)

        error = await refused(now.start("a", "a6"))

        assert now.now_s == 0.5
        assert error.retry_after_s == 12
        await asyncio.gather(*waiting)
        assert await now.call("a") == pytest.approx(2.0)
        assert now.queue.endings == {"passed": 6, "too-long": 1}


@virtually
async def test_whoever_waits_as_long_as_it_is_told_to() -> None:
    """It passes at once, when nobody else has come in the meantime."""
    async with scene(of_group(shaped(0.5, wait_s=10))) as now:
        waiting = [now.start("a", f"a{n}") for n in range(6)]
        await asyncio.sleep(0)
        error = await refused(now.start("a", "a6"))
        assert error.retry_after_s == 12

        await asyncio.sleep(error.retry_after_s)

        assert await now.call("a") == 0
        await asyncio.gather(*waiting)


@virtually
async def test_a_full_queue() -> None:
    """Only so many calls of one caller wait; those of others are not counted."""
    async with scene(of_group(shaped(1, wait_s=60, depth=2))) as now:
        waiting = [now.start("a", f"a{n}") for n in range(3)]
        await asyncio.sleep(0)

        error = await refused(now.start("a", "a3"))
        other = now.start("b")

        assert error.retry_after_s == 3
        # It came when the other caller was next: they take turns from there.
        assert await other == 2
        await asyncio.gather(*waiting)
        assert now.queue.endings == {"passed": 3, "full": 1}


@virtually
async def test_the_strictest_queue_counts() -> None:
    """Of all scopes with a queue the shortest wait and the least depth hold."""
    both = of_group(
        shaped(1, wait_s=60, depth=2), a=shaped(1000, burst=1000, wait_s=1.5, depth=9)
    )
    async with scene(both) as now:
        waiting = [now.start("a") for _ in range(2)]
        await asyncio.sleep(0)

        error = await refused(now.start("a"))

        assert error.retry_after_s == 2
        assert now.queue.endings == {"too-long": 1}
        await asyncio.gather(*waiting)


@pytest.mark.parametrize("remote", [False, True])
@virtually
async def test_a_hundred_calls_do_not_hold_up_one(*, remote: bool) -> None:
    """Another caller's only call is next, however many wait before it."""
    async with scene(of_group(shaped(10, wait_s=60)), remote=remote) as now:
        hog = [now.start("hog", f"hog{n}") for n in range(101)]
        await asyncio.sleep(1.05)

        waited_s = await now.start("other")

        assert waited_s <= 0.1
        assert now.names[-1] == "other"
        assert len(now.names) == 12
        await asyncio.gather(*hog)
        assert now.passed[-1] == ("hog100", 10.1)


@virtually
async def test_turns_by_weight() -> None:
    """Whoever has three times the weight has three of four turns."""
    heavy = Allowance(weight=3)
    async with scene(of_group(shaped(10, wait_s=60), heavy=heavy)) as now:
        calls = [now.start("first")]
        for n in range(40):
            calls.append(now.start("heavy", f"h{n}"))
            calls.append(now.start("light", f"l{n}"))
        await asyncio.gather(*calls)

        turns = [name[0] for name in now.names[1:41]]
        assert turns.count("h") == 30
        for nth in range(0, 40, 4):
            assert turns[nth : nth + 4].count("l") == 1
        assert [each for each in now.names if each[0] == "l"] == [
            f"l{n}" for n in range(40)
        ]


@virtually
async def test_many_callers_take_turns() -> None:
    """Among ten callers with ten calls each, nobody gets two turns in a row."""
    async with scene(of_group(shaped(10, wait_s=60))) as now:
        await now.call("first")
        calls = [now.start(f"c{who}") for who in range(10) for _ in range(10)]
        await asyncio.gather(*calls)

        for nth in range(1, 101, 10):
            assert len({*now.names[nth : nth + 10]}) == 10


@virtually
async def test_tokens_are_shared_by_tokens() -> None:
    """Who sends calls ten times as large has a tenth of the turns."""
    tokens = shaped(0, input_tokens=1000, wait_s=600)
    async with scene(of_group(tokens)) as now:
        calls = [now.start("first", input_tokens=1000)]
        for name, each in (("large", 1000), ("small", 100)):
            calls += [
                now.start(name, f"{name}{n}", input_tokens=each) for n in range(100)
            ]
        await asyncio.gather(*calls)

        until = [name[:5] for name in now.names[1:67]]
        assert until.count("small") == pytest.approx(60, abs=1)
        assert until.count("large") == pytest.approx(6, abs=1)


@virtually
async def test_a_call_larger_than_the_bucket() -> None:
    """It waits until the bucket is full, and smaller ones do not overtake it."""
    tokens = shaped(0, input_tokens=100, wait_s=600)
    async with scene(of_group(tokens)) as now:
        await now.call("a", input_tokens=100)
        large = now.start("a", "large", input_tokens=300)
        await asyncio.sleep(0)
        small = now.start("a", "small", input_tokens=1)

        assert await large == 1.0
        # The large one leaves a debt of 200 tokens behind.
        assert await small == pytest.approx(3.01)
        assert now.names == ["a", "large", "small"]


@virtually
async def test_a_small_call_does_not_pass_a_large_one() -> None:
    """What is in the bucket already is kept for whoever is next."""
    tokens = shaped(0, input_tokens=100, wait_s=600)
    async with scene(of_group(tokens)) as now:
        await now.call("a", input_tokens=100)
        large = now.start("a", "large", input_tokens=100)
        await asyncio.sleep(0.5)

        small = now.start("a", "small", input_tokens=1)
        await asyncio.gather(large, small)

        assert now.names == ["a", "large", "small"]
        assert now.exact.settled == [ONE_CALL] * 3


@virtually
async def test_a_caller_with_a_pace_of_its_own() -> None:
    """Who waits for its own bucket does not hold up those who do not."""
    async with scene(
        of_group(shaped(10, wait_s=60), slow=shaped(0.1, wait_s=60))
    ) as now:
        slow = [now.start("slow", f"s{n}") for n in range(3)]
        await asyncio.sleep(0.15)

        quick = [now.start("quick", f"q{n}") for n in range(20)]
        await asyncio.gather(*quick)

        assert now.now_s == pytest.approx(2.0, abs=0.2)
        await asyncio.gather(*slow)
        assert now.times_of("s") == [0, 10, 20]


@pytest.mark.parametrize("remote", [False, True])
@virtually
async def test_a_call_that_needs_two_full_buckets(*, remote: bool) -> None:
    """Those who need only one of them do not keep it out of both for ever."""
    allowances = Allowances(
        owners={"alice": shaped(10, wait_s=60)},
        groups={"chat": shaped(7, wait_s=60)},
    )
    async with scene(allowances, remote=remote) as now:

        async def ask(who: str, owner: str, group: str) -> None:
            chain = now.gate.chain(caller(who, owner=owner), group)
            assert chain is not None
            for _ in range(40):
                granted = now.gate.reserve(chain, demand(who))
                if not isinstance(granted, Reservation):
                    granted = await granted
                now.passed.append((who, now.now_s))
                granted.settle(ONE_CALL)

        many = [
            now.loop.create_task(ask(f"{kind}{n}", owner, group))
            for n in range(4)
            for kind, owner, group in (
                ("owner", "alice", "code"),
                ("group", "bob", "chat"),
            )
        ]
        await asyncio.sleep(1)
        began_s = now.now_s
        await ask("both", "alice", "chat")
        took_s = now.now_s - began_s

        # Five share the group's bucket: forty turns of one take 200 of its calls.
        assert took_s <= 40 * 5 / 7 + 3
        await asyncio.gather(*many)


@virtually
async def test_groups_of_one_caller_do_not_hold_each_other_up() -> None:
    """A call to another group passes, while those to a slow one wait."""
    allowances = Allowances(
        groups={"slow": shaped(0.1, wait_s=60)}, callers={"a": shaped(5, wait_s=60)}
    )
    async with scene(allowances) as now:
        slow = [now.start("a", f"s{n}", group="slow") for n in range(3)]
        await asyncio.sleep(0.1)

        quick = [now.start("a", f"q{n}", group="quick") for n in range(10)]
        await asyncio.gather(*quick)

        assert now.now_s <= 2.5
        await asyncio.gather(*slow)
        assert now.times_of("s") == [0, 10, 20]


@pytest.mark.parametrize("remote", [False, True])
@virtually
async def test_callers_that_leave_take_nothing(*, remote: bool) -> None:
    """Whoever leaves is gone at once, and the next one has its turn."""
    async with scene(of_group(shaped(1, wait_s=60)), remote=remote) as now:
        calls = [now.start("a", f"a{n}") for n in range(6)]
        await asyncio.sleep(0.5)
        for leaving in calls[1:4]:
            leaving.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        depth = now.queue.depth
        await asyncio.gather(*calls, return_exceptions=True)

        assert depth == 2
        assert now.passed == [("a0", 0.0), ("a4", 1.0), ("a5", 2.0)]
        assert len(now.exact.taken) == 3
        assert now.queue.endings == {"passed": 2, "left": 3}


@virtually
async def test_whoever_leaves_in_the_moment_of_its_turn() -> None:
    """What it was granted is given back."""
    async with scene(of_group(shaped(1, wait_s=60))) as now:
        await now.call("a")
        call = now.start("a")
        passed: list[float] = []

        def leave(waited_s: float) -> None:
            passed.append(waited_s)
            call.cancel()

        now.told = leave

        with pytest.raises(asyncio.CancelledError):
            await call

        assert len(passed) == 1
        assert now.exact.settled == [ONE_CALL, NOTHING]


@virtually
async def test_whoever_leaves_while_the_store_decides_its_turn() -> None:
    """What it is granted too late is given back, and others go on."""
    async with scene(of_group(shaped(1, wait_s=60)), remote=True) as now:
        assert isinstance(now.store, Remote)
        await now.call("a")
        call, after = now.start("a"), now.start("b")
        await asyncio.sleep(0.5)
        now.store.hold.clear()
        await asyncio.sleep(0.6)
        call.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        now.store.hold.set()

        assert await after == pytest.approx(2.0)
        assert call.cancelled()
        assert now.exact.settled == [ONE_CALL, NOTHING, ONE_CALL]
        assert now.exact.flushed == 1


@virtually
async def test_whoever_leaves_just_before_its_turn() -> None:
    """The store is not asked for it, and nobody else is held up."""
    async with scene(of_group(shaped(1, wait_s=60))) as now:
        await now.call("a")
        call, after = now.start("a"), now.start("b")
        # In the same turn of the loop, but after the timer of the line.
        now.loop.call_later(1 + 1e-10, call.cancel)

        assert await after == pytest.approx(1.0)
        assert call.cancelled()
        assert now.queue.endings == {"passed": 1, "left": 1}


@virtually
async def test_whoever_leaves_while_the_store_refuses_it() -> None:
    """Nobody hears of it, and others go on."""
    async with scene(of_group(shaped(1, wait_s=60)), remote=True) as now:
        assert isinstance(now.store, Remote)
        await now.call("a")
        call, after = now.start("a"), now.start("b")
        await asyncio.sleep(0.5)
        now.store.takes_s = 0.1
        # At 1.0 the store is asked, and at 1.1 it answers.
        await asyncio.sleep(0.55)
        chain = now.gate.chain(caller("c"), "chat")
        assert chain is not None
        now.exact.take(chain, demand())
        call.cancel()

        assert await after == pytest.approx(2.15, abs=0.01)
        assert call.cancelled()
        assert now.queue.endings == {"passed": 1, "left": 1}


@pytest.mark.parametrize("taken", [False, True])
@virtually
async def test_a_store_that_is_slow_at_the_end_of_a_wait(*, taken: bool) -> None:
    """What it grants then passes still; what it refuses has waited for too long."""
    async with scene(of_group(shaped(1, wait_s=1.2)), remote=True) as now:
        assert isinstance(now.store, Remote)
        await now.call("a")
        call = now.start("a")
        await asyncio.sleep(0.5)
        now.store.takes_s = 0.5
        # At 1.0 the store is asked, and at 1.5 it answers.
        await asyncio.sleep(0.9)
        chain = now.gate.chain(caller("c"), "chat")
        assert chain is not None
        if taken:
            now.exact.take(chain, demand())
        await asyncio.wait([call])

        assert now.now_s == 1.5
        assert now.queue.endings == {"late" if taken else "passed": 1}
        assert isinstance(call.exception(), TrafficShaped | None)


@virtually
async def test_a_call_that_has_waited_too_long() -> None:
    """Others came before it: it is refused when its longest wait is over."""
    async with scene(of_group(shaped(1, wait_s=3))) as now:
        first = [now.start("a", f"a{n}") for n in range(4)]
        await asyncio.sleep(0.1)
        others = [now.start(f"b{n}") for n in range(2)]
        await asyncio.gather(*others)

        await asyncio.wait(first)
        errors = [each for each in first if each.exception() is not None]

        assert now.now_s == pytest.approx(3.0, abs=0.01)
        assert len(errors) == 2
        error = errors[1].exception()
        assert isinstance(error, TrafficShaped)
        assert error.retry_after_s == 1
        assert now.queue.endings == {"passed": 3, "late": 2}


@virtually
async def test_a_hard_limit_refuses_at_once() -> None:
    """Nobody waits in a queue to be refused by something else."""
    allowances = of_group(shaped(1, wait_s=60), a=Allowance(limits=Limits(rpm=2)))
    async with scene(allowances) as now:
        waiting = [now.start("a") for _ in range(2)]
        await asyncio.gather(*waiting)

        error = await refused(now.start("a"))

        assert isinstance(error, RpmExceeded)
        assert now.now_s == 1.0


@virtually
async def test_a_hard_limit_refuses_behind_those_who_wait() -> None:
    """Where others wait already, too, it is known at once."""
    allowances = of_group(shaped(1, wait_s=60), a=Allowance(limits=Limits(rpm=1)))
    async with scene(allowances) as now:
        await now.call("a")
        waiting = [now.start("b") for _ in range(3)]
        await asyncio.sleep(0.5)

        error = await refused(now.start("a"))

        assert isinstance(error, RpmExceeded)
        assert now.now_s == 0.5
        await asyncio.gather(*waiting)


@virtually
async def test_a_limit_that_is_reached_in_the_meantime() -> None:
    """All limits are checked again when the turn has come, with their own errors."""
    allowances = of_group(shaped(1, wait_s=60), a=Allowance(limits=Limits(rpm=2)))
    async with scene(allowances) as now:
        calls = [now.start("a") for _ in range(3)]
        behind = [now.start("b", f"b{n}") for n in range(2)]

        error = await refused(calls[2])
        await asyncio.gather(*behind)

        assert isinstance(error, RpmExceeded)
        # Whoever was refused has not used its turn.
        assert now.passed == [("a", 0), ("a", 1), ("b0", 2), ("b1", 3)]
        assert now.queue.endings == {"passed": 3, "refused": 1}


@pytest.mark.parametrize("remote", [False, True])
@virtually
async def test_a_store_that_goes_away(*, remote: bool) -> None:
    """Those who wait hear of it in their turn, and others wait again afterwards."""
    async with scene(of_group(shaped(1, wait_s=60)), remote=remote) as now:
        calls = [now.start("a") for _ in range(3)]
        await asyncio.sleep(0.5)
        now.exact.away = CountersAway()

        ended = await asyncio.gather(*calls, return_exceptions=True)
        now.exact.away = None
        await asyncio.sleep(1)

        assert [type(each) for each in ended] == [float, CountersAway, CountersAway]
        assert await now.start("a") == 0
        assert await now.start("a") == 1


@virtually
async def test_concurrency_is_not_waited_for() -> None:
    """Only a pace is waited for; when a turn comes, everything must fit."""
    allowances = of_group(
        shaped(1, wait_s=60), a=Allowance(limits=Limits(concurrent=1))
    )
    async with scene(allowances) as now:
        chain = now.gate.chain(caller("a"), "chat")
        assert chain is not None
        held = now.gate.reserve(chain, demand())
        assert isinstance(held, Reservation)

        error = await refused(now.start("a"))

        assert isinstance(error, ConcurrencyExceeded)
        held.settle(ONE_CALL)
