"""Connections: which are used again, which never, and when they are let go."""

import asyncio

import pytest

from smart_llmrouter.upstream.transport import ConnectionCut, Transport
from tests.support.transports import KEY, Kind, ask
from tests.support.upstream_server import (
    Peer,
    answering,
    chunked,
    in_turn,
    plain,
    running_upstream,
    turns,
)
from tests.support.wait import PATIENCE_S, eventually

POISON = plain(b"poison", "X-Poison: 1")


async def test_calls_one_after_another_share_a_connection(transport: Transport) -> None:
    """Sequential calls need one connection."""
    async with running_upstream(answering(plain(b"hello"))) as upstream:
        answers = {await ask(transport, upstream) for _ in range(20)}

        assert answers == {(200, b"hello")}
        assert len(upstream.peers) == 1
        assert len(upstream.requests) == 20


@pytest.mark.parametrize("status", ["401 Unauthorized", "503 Unavailable"])
async def test_an_error_does_not_cost_the_connection(
    transport: Transport, status: str
) -> None:
    """An answer that was read to its end leaves a connection, whatever it said."""
    async with running_upstream(answering(plain(b"no", status=status))) as upstream:
        for _ in range(3):
            await ask(transport, upstream)

        assert len(upstream.peers) == 1


@pytest.mark.parametrize(
    "answer",
    [
        plain(b"bye", "Connection: close"),
        plain(b"bye", "connection: CLOSE"),
        plain(b"bye", "Connection: x-other, close"),
        chunked(b"bye", headers=["Connection: close"]),
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nbye",
    ],
    ids=["close", "capitals", "list", "chunked", "1.0"],
)
async def test_a_connection_that_was_announced_to_close_is_not_used_again(
    transport: Transport, answer: bytes
) -> None:
    """`Connection: close` and HTTP/1.0 end the connection, even if it stays open."""
    async with running_upstream(answering(answer)) as upstream:
        answers = {await ask(transport, upstream) for _ in range(3)}

        assert answers == {(200, b"bye")}
        assert len(upstream.peers) == 3
        await eventually(lambda: upstream.open == 0)


async def test_http_1_0_may_keep_a_connection(transport: Transport) -> None:
    """An HTTP/1.0 provider that says keep-alive gets the next call there, too."""
    answer = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
    async with running_upstream(answering(answer)) as upstream:
        answers = {await ask(transport, upstream) for _ in range(3)}

        assert answers == {(200, b"ok")}
        assert len(upstream.peers) == 1


async def test_calls_at_the_same_time_never_mix(transport: Transport) -> None:
    """Thirty calls at once have thirty connections, each its own answer, and reuse."""
    calls = 30
    together = asyncio.Event()
    arrived = 0

    async def echo(peer: Peer) -> None:
        nonlocal arrived
        while True:
            request = await peer.request()
            arrived += 1
            if arrived == calls:
                together.set()
            await together.wait()
            half = len(request.body) // 2
            await peer.send(chunked(request.body[:half], request.body[half:]), cuts=[9])

    async with running_upstream(echo) as upstream:
        bodies = [b"call %d" % number * (number + 1) for number in range(calls)]
        for _ in range(2):
            arrived = 0
            together.clear()

            answers = await asyncio.gather(
                *(ask(transport, upstream, body) for body in bodies)
            )

            assert answers == [(200, body) for body in bodies]
            assert len(upstream.peers) == calls


async def test_a_connection_closed_while_idle_is_replaced(transport: Transport) -> None:
    """A provider may close what is idle: the next call goes out once, on another."""

    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"hello"))
        peer.close()

    async with running_upstream(once) as upstream:
        for number in range(1, 6):
            answer = await ask(transport, upstream, b"%d" % number)
            await turns(9)

            assert answer == (200, b"hello")
            assert len(upstream.peers) == number
        assert [each.body for each in upstream.requests] == [
            b"%d" % number for number in range(1, 6)
        ]


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_pooled_connection_that_ends_before_the_answer(
    kind: Kind, transport: Transport, ending: str
) -> None:
    """The provider may have closed it while idle: sent again, where that is promised.

    From outside, a request that crossed the end of an idle connection cannot be told
    from one that was read and dropped.
    """

    async def once(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"first"))
        await peer.request()
        peer.close() if ending == "close" else peer.reset()

    script = in_turn(once, answering(plain(b"again")))
    async with running_upstream(script) as upstream:
        await ask(transport, upstream, b"1")
        if kind.sends_again:
            answer = await ask(transport, upstream, b"2")

            assert answer == (200, b"again")
            assert [each.body for each in upstream.requests] == [b"1", b"2", b"2"]
        else:
            with pytest.raises(ConnectionCut):
                await ask(transport, upstream, b"2")

            assert [each.body for each in upstream.requests] == [b"1", b"2"]


async def test_a_request_is_not_sent_again_once_anything_was_answered(
    transport: Transport,
) -> None:
    """One byte of an answer on a pooled connection shows that the request was taken."""

    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"first"))
        await peer.request()
        await peer.send(b"H")
        peer.close()

    async with running_upstream(half) as upstream:
        await ask(transport, upstream, b"1")
        with pytest.raises(ConnectionCut):
            await ask(transport, upstream, b"2")

        assert [each.body for each in upstream.requests] == [b"1", b"2"]


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_fresh_connection_that_ends_before_the_answer_is_a_cut(
    transport: Transport, ending: str
) -> None:
    """A request that got no answer on a fresh connection is not sent again."""

    async def silent(peer: Peer) -> None:
        await peer.request()
        peer.close() if ending == "close" else peer.reset()

    async with running_upstream(silent) as upstream:
        with pytest.raises(ConnectionCut):
            await ask(transport, upstream)

        assert len(upstream.requests) == 1


async def test_a_provider_that_hangs_up_at_once_is_a_cut(transport: Transport) -> None:
    """A connection that ends before the request was read fails, and does not hang."""

    async def never(peer: Peer) -> None:
        peer.reset()

    async with running_upstream(never) as upstream:
        for _ in range(20):
            with pytest.raises(ConnectionCut):
                await asyncio.wait_for(ask(transport, upstream), PATIENCE_S)


@pytest.mark.parametrize(
    "junk",
    [POISON, POISON[:9], b"x", b"\x00" * 5000, b"0\r\n\r\n"],
    ids=["answer", "half", "byte", "zeros", "chunk"],
)
@pytest.mark.parametrize(
    "answer", [plain(b"hello"), chunked(b"hello")], ids=["length", "chunks"]
)
async def test_junk_behind_an_answer_meets_no_other_call(
    transport: Transport, junk: bytes, answer: bytes
) -> None:
    """What comes with an answer, but after it, is dropped with its connection."""
    async with running_upstream(answering(answer + junk)) as upstream:
        answers = [await ask(transport, upstream) for _ in range(3)]

        assert answers == [(200, b"hello")] * 3
        assert len(upstream.peers) == 3
        await eventually(lambda: upstream.open == 0)


async def test_junk_on_an_idle_connection_meets_no_other_call(
    transport: Transport,
) -> None:
    """What nobody asked for ends an idle connection."""
    speak = asyncio.Event()

    async def blurt(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"hello"))
        await speak.wait()
        await peer.send(POISON)

    script = in_turn(blurt, answering(plain(b"hello")))
    async with running_upstream(script) as upstream:
        first = await ask(transport, upstream)
        speak.set()
        await turns(9)
        second = await ask(transport, upstream)

        assert first == second == (200, b"hello")
        await eventually(lambda: upstream.open == 1)


async def test_origins_do_not_share_connections(transport: Transport) -> None:
    """A connection to one provider never carries another's request."""
    async with (
        running_upstream(answering(plain(b"one"))) as one,
        running_upstream(answering(plain(b"two"))) as two,
    ):
        answers = [await ask(transport, each) for each in (one, two, one, two)]

        assert [body for _, body in answers] == [b"one", b"two", b"one", b"two"]
        assert (len(one.peers), len(two.peers)) == (1, 1)
        assert all(KEY in str(each.headers) for each in one.requests + two.requests)
