"""Budgets of a day, a month and for ever, in every store."""

import math
from typing import Final

import pytest

from smart_llmrouter.admission.memory import Used
from smart_llmrouter.config.allowances import Cap
from tests.support.counter_stores import Store, chain, granted, refused, scope

_TO_MIDNIGHT_S: Final = 12 * 3600


async def test_a_budget_counts_what_is_settled_and_what_is_reserved(
    store: Store,
) -> None:
    """What calls in flight may use is not there for others."""
    alice = scope(day=Cap(nusd=100))
    calls = chain(alice)

    first = granted(await store.take(calls, nusd=60))
    refusal = refused(await store.take(calls, nusd=60))
    await store.settle(first, nusd=10)
    granted(await store.take(calls, nusd=60))

    assert (refusal.limit, refusal.value, refusal.left) == ("day.usd", 100, 40)
    assert refusal.wait_s == 1.0
    assert await store.use(alice) == {"day.usd": (10, 60)}


async def test_a_day_that_is_used_up_ends_at_midnight(store: Store) -> None:
    """Then everything is there again, and the month has counted both days."""
    alice = scope(day=Cap(requests=1), month=Cap(requests=2))
    calls = chain(alice)
    await store.settle(granted(await store.take(calls)))

    refusal = refused(await store.take(calls))
    store.clocks.turn(refusal.wait_s)
    await store.settle(granted(await store.take(calls)))
    month = refused(await store.take(calls))

    assert refusal.limit == "day.requests"
    assert refusal.wait_s == pytest.approx(_TO_MIDNIGHT_S, abs=0.01)
    assert refusal.resets_at_s == store.clocks.wall() // 86400 * 86400
    assert month.limit == "month.requests"


async def test_a_lifetime_ends_never(store: Store) -> None:
    """Waiting does not help, and there is no time to name."""
    calls = chain(scope(lifetime=Cap(requests=1)))
    await store.settle(granted(await store.take(calls)))

    refusal = refused(await store.take(calls))

    assert refusal.limit == "lifetime.requests"
    assert (refusal.wait_s, refusal.resets_at_s) == (math.inf, None)


async def test_a_call_belongs_to_the_day_in_which_it_began(store: Store) -> None:
    """Also when it is settled after midnight, and looked at after midnight."""
    alice = scope(day=Cap(tokens=100), month=Cap(tokens=1000))
    calls = chain(alice)
    store.clocks.turn(_TO_MIDNIGHT_S - 1)
    late = granted(await store.take(calls, tokens=50))
    arrived_ms = store.clocks.now_ms

    store.clocks.turn(2)
    early = granted(await store.take(calls, tokens=100))
    queued = granted(await store.take(calls, tokens=40, began_ms=arrived_ms))
    too_much = refused(await store.take(calls, tokens=11, began_ms=arrived_ms))
    await store.settle(late, tokens=30)
    await store.settle(queued, tokens=40)
    await store.settle(early, tokens=7)

    assert too_much.left == 10
    assert await store.use(alice) == {"day.tokens": (7, 0), "month.tokens": (77, 0)}


async def test_a_call_under_way_at_midnight_takes_nothing_of_the_next_day(
    store: Store,
) -> None:
    """What it holds is of the day before, and of the month."""
    alice = scope(day=Cap(tokens=100), month=Cap(tokens=1000))
    calls = chain(alice)
    late = granted(await store.take(calls, tokens=80))

    store.clocks.turn(_TO_MIDNIGHT_S)
    whole = granted(await store.take(calls, tokens=100))
    refusal = refused(await store.take(calls, tokens=1))
    await store.settle(late, tokens=70)
    await store.settle(whole, tokens=60)

    assert (refusal.limit, refusal.left) == ("day.tokens", 0)
    assert await store.use(alice) == {"day.tokens": (60, 0), "month.tokens": (130, 0)}


async def test_a_clock_that_is_set_back_over_midnight_loses_nothing(
    store: Store,
) -> None:
    """Each day knows what was used in it, whichever it is now."""
    alice = scope(day=Cap(tokens=100))
    calls = chain(alice)
    store.clocks.turn(_TO_MIDNIGHT_S + 1)
    await store.settle(granted(await store.take(calls, tokens=60)), tokens=60)

    store.clocks.wall.turn(-2)
    await store.settle(granted(await store.take(calls, tokens=30)), tokens=30)
    before = await store.use(alice)
    store.clocks.turn(2)
    after = await store.use(alice)

    assert before == {"day.tokens": (30, 0)}
    assert after == {"day.tokens": (60, 0)}


async def test_a_clock_on_the_wall_does_not_turn_a_minute(store: Store) -> None:
    """A minute is counted by a clock that nobody sets."""
    alice = scope(day=Cap(tokens=100))
    store.clocks.wall.turn(7 * 86400)
    granted(await store.take(chain(alice), tokens=60))

    store.clocks.wall.turn(-30 * 86400)

    assert await store.use(alice) == {"day.tokens": (0, 0)}


async def test_a_stream_that_grows_takes_more(store: Store) -> None:
    """Until a budget refuses; what it used in the end counts, once."""
    alice = scope(day=Cap(tokens=100))
    lease = granted(await store.take(chain(alice), tokens=10))

    granted(await store.grow(lease, tokens=60))
    refusal = refused(await store.grow(lease, tokens=40))
    reserved = await store.use(alice)
    await store.settle(lease, tokens=65)

    assert (refusal.limit, refusal.left) == ("day.tokens", 30)
    assert reserved == {"day.tokens": (0, 70)}
    assert await store.use(alice) == {"day.tokens": (65, 0)}


async def test_a_reset_begins_a_period_anew(store: Store) -> None:
    """What began before counts no more, also if it is settled later."""
    alice = scope(day=Cap(tokens=100), month=Cap(tokens=1000))
    calls = chain(alice)
    await store.settle(granted(await store.take(calls, tokens=60)), tokens=60)
    in_flight = granted(await store.take(calls, tokens=30))
    store.clocks.turn(1)

    await store.counters.reset(alice, "day", at_ms=store.clocks.now_ms)
    after = granted(await store.take(calls, tokens=100))
    await store.settle(in_flight, tokens=30)
    await store.settle(after, tokens=80)

    assert await store.use(alice) == {"day.tokens": (80, 0), "month.tokens": (170, 0)}


async def test_a_warning_is_given_once_a_period(store: Store) -> None:
    """To the first call after so much was really used."""
    alice = scope(day=Cap(tokens=100), warn_at_percent=80)
    calls = chain(alice)
    await store.settle(granted(await store.take(calls, tokens=90)), tokens=79)
    quiet = granted(await store.take(calls, tokens=10))
    await store.settle(quiet, tokens=1)

    told = granted(await store.take(calls, tokens=1))
    again = granted(await store.take(calls, tokens=1))

    (warning,) = told.warned
    assert (warning.scope, warning.period, warning.unit) == (alice, "day", "tokens")
    assert (warning.used, warning.cap) == (80, 100)
    assert (quiet.warned, again.warned) == ((), ())


async def test_other_limits_keep_what_was_counted(store: Store) -> None:
    """A configuration that is read again changes what may be used, not what was."""
    before = chain(scope(day=Cap(tokens=100)))
    lease = granted(await store.take(before, tokens=60))

    smaller = scope(day=Cap(tokens=50), lifetime=Cap(tokens=10))
    refusal = refused(await store.take(chain(smaller), tokens=1))
    await store.settle(lease, tokens=20)
    granted(await store.take(chain(smaller), tokens=10))

    assert (refusal.limit, refusal.value, refusal.left) == ("day.tokens", 50, 0)


async def test_a_restart_remembers_what_was_settled(store: Store) -> None:
    """What was in flight is not held any more."""
    alice = scope(day=Cap(tokens=100))
    await store.settle(granted(await store.take(chain(alice), tokens=60)), tokens=60)
    granted(await store.take(chain(alice), tokens=30))

    await store.restart([(alice, {"day": Used(1, 60, 0)})])
    store.clocks.turn(store.settling_s)

    assert await store.use(alice) == {"day.tokens": (60, 0)}
