"""The only place where objects are put together, and where clocks and chance come from.

`serve` is the life of a router process: it opens what it needs in order, listens, and
closes everything in the opposite order, however it ends.
"""

import asyncio
import fcntl
import gc
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Final

import structlog

from smart_llmrouter.admission.counters import Counters
from smart_llmrouter.bootstrap.counters import begin_owning, open_counters
from smart_llmrouter.bootstrap.editions import Editions, serving_editions
from smart_llmrouter.bootstrap.embedded import embedded_store
from smart_llmrouter.bootstrap.following import Following
from smart_llmrouter.bootstrap.hangups import Hangups
from smart_llmrouter.bootstrap.opening import CannotStart, open_policies
from smart_llmrouter.bootstrap.reloading import Reloading
from smart_llmrouter.bootstrap.rereading import Reread
from smart_llmrouter.bootstrap.surface import lasting
from smart_llmrouter.config.allowances import Allowances
from smart_llmrouter.config.snapshot import Snapshot, State
from smart_llmrouter.core.allocator import keep_freed_blocks
from smart_llmrouter.edge.crew import Alone, Colleagues, Crew, Seat
from smart_llmrouter.edge.server import Server, StopWishes, listening_socket
from smart_llmrouter.edge.tls import CertificateUnusable, serving_context
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.ledger.affinity import BadCpus, ingester_cpus
from smart_llmrouter.ledger.ingester_loop import unread_bytes
from smart_llmrouter.ledger.journal_room import JournalRoom
from smart_llmrouter.ledger.supervisor import IngesterSupervisor, condition_of
from smart_llmrouter.stores.backends import create_or_check_schema, may_come_back
from smart_llmrouter.stores.journal import JournalUnwritable, JournalWriter
from smart_llmrouter.stores.remedies import told
from smart_llmrouter.stores.unusable import DatabaseUnusable
from smart_llmrouter.stores.usage_store import DatabaseAway
from smart_llmrouter.stores.valkey_address import AddressUnusable
from smart_llmrouter.stores.valkey_server import EmbeddedUnusable

__all__ = [
    "CannotStart",
    "Hangups",
    "Prepared",
    "only_router",
    "open_policies",
    "prepared",
    "serve",
    "serve_as_worker",
]

LOCK_NAME: Final = "serve.lock"
_SYNC_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 1.0
_STRAGGLERS_S: Final = 5.0
_POLL_S: Final = 0.01
_WRITER_ID_BYTES: Final = 4
_COLLECT_EVERY: Final = 100_000
"""A call has some 40 objects that the collector looks at. So 2,000 open streams are no
reason yet to look for garbage among them, which would hold up each of them."""
_OLDER_EVERY: Final = 3

log = structlog.get_logger()


async def serve(
    snapshot: Snapshot, *, reread: Reread, hangups: Hangups | None = None
) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is in flight and flush.

    On SIGHUP, which `hangups` has caught so far, the configuration is taken anew as
    `reread` finds it. Raises `CannotStart` when something that is needed cannot be had.
    """
    hangups, crew = hangups or Hangups(), Alone()
    with only_router(snapshot.state.directory):
        begun = prepared(snapshot)
        with _starting():
            journal = _new_journal(snapshot.state)
        # From here on there is something to end, also if the end comes at once.
        stops = StopWishes()
        async with (
            IngesterSupervisor(snapshot.state, cpus=begun.cpus) as ingester,
            _own_store(snapshot.state),
            _edge(snapshot, journal, ingester=ingester.condition, crew=crew) as edge,
        ):
            server = Server(
                edge.editions.hub,
                grace_s=snapshot.server.shutdown_grace_s,
                tls=begun.tls,
                on_stop=ingester.expect_its_end,
            )
            stops.listen(server.stop)
            reloading = Reloading(
                edge.editions, server, reread, crew=crew, wall_clock=time.time
            )
            edge.editions.write_down("start")
            _settle_memory()
            host, port = begun.listening.getsockname()[:2]
            log.info("listening", host=host, port=port)
            hangups.listen(reloading.ask)
            async with reloading.running():
                await server.serve(begun.listening)
            await _stragglers(edge.tally)
    log.info("stopped")


async def serve_as_worker(snapshot: Snapshot, seat: Seat) -> None:
    """Serve as one of several, until the parent says when to stop.

    Raises `CannotStart` when something that is needed cannot be had.
    """
    with _starting():
        server = snapshot.server
        listening = listening_socket(server.host, server.port, shared=True)
        journal = _new_journal(snapshot.state)
    crew = Colleagues(seat, loop=asyncio.get_running_loop(), now=time.monotonic)
    async with _edge(
        snapshot,
        journal,
        ingester=lambda: condition_of(crew.staffing().ingester, snapshot.state),
        crew=crew,
        seat=seat.number,
        edition=seat.edition,
    ) as edge:
        serving = Server(
            edge.editions.hub, grace_s=server.shutdown_grace_s, tls=seat.tls
        )
        serving.stop_as_told()
        following = Following(edge.editions, serving, crew, edition=seat.edition)
        if crew.speaks_for_all:
            edge.editions.write_down("start")
        _settle_memory()
        async with following.running():
            await serving.serve(listening, on_listening=seat.ready)
        await _stragglers(edge.tally)
        crew.leave()


@dataclass(frozen=True, slots=True)
class _Edge:
    """The public surface of a process, and what it counts in."""

    editions: Editions
    tally: Tally


@asynccontextmanager
async def _edge(
    snapshot: Snapshot,
    journal: JournalWriter,
    *,
    ingester: Callable[[], str],
    crew: Crew,
    seat: int = 1,
    edition: int = 0,
) -> AsyncIterator[_Edge]:
    tally = Tally()
    editions: Editions | None = None

    def allowances() -> Allowances:
        return (editions.current.snapshot if editions else snapshot).allowances

    room = JournalRoom(
        max_bytes=snapshot.state.journal_max_bytes,
        min_free_bytes=snapshot.state.min_free_bytes,
    )
    async with (
        _flushed(journal, every_s=_sync_every_s(snapshot.state)),
        _watched(room, snapshot.state.directory),
        _counted(snapshot, allowances, seat=seat) as counters,
    ):
        kept = lasting(
            journal,
            tally=tally,
            ingester=ingester,
            crew=crew,
            counters=counters,
            room=room,
        )
        async with serving_editions(snapshot, kept, number=edition) as serving:
            editions = serving
            try:
                yield _Edge(serving, tally)
            finally:
                kept.inbound.accesses.tell()


@asynccontextmanager
async def _counted(
    snapshot: Snapshot, allowances: Callable[[], Allowances], *, seat: int
) -> AsyncIterator[Counters]:
    """Count what is limited. Raises `CannotStart` where that cannot begin."""
    async with AsyncExitStack() as opened:
        try:
            counters = await opened.enter_async_context(
                open_counters(snapshot, seat=seat, allowances=allowances)
            )
        except DatabaseAway as away:
            raise CannotStart(
                f"what was used of budgets cannot be read: {away.reason}"
            ) from None
        except AddressUnusable as unusable:
            raise CannotStart(str(unusable)) from None
        yield counters


@asynccontextmanager
async def _own_store(state: State) -> AsyncIterator[None]:
    """Run a counter store of the router's own, where one is asked for."""
    async with AsyncExitStack() as opened:
        try:
            await opened.enter_async_context(embedded_store(state))
        except EmbeddedUnusable as unusable:
            raise CannotStart(str(unusable)) from None
        yield


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a router has before it begins; `cpus` are the ingester's, none for any."""

    listening: socket
    cpus: frozenset[int]
    tls: ssl.SSLContext | None


def prepared(snapshot: Snapshot) -> Prepared:
    """Check the database, take the port, and read the certificate.

    Raises `CannotStart` when something cannot be had.
    """
    server = snapshot.server
    with _starting():
        begin_owning(snapshot.state)
        _prepare_database(snapshot.state.database_url.reveal())
        cpus = ingester_cpus(os.environ)
        tls = None if server.tls is None else serving_context(server.tls)
        return Prepared(listening_socket(server.host, server.port), cpus, tls)


def _prepare_database(url: str) -> None:
    """Make or check the tables; a server that is away now is waited for later on."""
    try:
        create_or_check_schema(url)
    except DatabaseAway as away:
        if not may_come_back(url):
            raise
        log.warning(
            "the usage database is away: calls are kept in the journal",
            reason=away.reason,
        )


@contextmanager
def only_router(directory: Path) -> Iterator[None]:
    """Hold the state directory, which belongs to one router at a time."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        lock = os.open(directory / LOCK_NAME, flags, 0o600)
    except OSError as error:
        raise CannotStart(
            f"the state directory {directory} cannot be used: {error.strerror}"
        ) from None
    try:
        _take_lock(lock, directory)
        yield
    finally:
        os.close(lock)


def _take_lock(lock: int, directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"another router uses the state directory {directory}; stop it, or give "
            "this one a `state.directory` of its own"
        ) from None


@contextmanager
def _starting() -> Iterator[None]:
    """Say in one sentence what keeps the router from starting."""
    try:
        yield
    except (
        BadCpus,
        CertificateUnusable,
        DatabaseUnusable,
        JournalUnwritable,
    ) as error:
        raise CannotStart(str(error)) from None
    except DatabaseAway as away:
        what = "the usage database cannot be opened"
        raise CannotStart(f"{what}: {told(away)}") from None
    except OSError as error:
        what = error.filename or "cannot listen"
        raise CannotStart(f"{what}: {error.strerror}") from None


def _new_journal(state: State) -> JournalWriter:
    return JournalWriter(
        state.directory / "journal",
        writer_id=os.urandom(_WRITER_ID_BYTES).hex(),
        now=time.time,
        sync=state.journal_sync,
        min_free_bytes=state.min_free_bytes,
    )


def _sync_every_s(state: State) -> float | None:
    return _SYNC_EVERY_S if state.journal_sync == "interval" else None


@asynccontextmanager
async def _flushed(
    journal: JournalWriter, *, every_s: float | None
) -> AsyncIterator[None]:
    """Bring the journal to the disk now and then, and at the end."""
    syncing = asyncio.create_task(_sync_now_and_then(journal, every_s=every_s))
    try:
        yield
    finally:
        syncing.cancel()
        with suppress(asyncio.CancelledError):
            await syncing
        with suppress(JournalUnwritable):
            journal.close()


async def _sync_now_and_then(journal: JournalWriter, *, every_s: float | None) -> None:
    while every_s is not None:
        await asyncio.sleep(every_s)
        try:
            await asyncio.to_thread(journal.sync)
        except JournalUnwritable as unwritable:
            log.warning("journal cannot be synced", reason=unwritable.reason)


@asynccontextmanager
async def _watched(room: JournalRoom, state_directory: Path) -> AsyncIterator[None]:
    """Look about once a second how much room the journal has."""
    looking = asyncio.create_task(_look_at_room(room, state_directory))
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def _look_at_room(room: JournalRoom, state_directory: Path) -> None:
    while True:
        unread, free = await asyncio.to_thread(_journal_sizes, state_directory)
        room.see(unread_bytes=unread, free_bytes=free)
        await asyncio.sleep(_LOOK_EVERY_S)


def _journal_sizes(state_directory: Path) -> tuple[int | None, int | None]:
    """Return how many bytes are unread, and how many are free."""
    try:
        space = os.statvfs(state_directory / "journal")
    except OSError:
        return unread_bytes(state_directory), None
    return unread_bytes(state_directory), space.f_bavail * space.f_frsize


def _settle_memory() -> None:
    """Take what start-up built out of the collector's sight: it lives until the end.

    What a call leaves behind is freed by counting references; there are few cycles, so
    that looking for them every 700 objects costs a twentieth of a call for nothing, and
    finding none among the objects of a thousand streams takes 30 ms. And what is freed
    stays at hand.
    """
    keep_freed_blocks()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, _OLDER_EVERY, _OLDER_EVERY)


async def _stragglers(tally: Tally) -> None:
    """Let calls that the server has cancelled write their records."""
    deadline_s = time.monotonic() + _STRAGGLERS_S
    while tally.in_flight and time.monotonic() < deadline_s:  # noqa: ASYNC110 - counted
        await asyncio.sleep(_POLL_S)
