"""The requests of the parser's own suite, over a real socket, in one piece and cut."""

import asyncio
import random
from typing import Final

import pytest

from tests.support.edge import Outcome, cut, on_uvloop, serving_edge
from tests.support.edge_cases import PROBE
from tests.support.llhttp_beginnings import (
    LLHTTP_BEGINNINGS,
    LLHTTP_PAUSED,
    LlhttpBeginning,
)
from tests.support.llhttp_case import LlhttpRequest
from tests.support.llhttp_requests import LLHTTP_REQUESTS
from tests.support.wait import PATIENCE_S, eventually

_CUTS: Final = 12
_SILENCE_S: Final = 60.0


async def outcomes(sent: bytes, *, seed: str) -> list[Outcome]:
    """Return what comes of bytes in one piece, and cut at random places."""
    places = random.Random(seed).sample(range(1, len(sent)), min(_CUTS, len(sent) - 1))
    ways = [[sent], *(cut(sent, place) for place in places)]
    async with serving_edge() as edge:
        found = [await edge.outcome(way, silence_s=_SILENCE_S) for way in ways]
    assert edge.failures == []
    return found


@pytest.mark.parametrize("request_", LLHTTP_REQUESTS, ids=str)
def test_what_the_parser_says_is_what_the_edge_does(request_: LlhttpRequest) -> None:
    """What is accepted is answered; what is refused gets 400 and the end."""
    sent = request_.sent_with_host + PROBE
    expected_good = request_.accepted and not request_.stricter

    for outcome in on_uvloop(outcomes(sent, seed=request_.name)):
        assert outcome.ending == "closed"
        assert (400 not in outcome.statuses) == expected_good
        if expected_good:
            assert outcome.statuses[0] == 200
            assert outcome.answers[-1].closes
        elif not request_.accepted:
            assert outcome.statuses[-1] == 400
            assert b"/probe" not in [taken.target for taken in outcome.taken]


@pytest.mark.parametrize(
    "request_",
    [each for each in LLHTTP_REQUESTS if each.sent != each.sent_with_host],
    ids=str,
)
def test_none_is_served_without_a_host(request_: LlhttpRequest) -> None:
    """Most of them have no host, which HTTP/1.1 asks for and the parser does not."""
    for outcome in on_uvloop(outcomes(request_.sent + PROBE, seed=request_.name)):
        assert outcome.statuses == [400]
        assert outcome.taken == ()


@pytest.mark.parametrize("begun", LLHTTP_BEGINNINGS, ids=str)
@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
def test_what_is_not_whole_is_not_served(
    begun: LlhttpBeginning,
    leaves: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """It is waited for; whoever closes its side instead is let go without an answer."""

    async def run() -> tuple[list[bytes], int, bool]:
        async with serving_edge() as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(begun.sent)
            await eventually(lambda: len(edge.taken) == len(begun.served))
            heard = b""
            while heard.count(b"x-request-id") < len(begun.served):
                heard += await asyncio.wait_for(reader.read(1 << 16), PATIENCE_S)
            if leaves:
                writer.write_eof()
                heard += await asyncio.wait_for(reader.read(), PATIENCE_S)
            gone = not edge.hub.connections
            writer.close()
            assert edge.failures == []
            targets = [each.target for each in edge.taken]
            return targets, heard.count(b"HTTP/1.1 "), gone

    targets, answers, gone = on_uvloop(run())

    assert tuple(targets) == begun.served
    assert answers == len(begun.served)
    assert gone == leaves


@pytest.mark.parametrize("paused", LLHTTP_PAUSED, ids=str)
def test_a_pause_behind_any_byte_changes_nothing(paused: LlhttpBeginning) -> None:
    """The parser goes on where it was."""

    async def run() -> list[Outcome]:
        async with serving_edge() as edge:
            whole = [paused.sent + PROBE]
            single = [bytes([byte]) for byte in paused.sent] + [PROBE]
            return [await edge.outcome(way) for way in (whole, single)]

    at_once, by_bytes = on_uvloop(run())

    assert [each.statuses for each in (at_once, by_bytes)] == [[200, 200]] * 2
    assert by_bytes.taken == at_once.taken
    assert by_bytes.taken[0].body in {b"abc", b"0123456789"}


def test_each_case_has_a_name_of_its_own() -> None:
    """A failure tells which case it is."""
    for cases in (LLHTTP_REQUESTS, LLHTTP_BEGINNINGS):
        names = [str(case) for case in cases]
        assert sorted(set(names)) == sorted(names)
