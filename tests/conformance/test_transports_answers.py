"""What comes back: every framing of an answer, however its bytes are cut."""

from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.upstream.transport import Transport
from tests.support.transports import ask, endpoint_to
from tests.support.upstream_server import (
    LAST_CHUNK,
    Peer,
    answering,
    chunk,
    chunked,
    head,
    plain,
    running_upstream,
)

INTERIM: Final = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nX-Early: 1\r\n\r\n"
)
CHUNKED: Final = head("Transfer-Encoding: chunked")
ANSWERS: Final[Mapping[str, tuple[bytes, int, bytes]]] = {
    "content-length": (plain(b"hello"), 200, b"hello"),
    "no body": (plain(), 200, b""),
    "204": (head(status="204 No Content"), 204, b""),
    "304": (head(status="304 Not Modified"), 304, b""),
    "error": (plain(b"no", status="429 Too Many Requests"), 429, b"no"),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    "odd status": (plain(b"?", status="599 What"), 599, b"?"),
    "chunked": (chunked(b"one", b"two", b"x" * 17), 200, b"onetwo" + b"x" * 17),
    "no chunk": (chunked(), 200, b""),
    "chunk extensions": (
        CHUNKED + b'3;a=b\r\none\r\n3;c="d;e"\r\ntwo\r\n0;f\r\n\r\n',
        200,
        b"onetwo",
    ),
    "chunk sizes in capitals, with zeros": (
        CHUNKED + b"000A\r\n0123456789\r\n0\r\n\r\n",
        200,
        b"0123456789",
    ),
    "trailers": (
        CHUNKED + chunk(b"one") + b"0\r\nX-Checksum: 12\r\nX-Cost: 3\r\n\r\n",
        200,
        b"one",
    ),
    "chunked in capitals": (
        head("TRANSFER-ENCODING: Chunked") + chunk(b"one") + LAST_CHUNK,
        200,
        b"one",
    ),
    "interim answers": (INTERIM + plain(b"hello"), 200, b"hello"),
    "interim before chunks": (INTERIM + chunked(b"hello"), 200, b"hello"),
    "a body like an answer": (plain(plain(b"inner")), 200, plain(b"inner")),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_every_framing_is_read_to_its_end(
    transport: Transport, name: str
) -> None:
    """Status and body are found, and the connection serves the next call."""
    data, status, body = ANSWERS[name]
    async with running_upstream(answering(data)) as upstream:
        first = await ask(transport, upstream)
        second = await ask(transport, upstream)

        assert first == second == (status, body)
        assert len(upstream.peers) == 1


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_may_be_cut_anywhere(transport: Transport, name: str) -> None:
    """Two pieces, split at each byte in turn, are the same answer."""
    data, status, body = ANSWERS[name]
    place = iter(range(1, len(data)))

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(data, cuts=[next(place)])

    async with running_upstream(play) as upstream:
        answers = {await ask(transport, upstream) for _ in range(1, len(data))}

        assert answers == {(status, body)}
        assert len(upstream.peers) == 1


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_may_come_byte_by_byte(transport: Transport, name: str) -> None:
    """A slow drip is the same answer."""
    data, status, body = ANSWERS[name]

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(data, cuts=range(len(data)))

    async with running_upstream(play) as upstream:
        answer = await ask(transport, upstream)

        assert answer == (status, body)


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    framing=st.sampled_from(["length", "chunks", "end"]),
    cuts=st.lists(st.integers(min_value=0, max_value=4000), max_size=8),
)
async def test_cuts_do_not_matter(
    transport: Transport, pieces: list[bytes], framing: str, cuts: list[int]
) -> None:
    """Any body in any framing is read the same, wherever its bytes are cut."""
    body = b"".join(pieces)
    whole = {
        "length": plain(body),
        "chunks": chunked(*pieces),
        "end": head("Connection: close") + body,
    }[framing]

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(whole, cuts=cuts)
        if framing == "end":
            peer.close()

    async with running_upstream(play) as upstream:
        answer = await ask(transport, upstream)

        assert answer == (200, body)


@pytest.mark.parametrize(
    "opening",
    [
        head(),
        head("Connection: close"),
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
    ],
    ids=["1.1", "close", "1.0", "1.0 keep-alive"],
)
async def test_an_answer_without_a_length_lasts_until_the_end(
    transport: Transport, opening: bytes
) -> None:
    """Where neither length nor chunks say it, the connection's end ends the body."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(opening + b"all of it", cuts=[len(opening), -2])
        peer.close()

    async with running_upstream(play) as upstream:
        answers = [await ask(transport, upstream) for _ in range(2)]

        assert answers == [(200, b"all of it")] * 2
        assert len(upstream.peers) == 2


async def test_headers_are_found_in_any_case(transport: Transport) -> None:
    """Names have no case, values lose the blanks around them, absent is None."""
    data = plain(b"", "X-Plain: yes", "x-LOUD:  very much \t", "X-Empty:")
    async with running_upstream(answering(data)) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.read()
        answer.close()

        assert answer.header("x-plain") == answer.header("X-PLAIN") == "yes"
        assert answer.header("X-Loud") == "very much"
        assert answer.header("x-empty") == ""
        assert answer.header("x-absent") is None
        assert answer.header("CONTENT-length") == "0"


async def test_the_first_of_several_headers_counts(transport: Transport) -> None:
    """A header that comes twice is read once; later ones do not win."""
    data = plain(b"", "Retry-After: 3", "X-Other: a", "retry-after: 60")
    async with running_upstream(answering(data)) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.read()
        answer.close()

        assert answer.header("Retry-After") == "3"


async def test_headers_of_interim_answers_and_trailers_are_not_the_answers(
    transport: Transport,
) -> None:
    """Only the final head counts: what comes before or after it is dropped."""
    data = (
        INTERIM
        + head("Transfer-Encoding: chunked", "X-Real: 1")
        + chunk(b"{}")
        + b"0\r\nX-Late: 1\r\nContent-Encoding: gzip\r\nRetry-After: 9\r\n\r\n"
    )
    async with running_upstream(answering(data)) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        body = await answer.read()
        answer.close()

        assert body == b"{}"
        assert answer.header("x-real") == "1"
        names = ("link", "x-early", "x-late", "content-encoding", "retry-after")
        assert [answer.header(name) for name in names] == [None] * 5


async def test_bytes_of_headers_that_are_not_text_do_no_harm(
    transport: Transport,
) -> None:
    """A header may hold any byte beyond ASCII; the answer is read all the same."""
    data = (
        b"HTTP/1.1 200 \xe9\xff\r\nX-Odd: \xff\xfe\xe9\r\nContent-Length: 2\r\n\r\nok"
    )
    async with running_upstream(answering(data)) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        body = await answer.read()
        answer.close()

        assert body == b"ok"
        assert isinstance(answer.header("x-odd"), str)


async def test_an_answer_keeps_its_headers_after_the_connection_goes_on(
    transport: Transport,
) -> None:
    """What a closed answer says does not change with the next one."""
    number = iter(range(1, 9))

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(plain(b"", f"X-Number: {next(number)}"))

    async with running_upstream(play) as upstream:
        endpoint = endpoint_to(upstream.port)
        first = await transport.send(endpoint, b"{}")
        await first.read()
        first.close()
        second = await transport.send(endpoint, b"{}")
        await second.read()
        second.close()

        assert len(upstream.peers) == 1
        assert (first.header("x-number"), second.header("x-number")) == ("1", "2")
        assert (first.status, second.status) == (200, 200)
