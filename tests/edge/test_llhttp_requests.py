"""The requests of the parser's own suite, over a real socket, in one piece and cut."""

import random
from typing import Final

import pytest

from tests.support.edge import Outcome, cut, on_uvloop, serving_edge
from tests.support.edge_cases import PROBE
from tests.support.llhttp_requests import LLHTTP_REQUESTS, LlhttpRequest

_CUTS: Final = 12
_SILENCE_S: Final = 5.0


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
