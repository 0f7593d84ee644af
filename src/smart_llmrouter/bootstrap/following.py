"""Taking the configurations that the parent of several workers offers to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from smart_llmrouter.bootstrap.editions import Edition, Editions
from smart_llmrouter.bootstrap.opening import CannotStart
from smart_llmrouter.bootstrap.reloading import prepared_edition, take
from smart_llmrouter.config.handover import unpacked
from smart_llmrouter.edge.crew import Colleagues
from smart_llmrouter.edge.server import Server

log = structlog.get_logger()


class Following:
    """What one worker does about offers; see `edge.offers`.

    A worker that cannot serve by an edition goes on by the one that it has.
    """

    def __init__(
        self, editions: Editions, server: Server, crew: Colleagues, *, edition: int
    ) -> None:
        """Begin with the edition of this number."""
        self._editions = editions
        self._server = server
        self._crew = crew
        self._number = self._answered = edition
        self._prepared: Edition | None = None
        self._wanted = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the parent while the block runs."""
        self._crew.heed = self._wanted.set
        self._wanted.set()
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await self._drop()

    async def _follow(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._look()
            except Exception:
                # What is served goes on; the next look may be luckier.
                log.exception("offer not looked at")

    async def _look(self) -> None:
        """Do what the parent wants now."""
        order = self._crew.offers.order()
        if order.offered > self._answered:
            await self._drop()
            await self._prepare(order.offered)
            # It may have been accepted, or taken back, in the meantime.
            order = self._crew.offers.order()
        if self._prepared is None:
            return
        if order.accepted == self._answered:
            await self._take(self._prepared)
        elif order.offered != self._answered:
            await self._drop()

    async def _prepare(self, number: int) -> None:
        content = self._crew.offers.offer(number)
        if content is None:
            # It is another one by now, and so is the order.
            self._wanted.set()
            return
        snapshot = await asyncio.to_thread(unpacked, content)
        edition = await prepared_edition(self._editions, snapshot)
        unable = edition if isinstance(edition, str) else None
        self._prepared = None if isinstance(edition, str) else edition
        self._answered = number
        self._crew.answer(number, unable)

    async def _take(self, edition: Edition) -> None:
        try:
            await self._editions.count(edition)
        except CannotStart as cannot:
            # All others take it, too.
            log.warning("budgets begin at nothing", reason=str(cannot))
        self._prepared, self._number = None, self._answered
        take(edition, self._editions, self._server, number=self._number)
        if self._crew.speaks_for_all:
            self._editions.write_down("reload")

    async def _drop(self) -> None:
        """Close an edition that is not wanted any more."""
        edition, self._prepared = self._prepared, None
        if edition is not None:
            await edition.opened.aclose()
