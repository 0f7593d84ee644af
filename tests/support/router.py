"""The router in this process, on an event loop of its own: quick to start, in a thread.

It is the real edge, pipeline, transport and journal, put together by `bootstrap`; only
the ingester is not there, so a call's record is read from the journal. Where processes,
signals or the database matter, see `tests.support.gateway`.
"""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx2
import openai
import uvloop

from smart_llmrouter import bootstrap
from smart_llmrouter.admission.counters import Counters
from smart_llmrouter.bootstrap.answers import open_answers
from smart_llmrouter.bootstrap.surface import build_edge
from smart_llmrouter.bootstrap.transports import open_transport
from smart_llmrouter.config.load import load_snapshot
from smart_llmrouter.edge.hub import Hub
from smart_llmrouter.edge.server import Server, listening_socket
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.ledger.decision_line import decode_decision, parted
from smart_llmrouter.ledger.journal_events import (
    JournalEvent,
    decode_event,
    is_event,
    part_events,
)
from smart_llmrouter.ledger.record import UsageRecord, decode_record
from smart_llmrouter.stores.decision_rows import KeptDecision
from smart_llmrouter.stores.segments import list_segments
from tests.support.gateway import token
from tests.support.plain_clients import openai_without_tls, without_tls
from tests.support.wait import PATIENCE_S, eventually, served_out

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Router:
    """A running router: how to reach it, and what it has written down."""

    port: int
    journal: Path
    opened: list[openai.AsyncOpenAI] = field(default_factory=list)
    paths: tuple[str, ...] = ()
    """All that it serves."""

    @property
    def url(self) -> str:
        """Return where it listens, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def openai(self, key: str = "k1", *, max_retries: int = 0) -> openai.AsyncOpenAI:
        """Return the official SDK, pointed here; it is closed with the router."""
        client = openai.AsyncOpenAI(
            api_key=token(key),
            base_url=f"{self.url}/v1",
            max_retries=max_retries,
            http_client=openai_without_tls(),
        )
        self.opened.append(client)
        return client

    def http(self, key: str | None = "k1") -> httpx2.AsyncClient:
        """Return a plain HTTP client with the token of `key`."""
        headers = {"Authorization": f"Bearer {token(key)}"} if key else {}
        return without_tls(
            base_url=self.url,
            headers=headers,
            trust_env=False,
            timeout=PATIENCE_S,
        )

    def records(self) -> list[UsageRecord]:
        """Return the records in the journal now, oldest first."""
        return [
            decode_record(parted(line)[0]) for line in part_events(self._lines()).others
        ]

    def events(self) -> list[JournalEvent]:
        """Return the events in the journal now, oldest first."""
        return [decode_event(line) for line in self._lines() if is_event(line)]

    def decisions(self) -> list[KeptDecision]:
        """Return the decisions that stand in the journal now, oldest first."""
        kept = (parted(line)[1] for line in self._lines())
        return [decode_decision(decision) for decision in kept if decision]

    def _lines(self) -> list[bytes]:
        return [
            line
            for name in list_segments(self.journal)
            for line in (self.journal / name).read_bytes().splitlines()
            if line
        ]

    async def recorded(self, count: int = 1) -> list[UsageRecord]:
        """Wait until there are `count` records at least, and return them all."""
        await eventually(lambda: len(self.records()) >= count, what=f"{count} records")
        return self.records()

    async def record(self) -> UsageRecord:
        """Wait for the one record that there must be, and return it."""
        (record,) = await self.recorded()
        return record


@asynccontextmanager
async def serving(
    directory: Path, settings: dict[str, Any], counters: Counters | None = None
) -> AsyncGenerator[Router]:
    """Serve `settings` on a free port and on the running loop.

    What is limited is counted by `counters`, or in memory.
    """
    directory.mkdir(exist_ok=True)
    config = directory / "router.yaml"
    config.write_text(json.dumps(settings))
    snapshot = load_snapshot(config, environment={})
    journal = bootstrap._new_journal(snapshot.state)
    async with (
        open_transport(snapshot.upstream) as transport,
        bootstrap.open_policies(snapshot, transport) as policies,
        open_answers(snapshot) as answers,
    ):
        hub = build_edge(
            snapshot,
            transport,
            journal,
            policies=policies,
            tally=Tally(),
            ingester=lambda: "ok",
            counters=counters,
            answers=answers,
        )
        server = Server(hub, grace_s=1)
        listening = listening_socket("127.0.0.1", 0)
        task = asyncio.create_task(server.serve(listening))
        try:
            await server.listening.wait()
            yield Router(
                listening.getsockname()[1],
                snapshot.state.directory / "journal",
                paths=_paths(hub),
            )
        finally:
            server.stop()
            await task
            await served_out()
            listening.close()
            journal.close()


def _paths(hub: Hub) -> tuple[str, ...]:
    """Return the paths that are hot, and those that are not."""
    site = cast("Any", hub)._site.app._app
    return (*hub.paths, *(route.path for route in site.routes))


@asynccontextmanager
async def running_router(
    directory: Path, settings: dict[str, Any], counters: Counters | None = None
) -> AsyncGenerator[Router]:
    """Serve `settings` in a thread; stop it at the end, whatever happened."""
    thread = on_its_own_loop(serving(directory, settings, counters))
    router = await asyncio.to_thread(thread.__enter__)
    try:
        yield router
    finally:
        for client in router.opened:
            await client.close()
        await asyncio.to_thread(thread.__exit__, None, None, None)


@contextmanager
def on_its_own_loop(resource: AbstractAsyncContextManager[T]) -> Generator[T]:
    """Hold `resource` open on a new loop in a thread, for tests without a loop too."""
    started: Future[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        ended = asyncio.Event()
        async with resource as value:
            started.set_result((value, asyncio.get_running_loop(), ended))
            await ended.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(live())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="router", daemon=True)
    thread.start()
    value, loop, ended = started.result(PATIENCE_S)
    try:
        yield value
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the router's thread did not end"
