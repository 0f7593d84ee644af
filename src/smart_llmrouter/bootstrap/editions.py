"""The configurations that a process serves by: one after the other, for a while both.

A call goes on by the configuration that it began with, so what was opened for one (its
policies, and the transport where it wants another one) is closed when its last call has
ended. What is learned and counted outlives all of them; see `bootstrap.surface`.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from smart_llmrouter.admission.memory import Memory
from smart_llmrouter.admission.shared import Shared
from smart_llmrouter.bootstrap.answers import open_answers
from smart_llmrouter.bootstrap.budgets import rebuild
from smart_llmrouter.bootstrap.opening import (
    CannotStart,
    check_certificate,
    open_policies,
)
from smart_llmrouter.bootstrap.seeding import seed_changed
from smart_llmrouter.bootstrap.surface import (
    Lasting,
    Surface,
    build_hub,
    build_surface,
    serve_by,
)
from smart_llmrouter.bootstrap.transports import Transports
from smart_llmrouter.bootstrap.versions import write_versions
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.ledger.journal_events import Cause
from smart_llmrouter.stores.usage_store import DatabaseAway

_LOOK_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Edition:
    """One configuration, ready to be served by, and what was opened for it."""

    surface: Surface
    opened: AsyncExitStack

    @property
    def snapshot(self) -> Snapshot:
        """The configuration."""
        return self.surface.snapshot


@asynccontextmanager
async def serving_editions(
    snapshot: Snapshot, kept: Lasting, *, number: int = 0
) -> AsyncIterator["Editions"]:
    """Serve by a configuration, which is the `number`th edition, and by its followers.

    At the end of the block all that is open is closed, whatever still uses it. Raises
    `CannotStart` where a policy or a store cannot be used.
    """
    transports = Transports()
    first = await _opened(snapshot, kept, transports, before=None)
    editions = Editions(kept, transports, first, number=number)
    try:
        yield editions
    finally:
        await editions.close()


class Editions:
    """What a hub serves by, and what it has served by and is not over yet."""

    def __init__(
        self, kept: Lasting, transports: Transports, first: Edition, *, number: int
    ) -> None:
        """Begin with an edition that is open."""
        self._kept = kept
        self._transports = transports
        self._retiring: set[asyncio.Task[None]] = set()
        self.current = first
        self.hub = build_hub(first.surface, kept, edition=number)

    async def prepare(self, snapshot: Snapshot) -> Edition:
        """Open what another configuration needs, and put together what serves by it.

        Whoever prepares an edition has it taken, or closes what was opened for it.
        Raises `CannotStart` where something that it needs cannot be had.
        """
        await check_certificate(snapshot.server.tls)
        before = self.current.surface
        return await _opened(snapshot, self._kept, self._transports, before=before)

    async def count(self, edition: Edition) -> None:
        """Count what is on record of the budgets that only this edition has.

        To be followed by `take` with nothing awaited in between. Raises `CannotStart`
        where the rows cannot be had.
        """
        counters, before = self._kept.counters, self.current.snapshot.allowances
        try:
            if isinstance(counters, Memory):
                await rebuild(edition.snapshot, counters, before=before)
            elif isinstance(counters, Shared):
                await seed_changed(edition.snapshot, counters, before=before)
        except DatabaseAway as away:
            raise CannotStart(
                f"what was used of new budgets cannot be read: {away.reason}"
            ) from None

    def write_down(self, cause: Cause) -> None:
        """Write down which configuration and which prices are in force now."""
        snapshot = self.current.snapshot
        write_versions(self._kept.journal, snapshot, cause=cause, wall=time.time)

    def take(self, edition: Edition, *, number: int) -> None:
        """Serve what begins from now on by another edition, in one step."""
        before, self.current = self.current, edition
        serve_by(edition.surface, self._kept, self.hub, edition=number)
        retiring = asyncio.create_task(self._retire(before))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """Close all that is open, whatever still uses it."""
        tasks = tuple(self._retiring)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.current.opened.aclose()

    async def _retire(self, edition: Edition) -> None:
        """Close an edition when its last call has ended."""
        surface = edition.surface
        routes = frozenset(surface.hot.values())
        try:
            # A request that is only being read is no call yet, but will be one.
            while surface.in_flight or self.hub.awaits(routes):  # noqa: ASYNC110 - counted
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            await edition.opened.aclose()
        # Its parts hold each other, and the collector looks so rarely that many of them
        # would gather. It takes 2 ms, and longer among many open streams; but once.
        del edition, surface, routes
        gc.collect()


async def _opened(
    snapshot: Snapshot,
    kept: Lasting,
    transports: Transports,
    *,
    before: Surface | None,
) -> Edition:
    async with AsyncExitStack() as opened:
        transport = await opened.enter_async_context(transports.lent(snapshot))
        policies = await opened.enter_async_context(open_policies(snapshot, transport))
        answers = await opened.enter_async_context(open_answers(snapshot))
        surface = build_surface(
            snapshot,
            kept,
            transport,
            policies=policies,
            answers=answers,
            before=before,
        )
        return Edition(surface, opened.pop_all())
