"""The steps that need an event loop: whole paths, the edge, the client for providers.

The caller's side of a path is a transport that keeps what is written to it, and the
provider's side answers at once, so that what is timed is the router and nothing else.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import uvloop

from bench.micro_answers import ANSWER, ENDING, OPENING, TEXTS
from bench.workload import TOKEN, chat_body
from smart_llmrouter.bootstrap.surface import build_edge
from smart_llmrouter.bootstrap.transports import open_transport
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.edge.connection import Connection
from smart_llmrouter.edge.exchange import Exchange
from smart_llmrouter.edge.hub import Hub, Nobodys
from smart_llmrouter.engine.tally import Tally
from smart_llmrouter.engine.vigil import Watch
from smart_llmrouter.stores.journal import JournalWriter
from smart_llmrouter.upstream.endpoints import Endpoint, endpoint_of
from smart_llmrouter.upstream.transport import Sink

_STREAM: Final = OPENING + b"".join(TEXTS) + ENDING
_PLAIN_TYPE: Final = "application/json"
_STREAM_TYPE: Final = "text/event-stream"
Turn = Callable[[], Awaitable[object]]


def path_steps(
    snapshot: Snapshot, directory: Path, *, turns: int, rounds: int
) -> list[tuple[str, float]]:
    """Measure each step; return its name and its microseconds."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measured(snapshot, directory, turns=turns, rounds=rounds))


async def _measured(
    snapshot: Snapshot, directory: Path, *, turns: int, rounds: int
) -> list[tuple[str, float]]:
    loop = asyncio.get_running_loop()
    found = []

    async def keep(name: str, turn: Turn) -> None:
        found.append((name, await best_us(turn, turns=turns, rounds=rounds)))

    watch = Watch(loop)
    await keep("watch over a call", lambda: _watched(watch))
    await keep("take a request and answer it: the edge", _Edge(_edge_alone(loop)))
    hub = _whole_router(snapshot, directory)
    await keep("a plain call, all of it", _Edge(hub))
    await keep("a stream, all of it", _Edge(hub, stream=True))
    async with (
        provider_saying(ANSWER) as port,
        open_transport(snapshot.upstream) as transport,
    ):
        provider = snapshot.groups["chat"].targets[0].provider
        elsewhere = replace(provider, base_url=f"http://127.0.0.1:{port}/v1")
        endpoint = endpoint_of(elsewhere, user_agent="bench")
        body = chat_body(stream=False)

        async def exchanged() -> None:
            answer = await transport.send(endpoint, body)
            await answer.read()
            answer.close()

        await keep("ask a provider: both ends, and the kernel", exchanged)
    return found


async def best_us(turn: Turn, *, turns: int, rounds: int) -> float:
    """Return the best of many short rounds: each fits between two interruptions."""
    best_s = float("inf")
    for _ in range(rounds):
        began_s = time.perf_counter()
        for _ in range(turns):
            await turn()
        best_s = min(best_s, time.perf_counter() - began_s)
    return 1e6 * best_s / turns


async def _watched(watch: Watch) -> None:
    with watch.over_this_task(total_s=600) as vigil:
        vigil.wait_for("first_event", 120)
        vigil.rest()


class _Edge:
    """A caller's connection: each turn is a request on it, and the wait for its end."""

    def __init__(self, hub: Hub, *, stream: bool = False) -> None:
        body = chat_body(stream=stream)
        self._request = (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
            b"Content-Type: application/json\r\nAuthorization: Bearer %b\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (TOKEN.encode(), len(body), body)
        )
        self._end = b"0\r\n\r\n" if stream else b"}"
        self._sink = _Sink()
        self._connection = Connection(hub)
        self._connection.connection_made(self._sink)

    async def __call__(self) -> None:
        self._sink.last = b""
        self._connection.data_received(self._request)
        while not self._sink.last.endswith(self._end):  # noqa: ASYNC110 - turns
            await asyncio.sleep(0)


class _Sink(asyncio.Transport):
    """Takes what is written at once, and keeps the last piece of it."""

    last = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.last = bytes(data)

    def writelines(self, list_of_data: object) -> None:
        self.last = b"".join(list_of_data)  # type: ignore[arg-type]  # wider in the base

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        """Do nothing: nothing was opened."""


class _AtOnce(Nobodys):
    """A route that answers every request at once."""

    max_body_bytes = 1 << 20

    async def serve(self, exchange: Exchange) -> None:
        exchange.take_body()
        exchange.answer(200, b"content-type: application/json\r\n", ANSWER)


def _edge_alone(loop: asyncio.AbstractEventLoop) -> Hub:
    route = _AtOnce()
    return Hub(
        {"/v1/chat/completions": route},
        route,
        loop=loop,
        client_timeout_s=60,
        now=time.monotonic,
        wall_clock=time.time,
        new_id=lambda ts_ms: f"req_{ts_ms:032x}",
    )


def _whole_router(snapshot: Snapshot, directory: Path) -> Hub:
    journal = JournalWriter(
        directory / "paths", writer_id=os.urandom(4).hex(), now=time.time, sync="off"
    )
    return build_edge(
        snapshot, _Provider(), journal, tally=Tally(), ingester=lambda: "ok"
    )


class _Provider:
    """A transport whose provider answers at once."""

    async def send(self, endpoint: Endpoint, body: bytes) -> "_Answer":
        del endpoint
        return _Answer(stream=b'"stream":true' in body)

    def forget(self) -> None:
        """Do nothing: nothing is kept."""


class _Answer:
    """An answer that is there already; a stream comes in one piece."""

    status = 200

    def __init__(self, *, stream: bool) -> None:
        self._type = _STREAM_TYPE if stream else _PLAIN_TYPE
        self._left = _STREAM if stream else ANSWER

    def header(self, name: str) -> str | None:
        return self._type if name == "content-type" else None

    async def read(self) -> bytes:
        return self._left

    async def next_chunk(self) -> bytes:
        chunk, self._left = self._left, b""
        return chunk

    async def pour(self, sink: Sink) -> None:
        while sink(await self.next_chunk()):
            pass

    async def finish(self) -> None:
        """Do nothing: nothing is left."""

    def close(self) -> None:
        """Do nothing: nothing was opened."""


class _Answering(asyncio.Protocol):
    """A provider on a real socket that takes each piece of bytes for a request."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        del data
        self._transport.write(self._answer)


@asynccontextmanager
async def provider_saying(body: bytes) -> AsyncIterator[int]:
    """Answer every request with `body`, on a free port."""
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answering(answer), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
