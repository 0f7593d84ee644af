"""A shared store begins with what is on record of budgets that it does not know."""

import asyncio
import json
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

import pytest

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.admission.counters import chain_of
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.shared import Shared
from smart_llmrouter.admission.shared_seeds import Recorded, Seed
from smart_llmrouter.admission.verdicts import Lease, Refusal, Verdict
from smart_llmrouter.bootstrap.counters import open_counters
from smart_llmrouter.bootstrap.seeding import seed_changed, seeds_at_start
from smart_llmrouter.config.scopes import scope_of
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.ledger.record import UsageRecord
from smart_llmrouter.mockprovider.script import Step
from smart_llmrouter.stores.budget_events import BudgetReset, add_reset
from smart_llmrouter.stores.usage_store import DatabaseAway
from tests.support.calendar import MIDDAY
from tests.support.configuration import SMALL, loaded
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.mock import running_mock
from tests.support.valkey import ValkeyServer
from tests.support.wait import eventually

WHO: Final = "alice-search-dev"
BUDGETS: Final = "{day: {requests: 3}, month: {tokens: 1000}}"
SEED: Final = random.randrange(2**32)
_HOUR_MS: Final = 3_600_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Return a server of the test's own, which has nothing."""
    directory = tmp_path / "valkey"
    directory.mkdir()
    made = ValkeyServer(directory)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """Return a state directory with an empty database."""
    return state_in(tmp_path)


def snapshot_in(
    state: StateDirectory, server: ValkeyServer, budgets: str = BUDGETS
) -> Snapshot:
    """Return a configuration whose caller has these budgets in a shared store."""
    given = {"directory": str(state.path), "counters": server.url}
    if "timezone" not in budgets:
        budgets = budgets.replace("{", f"{{timezone: {MIDDAY}, ", 1)
    text = f"state: {json.dumps(given)}\n{SMALL}    budgets: {budgets}\n"
    found = loaded(text)
    assert found.snapshot is not None, found.findings
    return found.snapshot


def a_call(number: int, **fields: object) -> UsageRecord:
    """Return the record of a call of this moment, of ten tokens."""
    usual: dict[str, object] = {
        "ts_ms": now_ms(),
        "resolved_group": "chat",
        "input_tokens": 4,
        "output_tokens": 6,
    }
    return a_record(number, **(usual | fields))


def now_ms() -> int:
    """Return what time it is."""
    return int(time.time() * 1000)


class Router:
    """A process, as far as it counts."""

    numbers = count()

    def __init__(self, snapshot: Snapshot, counters: Shared) -> None:
        """Count with these."""
        self.counters = counters
        self.follow(snapshot)

    def follow(self, snapshot: Snapshot) -> None:
        """Take calls by this configuration from now on."""
        scope = scope_of(snapshot.allowances, f"caller:{WHO}")
        assert scope is not None
        self.scope, self.chain = scope, chain_of(WHO, (scope,))

    async def take(self) -> Verdict:
        """Ask for a call that begins now."""
        name = f"req_{next(self.numbers)}"
        demand = Demand(request_id=name, began_ms=now_ms(), tokens=10)
        verdict = self.counters.take(self.chain, demand)
        return verdict if isinstance(verdict, Lease | Refusal) else await verdict

    def settle(self, lease: Lease) -> None:
        """Settle a call of ten tokens."""
        self.counters.settle(lease, Spent(1, 10, 0))
        self.counters.flush()

    async def call(self) -> None:
        """Make a call of ten tokens, of which the store knows in the end."""
        lease = await self.take()
        assert isinstance(lease, Lease)
        self.settle(lease)
        await self.used()

    async def used(self) -> dict[str, int]:
        """Return what is used of each budget."""
        [standing] = await self.counters.standing([self.scope])
        return {use.limit: use.used for use in standing.uses}


@asynccontextmanager
async def running(snapshot: Snapshot, seat: int = 1) -> AsyncIterator[Router]:
    """Run one."""
    async with open_counters(snapshot, seat=seat) as counters:
        yield Router(snapshot, cast("Shared", counters))


async def test_a_store_begins_with_what_is_on_record(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """Of database and journal, for each period; and no call passes that should not."""
    early, snapshot = now_ms() - 2 * 86_400_000, snapshot_in(state, server)
    state.journalled([a_call(1), a_call(4, ts_ms=early)])
    state.ingester().advance()
    state.journalled([a_call(2), a_call(3, charged_tokens=500)])
    in_month = early >= bounds_ms("month", now_ms(), MIDDAY)[0]

    async with running(snapshot) as router:
        found, refusal = await router.used(), await router.take()

    month = 530 if in_month else 520
    assert found == {"day.requests": 3, "month.tokens": month}
    assert isinstance(refusal, Refusal)
    assert (refusal.limit, refusal.left) == ("day.requests", 0)


async def test_what_the_store_knows_is_never_touched(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """Routers that start later, and all at once, change nothing."""
    snapshot = snapshot_in(state, server)
    state.journalled([a_call(1)])
    async with running(snapshot) as first:
        await first.call()
        state.journalled([a_call(2), a_call(3)])
        async with running(snapshot, 2) as second:
            both = await second.used()
    async with running(snapshot) as third:
        again = await third.used()

    assert both == {"day.requests": 2, "month.tokens": 20}
    assert again == both


async def test_what_was_reserved_first_is_not_counted_twice(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """A call in flight is known to the store, whatever is on record of it by then."""
    snapshot = snapshot_in(state, server)
    async with running(snapshot) as first:
        lease = await first.take()
        assert isinstance(lease, Lease)
        state.journalled([a_call(1)])
        async with running(snapshot, 2) as second:
            before = await second.used()
            first.settle(lease)
            found = await first.used()

    assert before == {"day.requests": 0, "month.tokens": 0}
    assert found == {"day.requests": 1, "month.tokens": 10}


async def test_a_store_that_lost_all_begins_anew_with_the_records(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """When the next router starts."""
    snapshot = snapshot_in(state, server)
    async with running(snapshot) as router:
        await router.call()
        state.journalled([a_call(1)])
    server.ask("FLUSHALL")

    async with running(snapshot) as router:
        assert await router.used() == {"day.requests": 1, "month.tokens": 10}


@pytest.mark.parametrize("told", [True, False])
async def test_what_was_used_before_a_reset_is_not_put_in(
    state: StateDirectory, server: ValkeyServer, *, told: bool
) -> None:
    """Whether the store knows of the reset or not; other periods are not reset."""
    snapshot, at_ms = snapshot_in(state, server), now_ms() - 500
    made = BudgetReset(
        scope_kind="caller",
        scope_name=WHO,
        period="day",
        at_ms=at_ms,
        actor="operator",
        used_requests=0,
        used_tokens=0,
        used_nusd=0,
    )
    add_reset(state.url, made, ts_ms=at_ms)
    state.journalled([a_call(1, ts_ms=at_ms - 1), a_call(2)])
    if told:
        without = snapshot_in(state, server, "{day: {requests: 3}}")
        async with running(without) as router:
            await router.counters.reset(router.scope, "day", at_ms=at_ms)
        assert server.keys()

    async with running(snapshot) as router:
        first = await router.used()
        await router.call()
        second = await router.used()

    month = second["month.tokens"]
    assert first == {"day.requests": 1, "month.tokens": month - 10}
    assert second == {"day.requests": 2, "month.tokens": month}


async def test_a_reset_that_is_told_later_counts_once(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """What was put in belongs to the time before it."""
    snapshot = snapshot_in(state, server)
    state.journalled([a_call(1)])
    async with running(snapshot) as router:
        await router.counters.reset(router.scope, "day", at_ms=now_ms())
        await router.call()

        assert await router.used() == {"day.requests": 1, "month.tokens": 20}


async def test_budgets_that_are_new_at_a_reload_know_what_was_used(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """Those that were there before go on as they were."""
    before = snapshot_in(state, server, "{day: {requests: 3}}")
    after = snapshot_in(state, server)
    async with running(before) as router:
        await router.call()
        state.journalled([a_call(1), a_call(2)])

        await seed_changed(after, router.counters, before=before.allowances)
        router.follow(after)

        assert await router.used() == {"day.requests": 1, "month.tokens": 20}


async def test_what_comes_in_while_records_are_read_is_made_good(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """Until the first call counts in the new budget, and not from then on."""
    snapshot = snapshot_in(state, server, "{day: {requests: 9}}")
    at_ms = now_ms()
    async with running(snapshot) as router:

        async def told(requests: int, before: int | None) -> dict[str, int]:
            """Put in what is on record now, and was before."""
            was = None if before is None else (before, 0, 0)
            recorded = Recorded((requests, 0, 0), before=was)
            seed = Seed(router.scope, at_ms, {"day": recorded})
            await router.counters.seed([seed])
            return await router.used()

        found = [await told(*each) for each in ((1, None), (3, 1), (5, 1), (5, None))]
        lease = await router.take()
        in_flight = await told(4, 3)
        assert isinstance(lease, Lease)
        router.settle(lease)
        settled = await told(5, 3)

    assert [each["day.requests"] for each in found] == [1, 3, 3, 3]
    assert in_flight == {"day.requests": 3}
    assert settled == {"day.requests": 4}


@pytest.fixture
def days() -> dict[str, float]:
    """Return when today began, by the time zone, where it goes on for an hour."""
    at_ms = now_ms()
    zones = [f"Etc/GMT{hours:+d}" for hours in range(-14, 13)]
    days = {zone: bounds_ms("day", at_ms, zone) for zone in zones}
    return {
        zone: begins for zone, (begins, ends) in days.items() if ends - at_ms > _HOUR_MS
    }


async def test_a_day_of_another_time_zone_has_what_was_used_in_it(
    state: StateDirectory, server: ValkeyServer, days: dict[str, float]
) -> None:
    """All that was used since it began is in it, and nothing else."""
    long, short = min(days, key=days.__getitem__), max(days, key=days.__getitem__)
    before, after = (
        snapshot_in(state, server, f"{{timezone: {zone}, day: {{requests: 9}}}}")
        for zone in (short, long)
    )
    state.journalled([a_call(1), a_call(2, ts_ms=int(days[short]) - 1)])
    async with running(before) as router:
        first = await router.used()

        await seed_changed(after, router.counters, before=before.allowances)
        router.follow(after)

        assert first == {"day.requests": 1}
        assert await router.used() == {"day.requests": 2}


async def test_a_store_that_is_away_is_told_before_it_counts(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """When it is there again, before any call."""
    snapshot = snapshot_in(state, server)
    state.journalled([a_call(1), a_call(2)])
    server.stop()
    async with running(snapshot) as router:
        away = router.counters.condition()
        server.start()
        await eventually(lambda: router.counters.link.up, what="the store")
        await router.call()

        assert away is not None
        assert await router.used() == {"day.requests": 3, "month.tokens": 30}


async def test_without_the_rows_nothing_is_known(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """A router that cannot tell what was used must not take it for nothing."""
    state.database.rename(state.path / "elsewhere")

    with pytest.raises(DatabaseAway):
        async with running(snapshot_in(state, server)):
            pass


async def test_many_put_in_the_same_while_calls_are_made(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """By whatever order, each call counts once: those on record, and those made."""
    chance = random.Random(SEED)
    for turn in range(10):
        server.ask("FLUSHALL")
        snapshot = snapshot_in(state, server, "{lifetime: {tokens: 1000000}}")
        state.journalled([a_call(100 * turn + each) for each in range(5)])
        on_record = 5 * (turn + 1)
        async with running(snapshot) as one, running(snapshot, 2) as other:
            server.ask("FLUSHALL")
            await one.counters.renew()
            await other.counters.renew()
            seeds = await seeds_at_start(snapshot)

            async def work(router: Router) -> int:
                """Put in, then make calls, and put in again now and then."""
                await router.counters.seed(seeds)  # noqa: B023 - awaited in the turn
                made = chance.randrange(8)
                for _ in range(made):
                    await router.call()
                    if chance.random() < 0.3:
                        await router.counters.seed(seeds)  # noqa: B023 - likewise
                return made

            made = sum(await asyncio.gather(work(one), work(other), work(one)))
            found = await one.used()

        expected = 10 * (on_record + made)
        assert found == {"lifetime.tokens": expected}, f"seed {SEED}, turn {turn}"


# Whole routers.


CHAT = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


@asynccontextmanager
async def serving(
    tmp_path: Path, *, workers: int, state: Mapping[str, Any], **budgets: object
) -> AsyncIterator[Gateway]:
    """Run a router whose one caller has these budgets."""
    async with running_mock() as mock:
        mock.always(Step(prompt_tokens=20, completion_tokens=30))
        settings = configuration(
            {"acme": provider(mock.base_url)},
            server={"workers": workers},
            state=dict(state),
            callers=[caller(budgets={"timezone": MIDDAY, **budgets})],
        )
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway


async def ask(gateway: Gateway) -> int:
    """Ask once on a connection of its own; return the status."""
    async with gateway.http() as client:
        return (await client.post("/v1/chat/completions", json=CHAT)).status_code


async def statuses(gateway: Gateway, times: int) -> list[int]:
    """Ask so often at the same time."""
    return sorted(await asyncio.gather(*(ask(gateway) for _ in range(times))))


@pytest.mark.parametrize("workers", [1, 2])
async def test_from_memory_to_a_store(tmp_path: Path, workers: int) -> None:
    """What was used of the day is used there, too, however many workers begin."""
    memory = {"counters": "memory"}
    async with serving(tmp_path, workers=1, state=memory, day={"requests": 5}) as it:
        before = await statuses(it, 3)
        await it.stop(signal.SIGKILL)
        it.settings["server"]["workers"] = workers
        it.settings["state"]["counters"] = "embedded-valkey"
        await it.start()
        after = await statuses(it, 4)

    assert before == [200] * 3
    assert after == [200, 200, 429, 429]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_new_budget_at_a_reload(tmp_path: Path, workers: int) -> None:
    """It begins with what its holder has used today."""
    shared = {"counters": "embedded-valkey"}
    async with serving(tmp_path, workers=workers, state=shared) as it:
        before = await statuses(it, 3)
        budgets = {"timezone": MIDDAY, "day": {"requests": 5}}
        it.settings["callers"] = [caller(budgets=budgets)]
        it.write()
        await it.reload()
        after = await statuses(it, 4)

    assert before == [200] * 3
    assert after == [200, 200, 429, 429]


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_emptied_store(
    tmp_path: Path, server: ValkeyServer, workers: int
) -> None:
    """The router that starts next puts in what is on record."""
    shared = {"counters": server.url}
    async with serving(
        tmp_path, workers=workers, state=shared, lifetime={"requests": 5}
    ) as it:
        before = await statuses(it, 3)
        await it.stop()
        server.ask("FLUSHALL")
        await it.start()
        after = await statuses(it, 4)

    assert before == [200] * 3
    assert after == [200, 200, 403, 403]
