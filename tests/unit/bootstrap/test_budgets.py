"""Counters begin with what is on record, and learn of budgets that are reset."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.admission.counters import Chain, chain_of
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.verdicts import Lease, Refusal
from smart_llmrouter.bootstrap import recorded
from smart_llmrouter.bootstrap.budgets import (
    ResetWatcher,
    rebuild,
)
from smart_llmrouter.bootstrap.recorded import charged_of, on_record
from smart_llmrouter.bootstrap.recounting import changed_budgets
from smart_llmrouter.config.allowances import Allowances, Scope
from smart_llmrouter.config.scopes import scope_of
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.ledger.ingester_loop import ingester_lock
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.stores.budget_events import BudgetReset, add_reset
from smart_llmrouter.stores.usage_store import DatabaseAway
from tests.support.calendar import MIDDAY
from tests.support.configuration import SMALL, loaded
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.spending import with_budgets

BUDGETS = f"""\
    budgets: {{timezone: {MIDDAY}, day: {{requests: 3}}, month: {{tokens: 1000}}}}
"""
WHO = "alice-search-dev"
_HOUR_MS = 3_600_000


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def snapshot_in(state: StateDirectory, *, budgets: str = BUDGETS) -> Snapshot:
    """Return a configuration whose caller has these budgets."""
    text = f"state: {{directory: {json.dumps(str(state.path))}}}\n{SMALL}{budgets}"
    snapshot = loaded(text).snapshot
    assert snapshot is not None
    return snapshot


def a_call(number: int, **fields: object) -> UsageRecord:
    """Return the record of a call of this moment, of ten tokens."""
    usual: dict[str, object] = {
        "ts_ms": int(time.time() * 1000),
        "resolved_group": "chat",
        "input_tokens": 4,
        "output_tokens": 6,
    }
    return a_record(number, **(usual | fields))


def memory() -> Memory:
    """Return counters that know nothing."""
    return Memory(now=time.monotonic, wall=time.time)


def chain(snapshot: Snapshot) -> Chain:
    """Return whose limits the caller's calls must keep."""
    return chain_of(WHO, (alice(snapshot),))


def alice(snapshot: Snapshot) -> Scope:
    """Return the scope of the caller."""
    scope = scope_of(snapshot.allowances, f"caller:{WHO}")
    assert scope is not None
    return scope


def demand() -> Demand:
    """Return what a call of this moment needs."""
    began_ms = int(time.time() * 1000)
    return Demand(request_id="req_1", began_ms=began_ms, tokens=10)


async def used(counters: Memory, snapshot: Snapshot) -> dict[str, int]:
    """Return what is used of each budget."""
    [standing] = await counters.standing([alice(snapshot)])
    return {use.limit: use.used for use in standing.uses}


async def test_a_new_router_knows_what_was_used(state: StateDirectory) -> None:
    """Whatever its predecessors have left in database and journal."""
    snapshot, counters = snapshot_in(state), memory()
    state.journalled([a_call(1)])
    state.ingester().advance()
    state.journalled([a_call(2), a_call(3, charged_tokens=500)])

    await rebuild(snapshot, counters)

    found = await used(counters, snapshot)
    assert found == {"day.requests": 3, "month.tokens": 520}
    refusal = counters.take(chain(snapshot), demand())
    assert isinstance(refusal, Refusal)
    assert (refusal.limit, refusal.left) == ("day.requests", 0)


async def test_a_new_router_knows_the_minute(state: StateDirectory) -> None:
    """Also of what is only in the journal, and where nobody has a budget."""
    snapshot = snapshot_in(state, budgets="    limits: {rpm: 3, tpm: 100}\n")
    counters, now_ms = memory(), int(time.time() * 1000)
    state.journalled([a_call(1, ts_ms=now_ms - 70_000), a_call(2)])
    state.ingester().advance()
    state.journalled([a_call(3, ts_ms=now_ms - 30_000), a_call(4, ts_ms=now_ms - 9000)])

    await rebuild(snapshot, counters)

    assert await used(counters, snapshot) == {"rpm": 3, "tpm": 30}
    refusal = counters.take(chain(snapshot), demand())
    took_s = time.time() - now_ms / 1000
    assert isinstance(refusal, Refusal)
    assert (refusal.limit, refusal.left) == ("rpm", 0)
    assert 30 - took_s - 0.2 < refusal.wait_s < 30.2


async def test_a_minute_that_cannot_be_known_keeps_no_router_from_starting(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is over before the journal is read; what is in the database counts."""
    monkeypatch.setattr(recorded, "LONGEST_WAIT_S", 0.05)
    snapshot = snapshot_in(state, budgets="    limits: {rpm: 3}\n")
    counters = memory()
    state.journalled([a_call(1)])
    state.ingester().advance()
    state.journalled([a_call(2)])

    with ingester_lock(state.path) as acquired, capture_logs() as logs:
        assert acquired()
        await rebuild(snapshot, counters)

    assert await used(counters, snapshot) == {"rpm": 1}
    [line] = logs
    assert line["event"] == "the last minute is not known in full"
    assert line["unread_bytes"] > 0


async def test_a_router_without_budgets_waits_for_nothing(
    state: StateDirectory,
) -> None:
    """Not even for an ingester that does nothing."""
    state.journalled([a_call(1)])

    with ingester_lock(state.path) as acquired:
        assert acquired()
        last_event = await rebuild(snapshot_in(state, budgets=""), memory())

    assert last_event == 0


async def test_without_the_rows_nothing_is_known(state: StateDirectory) -> None:
    """A router that cannot tell what was used must not take it for nothing."""
    snapshot = snapshot_in(state)
    state.database.rename(state.path / "elsewhere")

    with pytest.raises(DatabaseAway):
        await rebuild(snapshot, memory())


async def test_budgets_that_are_new_at_a_reload_know_what_was_used(
    state: StateDirectory,
) -> None:
    """Those that were there before go on as they were."""
    before = snapshot_in(state, budgets="    budgets: {day: {requests: 3}}\n")
    after, counters = snapshot_in(state), memory()
    state.journalled([a_call(1)])
    await rebuild(before, counters)

    await rebuild(after, counters, before=before.allowances)

    assert await used(counters, after) == {"day.requests": 1, "month.tokens": 10}


def test_only_budgets_that_are_new_or_move_are_counted_anew() -> None:
    """Other caps make no other budget."""
    before = Allowances(
        callers={"a": with_budgets("day"), "b": with_budgets("day", "month")},
        per_caller={"g": with_budgets("day")},
    )
    after = Allowances(
        callers={
            "a": with_budgets("day", "month", timezone="Asia/Tokyo"),
            "b": with_budgets("day"),
            "c": with_budgets("lifetime"),
        },
        per_caller={"g": with_budgets("day")},
    )

    changed = changed_budgets(before, after)

    periods = {key: list(each.budgets.caps) for key, each in changed.callers.items()}
    assert periods == {"a": ["day", "month"], "c": ["lifetime"]}
    assert changed.per_caller == {}


@pytest.fixture
def days() -> dict[str, float]:
    """Return when today began, by the time zone, where it goes on for an hour."""
    at_ms = time.time() * 1000
    zones = [f"Etc/GMT{hours:+d}" for hours in range(-14, 13)]
    days = {zone: bounds_ms("day", at_ms, zone) for zone in zones}
    return {
        zone: begins for zone, (begins, ends) in days.items() if ends - at_ms > _HOUR_MS
    }


async def test_a_day_of_another_time_zone_has_what_was_used_in_it(
    state: StateDirectory, days: dict[str, float]
) -> None:
    """At a reload, what was used before it began counts no more, and back again."""
    long, short = min(days, key=days.__getitem__), max(days, key=days.__getitem__)
    of_long, of_short = (
        snapshot_in(
            state,
            budgets=f"    budgets: {{timezone: {zone}, day: {{requests: 9}}}}\n",
        )
        for zone in (long, short)
    )
    state.journalled([a_call(1), a_call(2, ts_ms=int(days[short]) - 1)])
    counters = memory()
    await rebuild(of_long, counters)
    lease = counters.take(chain(of_long), demand())
    assert isinstance(lease, Lease)
    counters.settle(lease, Spent(1, 10, 0))
    state.journalled([a_call(3)])
    first = await used(counters, of_long)

    await rebuild(of_short, counters, before=of_long.allowances)
    second = await used(counters, of_short)
    await rebuild(of_long, counters, before=of_short.allowances)

    assert (first, second) == ({"day.requests": 3}, {"day.requests": 2})
    assert await used(counters, of_long) == {"day.requests": 3}


def reset(state: StateDirectory, *, period: str = "day", at_ms: int) -> None:
    """Write down that the caller's budget begins anew."""
    made = BudgetReset(
        scope_kind="caller",
        scope_name=WHO,
        period="day" if period == "day" else "lifetime",
        at_ms=at_ms,
        actor="operator",
        used_requests=0,
        used_tokens=0,
        used_nusd=0,
    )
    add_reset(state.url, made, ts_ms=at_ms)


async def test_a_router_that_runs_learns_of_a_reset(state: StateDirectory) -> None:
    """Of each once, and of those only that came since it began."""
    snapshot, counters = snapshot_in(state), memory()
    now_ms = int(time.time() * 1000)
    reset(state, at_ms=now_ms - 60_000)
    state.journalled(a_call(n, ts_ms=now_ms - 1) for n in range(3))
    last_event = await rebuild(snapshot, counters)
    watcher = ResetWatcher(
        snapshot.state,
        counters,
        allowances=lambda: snapshot.allowances,
        last_event=last_event,
    )
    await watcher.look()
    before = counters.take(chain(snapshot), demand())

    reset(state, at_ms=now_ms)
    reset(state, period="lifetime", at_ms=now_ms)
    await watcher.look()
    after = counters.take(chain(snapshot), demand())

    assert isinstance(before, Refusal)
    assert isinstance(after, Lease)
    counters.settle(after, Spent(1, 10, 0))
    await watcher.look()
    await watcher.close()
    assert await used(counters, snapshot) == {"day.requests": 1, "month.tokens": 40}


async def test_budgets_that_come_later_are_watched_from_then_on(
    state: StateDirectory,
) -> None:
    """While there are none, nobody looks; what was reset before is no news."""
    without, snapshot = snapshot_in(state, budgets=""), snapshot_in(state)
    counters, now_ms = memory(), int(time.time() * 1000)
    serving = [without]
    watcher = ResetWatcher(
        without.state,
        counters,
        allowances=lambda: serving[-1].allowances,
        last_event=0,
    )
    state.journalled(a_call(n, ts_ms=now_ms - 1) for n in range(3))
    reset(state, at_ms=now_ms - 60_000)
    await watcher.look()
    serving.append(snapshot)
    await rebuild(snapshot, counters, before=without.allowances)
    await watcher.look()
    counted = await used(counters, snapshot)

    reset(state, at_ms=now_ms)
    await watcher.look()
    await watcher.close()

    assert counted["day.requests"] == 3
    assert (await used(counters, snapshot))["day.requests"] == 0


async def test_a_database_that_is_away_is_looked_at_again(
    state: StateDirectory,
) -> None:
    """A reset that could not be seen at once is seen later."""
    snapshot = snapshot_in(state)
    told: list[str] = []
    elsewhere = state.path / "elsewhere"

    class Told(Memory):
        async def reset(self, scope: Scope, period: str, *, at_ms: int) -> None:
            told.append(f"{scope.key} {period} {at_ms}")

    watcher = ResetWatcher(
        snapshot.state,
        Told(now=time.monotonic, wall=time.time),
        allowances=lambda: snapshot.allowances,
        last_event=0,
    )
    reset(state, at_ms=5)
    state.database.rename(elsewhere)
    await watcher.look()
    missed = list(told)
    elsewhere.rename(state.database)

    await watcher.look()
    await watcher.close()

    assert (missed, told) == ([], [f"caller:{WHO} day 5"])


def test_what_calls_were_charged_is_known_by_their_ids(state: StateDirectory) -> None:
    """For stores that do not know whether a call was settled."""
    snapshot = snapshot_in(state)
    calls: Sequence[UsageRecord] = [a_call(1), a_call(2, attempts=0)]
    state.journalled(calls)

    charged = charged_of(
        snapshot.state, [each.request_id for each in calls] + ["req_x"], since_ms=0
    )

    assert charged == {
        calls[0].request_id: Spent(1, 10, 0),
        calls[1].request_id: Spent(0, 0, 0),
    }


def test_a_reset_that_is_still_to_come_is_left_to_the_watcher(
    state: StateDirectory,
) -> None:
    """So that what begins until then counts in the old period."""
    snapshot = snapshot_in(state)
    state.journalled([a_call(1)])
    reset(state, at_ms=int(time.time() * 1000) + 60_000)

    found = on_record(snapshot.state, snapshot.allowances)

    assert found.last_event == 0
    assert found.uses[f"caller:{WHO}"].periods["day"].used.requests == 1
