"""Callers that are slow, or silent, or take nothing: they are let go, in time.

The edge's clock is turned ahead by the tests; the sockets are real.
"""

import asyncio
import resource
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

import pytest

from tests.support.edge import Edge, on_uvloop, serving_edge
from tests.support.edge_cases import CHUNKED, PROBE, head, line, post
from tests.support.gateway import configuration, provider, token
from tests.support.mock import running_mock
from tests.support.raw_http import exchange
from tests.support.router import running_router
from tests.support.wait import PATIENCE_S, eventually

TIMEOUT_S: Final = 60.0
ANSWERED: Final = b"HTTP/1.1 200 OK\r\n"
TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\n"
Story = Callable[[Edge, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


def heard(story: Story) -> tuple[bytes, int]:
    """Run a story; return what its caller heard, and how many requests were served."""

    async def run() -> tuple[bytes, int]:
        async with serving_edge(client_timeout_s=TIMEOUT_S) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            await eventually(lambda: edge.hub.connections)
            told = await asyncio.wait_for(story(edge, reader, writer), PATIENCE_S)
            writer.close()
            await eventually(lambda: not edge.hub.connections)
            assert edge.failures == []
            return told, len(edge.taken)

    return on_uvloop(run())


def transport_of(writer: asyncio.StreamWriter) -> asyncio.Transport:
    """Return the transport, with which reading can be stopped."""
    return cast("asyncio.Transport", writer.transport)


def dripped(pieces: list[bytes], *, every_s: float) -> tuple[bytes, int]:
    """Send a piece now and then, and hear what comes until the end."""

    async def story(
        edge: Edge, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        told = asyncio.create_task(reader.read())
        for piece in pieces:
            if told.done():
                break
            writer.write(piece)
            await edge.later(every_s)
        return await told

    return heard(story)


def test_a_head_that_drips_is_refused() -> None:
    """However often a byte comes: the whole head has so long, and no longer."""
    told, served = dripped([b"G", b"E", b"T", b" /"], every_s=20)

    assert told.startswith(TOO_SLOW)
    assert b"connection: close\r\n" in told
    assert served == 0


def test_a_head_that_stops_is_refused() -> None:
    """Half a head, and then nothing."""
    told, served = dripped([b"GET /hot HTTP/1.1\r\nho"], every_s=61)

    assert told.startswith(TOO_SLOW)
    assert served == 0


@pytest.mark.parametrize(
    "sent",
    [
        line(b"POST /hot HTTP/1.1", body=b"a" * 100)[:-1],
        post(b"5\r\nhel", CHUNKED),
        post(b"5\r\nhello\r\n0\r\n", CHUNKED),
        post(b"5;exten", CHUNKED),
        line(b"POST /hot HTTP/1.1", b"expect: 100-continue", body=b"hello")[:-5],
    ],
)
def test_a_body_that_stops_is_refused(sent: bytes) -> None:
    """Wherever it stops: what is not whole is not served."""
    told, served = dripped([sent], every_s=61)

    assert told.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").startswith(TOO_SLOW)
    assert served == 0


def test_a_body_that_drips_is_refused() -> None:
    """A kibibyte a second is the least beyond the time-out."""
    body = [b"a"] * 100
    told, served = dripped([post(b"", b"content-length: 100"), *body], every_s=5)

    assert told.startswith(TOO_SLOW)
    assert served == 0


@pytest.mark.parametrize("every_s", [0.0, 5.0, 11.0])
def test_a_body_that_is_slow_but_steady_is_served(every_s: float) -> None:
    """What is whole within the time-out is served, however it came."""
    pieces = [post(b"", b"content-length: 5"), *[b"a"] * 4, b"a" + PROBE]
    told, served = dripped(pieces, every_s=every_s)

    assert told.startswith(ANSWERED)
    assert served == 2


def test_line_ends_that_drip_are_no_request() -> None:
    """Who sends nothing but line ends is idle, and is let go as such."""
    told, served = dripped([b"\r\n"] * 10, every_s=10)

    assert told == b""
    assert served == 0


def test_an_idle_connection_is_kept_for_75_seconds() -> None:
    """Then it is closed without a word: nobody had asked for anything."""

    async def story(
        edge: Edge, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        told = b""
        for _ in range(2):
            writer.write(line(b"GET /hot HTTP/1.1"))
            told += await reader.readuntil(b"\r\n\r\n")
            await edge.later(74)
        assert len(edge.hub.connections) == 1
        await edge.later(2)
        return told + await reader.read()

    told, served = heard(story)

    assert (told.count(ANSWERED), served) == (2, 2)
    assert told.endswith(b"\r\n\r\n")


def test_a_caller_that_takes_nothing_is_cut_off() -> None:
    """Its connection is reset once it has taken nothing for the time-out."""

    async def story(
        edge: Edge, _: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        transport_of(writer).pause_reading()
        request = line(b"POST /hot HTTP/1.1", body=b"a" * 2000)
        # So much that neither the kernel nor the edge's buffer takes all of it.
        writer.write(request * 20_000)
        await eventually(lambda: any(each.congested for each in edge.hub.connections))
        await edge.later(1)
        await edge.later(58)
        assert len(edge.hub.connections) == 1
        await edge.later(3)
        await eventually(lambda: not edge.hub.connections)
        return b""

    _, served = heard(story)

    assert served < 20_000


def test_many_requests_in_one_packet_take_little_memory() -> None:
    """Nothing is begun behind an answer that is not taken, and little is kept."""
    request = line(b"GET /refuse HTTP/1.1")
    count = 5000
    sent = request * count + PROBE

    async def run() -> tuple[int, int, int]:
        async with serving_edge() as edge:
            before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", edge.port, limit=1 << 22
            )
            transport_of(writer).pause_reading()
            writer.write(sent)
            await eventually(
                lambda: (
                    any(each.congested for each in edge.hub.connections)
                    or (edge.taken != [])
                )
            )
            grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
            transport_of(writer).resume_reading()
            answers = await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            statuses = answers.count(b"HTTP/1.1 401 ")
            assert edge.failures == []
            return grown_kib, statuses, len(edge.taken)

    grown_kib, refused, served = on_uvloop(run())

    assert (refused, served) == (count, 1)
    assert grown_kib < 32 * 1024


@asynccontextmanager
async def held(edge: Edge, count: int) -> AsyncGenerator[list[socket.socket]]:
    """Hold connections that have sent half of a head each."""
    opened = []
    try:
        for number in range(count):
            each = socket.create_connection(("127.0.0.1", edge.port))
            each.send(b"POST /hot HTTP/1.1\r\nhost: x\r\nx: ")
            opened.append(each)
            if number % 20 == 0:
                await asyncio.sleep(0)
        await eventually(lambda: len(edge.hub.connections) == count)
        yield opened
    finally:
        for each in opened:
            each.close()


def test_two_thousand_slow_callers_do_not_hinder_a_quick_one() -> None:
    """They cost a little memory each; time, only when they are let go."""

    async def run() -> tuple[float, int]:
        async with serving_edge(client_timeout_s=TIMEOUT_S) as edge:
            async with held(edge, 2000):
                slowest_s = 0.0
                for _ in range(50):
                    # What the machine does meanwhile takes no time of this process.
                    began_s = time.process_time()
                    edge.hub.sweep()
                    told, _ = await edge.send([PROBE])
                    slowest_s = max(slowest_s, time.process_time() - began_s)
                    assert told.startswith(ANSWERED)
                await edge.later(TIMEOUT_S + 1)
                await edge.later(6)
                await eventually(lambda: not edge.hub.connections)
            assert edge.failures == []
            return slowest_s, len(edge.taken)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    try:
        slowest_s, served = on_uvloop(run())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert served == 50
    assert slowest_s < 1.0


async def test_a_known_caller_that_is_too_slow_is_on_record(tmp_path: Path) -> None:
    """A body that never ends is a call that failed; a head alone is nobody's."""
    begun = head(
        b"POST /v1/chat/completions HTTP/1.1",
        b"host: x",
        b"authorization: Bearer " + token().encode(),
        b"content-type: application/json",
        b"content-length: 100",
    )
    async with running_mock() as mock:
        settings = configuration(
            {"acme": provider(mock.base_url)}, server={"client_timeout_s": 2.0}
        )
        async with running_router(tmp_path, settings) as router:
            unfinished, stopped = await asyncio.gather(
                exchange(router.port, begun[:-2], silence_s=PATIENCE_S),
                exchange(router.port, begun + b"{", silence_s=PATIENCE_S),
            )
            record = await router.record()

    assert (unfinished.status, unfinished.ending) == (408, "closed")
    assert (stopped.status, stopped.ending) == (408, "closed")
    assert b'"code":"request-timeout"' in stopped.body.replace(b": ", b":")
    assert (record.status, record.error_code) == (408, "request-timeout")
    assert mock.received == []
