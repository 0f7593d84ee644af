"""Too many connections: who is told, who must go, and what is left of them."""

import asyncio
import gc
import ssl

from smart_llmrouter.edge.addresses import NOBODY
from smart_llmrouter.edge.connection import Connection
from smart_llmrouter.edge.tls import serving_context
from tests.edge.test_tls import OURS, clients_context
from tests.support.edge import Edge, on_uvloop, serving_edge
from tests.support.edge_cases import line
from tests.support.wait import eventually

REFUSED = b"HTTP/1.1 503 Service Unavailable\r\n"
Ends = list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]


def bounded(edge: Edge, most: int) -> None:
    """Let in so many connections from now on."""
    edge.hub._entrance.bound(NOBODY, most=most, most_per_address=0)


async def opened(edge: Edge, count: int, tls: ssl.SSLContext | None = None) -> Ends:
    """Open connections, and wait until the edge has them."""
    name = "localhost" if tls else None
    ends = [
        await asyncio.open_connection(
            "127.0.0.1", edge.port, ssl=tls, server_hostname=name
        )
        for _ in range(count)
    ]
    await eventually(lambda: len(edge.hub.connections) >= count)
    return ends


def test_in_a_crowd_the_idle_go_after_five_seconds() -> None:
    """Who asks for something stays; with room again, the idle stay for longer."""

    async def story() -> tuple[int, int, bytes]:
        async with serving_edge() as edge:
            bounded(edge, 8)
            ends = await opened(edge, 8)
            await edge.later(4)
            at_first = len(edge.hub.connections)
            reader, writer = ends[0]
            writer.write(line(b"GET /hot HTTP/1.1"))
            answered = await reader.readline()
            await edge.later(2)
            await eventually(lambda: len(edge.hub.connections) == 1, what="room")
            await edge.later(60)
            for _, each in ends:
                each.close()
            return at_first, len(edge.hub.connections), answered

    assert on_uvloop(story()) == (8, 1, b"HTTP/1.1 200 OK\r\n")


def test_one_too_many_is_told_over_tls() -> None:
    """After its handshake, as there is no other way to tell it anything."""

    async def story() -> bytes:
        async with serving_edge(tls=serving_context(OURS)) as edge:
            bounded(edge, 1)
            ends = await opened(edge, 1, clients_context())
            heard, ending = await edge.send([b""], tls=clients_context())
            assert (ending, edge.failures) == ("closed", [])
            ends[0][1].close()
            return heard

    assert on_uvloop(story()).startswith(REFUSED)


def test_nobody_is_told_who_asks_behind_a_refusal() -> None:
    """What comes on a connection without room is not looked at."""

    async def story() -> tuple[int, int]:
        async with serving_edge() as edge:
            bounded(edge, 1)
            ends = await opened(edge, 1)
            heard, _ = await edge.send([line(b"GET /hot HTTP/1.1") * 5])
            ends[0][1].close()
            return heard.count(REFUSED), len(edge.taken)

    assert on_uvloop(story()) == (1, 0)


def test_a_handshake_that_fails_leaves_nothing() -> None:
    """A flood of them would otherwise fill the memory until somebody cleans up."""

    async def story() -> int:
        async with serving_edge(tls=serving_context(OURS)) as edge:
            gc.collect()
            gc.disable()
            try:
                for _ in range(50):
                    await edge.send([b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"])
                await asyncio.sleep(0)
                return sum(isinstance(each, Connection) for each in gc.get_objects())
            finally:
                gc.enable()

    assert on_uvloop(story()) == 0
