"""Connections: which are used again, which never, and when they are let go."""

import asyncio

import pytest

from smart_llmrouter.upstream.transport import ConnectionCut, Transport
from tests.support.transports import KEY, MIB, Kind, ask, endpoint_to
from tests.support.upstream_server import (
    LAST_CHUNK,
    Peer,
    answering,
    chunk,
    chunked,
    head,
    in_turn,
    plain,
    running_upstream,
    turns,
)
from tests.support.wait import eventually

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
                await asyncio.wait_for(ask(transport, upstream), 5)


@pytest.mark.parametrize(
    "junk",
    [POISON, POISON[:9], b"x", b"\x00" * 5000, b"0\r\n\r\n"],
    ids=["answer", "half", "byte", "zeros", "chunk"],
)
@pytest.mark.parametrize("answer", [plain(b"hello"), chunked(b"hello")])
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


async def test_closing_before_the_end_cuts(transport: Transport) -> None:
    """Whoever stops reading in the middle ends the call at the provider, too."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Transfer-Encoding: chunked") + chunk(b"first"))

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        assert await answer.next_chunk() == b"first"
        answer.close()

        await eventually(lambda: upstream.open == 0)


async def test_closing_an_answer_whose_body_was_not_read_leaves_nothing_for_others(
    transport: Transport,
) -> None:
    """A body that nobody read is never the next call's."""
    number = iter(range(1, 9))

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(plain(b"body %d" % next(number)))

    async with running_upstream(play) as upstream:
        unread = await transport.send(endpoint_to(upstream.port), b"{}")
        unread.close()
        answer = await ask(transport, upstream)

        assert answer == (200, b"body 2")


async def test_closing_twice_gives_a_connection_back_once(transport: Transport) -> None:
    """A second close must not put the connection into the pool twice."""
    release = asyncio.Event()

    async def play(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if request.body != b"{}":
                await release.wait()
            await peer.send(plain(request.body))

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.read()
        answer.close()
        answer.close()
        calls = [
            asyncio.create_task(ask(transport, upstream, body)) for body in (b"a", b"b")
        ]
        await eventually(lambda: len(upstream.requests) == 3)
        release.set()

        assert await asyncio.gather(*calls) == [(200, b"a"), (200, b"b")]
        assert len(upstream.peers) == 2


@pytest.mark.parametrize(
    "rest",
    [LAST_CHUNK, chunk(b": a comment\n\n") + LAST_CHUNK],
    ids=["end", "more and end"],
)
async def test_finishing_keeps_the_connection(
    transport: Transport, rest: bytes
) -> None:
    """What little follows the last event is read, so that the connection lives."""
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(head("Transfer-Encoding: chunked") + chunk(b"[DONE]"))
            await go_on.wait()
            await peer.send(rest)

    async with running_upstream(play) as upstream:
        for early in (False, True):
            go_on.clear()
            answer = await transport.send(endpoint_to(upstream.port), b"{}")
            assert await answer.next_chunk() == b"[DONE]"
            go_on.set()
            if early:
                await turns(9)
            await answer.finish()
            answer.close()

        assert len(upstream.peers) == 1


async def test_finishing_gives_up_soon(transport: Transport) -> None:
    """When nothing comes, finishing ends within two seconds, and raises nothing."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Transfer-Encoding: chunked") + chunk(b"[DONE]"))

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.next_chunk()
        async with asyncio.timeout(2):
            await answer.finish()
        answer.close()

        await eventually(lambda: upstream.open == 0)


async def test_finishing_does_not_read_for_ever(transport: Transport) -> None:
    """When more and more comes, finishing stops, and the connection is cut."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Transfer-Encoding: chunked"))
        while True:
            await peer.send(chunk(b"x" * 65536))

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.next_chunk()
        async with asyncio.timeout(2):
            await answer.finish()
        answer.close()

        await eventually(lambda: upstream.open == 0)
        assert upstream.peers[0].sent_bytes < 16 * MIB


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_finishing_raises_nothing_when_the_connection_ends(
    transport: Transport, ending: str
) -> None:
    """A cut after the last event is nobody's failure."""
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Transfer-Encoding: chunked") + chunk(b"[DONE]"))
        await go_on.wait()
        peer.close() if ending == "close" else peer.reset()

    async with running_upstream(play) as upstream:
        answer = await transport.send(endpoint_to(upstream.port), b"{}")
        await answer.next_chunk()
        go_on.set()
        await answer.finish()
        answer.close()

        await eventually(lambda: upstream.open == 0)


async def test_closing_the_transport_closes_its_connections(kind: Kind) -> None:
    """At the end, idle connections and those in use are closed."""

    async def play(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if request.body == b"stay":
                await peer.send(head("Content-Length: 9") + b"so far")
            else:
                await peer.send(plain(b"done"))

    async with running_upstream(play) as upstream:
        async with kind.open() as transport:
            unfinished = await transport.send(endpoint_to(upstream.port), b"stay")
            await asyncio.gather(*(ask(transport, upstream) for _ in range(3)))
            opened = upstream.open
        unfinished.close()

        assert opened >= 2
        await eventually(lambda: upstream.open == 0)


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
