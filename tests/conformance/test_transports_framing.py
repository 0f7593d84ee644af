"""Where an answer ends, when that is said oddly, twice, or not at all."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from smart_llmrouter.upstream.transport import Transport
from tests.support.transports import ask, everywhere, outcomes
from tests.support.upstream_server import (
    LAST_CHUNK,
    Peer,
    answering,
    chunk,
    chunked,
    head,
    plain,
    running_upstream,
    turns,
)
from tests.support.wait import eventually

CHUNKED: Final = "Transfer-Encoding: chunked"
EARLY: Final = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX-Early: 1\r\n\r\n"
)
NO_CONTENT: Final = "204 No Content"
NOT_MODIFIED: Final = "304 Not Modified"

# The status and the body of an answer that is followed by the connection's end.
READ: Final[Mapping[str, tuple[bytes, tuple[int, bytes]]]] = {
    "until the end": (head() + b"hello", (200, b"hello")),
    "until the end, interim first": (EARLY + head() + b"hello", (200, b"hello")),
    "until the end in HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", (200, b"hello")),
    "nothing until the end": (head(), (200, b"")),
    "a length, interim first": (EARLY + plain(b"hello"), (200, b"hello")),
    "chunks, interim first": (EARLY + chunked(b"hel", b"lo"), (200, b"hello")),
    "trailers, interim first": (
        EARLY + head(CHUNKED) + chunk(b"hello") + b"0\r\nX-Sum: 1\r\n\r\n",
        (200, b"hello"),
    ),
    "trailers that look like framing": (
        head(CHUNKED) + chunk(b"hello") + b"0\r\nX-Content-Length: 9\r\n\r\n",
        (200, b"hello"),
    ),
    "zeros before a length": (head("Content-Length: 005") + b"hello", (200, b"hello")),
    "blanks around a length": (
        head("Content-Length: \t5\t ") + b"hello",
        (200, b"hello"),
    ),
    "a length in HTTP/1.0": (
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        (200, b"hello"),
    ),
    "304 with a length": (
        head("Content-Length: 5", status=NOT_MODIFIED),
        (304, b""),
    ),
    "304 with chunks": (head(CHUNKED, status=NOT_MODIFIED), (304, b"")),
    "204 with a body": (
        head("Content-Length: 5", status=NO_CONTENT) + b"hello",
        (204, b""),
    ),
    "204 with chunks": (
        head(CHUNKED, status=NO_CONTENT) + chunk(b"hello") + LAST_CHUNK,
        (204, b""),
    ),
    "204 with a body until the end": (head(status=NO_CONTENT) + b"hello", (204, b"")),
    "304 with a body": (
        head("Content-Length: 5", status=NOT_MODIFIED) + b"hello",
        (304, b""),
    ),
}

# Answers that two readers may understand differently.
REFUSED: Final[Mapping[str, bytes]] = {
    "the same length twice": head("Content-Length: 5", "Content-Length: 5") + b"hello",
    "the shorter length first": head("Content-Length: 4", "Content-Length: 5")
    + b"hello",
    "the longer length first": head("Content-Length: 5", "content-length: 4")
    + b"hello",
    "a list of lengths": head("Content-Length: 5, 5") + b"hello",
    "two numbers": head("Content-Length: 5 5") + b"hello",
    "a length with a sign": head("Content-Length: +5") + b"hello",
    "a length in hexadecimal": head("Content-Length: 0x5") + b"hello",
    "an empty length": head("Content-Length:") + b"hello",
    "a folded length": head("Content-Length:", " 5") + b"hello",
    "a length, then chunks": head("Content-Length: 5", CHUNKED) + b"0\r\n\r\n",
    "chunks, then a length": head(CHUNKED, "Content-Length: 5") + b"0\r\n\r\n",
    "gzip as a transfer coding": head("Transfer-Encoding: gzip, chunked") + LAST_CHUNK,
    "chunked twice": head("Transfer-Encoding: chunked, chunked") + LAST_CHUNK,
    "chunked in quotes": head('Transfer-Encoding: "chunked"') + LAST_CHUNK,
    "identity, then chunked": head("Transfer-Encoding: identity", CHUNKED) + LAST_CHUNK,
    "LF behind the status": b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello",
    "LF behind a field": b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello",
    "LF behind the head": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello",
    "CR behind a field": b"HTTP/1.1 200 OK\r\nX: 1\rContent-Length: 5\r\n\r\nhello",
    "CR behind the head": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\rhello",
    "NUL in a value": head("X: a\x00b", "Content-Length: 5") + b"hello",
    "LF behind a chunk's size": head(CHUNKED) + b"5\nhello\r\n" + LAST_CHUNK,
    "LF behind a chunk": head(CHUNKED) + b"5\r\nhello\n" + LAST_CHUNK,
    "LF behind the last size": head(CHUNKED) + chunk(b"hello") + b"0\n\r\n",
    "LF behind the last chunk": head(CHUNKED) + chunk(b"hello") + b"0\r\n\n",
    "LF behind a trailer": head(CHUNKED) + b"0\r\nX-Sum: 1\n\r\n",
    "a space before a chunk's size": head(CHUNKED) + b" 5\r\nhello\r\n" + LAST_CHUNK,
    "a space behind a chunk's size": head(CHUNKED) + b"5 \r\nhello\r\n" + LAST_CHUNK,
    "a sign before a chunk's size": head(CHUNKED) + b"+5\r\nhello\r\n" + LAST_CHUNK,
    "an empty chunk size": head(CHUNKED) + b"\r\nhello\r\n" + LAST_CHUNK,
    "a chunk size that overflows": head(CHUNKED) + b"10000000000000005\r\nhello\r\n",
    "no end behind the last chunk": head(CHUNKED) + chunk(b"hello") + b"0\r\n",
    "a length as a trailer": head(CHUNKED) + b"0\r\nContent-Length: 1\r\n\r\n",
    "a body of an interim answer": (
        b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + plain(b"ok")
    ),
    "only interim answers": EARLY,
}

# Whether the connection serves the next call, too.
KEPT: Final[Mapping[str, tuple[bytes, bool]]] = {
    "a length": (plain(b"hello"), True),
    "chunks": (chunked(b"hello"), True),
    "204": (head(status=NO_CONTENT), True),
    "304 with a length": (head("Content-Length: 5", status=NOT_MODIFIED), True),
    "keep-alive": (plain(b"hello", "Connection: keep-alive"), True),
    "close": (plain(b"hello", "Connection: close"), False),
    "Close": (plain(b"hello", "Connection: Close"), False),
    "close among others": (plain(b"hello", "Connection: foo, close"), False),
    "close and chunks": (chunked(b"hello", headers=["Connection: close"]), False),
    "204 and close": (head("Connection: close", status=NO_CONTENT), False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", False),
    "HTTP/1.0 and close": (
        b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        False,
    ),
    "HTTP/1.0 and keep-alive": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
        True,
    ),
    "HTTP/1.0 and Keep-Alive": (
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello",
        True,
    ),
}


@pytest.mark.parametrize("name", READ)
async def test_the_end_of_an_answer_is_found_wherever_it_is_cut(
    transport: Transport, name: str
) -> None:
    """In one piece, byte by byte, or cut at any place: the same status and body."""
    sent, expected = READ[name]
    ways = everywhere(sent)

    found = await outcomes(transport, sent, ways)

    assert found == [expected] * len(ways)


@pytest.mark.parametrize("name", REFUSED)
async def test_what_may_be_read_in_two_ways_fails_wherever_it_is_cut(
    lean: Transport, name: str
) -> None:
    """It is never an answer, however its bytes arrive, and always the same error.

    aiohttp sets its parser to be lax with answers, and takes about half of these.
    """
    sent = REFUSED[name]
    ways = everywhere(sent)

    found = await outcomes(lean, sent, ways)

    assert [each for each in found if isinstance(each, tuple)] == []
    assert len({str(each) for each in found}) == 1


@pytest.mark.parametrize("name", KEPT)
async def test_only_a_connection_that_both_sides_keep_is_used_again(
    transport: Transport, name: str
) -> None:
    """What the answer says of its connection is done, and the other call is served."""
    sent, kept = KEPT[name]
    async with running_upstream(answering(sent)) as upstream:
        first = await ask(transport, upstream)
        second = await ask(transport, upstream)

        assert first == second
        assert len(upstream.peers) == (1 if kept else 2)
        await eventually(lambda: upstream.open == (1 if kept else 0))


@pytest.mark.parametrize("ending", ["close", "half-close", "reset"])
@pytest.mark.parametrize("framing", [plain, chunked])
async def test_an_end_behind_a_whole_answer_takes_nothing_from_it(
    transport: Transport, framing: Callable[[bytes], bytes], ending: str
) -> None:
    """However the provider leaves, the answer counts and the next call is served."""
    read = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(framing(b"hello"))
        if ending == "reset":
            # It would take with it what was not read yet.
            await read.wait()
            read.clear()
        {"close": peer.close, "half-close": peer.shut, "reset": peer.reset}[ending]()

    async with running_upstream(play) as upstream:
        answers = []
        for _ in range(3):
            answers.append(await ask(transport, upstream))
            read.set()
            await eventually(lambda: upstream.open == 0)
            await turns()

        assert answers == [(200, b"hello")] * 3
        assert len(upstream.peers) == 3
