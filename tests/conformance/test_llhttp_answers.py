"""The answers of the parser's own suite, over a real socket, in one piece and cut."""

import pytest

from smart_llmrouter.upstream.transport import Transport
from tests.support.llhttp_answers import LLHTTP_ANSWERS, LlhttpAnswer
from tests.support.transports import everywhere, outcomes


@pytest.mark.parametrize("case", LLHTTP_ANSWERS, ids=str)
async def test_an_answer_is_taken_as_the_parser_would(
    lean: Transport, case: LlhttpAnswer
) -> None:
    """In one piece, byte by byte, or cut at any place: the outcome is the same."""
    ways = everywhere(case.sent)

    found = await outcomes(lean, case.sent, ways)

    assert found == [case.outcome] * len(ways)


def test_each_case_has_a_name_of_its_own() -> None:
    """A failure tells which case it is."""
    names = [case.name for case in LLHTTP_ANSWERS]

    assert sorted(set(names)) == sorted(names)
