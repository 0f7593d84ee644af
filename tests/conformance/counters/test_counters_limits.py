"""Limits of a minute, calls at the same time, and shaping, in every store."""

import math

import pytest

from smart_llmrouter.config.allowances import Cap, Limits
from smart_llmrouter.config.policies import Flow
from tests.support.counter_stores import Store, chain, granted, refused, scope


async def test_a_minute_takes_so_many_requests(store: Store) -> None:
    """The next one passes when the first has rolled out of the minute."""
    alice = scope(limits=Limits(rpm=2))
    calls = chain(alice)

    first = granted(await store.take(calls))
    store.clocks.turn(10)
    granted(await store.take(calls))
    refusal = refused(await store.take(calls))
    store.clocks.turn(refusal.wait_s)
    granted(await store.take(calls))
    again = refused(await store.take(calls))

    assert (refusal.scope, refusal.limit) == (alice, "rpm")
    assert (refusal.value, refusal.left) == (2, 0)
    assert 49.99 <= refusal.wait_s <= 50.11
    assert again.limit == "rpm"
    assert (first.rpm, first.requests_left) == (2, 1)
    assert 59.9 <= first.reset_s <= 60.11


async def test_tokens_that_were_not_used_are_given_back(store: Store) -> None:
    """A minute holds what calls have used, and what those in flight may use."""
    alice = scope(limits=Limits(tpm=100))
    calls = chain(alice)

    lease = granted(await store.take(calls, tokens=80))
    refusal = refused(await store.take(calls, tokens=80))
    await store.settle(lease, tokens=20)
    second = granted(await store.take(calls, tokens=80))

    assert (refusal.limit, refusal.left) == ("tpm", 20)
    assert (second.tpm, second.tokens_left) == (100, 0)


async def test_tokens_beyond_the_reservation_count_when_known(store: Store) -> None:
    """They were used now, and count from now."""
    calls = chain(scope(limits=Limits(tpm=100)))
    lease = granted(await store.take(calls, tokens=10))

    store.clocks.turn(50)
    await store.settle(lease, tokens=90)
    store.clocks.turn(20)
    refusal = refused(await store.take(calls, tokens=30))

    assert (refusal.limit, refusal.left) == ("tpm", 20)
    assert 39.9 <= refusal.wait_s <= 40.11


async def test_what_was_given_back_does_not_roll_out_again(store: Store) -> None:
    """When a minute is over, nothing is used of it, and not less than nothing."""
    alice = scope(limits=Limits(tpm=100))
    lease = granted(await store.take(chain(alice), tokens=80))
    await store.settle(lease, tokens=20)

    store.clocks.turn(61)
    empty = await store.use(alice)
    granted(await store.take(chain(alice), tokens=100))
    refusal = refused(await store.take(chain(alice), tokens=1))

    assert empty == {"tpm": (0, 0)}
    assert (refusal.limit, refusal.left) == ("tpm", 0)


async def test_a_call_counts_for_a_minute_but_for_a_step(store: Store) -> None:
    """Never for longer, so that whoever waits 60 s passes; nor for less than 59.9 s."""
    calls = chain(scope(limits=Limits(rpm=1)))
    store.clocks.turn(0.0625)
    granted(await store.take(calls))

    at_once = refused(await store.take(calls))
    store.clocks.turn(59.90625)
    refusal = refused(await store.take(calls))
    store.clocks.turn(0.09375)
    granted(await store.take(calls))

    assert 59.9 < at_once.wait_s <= 60
    assert 0 < refusal.wait_s <= 0.1


async def test_a_call_that_grew_counts_in_the_minute_when_it_ends(
    store: Store,
) -> None:
    """What it was granted counts from then, and what it used beyond from its end."""
    alice = scope(limits=Limits(tpm=100), lifetime=Cap(tokens=1000))
    calls = chain(alice)
    long = granted(await store.take(calls, tokens=10))
    short = granted(await store.take(calls, tokens=10))

    granted(await store.grow(long, tokens=20))
    granted(await store.grow(short, tokens=20))
    found = [(await store.use(alice))["tpm"]]
    store.clocks.turn(30)
    await store.settle(long, tokens=40)
    await store.settle(short, tokens=4)
    found.append((await store.use(alice))["tpm"])
    for _ in range(2):
        store.clocks.turn(30.5)
        found.append((await store.use(alice))["tpm"])

    assert found == [(20, 0), (44, 0), (30, 0), (0, 0)]


async def test_a_call_that_asked_nobody_has_used_nothing(store: Store) -> None:
    """It counts neither in the minute nor in a budget."""
    alice = scope(limits=Limits(rpm=1, tpm=10), day=Cap(requests=1, nusd=5))
    calls = chain(alice)

    for _ in range(3):
        lease = granted(await store.take(calls, tokens=10, nusd=5))
        await store.settle(lease, requests=0)

    assert set((await store.use(alice)).values()) == {(0, 0)}


async def test_so_many_calls_at_the_same_time(store: Store) -> None:
    """One place is free when one of them is settled."""
    calls = chain(scope(limits=Limits(concurrent=2)))
    leases = [granted(await store.take(calls)) for _ in range(2)]

    refusal = refused(await store.take(calls))
    await store.settle(leases[0])
    granted(await store.take(calls))

    assert (refusal.limit, refusal.value, refusal.left) == ("concurrent", 2, 0)
    assert refusal.wait_s == 1.0


async def test_settled_twice_is_settled_once(store: Store) -> None:
    """Whatever comes later for the same lease changes nothing."""
    alice = scope(limits=Limits(concurrent=1, tpm=100), day=Cap(tokens=100))
    lease = granted(await store.take(chain(alice), tokens=10))

    await store.settle(lease, tokens=5)
    await store.settle(lease, tokens=50)
    await store.grow(lease, tokens=7)
    used = await store.use(alice)

    assert used["concurrent"] == (0, 0)
    assert used["tpm"] == (5, 0)
    assert used["day.tokens"] == (5, 0)


async def test_a_refused_call_takes_nothing(store: Store) -> None:
    """Not of any limit of any scope, wherever it is refused."""
    alice = scope(
        limits=Limits(rpm=9, tpm=900, concurrent=9),
        day=Cap(requests=9, tokens=900, nusd=900),
        flow=Flow(requests_per_second=0.001, burst=1),
    )
    full = scope("search", "project", limits=Limits(rpm=1))
    granted(await store.take(chain(full)))

    for _ in range(5):
        refusal = refused(await store.take(chain(alice, full), tokens=9, nusd=9))
        assert refusal.scope is full
    before = await store.use(alice)
    granted(await store.take(chain(alice), tokens=9, nusd=9))

    assert set(before.values()) == {(0, 0)}


async def test_the_refusal_that_lasts_longest_is_named(store: Store) -> None:
    """A client that waits for it need not wait for another."""
    brief = scope(
        limits=Limits(concurrent=1), flow=Flow(requests_per_second=5, burst=1)
    )
    long = scope("search", "project", limits=Limits(rpm=1))
    calls = chain(brief, long)
    granted(await store.take(calls))

    refusal = refused(await store.take(calls))

    assert (refusal.scope, refusal.limit) == (long, "rpm")


@pytest.mark.parametrize(
    ("name", "limits", "cap"),
    [("tpm", Limits(tpm=10), None), ("day.tokens", None, Cap(tokens=10))],
)
async def test_what_can_never_fit_is_refused_for_good(
    store: Store, name: str, limits: Limits | None, cap: Cap | None
) -> None:
    """More than there is in all will not be there later either."""
    calls = chain(scope(limits=limits, day=cap))

    refusal = refused(await store.take(calls, tokens=11))

    assert (refusal.limit, refusal.left) == (name, 10)
    assert refusal.wait_s == math.inf


async def test_calls_come_evenly(store: Store) -> None:
    """A burst passes, then one each half of a second."""
    calls = chain(scope(flow=Flow(requests_per_second=2, burst=3)))
    for _ in range(3):
        granted(await store.take(calls))

    refusal = refused(await store.take(calls))
    store.clocks.turn(refusal.wait_s)
    granted(await store.take(calls))
    refused(await store.take(calls))

    assert refusal.limit == "requests_per_second"
    assert refusal.wait_s == pytest.approx(0.5, abs=0.002)


async def test_a_large_input_passes_when_the_bucket_is_full(store: Store) -> None:
    """It leaves a debt, which the next one waits for."""
    calls = chain(scope(flow=Flow(input_tokens_per_second=100)))
    granted(await store.take(calls, input_tokens=1000))

    refusal = refused(await store.take(calls, input_tokens=50))

    assert refusal.limit == "input_tokens_per_second"
    assert refusal.wait_s == pytest.approx(9.5, abs=0.002)


async def test_a_limit_refuses_nobody_who_needs_nothing_of_it(store: Store) -> None:
    """Also where more was used than there is."""
    alice = scope(limits=Limits(tpm=10), day=Cap(nusd=10))
    lease = granted(await store.take(chain(alice), tokens=10, nusd=10))
    await store.settle(lease, tokens=20, nusd=20)

    granted(await store.take(chain(alice)))
    refusal = refused(await store.take(chain(alice), nusd=1))

    assert (refusal.limit, refusal.left) == ("day.usd", 0)
