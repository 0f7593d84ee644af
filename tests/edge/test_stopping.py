"""What a connection holds up when the process is to stop, and for how long."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import pytest

from smart_llmrouter.edge.exchange import Exchange
from tests.edge.test_endings import at_all_paths_but_hot
from tests.support.edge import Edge, on_uvloop, serving_edge
from tests.support.edge_cases import head, line
from tests.support.wait import PATIENCE_S, eventually

GRACE_S: Final = 600.0
UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\n"
Caller = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Story = Callable[[Edge, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


def told(story: Story, *, begun: bytes) -> bytes:
    """Stop an edge while a caller has sent `begun`; return what the caller heard."""

    async def run() -> bytes:
        async with serving_edge(grace_s=GRACE_S) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(begun)
            await eventually(lambda: any(each.busy for each in edge.hub.connections))
            edge.server.stop()
            await eventually(lambda: edge.hub.draining)
            heard = await asyncio.wait_for(story(edge, reader, writer), PATIENCE_S)
            await eventually(lambda: not edge.hub.connections)
            assert edge.failures == []
            writer.close()
            return heard

    return on_uvloop(run())


async def hear(
    edge: Edge, reader: asyncio.StreamReader, _: asyncio.StreamWriter
) -> bytes:
    """Send nothing more."""
    await edge.later(3)
    return await reader.read()


@pytest.mark.parametrize(
    "begun", [b"G", b"GET /hot HTTP/1.1\r\n", line(b"GET /hot HTTP/1.1")[:-1]]
)
def test_half_a_head_does_not_hold_the_stop_up(begun: bytes) -> None:
    """It is refused after two seconds: the caller asks somebody else."""
    assert told(hear, begun=begun).startswith(UNAVAILABLE)


def test_who_neither_goes_on_nor_goes_is_cut_off() -> None:
    """Having been refused, it has two seconds more to close its side."""

    async def stay(
        edge: Edge, reader: asyncio.StreamReader, _: asyncio.StreamWriter
    ) -> bytes:
        await edge.later(3)
        heard = await reader.readuntil(b"\r\n\r\n")
        await edge.later(3)
        assert not edge.hub.connections
        return heard

    assert told(stay, begun=b"GET /hot HTTP/1.1\r\n").startswith(UNAVAILABLE)


def test_a_head_that_was_on_its_way_is_served() -> None:
    """Its rest may come for two seconds; the answer is the last."""
    sent = line(b"GET /hot HTTP/1.1")

    async def go_on(
        edge: Edge, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        await edge.later(1)
        writer.write(sent[-1:])
        return await reader.read()

    heard = told(go_on, begun=sent[:-1])

    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in heard


def test_a_body_may_come_as_long_as_the_grace_lasts() -> None:
    """Its caller is known by then, and the call has begun."""
    begun = head(b"POST /hot HTTP/1.1", b"host: x", b"content-length: 5")

    async def go_on(
        edge: Edge, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        await edge.later(20)
        writer.write(b"hello")
        return await reader.read()

    assert told(go_on, begun=begun).endswith(b"\r\n\r\nhello")


def test_asked_twice_it_waits_no_longer_for_what_does_not_end() -> None:
    """A call that does not heed its cancelling is left behind after a moment."""

    async def run() -> tuple[float, bytes]:
        free = asyncio.Event()

        async def hang(_: Exchange) -> None:
            while not free.is_set():
                try:
                    await free.wait()
                except asyncio.CancelledError:
                    continue

        routes = at_all_paths_but_hot(hang)
        async with serving_edge(routes=routes, grace_s=GRACE_S) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(line(b"GET /hang HTTP/1.1"))
            await eventually(lambda: any(each.busy for each in edge.hub.connections))
            began_s = edge.hub.loop.time()
            edge.server.stop()
            edge.server.stop()
            heard = b""
            with suppress(ConnectionError):
                heard = await asyncio.wait_for(reader.read(), PATIENCE_S)
            free.set()
            writer.close()
            return edge.hub.loop.time() - began_s, heard

    took_s, heard = on_uvloop(run())

    assert took_s < GRACE_S / 2
    assert heard == b""
