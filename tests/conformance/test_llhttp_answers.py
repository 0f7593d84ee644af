"""The answers of the parser's own suite, over a real socket, in one piece and cut."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from smart_llmrouter.upstream.lean_transport import open_lean_transport
from smart_llmrouter.upstream.transport import Transport, TransportError
from tests.support.llhttp_answers import LLHTTP_ANSWERS, LlhttpAnswer, Outcome
from tests.support.transports import Kind, ask
from tests.support.upstream_server import Peer, running_upstream, turns


@pytest.fixture
async def lean() -> AsyncIterator[Transport]:
    """Return the transport on the parser whose suite this is."""
    async with Kind("lean", open_lean_transport, sends_again=True).open() as opened:
        yield opened


async def outcomes(
    transport: Transport, sent: bytes, cuts: Iterable[list[int]]
) -> list[Outcome]:
    """Return what comes of bytes, cut in each way in turn, with the end behind them."""
    ways = list(cuts)
    way = iter(ways)

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent, cuts=next(way))
        peer.close()

    found: list[Outcome] = []
    async with running_upstream(play) as upstream:
        for _ in ways:
            try:
                found.append(await ask(transport, upstream))
            except TransportError as fault:
                found.append(type(fault))
            # What comes late would look like the next answer.
            while upstream.open:  # noqa: ASYNC110 - turn by turn
                await asyncio.sleep(0)
            await turns()
        assert len(upstream.peers) == len(ways)
    return found


@pytest.mark.parametrize("case", LLHTTP_ANSWERS, ids=str)
async def test_an_answer_is_taken_as_the_parser_would(
    lean: Transport, case: LlhttpAnswer
) -> None:
    """In one piece, byte by byte, or cut at any place: the outcome is the same."""
    places = range(1, len(case.sent))
    ways = [[], list(places), *([place] for place in places)]

    found = await outcomes(lean, case.sent, ways)

    assert found == [case.outcome] * len(ways)


def test_each_case_has_a_name_of_its_own() -> None:
    """A failure tells which case it is."""
    names = [case.name for case in LLHTTP_ANSWERS]

    assert sorted(set(names)) == sorted(names)
