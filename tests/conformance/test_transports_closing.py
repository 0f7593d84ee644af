"""How an answer and a transport are closed: what lives on, and what is cut."""

import asyncio
from typing import Final

import pytest

from smart_llmrouter.upstream.transport import ConnectionCut, Transport
from tests.support.transports import MIB, Kind, ask, endpoint_to
from tests.support.upstream_server import (
    LAST_CHUNK,
    Peer,
    chunk,
    head,
    plain,
    running_upstream,
    turns,
)
from tests.support.wait import eventually

SOON_S: Final = 30
"""Far less than an answer may take, and more than a loaded machine stops a process."""


async def test_closing_before_the_end_cuts(transport: Transport) -> None:
    """Whoever stops reading in the middle ends the call at the provider, too."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Transfer-Encoding: chunked") + chunk(b"first"))

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        assert await answer.next_chunk() == b"first"
        answer.close()

        await eventually(lambda: upstream.open == 0)


async def test_closing_an_answer_whose_body_was_not_read_leaves_nothing_for_others(
    transport: Transport,
) -> None:
    """A body that nobody read is never the next call's."""
    number = iter(range(1, 9))

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(plain(b"body %d" % next(number)))

    async with running_upstream(play) as upstream:
        unread = await transport.send(endpoint_to(upstream.port), b"{}")
        unread.close()
        answer = await ask(transport, upstream)

        assert answer == (200, b"body 2")


async def test_closing_twice_gives_a_connection_back_once(transport: Transport) -> None:
    """A second close must not put the connection into the pool twice."""
    release = asyncio.Event()

    async def play(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if request.body != b"{}":
                await release.wait()
            await peer.send(plain(request.body))

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.read()
        answer.close()
        answer.close()
        calls = [
            asyncio.create_task(ask(transport, upstream, body)) for body in (b"a", b"b")
        ]
        await eventually(lambda: len(upstream.requests) == 3)
        release.set()

        assert await asyncio.gather(*calls) == [(200, b"a"), (200, b"b")]
        assert len(upstream.peers) == 2


@pytest.mark.parametrize(
    "rest",
    [LAST_CHUNK, chunk(b": a comment\n\n") + LAST_CHUNK],
    ids=["end", "more and end"],
)
async def test_finishing_keeps_the_connection(
    transport: Transport, rest: bytes
) -> None:
    """What little follows the last event is read, so that the connection lives."""
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(head("Transfer-Encoding: chunked") + chunk(b"[DONE]"))
            await go_on.wait()
            await peer.send(rest)

    async with running_upstream(play) as upstream:
        for early in (False, True):
            go_on.clear()
            answer = await transport.send(endpoint_to(upstream.port), b"{}")
            assert await answer.next_chunk() == b"[DONE]"
            go_on.set()
            if early:
                await turns(9)
            await answer.finish()
            answer.close()

        assert len(upstream.peers) == 1


async def test_finishing_gives_up_soon(transport: Transport) -> None:
    """When nothing comes, finishing ends soon, and raises nothing."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Transfer-Encoding: chunked") + chunk(b"[DONE]"))

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.next_chunk()
        async with asyncio.timeout(SOON_S):
            await answer.finish()
        answer.close()

        await eventually(lambda: upstream.open == 0)


async def test_finishing_does_not_read_for_ever(transport: Transport) -> None:
    """When more and more comes, finishing stops, and the connection is cut."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Transfer-Encoding: chunked"))
        while True:
            await peer.send(chunk(b"x" * 65536))

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.next_chunk()
        async with asyncio.timeout(SOON_S):
            await answer.finish()
        answer.close()

        await eventually(lambda: upstream.open == 0)
        assert upstream.peers[0].sent_bytes < 16 * MIB


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_finishing_raises_nothing_when_the_connection_ends(
    transport: Transport, ending: str
) -> None:
    """A cut after the last event is nobody's failure."""
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Transfer-Encoding: chunked") + chunk(b"[DONE]"))
        await go_on.wait()
        peer.close() if ending == "close" else peer.reset()

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.next_chunk()
        go_on.set()
        await answer.finish()
        answer.close()

        await eventually(lambda: upstream.open == 0)


async def test_closing_the_transport_closes_its_connections(kind: Kind) -> None:
    """At the end, idle connections and those in use are closed."""

    async def play(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if request.body == b"stay":
                await peer.send(head("Content-Length: 9") + b"so far")
            else:
                await peer.send(plain(b"done"))

    async with running_upstream(play) as upstream:
        async with kind.open() as transport:
            unfinished = await transport.send(endpoint_to(upstream.port), b"stay")
            await asyncio.gather(*(ask(transport, upstream) for _ in range(3)))
            opened = upstream.open
        unfinished.close()

        assert opened >= 2
        await eventually(lambda: upstream.open == 0)


async def test_a_closed_answer_gives_nothing_of_the_next_one(
    transport: Transport,
) -> None:
    """Who reads on after closing is refused; the next call loses nothing."""

    async def play(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.send(plain(request.body))

    async with running_upstream(play) as upstream:
        closed = await transport.send(endpoint_to(upstream.port), b"one")
        await closed.read()
        closed.close()
        other = await transport.send(endpoint_to(upstream.port), b"two")
        with pytest.raises(ConnectionCut):
            await closed.next_chunk()
        await closed.finish()
        closed.close()
        body = await other.read()
        other.close()

        assert body == b"two"
        assert len(upstream.peers) == 1
