"""What calls have used of budgets, from the rows of this and all earlier routers.

Counters in memory begin with it, so that no end of a router forgets anything; what a
shared store is not sure of is mended by it. And a router that runs is told of budgets
that somebody resets.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol, TypeVar

import structlog

from smart_llmrouter.admission.memory import Memory, Taken
from smart_llmrouter.bootstrap.recorded import minutes_on_record, on_record
from smart_llmrouter.bootstrap.recounting import loads_of, recount
from smart_llmrouter.config.allowances import (
    Allowances,
    PeriodName,
    Scope,
)
from smart_llmrouter.config.scopes import scope_of
from smart_llmrouter.config.snapshot import Snapshot, State
from smart_llmrouter.core.errors.faults import CountersAway
from smart_llmrouter.ledger.budget_sums import has_budgets
from smart_llmrouter.stores.budget_events import (
    MadeReset,
    Resets,
    events_until,
    last_resets,
    resets_after,
)
from smart_llmrouter.stores.reading import Reader
from smart_llmrouter.stores.usage_store import DatabaseAway

LOOK_EVERY_S: Final = 0.5
"""How often a router looks for budgets that were reset."""

RESET_AHEAD_MS: Final = 1000
"""How long before its time a reset is written down, so that routers know in time."""

_MS_PER_S: Final = 1000
_OVERLAP_S: Final = 2.0

K = TypeVar("K")
log = structlog.get_logger()


class Resettable(Protocol):
    """Counters whose budgets can be begun anew."""

    async def reset(self, scope: Scope, period: PeriodName, *, at_ms: int) -> None:
        """Begin a budget's period anew."""


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
        await watcher.close()


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
    try:
        while not await watcher.begin():  # noqa: ASYNC110 - others tell, or a disk
            await asyncio.sleep(LOOK_EVERY_S)
        await watcher.watch()
    finally:
        await watcher.close()


async def rebuild(
    snapshot: Snapshot, counters: Memory, *, before: Allowances | None = None
) -> int:
    """Tell counters what is on record, and return which reset was the last.

    At a start, of all budgets and minutes; call it before the first call is taken. At a
    reload, of budgets that the allowances `before` did not have: see `recount`.

    Raises `DatabaseAway` where the rows cannot be had.
    """
    if before is not None:
        return await recount(snapshot, counters, before=before)
    found = await asyncio.to_thread(on_record, snapshot.state, snapshot.allowances)
    minutes = await asyncio.to_thread(
        minutes_on_record, snapshot.state, snapshot.allowances
    )
    for each in loads_of(found, snapshot.allowances):
        counters.load(each.scope, each.used)
    for minute in minutes:
        counters.load_minute(minute.scope, (Taken(*use) for use in minute.uses))
    return found.last_event


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
        self._reader = Reader(state.database_url.reveal())
        self._counters = counters
        self._allowances = allowances
        self._last_event = last_event
        self._away = False
        self._seen: Allowances | None = None
        self._any = False
        self._awake = True

    async def watch(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def close(self) -> None:
        """Let go of the database for good, when the last look is over."""
        await asyncio.to_thread(self._reader.close)

    async def begin(self) -> bool:
        """Tell counters that outlive routers of the last resets; say if that worked."""
        try:
            resets, last_event = await asyncio.to_thread(self._last_resets)
            for (key, period), at_ms in resets.items():
                scope = scope_of(self._allowances(), key)
                if scope is not None and period in scope.allowance.budgets.caps:
                    await self._counters.reset(scope, period, at_ms=at_ms)
        except (DatabaseAway, CountersAway):
            return False
        self._last_event = last_event
        return True

    def _last_resets(self) -> tuple[Resets, int]:
        at_ms = int(time.time() * _MS_PER_S) + RESET_AHEAD_MS
        with self._reader.connection() as connection:
            return last_resets(connection, at_ms=at_ms), events_until(
                connection, at_ms=at_ms
            )

    async def look(self) -> None:
        """Look once. What cannot be read or told now is told the next time.

        While nobody has a budget there is nothing to look for.
        """
        if not self._has_budgets():
            self._awake = False
            return
        try:
            made = await asyncio.to_thread(self._made)
        except DatabaseAway as away:
            if not self._away:
                log.warning("resets of budgets unknown", reason=away.reason)
            self._away = True
            return
        self._away = False
        with suppress(CountersAway):
            for each in made:
                await self._tell(each)
                self._last_event = each.event

    def _has_budgets(self) -> bool:
        allowances = self._allowances()
        if allowances is not self._seen:
            self._seen, self._any = allowances, has_budgets(allowances)
        return self._any

    def _made(self) -> list[MadeReset]:
        with self._reader.connection() as connection:
            if not self._awake:
                # What was reset before, those have looked at who began to count.
                before_ms = int((time.time() - _OVERLAP_S) * _MS_PER_S)
                self._last_event = events_until(connection, at_ms=before_ms)
                self._awake = True
            return resets_after(connection, self._last_event)

    async def _tell(self, made: MadeReset) -> None:
        scope = scope_of(self._allowances(), made.scope_key)
        if scope is not None and made.period in scope.allowance.budgets.caps:
            await self._counters.reset(scope, made.period, at_ms=made.at_ms)
            log.info("budget reset", scope=made.scope_key, period=made.period)
