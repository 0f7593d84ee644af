"""What the edge takes for a request, and where that ends: the tables, case by case.

Nothing of one request is ever taken for another, however the bytes arrive.
"""

import random
from collections.abc import Sequence
from typing import Final

import pytest

from tests.support.edge import Outcome, cut, on_uvloop, serving_edge
from tests.support.edge_cases import PROBE, Case
from tests.support.edge_cases_bodies import BODIES
from tests.support.edge_cases_heads import HEADS
from tests.support.edge_cases_lines import LINES

CASES: Final = [*LINES, *HEADS, *BODIES]
_LONG_BYTES: Final = 400
_PLACES: Final = 60
_SILENCE_S: Final = 60.0


async def outcomes(ways: Sequence[Sequence[bytes]]) -> list[Outcome]:
    """Return what comes of some bytes, for each way to cut them."""
    async with serving_edge() as edge:
        found = [await edge.outcome(way, silence_s=_SILENCE_S) for way in ways]
    assert edge.failures == []
    assert all(outcome.ending == "closed" for outcome in found)
    return found


def check(case: Case, outcome: Outcome) -> None:
    """Compare what came of a case with what must, and the marker with nothing."""
    targets = [taken.target for taken in outcome.taken]
    taken = tuple(each for each in outcome.taken if each.target != b"/probe")
    probed = (200,) if case.goes_on else ()

    assert b"/smuggled" not in targets
    assert tuple(outcome.statuses) == case.statuses + probed
    assert taken == case.taken
    assert (b"/probe" in targets) == case.goes_on
    assert outcome.answers[-1].closes


@pytest.mark.parametrize("case", CASES, ids=str)
def test_in_one_piece(case: Case) -> None:
    """Each case gets the answers that the table says, in the order of the requests."""
    [outcome] = on_uvloop(outcomes([[case.sent + PROBE]]))

    check(case, outcome)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cut_anywhere(case: Case) -> None:
    """Where the bytes are cut into packets makes no difference."""
    whole = case.sent + PROBE
    places = list(range(1, len(whole)))
    if len(whole) > _LONG_BYTES:
        places = random.Random(case.name).sample(places, _PLACES)
    ways = [cut(whole, place) for place in places]
    if len(whole) <= _LONG_BYTES:
        ways.append([bytes([each]) for each in whole])

    for outcome in on_uvloop(outcomes(ways)):
        check(case, outcome)


def test_no_two_cases_are_the_same() -> None:
    """Each case has a name of its own, so that a failure tells where to look."""
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names)
    assert len(names) >= 200
