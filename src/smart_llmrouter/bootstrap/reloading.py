"""Taking the configuration from its file again, while the router serves.

    read      and check the file, and what it refers to, beside the event loop
    prepare   what serves by it: a mistake up to here changes nothing
    take      it for all that begins from now on, in one step

One reload follows the other: whoever asks for one while another goes on has the file
read once more after it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from smart_llmrouter.bootstrap.editions import Edition, Editions
from smart_llmrouter.bootstrap.opening import CannotStart
from smart_llmrouter.bootstrap.rereading import Reread, reread_for
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.core.clock import WallClock
from smart_llmrouter.edge.crew import Alone
from smart_llmrouter.edge.reloads import Outcome, Reloads
from smart_llmrouter.edge.server import Server

log = structlog.get_logger()


class Reloading:
    """The reloads of a router that is one process."""

    def __init__(
        self,
        editions: Editions,
        server: Server,
        reread: Reread,
        *,
        crew: Alone,
        wall_clock: WallClock,
    ) -> None:
        """Tell `crew` what becomes of them."""
        self._editions = editions
        self._server = server
        self._reread = reread
        self._crew = crew
        self._wall_clock = wall_clock
        self._asked = asyncio.Event()
        crew.reloads = Reloads(
            fingerprint=editions.current.snapshot.fingerprint, loaded_s=wall_clock()
        )

    def ask(self) -> None:
        """Have the configuration read again, now or right after the reload that is."""
        self._asked.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do what is asked for while the block runs."""
        working = asyncio.create_task(self._work())
        try:
            yield
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working

    async def _work(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._reload()

    async def _reload(self) -> None:
        serving = self._editions.current.snapshot
        found = await asyncio.to_thread(reread_for, serving, self._reread)
        if found is None:
            self._tell("refused")
            return
        snapshot, awaiting = found
        edition = await prepared_edition(self._editions, snapshot)
        if isinstance(edition, str) or not await self._counted(edition):
            self._tell("failed")
            return
        reloads, now_s = self._crew.reloads, self._wall_clock()
        self._crew.reloads = reloads.taken(
            snapshot.fingerprint,
            now_s,
            edition=reloads.edition + 1,
            awaits_restart=awaiting,
        )
        take(edition, self._editions, self._server, number=self._crew.reloads.edition)
        self._editions.write_down("reload")
        log.info(
            "configuration reloaded",
            fingerprint=snapshot.fingerprint,
            before=serving.fingerprint,
        )

    async def _counted(self, edition: Edition) -> bool:
        try:
            await self._editions.count(edition)
        except CannotStart as cannot:
            log.warning("configuration not taken", reason=str(cannot))
            await edition.opened.aclose()
            return False
        return True

    def _tell(self, outcome: Outcome) -> None:
        self._crew.reloads = self._crew.reloads.not_taken(outcome, self._wall_clock())


async def prepared_edition(editions: Editions, snapshot: Snapshot) -> Edition | str:
    """Return an edition that may be taken, or why there is none, which is logged."""
    try:
        return await editions.prepare(snapshot)
    except CannotStart as cannot:
        reason = str(cannot)
        log.warning("configuration not taken", reason=reason)
    except Exception as error:
        reason = type(error).__name__
        log.exception("configuration not taken")
    return reason


def take(edition: Edition, editions: Editions, server: Server, *, number: int) -> None:
    """Serve what begins from now on by an edition that was prepared."""
    editions.take(edition, number=number)
    settings = edition.snapshot.server
    server.adjust(grace_s=settings.shutdown_grace_s, certificate=settings.tls)
