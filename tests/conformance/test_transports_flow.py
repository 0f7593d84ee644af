"""How bytes flow: at once, as fast as they are read, and not after a cancellation."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.upstream.transport import Transport
from tests.support.transports import MIB, Kind, ask, endpoint_to, held
from tests.support.upstream_server import (
    LAST_CHUNK,
    Peer,
    Script,
    Upstream,
    answering,
    chunk,
    full_backlog,
    head,
    in_turn,
    plain,
    running_upstream,
    turns,
)
from tests.support.wait import PATIENCE_S, eventually

STREAM = head("Transfer-Encoding: chunked")


@pytest.fixture
async def roomy(kind: Kind) -> AsyncIterator[Transport]:
    """Return a transport that reads answers of up to 100 MiB."""
    async with kind.open(max_response_bytes=100 * MIB) as opened:
        yield opened


async def test_a_chunk_is_given_as_soon_as_it_is_there(transport: Transport) -> None:
    """An event reaches the reader while the provider still thinks about the next."""
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM)
        for number in range(5):
            await go_on.wait()
            go_on.clear()
            await peer.send(chunk(b"data: %d\n\n" % number))
        await go_on.wait()
        await peer.send(LAST_CHUNK)

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        got = []
        for _ in range(6):
            go_on.set()
            got.append(await asyncio.wait_for(answer.next_chunk(), PATIENCE_S))
        answer.close()

        assert got == [b"data: %d\n\n" % number for number in range(5)] + [b""]


async def test_the_end_may_be_asked_for_again(transport: Transport) -> None:
    """After the end, every further chunk is empty."""
    async with running_upstream(answering(plain(b"hello"))) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        got = [await answer.next_chunk() for _ in range(3)]
        rest = await answer.read()
        await answer.finish()
        answer.close()

        assert got == [b"hello", b"", b""]
        assert rest == b""


async def test_a_reader_that_does_not_read_holds_the_provider_back(
    roomy: Transport,
) -> None:
    """Only some megabytes are taken ahead of the reader; then all of it arrives."""
    piece, count = b"x" * 65536, 1024

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(STREAM)
            for _ in range(count):
                await peer.send(chunk(piece))
            await peer.send(LAST_CHUNK)

    async with running_upstream(play) as upstream:
        answer = await roomy.send(endpoint_to(upstream.port), b"{}")
        taken = await _settled(upstream)
        size = 0
        while block := await answer.next_chunk():
            size += len(block)
        answer.close()

        assert taken < 16 * MIB
        assert size == len(piece) * count
        assert await ask(roomy, upstream) == (200, piece * count)
        assert len(upstream.peers) == 1


async def _settled(upstream: Upstream) -> int:
    """Return how many bytes the provider got rid of, when that grows no more."""
    seen, same = -1, 0
    while same < 20:
        await asyncio.sleep(0.01)
        now = sum(peer.sent_bytes for peer in upstream.peers)
        seen, same = now, same + 1 if now == seen and now else 0
    return seen


async def test_large_bodies_go_both_ways(roomy: Transport) -> None:
    """Twenty megabytes out and back are the same bytes, twice on one connection."""
    body = bytes(range(256)) * (20 * MIB // 256)

    async def echo(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.send(plain(request.body))

    async with running_upstream(echo) as upstream:
        for _ in range(2):
            assert await ask(roomy, upstream, body) == (200, body)

        assert len(upstream.peers) == 1


async def test_an_answer_may_come_before_the_request_was_read(
    transport: Transport,
) -> None:
    """A refusal of a large body is read, and that connection is used no more."""

    async def refuse(peer: Peer) -> None:
        await peer.head()
        await peer.send(plain(b"too large", status="413 Content Too Large"))
        await peer.over.wait()

    async with running_upstream(in_turn(refuse, answering(plain(b"ok")))) as upstream:
        refused = await ask(transport, upstream, b"x" * (20 * MIB))
        taken = await ask(transport, upstream, b"small")

        assert refused == (413, b"too large")
        assert taken == (200, b"ok")
        assert len(upstream.peers) == 2
        assert [each.body for each in upstream.requests] == [b"small"]


async def silent(peer: Peer) -> None:
    """Take a request and never answer."""
    await peer.request()


async def half_a_head(peer: Peer) -> None:
    """Begin an answer, and stop in its head."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-")


async def half_a_body(peer: Peer) -> None:
    """Begin an answer, and stop in its body."""
    await peer.request()
    await peer.send(STREAM + chunk(b"first"))


async def deaf(peer: Peer) -> None:
    """Do not even read the whole request."""
    await peer.head()
    await asyncio.sleep(0.2)


async def _exchange(transport: Transport, upstream: Upstream, body: bytes) -> None:
    answer = await transport.send(endpoint_to(upstream.port), body)
    try:
        while await answer.next_chunk():
            pass
    finally:
        answer.close()


@pytest.mark.parametrize(
    ("script", "size"),
    [(silent, 2), (half_a_head, 2), (half_a_body, 2), (deaf, 20 * MIB)],
    ids=["no answer", "half a head", "half a body", "half a request"],
)
@pytest.mark.parametrize("pooled", [False, True], ids=["fresh", "pooled"])
async def test_a_cancelled_call_leaves_nothing_behind(
    transport: Transport, script: Script, size: int, *, pooled: bool
) -> None:
    """Wherever a call waits, cancelling it ends its connection at the provider."""

    async def play(peer: Peer) -> None:
        if pooled:
            await peer.request()
            await peer.send(plain(b"first"))
        await script(peer)

    async with running_upstream(play) as upstream:
        before = held()
        if pooled:
            await ask(transport, upstream)
        call = asyncio.create_task(_exchange(transport, upstream, b"x" * size))
        await eventually(lambda: upstream.peers)
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        await eventually(lambda: upstream.open == 0)
        await eventually(lambda: held() <= before)
        assert len(upstream.peers) == 1


async def test_a_call_cancelled_while_connecting_leaves_nothing_behind(
    kind: Kind,
) -> None:
    """A connection that was only being made is given up, with its socket."""
    with full_backlog() as port:
        async with kind.open() as transport:
            before = held()
            call = asyncio.create_task(ask(transport, endpoint_to(port)))
            await eventually(lambda: held() > before)
            await asyncio.sleep(0.05)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

            await eventually(lambda: held() <= before)


async def test_a_call_cancelled_in_the_handshake_leaves_nothing_behind(
    kind: Kind,
) -> None:
    """So is one whose handshake was not over."""

    async def play(peer: Peer) -> None:
        await peer.hello()

    async with (
        running_upstream(play) as upstream,
        kind.open() as transport,
    ):
        before = held()
        endpoint = endpoint_to(upstream.port, scheme="https")
        call = asyncio.create_task(ask(transport, endpoint))
        await eventually(lambda: upstream.peers)
        await turns(9)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        await eventually(lambda: upstream.open == 0)
        await eventually(lambda: held() <= before)


@given(
    patience=st.integers(min_value=0, max_value=25),
    cuts=st.lists(st.integers(min_value=0, max_value=99), max_size=4),
    tls=st.booleans(),
)
async def test_a_call_may_be_cancelled_at_any_moment(
    kind: Kind, patience: int, cuts: list[int], *, tls: bool
) -> None:
    """After any number of turns of the loop: no connection, task or file is left."""
    whole = STREAM + chunk(b"first") + chunk(b"second") + LAST_CHUNK

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(whole, cuts=cuts)

    async with running_upstream(play, certificate="good" if tls else None) as upstream:
        before = held()
        async with kind.open() as transport:
            endpoint = endpoint_to(upstream.port, scheme="https" if tls else "http")
            call = asyncio.create_task(ask(transport, endpoint))
            await turns(patience)
            call.cancel()
            await asyncio.wait([call])
            again = await ask(transport, endpoint)

        assert again == (200, b"firstsecond")
        await eventually(lambda: upstream.open == 0)
        await eventually(lambda: held() <= before)
