"""Counters in memory: other limits from now on, what is told at the start, bounds."""

from math import inf
from typing import Final

import pytest

from smart_llmrouter.admission.demand import NOTHING
from smart_llmrouter.admission.memory import Memory, Taken, Used
from smart_llmrouter.admission.verdicts import Lease
from smart_llmrouter.config.allowances import Cap, Limits, Scope
from smart_llmrouter.config.policies import Flow
from tests.support.counter_stores import InMemory, chain, granted, refused, scope

# Noon in UTC, half past five in the afternoon in Kolkata, and in Apia already tomorrow.
ZONE_AHEAD: Final = "Pacific/Apia"


@pytest.fixture
def store() -> InMemory:
    """Return a fresh store."""
    return InMemory()


def memory_of(store: InMemory) -> Memory:
    """Return what is in a store."""
    assert isinstance(store.counters, Memory)
    return store.counters


async def used(store: InMemory, each: Scope, tokens: int) -> None:
    """Let a call use so many tokens."""
    lease = granted(await store.take(chain(each), tokens=tokens))
    await store.settle(lease, tokens=tokens)


async def test_a_limit_that_is_added_begins_empty(store: InMemory) -> None:
    """What calls took before nobody has counted, nor is it given back later."""
    free = scope(day=Cap(tokens=1000))
    before = granted(await store.take(chain(free), tokens=50))
    used_up = granted(await store.take(chain(free), tokens=30))

    limited = scope(day=Cap(tokens=1000), limits=Limits(rpm=2, tpm=60))
    granted(await store.take(chain(limited), tokens=40))
    await store.settle(before, requests=0)
    await store.settle(used_up, tokens=10)

    use = await store.use(limited)
    assert (use["rpm"], use["tpm"]) == ((1, 0), (40, 0))
    assert use["day.tokens"] == (10, 40)


async def test_what_began_before_a_limit_gives_nothing_back(store: InMemory) -> None:
    """Also where there is no budget to count in: nobody's minute is less than empty."""
    free = scope(limits=Limits(concurrent=9))
    before = granted(await store.take(chain(free), tokens=50))

    limited = scope(limits=Limits(tpm=60))
    granted(await store.take(chain(limited), tokens=40))
    await store.settle(before, tokens=20)

    assert await store.use(limited) == {"tpm": (40, 0)}


async def test_a_limit_that_is_taken_away_and_comes_back(store: InMemory) -> None:
    """It begins empty again; calls from before change nothing in it."""
    limited = scope(limits=Limits(rpm=2, concurrent=5))
    old = granted(await store.take(chain(limited)))
    free = scope(limits=Limits(concurrent=5))
    between = granted(await store.take(chain(free)))
    again = scope(limits=Limits(rpm=3, concurrent=5))
    granted(await store.take(chain(again)))

    await store.settle(old, requests=0)
    await store.settle(between, requests=0)

    assert await store.use(again) == {"rpm": (1, 0), "concurrent": (1, 0)}


async def test_a_budget_that_is_added_counts_from_then(store: InMemory) -> None:
    """What was used before comes from the records, and is added."""
    daily = scope(day=Cap(tokens=1000))
    in_flight = granted(await store.take(chain(daily), tokens=10))
    monthly = scope(day=Cap(tokens=1000), month=Cap(tokens=100))
    await used(store, monthly, 30)
    await store.settle(in_flight, tokens=10)

    memory_of(store).load(monthly, {"month": Used(3, 50, 0)})
    use = await store.use(monthly)
    refusal = refused(await store.take(chain(monthly), tokens=21))

    assert use == {"day.tokens": (40, 0), "month.tokens": (80, 0)}
    assert (refusal.limit, refusal.left) == ("month.tokens", 20)


async def test_a_budget_that_is_taken_away_refuses_nobody(store: InMemory) -> None:
    """A call in flight that was counted in it is settled all the same."""
    daily = scope(day=Cap(tokens=10), month=Cap(tokens=100))
    lease = granted(await store.take(chain(daily), tokens=10))
    monthly = scope(month=Cap(tokens=100))

    granted(await store.take(chain(monthly), tokens=50))
    await store.settle(lease, tokens=4)

    assert await store.use(monthly) == {"month.tokens": (4, 50)}


async def test_another_time_zone_goes_on_with_what_was_counted(
    store: InMemory,
) -> None:
    """Today's use is today's use there, until the day ends there."""
    before = scope(day=Cap(tokens=100))
    in_flight = granted(await store.take(chain(before), tokens=30))
    await used(store, before, 40)

    after = scope(day=Cap(tokens=100), timezone=ZONE_AHEAD)
    use = await store.use(after)
    await store.settle(in_flight, tokens=20)
    refusal = refused(await store.take(chain(after), tokens=60))

    assert use == {"day.tokens": (40, 30)}
    assert await store.use(after) == {"day.tokens": (60, 0)}
    # At noon UTC it is one o'clock at night there.
    assert refusal.wait_s == pytest.approx(23 * 3600, abs=0.01)


async def test_the_same_limits_again_change_nothing(store: InMemory) -> None:
    """A configuration that is read again without a change keeps all that was."""
    flow = Flow(requests_per_second=1, burst=3)
    first, second = (scope(limits=Limits(rpm=9), flow=flow) for _ in range(2))
    for _ in range(2):
        granted(await store.take(chain(first)))

    granted(await store.take(chain(second)))
    refusal = refused(await store.take(chain(first)))

    assert refusal.limit == "requests_per_second"


async def test_a_bucket_of_another_size_is_as_full_as_before(store: InMemory) -> None:
    """Nobody gains a burst by a configuration that is read again."""
    small = scope(flow=Flow(requests_per_second=1, burst=4))
    for _ in range(2):
        granted(await store.take(chain(small)))

    large = scope(flow=Flow(requests_per_second=1, burst=8))
    for _ in range(4):
        granted(await store.take(chain(large)))

    assert refused(await store.take(chain(large))).limit == "requests_per_second"


async def test_limits_that_were_superseded_do_not_come_back(store: InMemory) -> None:
    """A call that began before a reload and comes late is held to the new limits."""
    old, new = scope(limits=Limits(rpm=9)), scope(limits=Limits(rpm=2))
    group = scope("chat", "group", limits=Limits(rpm=9))
    granted(await store.take(chain(old)))
    granted(await store.take(chain(new)))

    late = refused(await store.take(chain(old, group)))
    after = refused(await store.take(chain(new)))

    assert (late.value, after.value) == (2, 2)


async def test_nobody_is_warned_again_after_a_restart(store: InMemory) -> None:
    """What has passed its mark by the records was told then."""
    alice = scope(day=Cap(tokens=100), month=Cap(tokens=100))
    memory_of(store).load(alice, {"day": Used(1, 90, 0), "month": Used(1, 50, 0)})

    first = granted(await store.take(chain(alice), tokens=10))
    await store.settle(first, tokens=40)
    second = granted(await store.take(chain(alice)))

    assert first.warned == ()
    assert [(each.period, each.used) for each in second.warned] == [("month", 90)]


async def test_a_minute_that_began_before_the_start(store: InMemory) -> None:
    """Each call counts until its own minute is over, as if it had been taken here."""
    alice = scope(limits=Limits(rpm=3, tpm=100), day=Cap(tokens=1000))
    now_ms = store.clocks.now_ms
    agos = ((70, 0, 500), (50, 1, 20), (20, 1, 30))
    memory_of(store).load_minute(
        alice, [Taken(now_ms - s * 1000, requests, n) for s, requests, n in agos]
    )

    before = await store.use(alice)
    granted(await store.take(chain(alice), tokens=40))
    requests = refused(await store.take(chain(alice)))
    store.clocks.turn(requests.wait_s)
    after = await store.use(alice)
    tokens = refused(await store.take(chain(alice), tokens=31))

    assert before == {"rpm": (2, 0), "tpm": (50, 0), "day.tokens": (0, 0)}
    assert requests.limit == "rpm"
    assert requests.wait_s == pytest.approx(10, abs=0.01)
    assert (after["rpm"][0], after["tpm"][0]) == (2, 70)
    assert (tokens.limit, tokens.left) == ("tpm", 30)
    assert tokens.wait_s == pytest.approx(30, abs=0.01)


async def test_a_minute_is_told_beside_what_is_counted_already(
    store: InMemory,
) -> None:
    """What is older rolls out first, and what is settled goes back to its own step."""
    alice = scope(limits=Limits(rpm=9, tpm=90))
    lease = granted(await store.take(chain(alice), tokens=10))
    taken = [Taken(store.clocks.now_ms - 59_000, 4, 40)] * 2

    memory_of(store).load_minute(alice, taken)
    full = refused(await store.take(chain(alice)))
    store.clocks.turn(full.wait_s)
    await store.settle(lease, tokens=3)

    assert full.wait_s == pytest.approx(1, abs=0.01)
    assert await store.use(alice) == {"rpm": (1, 0), "tpm": (3, 0)}


async def test_a_minute_that_is_over_at_the_start_refuses_nobody(
    store: InMemory,
) -> None:
    """Not even the very first call."""
    alice = scope(limits=Limits(rpm=1))
    memory_of(store).load_minute(alice, [Taken(store.clocks.now_ms - 61_000, 1, 0)])

    lease = granted(await store.take(chain(alice)))

    assert (lease.rpm, lease.requests_left) == (1, 0)


async def test_a_minute_that_comes_from_the_future_begins_now(
    store: InMemory,
) -> None:
    """The clock on the wall was set back: nobody knows when that was."""
    alice = scope(limits=Limits(rpm=1))
    memory_of(store).load_minute(alice, [Taken(store.clocks.now_ms + 30_000, 1, 0)])

    refusal = refused(await store.take(chain(alice)))

    assert refusal.wait_s == pytest.approx(60.0, abs=0.01)


async def test_a_minute_that_nothing_limits_is_not_kept(store: InMemory) -> None:
    """Nobody would ever look at it."""
    alice = scope(limits=Limits(concurrent=1))
    memory_of(store).load_minute(alice, [Taken(store.clocks.now_ms, 5, 5)])

    limited = scope(limits=Limits(rpm=1))

    assert await store.use(limited) == {"rpm": (0, 0)}


async def test_a_reset_that_is_told_before_its_time(store: InMemory) -> None:
    """Until then all counts as before; what begins at that time counts anew."""
    alice = scope(lifetime=Cap(tokens=100))
    at_ms = store.clocks.now_ms + 5000
    await used(store, alice, 60)
    await store.counters.reset(alice, "lifetime", at_ms=at_ms)
    await store.counters.reset(alice, "lifetime", at_ms=at_ms)

    before = refused(await store.take(chain(alice), tokens=50))
    store.clocks.turn(before.wait_s)
    granted(await store.take(chain(alice), tokens=50))

    assert before.wait_s == pytest.approx(5, abs=0.01)
    assert before.resets_at_s == at_ms / 1000
    assert await store.use(alice) == {"lifetime.tokens": (0, 50)}


async def test_what_is_on_record_comes_after_the_resets(store: InMemory) -> None:
    """At a start a store is told both, before the first call."""
    alice = scope(day=Cap(tokens=100))
    await store.counters.reset(alice, "day", at_ms=store.clocks.now_ms)
    memory_of(store).load(alice, {"day": Used(1, 10, 0)})

    lease = granted(await store.take(chain(alice), tokens=20))
    granted(await store.grow(lease, tokens=30))
    reserved = await store.use(alice)
    await store.settle(lease, tokens=25)

    assert reserved == {"day.tokens": (10, 50)}
    assert await store.use(alice) == {"day.tokens": (35, 0)}


async def test_a_call_that_lasts_longer_than_a_minute(store: InMemory) -> None:
    """It has rolled out by then; only what it used beyond counts."""
    alice = scope(limits=Limits(rpm=1, tpm=100))
    first = granted(await store.take(chain(alice), tokens=50))
    store.clocks.turn(61)
    second = granted(await store.take(chain(alice), tokens=10))

    await store.settle(first, tokens=20)
    between = await store.use(alice)
    store.clocks.turn(61)
    await store.settle(second, tokens=25)

    assert between["tpm"] == (10, 0)
    assert await store.use(alice) == {"rpm": (0, 0), "tpm": (15, 0)}


async def test_nothing_is_in_use_of_a_scope_that_was_never_heard_of(
    store: InMemory,
) -> None:
    """It can be asked for all the same, and all is well."""
    use = await store.use(scope(limits=Limits(concurrent=1), lifetime=Cap(nusd=5)))

    assert use == {"concurrent": (0, 0), "lifetime.usd": (0, 0)}
    assert store.counters.condition() is None


async def test_a_lease_of_somebody_else_is_a_defect(store: InMemory) -> None:
    """Nothing is known of what it holds."""
    with pytest.raises(TypeError, match="counters that gave it"):
        store.counters.settle(Lease(), NOTHING)


async def test_a_minute_is_at_most_so_many_steps(store: InMemory) -> None:
    """And one that nobody uses any more is tidied up while others are used."""
    alice = scope(limits=Limits(rpm=100_000))
    bob = scope("bob", limits=Limits(rpm=100_000))
    for _ in range(2000):
        store.clocks.turn(0.125)
        granted(await store.take(chain(alice)))
    accounts = memory_of(store)._accounts
    busy = accounts[alice.key].minute
    assert busy is not None
    longest = len(busy.steps)

    for _ in range(4):
        store.clocks.turn(61)
        granted(await store.take(chain(bob)))

    assert 400 < longest <= 600
    assert len(busy.steps) == 0


async def test_days_that_are_long_over_are_forgotten(store: InMemory) -> None:
    """A scope that is used for years does not grow."""
    alice = scope(day=Cap(tokens=10), month=Cap(tokens=1000))
    for _ in range(100):
        await used(store, alice, 1)
        store.clocks.turn(86_400)

    day, month = memory_of(store)._accounts[alice.key].books

    assert (len(day.tallies), len(month.tallies)) == (16, 4)


async def test_what_is_left_of_the_tightest_minute_is_told(store: InMemory) -> None:
    """Of all scopes, for requests and tokens each; of no limit, nothing."""
    alice = scope(limits=Limits(rpm=10))
    search = scope("search", "project", limits=Limits(rpm=5, tpm=50))

    both = granted(await store.take(chain(alice, search), tokens=20))
    one = granted(await store.take(chain(alice), tokens=20))

    assert (both.rpm, both.requests_left) == (5, 4)
    assert (both.tpm, both.tokens_left) == (50, 30)
    assert (one.rpm, one.requests_left) == (10, 8)
    assert one.tpm is None


async def test_a_stream_that_grows_beyond_a_whole_budget(store: InMemory) -> None:
    """It is refused like any other call: for good where it can never fit."""
    alice = scope(lifetime=Cap(nusd=10))
    lease = granted(await store.take(chain(alice), nusd=5))

    refusal = refused(await store.grow(lease, nusd=11))

    assert (refusal.limit, refusal.wait_s) == ("lifetime.usd", inf)
