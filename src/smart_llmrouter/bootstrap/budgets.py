"""What calls have used of budgets, from the rows of this and all earlier routers.

Counters in memory begin with it, so that no end of a router forgets anything; what a
shared store is not sure of is mended by it. And a router that runs is told of budgets
that somebody resets.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

import structlog

from smart_llmrouter.admission.calendar import bounds_ms
from smart_llmrouter.admission.demand import Spent
from smart_llmrouter.admission.memory import Memory, Used
from smart_llmrouter.config.allowances import (
    Allowance,
    Allowances,
    PeriodName,
    Scope,
)
from smart_llmrouter.config.scopes import scope_of
from smart_llmrouter.config.snapshot import Snapshot, State
from smart_llmrouter.core.errors.faults import CountersAway
from smart_llmrouter.ledger import budget_sums
from smart_llmrouter.ledger.budget_sums import (
    Periods,
    ScopeUse,
    budget_uses,
    has_budgets,
)
from smart_llmrouter.ledger.catch_up import all_rows
from smart_llmrouter.stores.budget_events import (
    MadeReset,
    Resets,
    events_until,
    last_resets,
    resets_after,
)
from smart_llmrouter.stores.sqlite import DatabaseUnusable, connect, database_path
from smart_llmrouter.stores.usage_store import DatabaseAway

LOOK_EVERY_S: Final = 0.5
"""How often a router looks for budgets that were reset."""

RESET_AHEAD_MS: Final = 1000
"""How long before its time a reset is written down, so that routers know in time."""

_MS_PER_S: Final = 1000

K = TypeVar("K")
log = structlog.get_logger()


class Loadable(Protocol):
    """Counters that know nothing of what was before they were made."""

    def load(self, scope: Scope, used: Mapping[PeriodName, Used]) -> None:
        """Add what calls have used in the periods that are now."""


class Resettable(Protocol):
    """Counters whose budgets can be begun anew."""

    async def reset(self, scope: Scope, period: PeriodName, *, at_ms: int) -> None:
        """Begin a budget's period anew."""


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What the rows say at one moment, and which resets they know of."""

    periods: Periods
    uses: Mapping[str, ScopeUse]
    last_event: int


@asynccontextmanager
async def counted(
    snapshot: Snapshot, *, allowances: Callable[[], Allowances] | None = None
) -> AsyncIterator[Memory]:
    """Count in memory, beginning with what is on record, and learn of resets.

    `allowances` are those of now, where they may become others. Raises `DatabaseAway`
    where the rows cannot be had.
    """
    counters = Memory(now=time.monotonic, wall=time.time)
    watcher = ResetWatcher(
        snapshot.state,
        counters,
        allowances=allowances or (lambda: snapshot.allowances),
        last_event=await rebuild(snapshot, counters),
    )
    watching = asyncio.create_task(watcher.watch())
    try:
        yield counters
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@asynccontextmanager
async def told_of_resets(
    state: State, counters: Resettable, allowances: Callable[[], Allowances]
) -> AsyncIterator[None]:
    """Tell a shared store of resets while the block runs, also of those before it.

    It is no harm that others of its routers tell the same.
    """
    watching = asyncio.create_task(_tell_of_resets(state, counters, allowances))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _tell_of_resets(
    state: State, counters: Resettable, allowances: Callable[[], Allowances]
) -> None:
    watcher = ResetWatcher(state, counters, allowances=allowances, last_event=0)
    while not await watcher.begin():  # noqa: ASYNC110 - others tell, or a disk
        await asyncio.sleep(LOOK_EVERY_S)
    await watcher.watch()


async def rebuild(
    snapshot: Snapshot, counters: Loadable, *, before: Allowances | None = None
) -> int:
    """Tell counters what is on record, and return which reset was the last.

    At a start, of all budgets; call it before the first call is taken. At a reload, of
    those that the allowances `before` did not have; call it when nothing more is to be
    waited for before the new ones hold. What is then in flight counts in the budgets
    that are new to a caller only from the next start on.

    Raises `DatabaseAway` where the rows cannot be had.
    """
    wanted = snapshot.allowances
    if before is not None:
        wanted = added_budgets(before, wanted)
    found = await asyncio.to_thread(on_record, snapshot.state, wanted)
    now_ms = time.time() * _MS_PER_S
    for key, use in found.uses.items():
        counters.load(
            scope_of(snapshot.allowances, key) or use.scope,
            {
                name: Used(*each.used)
                for name, each in use.periods.items()
                # A day may have ended since it was read.
                if now_ms < each.until_ms
            },
        )
    return found.last_event


def on_record(state: State, allowances: Allowances) -> OnRecord:
    """Return what was used of all budgets, by all calls whose answer was seen.

    Blocks until the journal is in the database, where there are budgets. Raises
    `DatabaseAway`.
    """
    with _rows(state, all_of_them=has_budgets(allowances)) as connection:
        at_ms = int(time.time() * _MS_PER_S)
        periods = Periods(at_ms, last_resets(connection, at_ms=at_ms), bounds_ms)
        uses = budget_uses(connection, allowances, periods)
        return OnRecord(periods, uses, events_until(connection, at_ms=at_ms))


def charged_of(
    state: State, request_ids: Collection[str], *, since_ms: int
) -> dict[str, Spent]:
    """Return what these calls were charged, of those that are on record.

    They began at `since_ms` or later. Blocks until the journal is in the database.
    Raises `DatabaseAway`.
    """
    with _rows(state) as connection:
        found = budget_sums.charged_of(connection, request_ids, since_ms=since_ms)
    return {request_id: Spent(*used) for request_id, used in found.items()}


@contextmanager
def _rows(state: State, *, all_of_them: bool = True) -> Iterator[sqlite3.Connection]:
    url = state.database_url.reveal()
    try:
        with (
            all_rows(state.directory, url, sleep=time.sleep, monotonic=time.monotonic)
            if all_of_them
            else closing(connect(database_path(url), mode="ro"))
        ) as connection:
            yield connection
    except (sqlite3.Error, DatabaseUnusable, OSError) as error:
        raise DatabaseAway(str(error)) from error


def added_budgets(before: Allowances, after: Allowances) -> Allowances:
    """Return of the allowances `after` only those budgets that there were not before.

    A budget is one of a scope and a period; other caps make no other budget of it.
    """
    return Allowances(
        callers=_added(before.callers, after.callers),
        owners=_added(before.owners, after.owners),
        projects=_added(before.projects, after.projects),
        environments=_added(before.environments, after.environments),
        groups=_added(before.groups, after.groups),
        per_caller=_added(before.per_caller, after.per_caller),
    )


def _added(
    before: Mapping[K, Allowance], after: Mapping[K, Allowance]
) -> dict[K, Allowance]:
    added = {}
    for key, allowance in after.items():
        known = before[key].budgets.caps if key in before else {}
        caps = {
            period: cap
            for period, cap in allowance.budgets.caps.items()
            if period not in known
        }
        if caps:
            budgets = replace(allowance.budgets, caps=caps)
            added[key] = replace(allowance, budgets=budgets)
    return added


class ResetWatcher:
    """Tells the counters of one process which budgets were reset, soon after it."""

    def __init__(
        self,
        state: State,
        counters: Resettable,
        *,
        allowances: Callable[[], Allowances],
        last_event: int,
    ) -> None:
        """Tell of resets that come after `last_event`, by the allowances of then."""
        self._url = state.database_url.reveal()
        self._counters = counters
        self._allowances = allowances
        self._last_event = last_event
        self._away = False

    async def watch(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def begin(self) -> bool:
        """Tell counters that outlive routers of the last resets; say if that worked."""
        try:
            resets, last_event = await asyncio.to_thread(self._last_resets)
            for (key, period), at_ms in resets.items():
                scope = scope_of(self._allowances(), key)
                if scope is not None and period in scope.allowance.budgets.caps:
                    await self._counters.reset(scope, period, at_ms=at_ms)
        except (sqlite3.Error, OSError, CountersAway):
            return False
        self._last_event = last_event
        return True

    def _last_resets(self) -> tuple[Resets, int]:
        at_ms = int(time.time() * _MS_PER_S) + RESET_AHEAD_MS
        with closing(connect(database_path(self._url), mode="ro")) as connection:
            return last_resets(connection, at_ms=at_ms), events_until(
                connection, at_ms=at_ms
            )

    async def look(self) -> None:
        """Look once. What cannot be read or told now is told the next time."""
        try:
            made = await asyncio.to_thread(self._made)
        except (sqlite3.Error, OSError) as error:
            if not self._away:
                log.warning("resets of budgets unknown", reason=type(error).__name__)
            self._away = True
            return
        self._away = False
        with suppress(CountersAway):
            for each in made:
                await self._tell(each)
                self._last_event = each.event

    def _made(self) -> list[MadeReset]:
        with closing(connect(database_path(self._url), mode="ro")) as connection:
            return resets_after(connection, self._last_event)

    async def _tell(self, made: MadeReset) -> None:
        scope = scope_of(self._allowances(), made.scope_key)
        if scope is not None and made.period in scope.allowance.budgets.caps:
            await self._counters.reset(scope, made.period, at_ms=made.at_ms)
            log.info("budget reset", scope=made.scope_key, period=made.period)
