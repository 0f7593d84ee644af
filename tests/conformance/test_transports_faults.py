"""Answers that break off, are not HTTP, or have no end."""

import asyncio
import gzip
import traceback
import zlib
from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectionCut,
    MalformedAnswer,
    Transport,
    TransportError,
)
from tests.support.transports import KEY, MIB, Kind, ask, endpoint_to
from tests.support.upstream_server import (
    LAST_CHUNK,
    Gone,
    Peer,
    Script,
    chunk,
    chunked,
    head,
    plain,
    refusing_port,
    running_upstream,
)
from tests.support.wait import PATIENCE_S, eventually

CHUNKED: Final = head("Transfer-Encoding: chunked")
# What the kernel and the transport may hold of an answer that nobody reads.
HELD_BYTES: Final = 16 * MIB

WHOLE: Final[Mapping[str, bytes]] = {
    "content-length": plain(b"hello world"),
    "chunked": chunked(b"hello", b"world"),
    "trailers": CHUNKED + chunk(b"hello") + b"0\r\nX-Sum: 1\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + plain(b"hello"),
}

MALFORMED: Final[Mapping[str, bytes]] = {
    "garbage": b"\x00\xff\xfe this is not HTTP\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a TLS record": b"\x15\x03\x01\x00\x02\x02\x46",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTML": b"<html><body>503</body></html>\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
    "a version that is none": b"HTTP/x.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "a header without a name": b"HTTP/1.1 200 OK\r\n: 2\r\n\r\n",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n",
    "two lengths": plain(b"abc", "Content-Length: 2"),
    "a length that is no number": head("Content-Length: ten") + b"0123456789",
    "a negative length": head("Content-Length: -1"),
    "a length beyond measure": head("Content-Length: 99999999999999999999999"),
    "a length and chunks": head("Content-Length: 5", "Transfer-Encoding: chunked")
    + chunk(b"hello")
    + LAST_CHUNK,
    "a chunk size that is none": CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nhello\r\n0\r\n\r\n",
    "a chunk size beyond measure": CHUNKED + b"fffffffffffffffff\r\nhello\r\n",
    "switching protocols": head("Upgrade: h2c", status="101 Switching Protocols"),
}


@pytest.mark.parametrize("ending", ["close", "half-close", "reset"])
@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_that_ends_early_is_a_cut(
    transport: Transport, name: str, ending: str
) -> None:
    """Wherever an answer breaks off, in its head or its body, nobody takes it whole."""
    data = WHOLE[name]
    place = iter(range(len(data)))

    async def play(peer: Peer) -> None:
        await peer.request()
        if part := data[: next(place)]:
            await peer.send(part)
        ends = {"close": peer.close, "half-close": peer.shut, "reset": peer.reset}
        ends[ending]()

    async with running_upstream(play) as upstream:
        for _ in data:
            with pytest.raises(ConnectionCut):
                await ask(transport, upstream)

        assert len(upstream.requests) == len(data)
        await eventually(lambda: upstream.open == 0)


async def test_a_reset_does_not_end_an_answer_without_a_length(
    transport: Transport,
) -> None:
    """Only an end in good order ends a body that lasts until the end."""
    break_off = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head() + b"half of")
        await break_off.wait()
        peer.reset()

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        assert await answer.next_chunk() == b"half of"
        break_off.set()
        with pytest.raises(ConnectionCut):
            await answer.next_chunk()
        answer.close()


async def test_what_came_before_a_cut_is_given_first(transport: Transport) -> None:
    """Bytes that arrived are handed on; only then the cut is told."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + chunk(b"one") + chunk(b"two"))
        peer.close()

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await eventually(lambda: upstream.open == 0)
        got = b""
        while len(got) < len(b"onetwo"):
            got += await answer.next_chunk()
        with pytest.raises(ConnectionCut):
            await answer.next_chunk()
        answer.close()

        assert got == b"onetwo"


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_not_http_fails_and_its_connection_is_dropped(
    transport: Transport, name: str
) -> None:
    """Malformed answers are errors, and the provider's connection ends."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(MALFORMED[name])

    async with running_upstream(play) as upstream:
        with pytest.raises((MalformedAnswer, ConnectionCut)):
            await asyncio.wait_for(ask(transport, upstream), PATIENCE_S)

        await eventually(lambda: upstream.open == 0)


@given(data=st.binary(max_size=400), mended=st.booleans())
async def test_any_bytes_end_in_an_answer_or_an_error(
    transport: Transport, data: bytes, *, mended: bool
) -> None:
    """Whatever a provider sends and then hangs up: an answer, or an error of ours."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send((b"HTTP/1.1 200 OK\r\n" if mended else b"") + data)
        peer.close()

    async with running_upstream(play) as upstream:
        try:
            status, _ = await asyncio.wait_for(ask(transport, upstream), PATIENCE_S)
        except TransportError:
            status = 0

        assert status == 0 or 200 <= status <= 999
        await eventually(lambda: upstream.open == 0)


@pytest.mark.parametrize("size", [70 * 1024, 200 * 1024, 2 * MIB])
async def test_a_head_that_is_too_large_fails(transport: Transport, size: int) -> None:
    """A head of more than 64 KiB is refused, even if it comes at once."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"ok", "X-Large: " + "a" * size))

    async with running_upstream(play) as upstream:
        with pytest.raises(MalformedAnswer):
            await ask(transport, upstream)

        await eventually(lambda: upstream.open == 0)


ENDLESS: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n" * 1000),
    "a header": (b"HTTP/1.1 200 OK\r\nX-More: ", b"a" * 16384),
    "a reason": (b"HTTP/1.1 200 ", b"a" * 16384),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
    "a length": (b"HTTP/1.1 200 OK\r\nContent-Length: ", b"0" * 16384),
    "a body": (head(), b"x" * 16384),
    "chunks": (CHUNKED, chunk(b"x" * 16384)),
    "a chunk": (CHUNKED + b"7fffffff\r\n", b"x" * 16384),
    "a chunk size": (CHUNKED, b"0" * 16384),
    "a chunk extension": (CHUNKED + b"5;", b"a" * 16384),
    "trailers": (CHUNKED + b"0\r\n", b"X-More: 1\r\n" * 1000),
    "junk behind gzip": (
        head("Content-Encoding: gzip") + gzip.compress(b"hello"),
        b"x" * 16384,
    ),
    "gzip of nothing": (
        head("Content-Encoding: deflate") + zlib.compress(b"")[:2],
        b"\x00\x00\x00\xff\xff" * 3000,
    ),
    "a trailer": (CHUNKED + b"0\r\nX-More: ", b"a" * 16384),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_has_no_end_is_given_up(transport: Transport, name: str) -> None:
    """However an answer goes on for ever, it fails after a bounded number of bytes."""
    first, more = ENDLESS[name]

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(first)
        while True:
            await peer.send(more)

    async with running_upstream(play) as upstream:
        with pytest.raises(TransportError):
            await asyncio.wait_for(ask(transport, upstream), PATIENCE_S)

        await eventually(lambda: upstream.open == 0)
        assert upstream.peers[0].sent_bytes < HELD_BYTES


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
async def test_the_bound_of_an_answer_is_exact(kind: Kind, framing: str) -> None:
    """As many bytes as allowed are read; one more is too large."""
    bound = 100_000

    async def play(peer: Peer) -> None:
        while True:
            body = b"x" * int((await peer.request()).body)
            if framing == "length":
                await peer.send(plain(body))
            elif framing == "chunks":
                await peer.send(chunked(body[:50_000], body[50_000:]))
            else:
                await peer.send(head() + body)
                return peer.close()

    async with (
        running_upstream(play) as upstream,
        kind.open(max_response_bytes=bound) as transport,
    ):
        fits = await ask(transport, upstream, b"%d" % bound)
        with pytest.raises(AnswerTooLarge):
            await ask(transport, upstream, b"%d" % (bound + 1))

        assert fits == (200, b"x" * bound)
        await eventually(lambda: upstream.open <= 1)


def _failing() -> Mapping[str, Script]:
    async def cut(peer: Peer) -> None:
        request = await peer.request()
        await peer.send(head("Content-Length: 99999") + request.head + request.body)
        peer.close()

    async def garbled(peer: Peer) -> None:
        request = await peer.request()
        await peer.send(request.head + request.body)

    async def large(peer: Peer) -> None:
        request = await peer.request()
        await peer.send(plain((request.head + request.body) * 9999))

    async def silent(peer: Peer) -> None:
        await peer.request()
        raise Gone

    return {"cut": cut, "garbled": garbled, "large": large, "silent": silent}


@pytest.mark.parametrize("name", [*_failing(), "refused"])
async def test_errors_tell_nothing_of_the_exchange(
    transport: Transport, name: str
) -> None:
    """No URL, header, credential or body is in an error, or in its traceback."""
    private = ["canary-path", "canary-header", "canary-body", KEY, "127.0.0.1"]
    with refusing_port() as port:
        async with running_upstream(_failing().get(name, _failing()["cut"])) as each:
            endpoint = endpoint_to(
                port if name == "refused" else each.port,
                path="/canary-path",
                headers={"X-Private": "canary-header"},
            )
            with pytest.raises(TransportError) as caught:
                await ask(transport, endpoint, private[2].encode())

    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert [each for each in private if each in told] == []
    assert str(endpoint.url) not in told
    assert str(caught.value)
