"""Requests that were broken at random, several on one connection, cut anywhere.

Whatever comes, nothing escapes, what is answered is HTTP in the order of the requests,
and cutting the bytes never changes an answer; it may only end the connection earlier,
where a refused body was not there yet to be passed over.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.conftest import SOAK
from tests.support.edge import Edge, Taken, cut, serving_edge
from tests.support.edge_cases_bodies import BODIES
from tests.support.edge_cases_heads import HEADS
from tests.support.edge_cases_lines import LINES
from tests.support.http_answers import Answer
from tests.support.llhttp_requests import LLHTTP_REQUESTS

_SHORT_BYTES: Final = 300
_QUIET_TURNS: Final = 12
_SOAK_S: Final = 300.0

_WHOLE: Final = {
    *(case.sent for case in (*LINES, *HEADS, *BODIES)),
    *(case.sent_with_host for case in LLHTTP_REQUESTS),
}
SEEDS: Final = sorted(each for each in _WHOLE if len(each) < _SHORT_BYTES)
WORDS: Final = [
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"\x00",
    b"\xff",
    b"0",
    b"5",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"ffffffffffffffff\r\n",
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: identity\r\n",
    b"connection: close\r\n",
    b"connection: upgrade\r\nupgrade: h2c\r\n",
    b"expect: 100-continue\r\n",
    b"host: y\r\n",
    b"HTTP/1.0",
    b"HEAD ",
    b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST /stream HTTP/1.1\r\nhost: x\r\n",
    b"POST /refuse HTTP/1.1\r\nhost: x\r\n",
]


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """Return one to four requests of the tables, with up to five faults in them."""
    whole = b"".join(draw(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 5))):
        begin = draw(st.integers(0, len(whole)))
        end = min(len(whole), begin + draw(st.integers(0, 12)))
        new = draw(
            st.one_of(
                st.just(b""),
                st.sampled_from(WORDS),
                st.binary(max_size=4),
                st.just(whole[begin:end] * 2),
            )
        )
        whole = whole[:begin] + new + whole[end:]
    return whole


class Caller(asyncio.Protocol):
    """A connection to the edge that keeps what it hears."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.heard = b""
        self.ended = False

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Note the end, as a reset may tell it, too."""
        self.ended = True

    def eof_received(self) -> bool:
        """Note the end."""
        self.ended = True
        return False


@dataclass(frozen=True, slots=True)
class Seen:
    """What a caller saw, and what the routes did."""

    answers: list[Answer]
    taken: list[Taken]
    ended: bool

    @property
    def told(self) -> list[tuple[int, bytes]]:
        """Return what must not depend on packets; an error's body names its request."""
        return [
            (each.status, each.body if each.status == 200 else b"")
            for each in self.answers
        ]


async def seen(edge: Edge, pieces: list[bytes]) -> Seen:
    """Send pieces, and listen until nothing more happens."""
    edge.taken.clear()
    loop = asyncio.get_running_loop()
    transport, caller = await loop.create_connection(Caller, "127.0.0.1", edge.port)
    for piece in pieces:
        if transport.is_closing():
            break
        transport.write(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    await settled(edge, caller)
    heard, ended = caller.heard, caller.ended
    transport.abort()
    while edge.hub.connections:  # noqa: ASYNC110 - turn by turn
        await asyncio.sleep(0)
    # Whether a caller is asked for its body depends on whether it has sent it already.
    answers = [each for each in edge.answers(heard, closed=ended) if each.status >= 200]
    ids = [each.fields[b"x-request-id"] for each in answers]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    return Seen(answers, list(edge.taken), ended)


async def settled(edge: Edge, caller: Caller) -> None:
    """Wait until both sides have been quiet for some turns of the loop."""
    quiet, last = 0, (-1, -1, False)
    while quiet < _QUIET_TURNS:
        await asyncio.sleep(0)
        now = (len(caller.heard), len(edge.taken), caller.ended)
        quiet, last = (quiet + 1 if now == last else 0), now


def agree(one: Seen, other: Seen) -> None:
    """Check that two ways to send the same bytes differ in when they end, at most."""
    shorter, longer = sorted((one, other), key=lambda each: len(each.answers))

    assert longer.told[: len(shorter.told)] == shorter.told
    assert longer.taken[: len(shorter.taken)] == shorter.taken
    if len(shorter.answers) < len(longer.answers):
        assert shorter.ended
    elif shorter.ended != longer.ended:
        assert longer.answers[-1].status != 200


def search(*, examples: int | None, within_s: float) -> None:
    """Look for bytes that do harm, again and again until the time is over."""
    given_examples = settings() if examples is None else settings(max_examples=examples)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        serving = serving_edge()
        edge = runner.run(serving.__aenter__())

        @given_examples
        @given(whole=broken(), places=st.lists(st.integers(1, 2000), max_size=8))
        def harmless(whole: bytes, places: list[int]) -> None:
            at_once = runner.run(seen(edge, [whole]))
            cut_up = runner.run(
                seen(edge, cut(whole, *(each for each in places if each < len(whole))))
            )
            agree(at_once, cut_up)
            assert edge.failures == []

        until_s = time.monotonic() + within_s
        try:
            with capture_logs() as logs:
                harmless()
                while time.monotonic() < until_s:
                    harmless()
        finally:
            runner.run(serving.__aexit__(None, None, None))
    assert logs == []
    assert edge.failures == []


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_broken_requests_do_no_harm() -> None:
    """Seconds of it in every run of the tests, five minutes in a long one."""
    if SOAK:
        search(examples=5000, within_s=_SOAK_S)
    else:
        search(examples=400, within_s=0)
