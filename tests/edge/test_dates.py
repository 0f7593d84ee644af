"""Every answer says when it was made (RFC 9110, 6.6.1)."""

from email.utils import parsedate_to_datetime

import pytest

from tests.support.edge import on_uvloop, serving_edge
from tests.support.edge_cases import PROBE, line, post
from tests.support.http_answers import Answer

CHUNKED_HELLO = post(b"5\r\nhello\r\n0\r\n\r\n", b"transfer-encoding: chunked")


def dated(*pieces: bytes, turned_s: float = 0.0) -> list[Answer]:
    """Send pieces to an edge whose clock stands at 7 in the evening; return answers."""

    async def run() -> list[Answer]:
        clock_s = 1_800_000_000.0
        async with serving_edge(wall_clock=lambda: clock_s) as edge:
            clock_s += turned_s
            await edge.later(1)
            heard, ending = await edge.send([*pieces, PROBE])
            return list(edge.answers(heard, closed=ending == "closed"))

    return on_uvloop(run())


@pytest.mark.parametrize(
    "sent",
    [
        line(b"GET /hot HTTP/1.1"),
        line(b"HEAD /hot HTTP/1.1"),
        line(b"POST /hot?stream HTTP/1.1", body=b"hello"),
        line(b"GET /refuse HTTP/1.1"),
        CHUNKED_HELLO,
    ],
)
def test_an_answer_is_dated(sent: bytes) -> None:
    """Whole or streamed, good or bad: the date is there, once, in the form of HTTP."""
    answers = dated(sent)

    assert [each.fields[b"date"] for each in answers] == [
        b"Fri, 15 Jan 2027 08:00:00 GMT"
    ] * len(answers)


def test_what_is_no_request_is_refused_with_a_date() -> None:
    """Also where nobody knows what was asked for."""
    (answer,) = dated(b"nonsense\r\n\r\n")

    assert answer.status == 400
    assert answer.fields[b"date"] == b"Fri, 15 Jan 2027 08:00:00 GMT"


def test_the_date_goes_on() -> None:
    """It is made anew each second, and not for each answer."""
    (answer,) = dated(turned_s=3601)

    date = parsedate_to_datetime(answer.fields[b"date"].decode())
    assert date.timestamp() == 1_800_003_601
