"""An answer poured into a sink: all of it, in order, and no more than it takes."""

import asyncio
from functools import partial

import pytest

from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectionCut,
    Transport,
    UpstreamAnswer,
)
from tests.support.transports import MIB, endpoint_to
from tests.support.upstream_server import (
    LAST_CHUNK,
    Peer,
    Upstream,
    answering,
    chunk,
    head,
    plain,
    running_upstream,
)
from tests.support.wait import PATIENCE_S, eventually

STREAM = head("Transfer-Encoding: chunked")


class Glass:
    """Keeps what is poured; takes no more after so many chunks."""

    def __init__(self, chunks: int = 1_000_000) -> None:
        """Begin empty."""
        self.took: list[bytes] = []
        self._chunks = chunks

    def take(self, chunk: bytes) -> bool:
        """Keep a chunk."""
        self.took.append(chunk)
        return len(self.took) < self._chunks and chunk != b""


async def answer_of(transport: Transport, upstream: Upstream) -> UpstreamAnswer:
    """Ask for an answer."""
    return await transport.send(endpoint_to(upstream.port), b"{}")


async def test_each_chunk_is_poured_as_soon_as_it_is_there(
    transport: Transport,
) -> None:
    """An event is given on while the provider still thinks about the next."""
    glass = Glass()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM)
        for number in range(5):
            await eventually(lambda: len(glass.took) == number)  # noqa: B023 - at once
            await peer.send(chunk(b"data: %d\n\n" % number))
        await peer.send(LAST_CHUNK)

    async with running_upstream(play) as upstream:
        answer = await answer_of(transport, upstream)
        await asyncio.wait_for(answer.pour(glass.take), PATIENCE_S)
        answer.close()

        assert glass.took == [b"data: %d\n\n" % number for number in range(5)] + [b""]


@pytest.mark.parametrize("size", [0, 5, 700_000])
async def test_a_whole_answer_is_poured(transport: Transport, size: int) -> None:
    """However large it is, it arrives whole, and its end is told once."""
    body, glass = bytes(size), Glass()
    async with running_upstream(answering(plain(body))) as upstream:
        answer = await answer_of(transport, upstream)
        await answer.pour(glass.take)
        answer.close()

        assert b"".join(glass.took) == body
        assert glass.took.count(b"") == 1


async def test_who_takes_no_more_is_given_no_more(transport: Transport) -> None:
    """What comes later can be poured elsewhere, and nothing is lost in between."""
    first, second = Glass(1), Glass()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM + chunk(b"one"))
        await eventually(lambda: bool(first.took))
        await peer.send(chunk(b"two") + LAST_CHUNK)

    async with running_upstream(play) as upstream:
        answer = await answer_of(transport, upstream)
        await answer.pour(first.take)
        await answer.pour(second.take)
        answer.close()

        assert (first.took, b"".join(second.took)) == ([b"one"], b"two")


async def test_a_broken_answer_is_poured_up_to_its_break(transport: Transport) -> None:
    """What came before is given on; then it raises."""
    glass = Glass()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM + chunk(b"one"))
        await eventually(lambda: bool(glass.took))
        await peer.send(chunk(b"two"))
        await eventually(lambda: len(glass.took) == 2)
        peer.reset()

    async with running_upstream(play) as upstream:
        answer = await answer_of(transport, upstream)
        with pytest.raises(ConnectionCut):
            await answer.pour(glass.take)
        answer.close()

        assert glass.took == [b"one", b"two"]


async def test_too_much_is_not_poured(transport: Transport) -> None:
    """The bound on an answer holds here, too."""
    glass = Glass()
    piece = bytes(MIB // 4)

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM)
        for _ in range(5):
            await peer.send(chunk(piece))

    async with running_upstream(play) as upstream:
        answer = await answer_of(transport, upstream)
        with pytest.raises(AnswerTooLarge):
            await answer.pour(glass.take)
        answer.close()

        assert sum(map(len, glass.took)) <= MIB


async def test_who_was_cancelled_is_given_nothing_more(transport: Transport) -> None:
    """The call has gone; its caller must not hear the rest."""
    glass = Glass()
    gone = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM + chunk(b"one"))
        await gone.wait()
        await peer.send(chunk(b"two") + LAST_CHUNK)

    async with running_upstream(play) as upstream:
        answer = await answer_of(transport, upstream)
        pouring = asyncio.ensure_future(answer.pour(glass.take))
        await eventually(partial(bool, glass.took))
        pouring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pouring
        gone.set()
        rest = await answer.next_chunk()
        answer.close()

        assert (glass.took, rest) == ([b"one"], b"two")
