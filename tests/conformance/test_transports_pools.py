"""How many connections there may be, who gets the next one, and that none is lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_llmrouter.upstream.transport import (
    ConnectTimedOut,
    PoolExhausted,
    Transport,
    TransportError,
)
from tests.support.transports import Kind, ask, endpoint_to
from tests.support.upstream_server import (
    Peer,
    Upstream,
    answering,
    head,
    in_turn,
    plain,
    refusing_port,
    running_upstream,
    turns,
)
from tests.support.wait import PATIENCE_S, eventually


class Gate:
    """A provider that answers each request with its body, when it is let."""

    def __init__(self) -> None:
        """Let nothing through."""
        self._turns = asyncio.Semaphore(0)

    def let(self, count: int = 1) -> None:
        """Answer `count` requests more."""
        for _ in range(count):
            self._turns.release()

    async def play(self, peer: Peer) -> None:
        """Answer as often as it was let."""
        while True:
            request = await peer.request()
            await self._turns.acquire()
            await peer.send(plain(request.body))


@pytest.fixture
async def single(kind: Kind) -> AsyncIterator[Transport]:
    """Return a transport with one connection to each origin."""
    async with kind.open(max_connections=1, connect_timeout_s=PATIENCE_S) as transport:
        yield transport


def calls(transport: Transport, to: Upstream, *bodies: bytes) -> list["Call"]:
    """Begin calls in this order."""
    return [asyncio.create_task(ask(transport, to, body)) for body in bodies]


Call = asyncio.Task[tuple[int, bytes]]


async def test_there_are_never_more_connections_than_the_limit(kind: Kind) -> None:
    """Fifty calls at once, and three connections; every call is answered."""
    gate = Gate()
    most = 0

    async def play(peer: Peer) -> None:
        nonlocal most
        most = max(most, upstream.open)
        await gate.play(peer)

    async with (
        running_upstream(play) as upstream,
        kind.open(max_connections=3) as transport,
    ):
        bodies = [b"%d" % number for number in range(50)]
        waiting = calls(transport, upstream, *bodies)
        await eventually(lambda: len(upstream.requests) == 3)
        gate.let(50)

        assert await asyncio.gather(*waiting) == [(200, body) for body in bodies]
        assert most == len(upstream.peers) == 3


async def test_who_came_first_is_served_first(single: Transport) -> None:
    """With one connection, requests go out in the order of the calls."""
    gate = Gate()
    async with running_upstream(gate.play) as upstream:
        bodies = [b"%d" % number for number in range(20)]
        waiting = calls(single, upstream, *bodies)
        gate.let(20)
        await asyncio.gather(*waiting)

        assert [each.body for each in upstream.requests] == bodies


async def test_a_late_call_does_not_overtake_those_who_wait(single: Transport) -> None:
    """Who comes when a connection has just been given back is not before the others."""
    gate = Gate()
    gate.let()
    async with running_upstream(gate.play) as upstream:
        holder = await single.send(endpoint_to(upstream.port), b"holder")
        await holder.read()
        waiting = calls(single, upstream, b"first", b"second")
        await turns()
        gate.let(3)
        holder.close()
        late = calls(single, upstream, b"late")
        await asyncio.gather(*waiting, *late)

        assert [each.body for each in upstream.requests] == [
            b"holder", b"first", b"second", b"late",
        ]  # fmt: skip


async def test_origins_have_their_own_limits(single: Transport) -> None:
    """A busy provider keeps nobody from another one."""
    gate = Gate()
    async with (
        running_upstream(gate.play) as busy,
        running_upstream(answering(plain(b"free"))) as free,
    ):
        [waiting] = calls(single, busy, b"x")
        await eventually(lambda: len(busy.requests) == 1)

        assert await ask(single, free) == (200, b"free")
        gate.let()
        assert await waiting == (200, b"x")


async def test_waiting_for_a_connection_has_the_time_limit_of_connecting(
    kind: Kind,
) -> None:
    """A call that finds no connection in time fails; the next finds one."""
    gate = Gate()
    async with (
        running_upstream(gate.play) as upstream,
        kind.open(max_connections=1, connect_timeout_s=1) as transport,
    ):
        [holder] = calls(transport, upstream, b"holder")
        await eventually(lambda: len(upstream.requests) == 1)
        with pytest.raises(ConnectTimedOut):
            await ask(transport, upstream, b"late")
        gate.let(2)
        await holder

        assert await ask(transport, upstream, b"next") == (200, b"next")
        assert [each.body for each in upstream.requests] == [b"holder", b"next"]
        assert len(upstream.peers) == 1


async def test_an_exhausted_pool_is_told_from_a_silent_provider(kind: Kind) -> None:
    """Who reads `upstream_pool_exhausted` looks at the limit, not at the provider."""
    async with (
        running_upstream(Gate().play) as upstream,
        kind.open(max_connections=1, connect_timeout_s=1) as transport,
    ):
        [holder] = calls(transport, upstream, b"holder")
        await eventually(lambda: len(upstream.requests) == 1)

        [late] = calls(transport, upstream, b"late")
        await asyncio.wait([late])
        holder.cancel()
        await asyncio.wait([holder])

        assert isinstance(late.exception(), PoolExhausted)


async def test_a_call_that_gives_up_waiting_leaves_its_place(single: Transport) -> None:
    """Those behind it move up; nothing is sent for it."""
    gate = Gate()
    async with running_upstream(gate.play) as upstream:
        names = (b"holder", b"one", b"two", b"three")
        holder, one, two, three = calls(single, upstream, *names)
        await eventually(lambda: len(upstream.requests) == 1)
        await turns()
        two.cancel()
        await asyncio.wait([two])
        gate.let(3)
        await asyncio.gather(holder, one, three)

        assert [each.body for each in upstream.requests] == [
            b"holder",
            b"one",
            b"three",
        ]


@pytest.mark.parametrize("order", ["cancelled first", "given back first"])
async def test_a_call_cancelled_when_its_turn_comes_passes_it_on(
    single: Transport, order: str
) -> None:
    """Between being served and noticing it, a call may be cancelled."""
    gate = Gate()
    gate.let(1)
    async with running_upstream(gate.play) as upstream:
        for _ in range(10):
            gate.let(2)
            holder = await single.send(endpoint_to(upstream.port), b"holder")
            await holder.read()
            first, second = calls(single, upstream, b"first", b"second")
            await turns(5)
            if order == "cancelled first":
                first.cancel()
                holder.close()
            else:
                holder.close()
                first.cancel()

            assert await asyncio.wait_for(second, PATIENCE_S) == (200, b"second")
            await asyncio.wait([first])
        assert b"first" not in {each.body for each in upstream.requests}


async def test_failed_calls_give_their_connections_back(single: Transport) -> None:
    """However a call fails, its place is free for the next one."""

    async def reset(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async def cut(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Content-Length: 9") + b"half")
        peer.close()

    async def junk(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"SSH-2.0-nothing\r\n")

    script = in_turn(*[reset, cut, junk] * 5, answering(plain(b"well")))
    async with running_upstream(script) as upstream:
        for _ in range(15):
            with pytest.raises(TransportError):
                await ask(single, upstream)

        assert await ask(single, upstream) == (200, b"well")


async def test_connections_that_were_never_made_are_not_counted(kind: Kind) -> None:
    """A provider that was away is called again when it is back."""
    async with kind.open(max_connections=2, connect_timeout_s=PATIENCE_S) as transport:
        with refusing_port() as port:
            results = await asyncio.gather(
                *(ask(transport, endpoint_to(port)) for _ in range(20)),
                return_exceptions=True,
            )
        async with running_upstream(answering(plain(b"back")), port=port) as upstream:
            answer = await asyncio.wait_for(ask(transport, upstream), PATIENCE_S)

        assert {type(each).__name__ for each in results} == {"ConnectFailed"}
        assert answer == (200, b"back")


async def test_an_answer_that_is_thrown_away_frees_its_place(single: Transport) -> None:
    """Closing an unread answer cuts its connection, and makes room for another."""

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(head("Content-Length: 1000000") + b"begun")

    async with running_upstream(play) as upstream:
        for number in range(1, 10):
            answer = await single.send(endpoint_to(upstream.port), b"{}")
            answer.close()
            answer.close()

            assert len(upstream.peers) == number


async def test_connections_that_the_provider_closes_make_room(kind: Kind) -> None:
    """One connection at a time, closed after each answer, serves all who wait."""

    async def once(peer: Peer) -> None:
        request = await peer.request()
        await peer.send(plain(request.body, "Connection: close"))
        peer.close()

    async with (
        running_upstream(once) as upstream,
        kind.open(max_connections=1) as transport,
    ):
        bodies = [b"%d" % number for number in range(20)]
        answers = await asyncio.gather(*calls(transport, upstream, *bodies))

        assert answers == [(200, body) for body in bodies]
        assert [each.body for each in upstream.requests] == bodies


async def test_a_connection_closed_when_it_was_passed_on_costs_no_call(
    kind: Kind,
) -> None:
    """Who is given a connection that the provider has just closed gets another."""
    if not kind.sends_again:
        pytest.skip("only where a request may be sent again")

    async def once(peer: Peer) -> None:
        request = await peer.request()
        await peer.send(plain(request.body))
        peer.close()

    async with (
        running_upstream(once) as upstream,
        kind.open(max_connections=1) as transport,
    ):
        bodies = [b"%d" % number for number in range(20)]
        answers = await asyncio.gather(*calls(transport, upstream, *bodies))

        assert answers == [(200, body) for body in bodies]
        assert {each.body for each in upstream.requests} == set(bodies)
        assert len(upstream.requests) == 20


async def test_an_idle_connection_is_closed_after_a_while(kind: Kind) -> None:
    """What is not used for `idle_connection_s` is let go, and not before."""
    async with (
        running_upstream(answering(plain(b"ok"))) as upstream,
        kind.open(idle_connection_s=2) as transport,
    ):
        await asyncio.gather(*(ask(transport, upstream) for _ in range(3)))
        await asyncio.sleep(0.1)
        early = upstream.open

        assert early >= 1
        await eventually(lambda: upstream.open == 0)
        assert await ask(transport, upstream) == (200, b"ok")


async def test_a_half_closed_idle_connection_is_not_used(transport: Transport) -> None:
    """A provider that shut its side while idle gets the next call on another one."""

    async def half(peer: Peer) -> None:
        await peer.request()
        await peer.send(plain(b"first"))
        peer.shut()

    script = in_turn(half, answering(plain(b"second")))
    async with running_upstream(script) as upstream:
        first = await ask(transport, upstream)
        await turns(9)
        second = await ask(transport, upstream)

        assert [first, second] == [(200, b"first"), (200, b"second")]
        assert [len(peer.requests) for peer in upstream.peers] == [1, 1]


async def test_closing_the_transport_ends_the_waiting(kind: Kind) -> None:
    """Who still waits for a connection when the router stops does not hang."""

    async def silent(peer: Peer) -> None:
        await peer.request()

    async with running_upstream(silent) as upstream:
        async with kind.open(max_connections=1, connect_timeout_s=2) as transport:
            waiting = calls(transport, upstream, b"holder", b"waiter")
            await eventually(lambda: len(upstream.requests) == 1)
        results = await asyncio.wait_for(
            asyncio.gather(*waiting, return_exceptions=True), PATIENCE_S
        )

        assert all(isinstance(each, TransportError) for each in results), results
        await eventually(lambda: upstream.open == 0)


@dataclass(frozen=True)
class Move:
    """One call: when it begins, what the provider does with it, when it is given up.

    Times are turns of the loop; `None` is never.
    """

    begins: int
    ends: str
    given_up: int | None


MOVES = st.builds(
    Move,
    begins=st.integers(0, 12),
    ends=st.sampled_from(["kept", "closed", "closed unasked", "cut", "reset"]),
    given_up=st.none() | st.integers(0, 20),
)


class Obedient:
    """A provider that ends each answer as the request says."""

    def __init__(self, limit: int) -> None:
        """Answer `together` when so many have said it."""
        self._together = asyncio.Barrier(limit)

    async def play(self, peer: Peer) -> None:
        """Do as it is told, until the connection has ended."""
        while not peer.over.is_set():
            request = await peer.request()
            ends = request.body.decode().partition(":")[0]
            if ends == "together":
                await self._together.wait()
            if ends == "cut":
                await peer.send(head("Content-Length: 99") + b"half")
            elif ends != "reset":
                said = ["Connection: close"] if ends == "closed" else []
                await peer.send(plain(request.body, *said))
            if ends == "reset":
                peer.reset()
            elif ends not in {"kept", "together"}:
                peer.close()


async def _make(
    move: Move, number: int, transport: Transport, upstream: Upstream
) -> None:
    await turns(move.begins)
    body = f"{move.ends}:{number}".encode()
    call = asyncio.create_task(ask(transport, upstream, body))
    if move.given_up is not None:
        await turns(move.given_up)
        call.cancel()
    await asyncio.wait([call])
    if move.given_up is None and move.ends in {"cut", "reset"}:
        assert isinstance(call.exception(), TransportError)
    elif move.given_up is None:
        assert call.result() == (200, body)


@given(moves=st.lists(MOVES, min_size=1, max_size=25), limit=st.integers(1, 3))
async def test_whatever_happens_no_place_is_lost(
    kind: Kind, moves: list[Move], limit: int
) -> None:
    """Calls that fail, are given up, or meet a closed connection cost no place."""
    if not kind.sends_again:
        pytest.skip("aiohttp may forget who waits when others are cancelled")
    provider = Obedient(limit)
    async with (
        running_upstream(provider.play) as upstream,
        kind.open(max_connections=limit, connect_timeout_s=PATIENCE_S) as transport,
    ):
        await asyncio.gather(
            *(
                _make(move, number, transport, upstream)
                for number, move in enumerate(moves)
            )
        )
        last = [ask(transport, upstream, b"together") for _ in range(limit)]

        assert await asyncio.gather(*last) == [(200, b"together")] * limit
