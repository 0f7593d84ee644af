"""A call may be cancelled wherever it waits, and leaves nothing behind."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass

import pytest

from smart_llmrouter.upstream.addresses import Address
from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.transport import Transport
from tests.support.transports import Kind, ask, endpoint_to, held
from tests.support.upstream_server import (
    Certificate,
    Peer,
    Script,
    Upstream,
    answering,
    full_backlog,
    head,
    in_turn,
    plain,
    running_upstream,
    turns,
)
from tests.support.wait import PATIENCE_S, eventually

NAME = "provider.test"
LARGE = b"x" * (8 * 1024 * 1024)


@dataclass
class Stage:
    """A provider at which the first call waits at one place, and the next does not.

    `reached` says whether the first call waits there; `release` lets go of what has to
    be over before the next call.
    """

    transport: Transport
    endpoint: Endpoint
    upstream: Upstream
    reached: Callable[[], bool]
    release: Callable[[], None]
    body: bytes = b"{}"


class Steered:
    """A resolver that leads where the test says, at once or not."""

    def __init__(self, host: str) -> None:
        """Lead to `host`."""
        self.host = host
        self.asked = 0
        self.open = asyncio.Event()

    async def __call__(self, host: str, port: int) -> list[Address]:
        """Wait until it is open."""
        del host
        self.asked += 1
        await self.open.wait()
        return [Address(socket.AF_INET, (self.host, port))]


async def _mute(peer: Peer) -> None:
    await peer.hello()
    await peer.gone()


async def _without_answer(peer: Peer) -> None:
    await peer.request()


async def _half_a_head(peer: Peer) -> None:
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-")


async def _half_a_body(peer: Peer) -> None:
    await peer.request()
    await peer.send(head("Content-Length: 100") + b"half")


_WELL = answering(plain(b"well"))
_FIRST: dict[str, tuple[Script, str]] = {
    "waiting for the head": (_without_answer, "http"),
    "in the middle of the head": (_half_a_head, "http"),
    "reading the body": (_half_a_body, "http"),
    "the handshake": (_mute, "https"),
    "waiting for the head over TLS": (_without_answer, "https"),
    "reading the body over TLS": (_half_a_body, "https"),
}
_SENDING = {"sending": "http", "sending over TLS": "https"}
_PLACES = ["the lookup", "connecting", "a turn", *_SENDING, *_FIRST]


@asynccontextmanager
async def _before_the_connection(place: str, kind: Kind) -> AsyncGenerator[Stage]:
    resolver = Steered("127.0.0.2")
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(running_upstream(_WELL))
        if place == "connecting":
            stack.enter_context(full_backlog("127.0.0.2", upstream.port))
            resolver.open.set()
        opened = kind.open(max_connections=1, dns_ttl_s=0, resolve=resolver)
        transport = await stack.enter_async_context(opened)

        def release() -> None:
            resolver.host = "127.0.0.1"
            resolver.open.set()

        endpoint = endpoint_to(upstream.port, host=NAME)
        yield Stage(
            transport, endpoint, upstream, lambda: bool(resolver.asked), release
        )


@asynccontextmanager
async def _waiting_for_a_turn(kind: Kind) -> AsyncGenerator[Stage]:
    """The first call waits for the connection that another one has."""
    async with (
        running_upstream(in_turn(_half_a_body, _WELL)) as upstream,
        kind.open(max_connections=1) as transport,
    ):
        endpoint = endpoint_to(upstream.port)
        holder = await transport.send(endpoint, b"{}")
        yield Stage(transport, endpoint, upstream, lambda: True, holder.close)


@asynccontextmanager
async def _on_the_connection(place: str, kind: Kind) -> AsyncGenerator[Stage]:
    script, scheme = _FIRST[place]
    certificate: Certificate | None = "good" if "TLS" in place else None
    scripts = in_turn(script, _WELL)
    if place == "the handshake":
        # What answers then has no TLS either: the next call fails otherwise.
        scripts = in_turn(script, _mute)
    async with (
        running_upstream(scripts, certificate=certificate) as upstream,
        kind.open(max_connections=1) as transport,
    ):

        def reached() -> bool:
            return upstream.open == 1

        endpoint = endpoint_to(upstream.port, scheme=scheme)
        yield Stage(transport, endpoint, upstream, reached, lambda: None)


@asynccontextmanager
async def _sending(place: str, kind: Kind) -> AsyncGenerator[Stage]:
    """The provider does not read on, and so does not notice who leaves, either."""
    go_on = asyncio.Event()

    async def unread(peer: Peer) -> None:
        await peer.head()
        await go_on.wait()
        await peer.gone()

    scheme = _SENDING[place]
    certificate: Certificate | None = "good" if scheme == "https" else None
    async with (
        running_upstream(in_turn(unread, _WELL), certificate=certificate) as upstream,
        kind.open(max_connections=1) as transport,
    ):

        def reached() -> bool:
            return upstream.open == 1

        endpoint = endpoint_to(upstream.port, scheme=scheme)
        yield Stage(transport, endpoint, upstream, reached, go_on.set, LARGE)


def _at(place: str, kind: Kind) -> AbstractAsyncContextManager[Stage]:
    if place in {"the lookup", "connecting"}:
        return _before_the_connection(place, kind)
    if place == "a turn":
        return _waiting_for_a_turn(kind)
    if place in _SENDING:
        return _sending(place, kind)
    return _on_the_connection(place, kind)


@pytest.mark.parametrize("late", [0, 20], ids=["soon", "late"])
@pytest.mark.parametrize("place", _PLACES)
async def test_a_cancelled_call_leaves_nothing(
    kind: Kind, place: str, late: int
) -> None:
    """Wherever it waits: no task, no file, no connection, and its place is free."""
    async with _at(place, kind) as stage:
        before = held()
        open_before = stage.upstream.open
        call = asyncio.create_task(ask(stage.transport, stage.endpoint, stage.body))
        await eventually(stage.reached)
        await turns(late)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        stage.release()

        await eventually(lambda: held() <= before)
        await eventually(lambda: stage.upstream.open <= open_before)
        if place != "the handshake":
            again = ask(stage.transport, stage.endpoint)
            assert await asyncio.wait_for(again, PATIENCE_S) == (200, b"well")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_call_may_be_cancelled_at_any_moment(kind: Kind, scheme: str) -> None:
    """Cancelled after any number of the loop's turns, a call costs no connection."""
    certificate: Certificate | None = "good" if scheme == "https" else None

    async def echo(peer: Peer) -> None:
        while True:
            request = await peer.request()
            await peer.send(plain(request.body))

    async with (
        running_upstream(echo, certificate=certificate) as upstream,
        # aiohttp may forget who waits for a turn when others are cancelled.
        kind.open(max_connections=2 if kind.name == "lean" else 4) as transport,
    ):
        endpoint = endpoint_to(upstream.port, scheme=scheme)
        for count in range(60):
            calls = [
                asyncio.create_task(ask(transport, endpoint, b"%d" % number))
                for number in range(4)
            ]
            await turns(count % 30)
            for call in calls[count % 2 :: 2]:
                call.cancel()
            results = await asyncio.wait_for(
                asyncio.gather(*calls, return_exceptions=True), PATIENCE_S
            )

            for number, result in enumerate(results):
                assert result == (200, b"%d" % number) or isinstance(
                    result, asyncio.CancelledError
                )
        last = [ask(transport, endpoint, b"last") for _ in range(2)]
        assert (
            await asyncio.wait_for(asyncio.gather(*last), PATIENCE_S)
            == [(200, b"last")] * 2
        )
        await eventually(lambda: upstream.open <= 4)
