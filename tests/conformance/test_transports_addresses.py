"""Addresses: how often they are looked up, and which of several is connected to."""

import asyncio
import socket
from collections.abc import Collection
from pathlib import Path

import pytest

from smart_llmrouter.upstream.addresses import Address
from smart_llmrouter.upstream.transport import (
    ConnectFailed,
    ConnectTimedOut,
    TlsFailed,
    Transport,
)
from tests.support.transports import Kind, ask, endpoint_to, held
from tests.support.upstream_server import (
    Peer,
    answering,
    full_backlog,
    plain,
    refusing_port,
    running_upstream,
)
from tests.support.wait import PATIENCE_S, eventually

NAME = "provider.test"
CLOSING = plain(b"ok", "Connection: close")


class Resolver:
    """A resolver whose answers the test says, and that counts who asks."""

    def __init__(self, *hosts: str) -> None:
        """Know these addresses."""
        self.hosts: Collection[str] = hosts
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, host: str, port: int) -> list[Address]:
        """Give the known addresses, when it is open."""
        self.asked += 1
        assert host == NAME
        await self.open.wait()
        if not self.hosts:
            raise OSError("no such host")
        return [_address(each, port) for each in self.hosts]


def _address(host: str, port: int) -> Address:
    if ":" in host:
        return Address(socket.AF_INET6, (host, port, 0, 0))
    return Address(socket.AF_INET, (host, port))


async def test_addresses_are_looked_up_once(kind: Kind) -> None:
    """Connections one after another share what was found."""
    resolver = Resolver("127.0.0.1")
    async with (
        running_upstream(answering(CLOSING)) as upstream,
        kind.open(resolve=resolver) as transport,
    ):
        for _ in range(5):
            await ask(transport, endpoint_to(upstream.port, host=NAME))

        assert len(upstream.peers) == 5
        assert resolver.asked == 1
        host = dict(upstream.requests[0].headers)["host"]
        assert host == f"{NAME}:{upstream.port}"


async def test_without_a_time_to_live_each_connection_looks(kind: Kind) -> None:
    """`dns_ttl_s: 0` keeps nothing."""
    resolver = Resolver("127.0.0.1")
    async with (
        running_upstream(answering(CLOSING)) as upstream,
        kind.open(resolve=resolver, dns_ttl_s=0) as transport,
    ):
        for _ in range(3):
            await ask(transport, endpoint_to(upstream.port, host=NAME))

        assert resolver.asked == 3


async def test_a_provider_that_moved_is_found(kind: Kind) -> None:
    """When the time to live is over, new connections go to the new address."""
    resolver = Resolver("127.0.0.1")
    async with (
        running_upstream(answering(CLOSING)) as old,
        running_upstream(answering(CLOSING), host="127.0.0.2", port=old.port) as new,
        kind.open(resolve=resolver, dns_ttl_s=0.05) as transport,
    ):
        endpoint = endpoint_to(old.port, host=NAME)
        await ask(transport, endpoint)
        resolver.hosts = ["127.0.0.2"]

        async def moved() -> bool:
            await ask(transport, endpoint)
            return bool(new.peers)

        await eventually(moved)


async def test_calls_at_the_same_time_share_a_lookup(kind: Kind) -> None:
    """Ten calls wait for one answer of the resolver."""
    resolver = Resolver("127.0.0.1")
    resolver.open.clear()
    async with (
        running_upstream(answering(plain(b"ok"))) as upstream,
        kind.open(resolve=resolver) as transport,
    ):
        endpoint = endpoint_to(upstream.port, host=NAME)
        calls = [asyncio.create_task(ask(transport, endpoint)) for _ in range(10)]
        await eventually(lambda: resolver.asked)
        resolver.open.set()

        assert await asyncio.gather(*calls) == [(200, b"ok")] * 10
        assert resolver.asked == 1


async def test_a_cancelled_call_does_not_end_the_lookup_of_others(kind: Kind) -> None:
    """Who began the lookup may leave; those who wait get its answer."""
    resolver = Resolver("127.0.0.1")
    resolver.open.clear()
    async with (
        running_upstream(answering(plain(b"ok"))) as upstream,
        kind.open(resolve=resolver) as transport,
    ):
        endpoint = endpoint_to(upstream.port, host=NAME)
        first, second = (
            asyncio.create_task(ask(transport, endpoint)) for _ in range(2)
        )
        await eventually(lambda: resolver.asked)
        first.cancel()
        await asyncio.wait([first])
        resolver.open.set()

        assert await second == (200, b"ok")
        assert resolver.asked == 1


async def test_a_name_that_was_not_found_is_looked_up_again(kind: Kind) -> None:
    """Not finding a name is not remembered."""
    resolver = Resolver()
    async with (
        running_upstream(answering(plain(b"ok"))) as upstream,
        kind.open(resolve=resolver) as transport,
    ):
        endpoint = endpoint_to(upstream.port, host=NAME)
        with pytest.raises(ConnectFailed):
            await ask(transport, endpoint)
        resolver.hosts = ["127.0.0.1"]

        assert await ask(transport, endpoint) == (200, b"ok")


async def test_a_resolver_that_fails_leaves_the_known_addresses(kind: Kind) -> None:
    """A provider that was reached stays so while the resolver is down."""
    resolver = Resolver("127.0.0.1")
    async with (
        running_upstream(answering(CLOSING)) as upstream,
        kind.open(resolve=resolver, dns_ttl_s=0.001) as transport,
    ):
        endpoint = endpoint_to(upstream.port, host=NAME)
        await ask(transport, endpoint)
        resolver.hosts = []
        await asyncio.sleep(0.01)

        assert await ask(transport, endpoint) == (200, b"ok")
        assert resolver.asked == 2


async def test_a_lookup_that_never_ends_has_the_time_limit(kind: Kind) -> None:
    """The time limit of connecting covers the lookup, too."""
    resolver = Resolver("127.0.0.1")
    resolver.open.clear()
    async with kind.open(resolve=resolver, connect_timeout_s=0.1) as transport:
        with pytest.raises(ConnectTimedOut):
            await ask(transport, endpoint_to(80, host=NAME))


@pytest.mark.parametrize("refusing", ["127.0.0.1", "::1"])
async def test_an_address_that_refuses_is_passed_by(kind: Kind, refusing: str) -> None:
    """One of two addresses that accepts is enough, whatever their families."""
    resolver = Resolver(refusing, "127.0.0.2", refusing)
    async with (
        running_upstream(answering(CLOSING), host="127.0.0.2") as upstream,
        kind.open(resolve=resolver) as transport,
    ):
        endpoint = endpoint_to(upstream.port, host=NAME)

        assert await ask(transport, endpoint) == (200, b"ok")
        assert await ask(transport, endpoint) == (200, b"ok")


async def test_all_addresses_refusing_is_no_connection(kind: Kind) -> None:
    """When the last address has refused, the call has failed, and soon."""
    resolver = Resolver("127.0.0.1", "127.0.0.2", "127.0.0.3")
    with refusing_port() as port:
        async with kind.open(resolve=resolver) as transport:
            before = held()
            with pytest.raises(ConnectFailed):
                await asyncio.wait_for(
                    ask(transport, endpoint_to(port, host=NAME)), PATIENCE_S
                )

            await eventually(lambda: held() <= before)


async def test_a_silent_address_does_not_hold_the_others_up(kind: Kind) -> None:
    """After a quarter of a second the next address is tried beside the first."""
    resolver = Resolver("127.0.0.3", "127.0.0.2")
    async with running_upstream(answering(CLOSING), host="127.0.0.2") as upstream:
        with full_backlog("127.0.0.3", upstream.port):
            async with kind.open(resolve=resolver) as transport:
                before = held()
                endpoint = endpoint_to(upstream.port, host=NAME)
                answer = await asyncio.wait_for(ask(transport, endpoint), PATIENCE_S)

                assert answer == (200, b"ok")
                assert len(upstream.peers) == 1
                await eventually(lambda: held() <= before)


async def test_all_addresses_silent_has_the_time_limit(kind: Kind) -> None:
    """However many addresses there are, there is one time limit for all."""
    resolver = Resolver("127.0.0.2", "127.0.0.3")
    with full_backlog("127.0.0.2") as port, full_backlog("127.0.0.3", port):
        async with kind.open(resolve=resolver, connect_timeout_s=0.6) as transport:
            before = held()
            with pytest.raises(ConnectTimedOut):
                await asyncio.wait_for(
                    ask(transport, endpoint_to(port, host=NAME)), PATIENCE_S
                )

            await eventually(lambda: held() <= before)


async def test_a_unix_socket_is_connected_to(
    transport: Transport, tmp_path: Path
) -> None:
    """The URL still names the provider; nothing is looked up or connected there."""
    path = tmp_path / "provider.sock"
    async with running_upstream(answering(plain(b"local")), unix_socket=path) as local:
        endpoint = endpoint_to(9, host=NAME, unix_socket=path)
        answers = [await ask(transport, endpoint) for _ in range(3)]

        assert answers == [(200, b"local")] * 3
        assert len(local.peers) == 1
        assert local.requests[0].line == "POST /v1/chat/completions HTTP/1.1"
        assert dict(local.requests[0].headers)["host"] == f"{NAME}:9"


async def test_tls_is_spoken_over_a_unix_socket(
    transport: Transport, tmp_path: Path
) -> None:
    """The certificate must be for the host of the URL."""
    path = tmp_path / "provider.sock"
    script = answering(plain(b"x" * 300_000))
    async with running_upstream(script, unix_socket=path, certificate="good"):
        well = endpoint_to(9, host="localhost", scheme="https", unix_socket=path)
        wrong = endpoint_to(9, host=NAME, scheme="https", unix_socket=path)

        assert await ask(transport, well) == (200, b"x" * 300_000)
        with pytest.raises(TlsFailed):
            await ask(transport, wrong)


async def test_a_unix_socket_that_is_not_there_has_failed(
    transport: Transport, tmp_path: Path
) -> None:
    """No file, or nobody behind it, is no connection."""
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(tmp_path / "abandoned.sock"))
    for name in ("none.sock", "abandoned.sock"):
        with pytest.raises(ConnectFailed):
            await ask(transport, endpoint_to(9, unix_socket=tmp_path / name))


async def test_a_unix_socket_with_a_full_queue_is_waited_for(
    kind: Kind, tmp_path: Path
) -> None:
    """Its queue moves on, or the time limit of connecting passes."""
    path = tmp_path / "busy.sock"
    with (
        socket.socket(socket.AF_UNIX) as listening,
        socket.socket(socket.AF_UNIX) as waiting,
        socket.socket(socket.AF_UNIX) as more,
    ):
        listening.bind(str(path))
        listening.listen(0)
        for each in (waiting, more):
            each.settimeout(0)
            each.connect_ex(str(path))
        async with kind.open(connect_timeout_s=0.2) as transport:
            before = held()
            with pytest.raises(ConnectTimedOut):
                await ask(transport, endpoint_to(9, unix_socket=path))

            await eventually(lambda: held() <= before)


async def test_two_unix_sockets_share_no_connection(
    transport: Transport, tmp_path: Path
) -> None:
    """The same URL by two sockets is two providers."""

    def naming(name: bytes) -> Path:
        return tmp_path / f"{name.decode()}.sock"

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(plain(b"one"))

    async with (
        running_upstream(play, unix_socket=naming(b"one")),
        running_upstream(answering(plain(b"two")), unix_socket=naming(b"two")),
        running_upstream(answering(plain(b"tcp"))) as by_tcp,
    ):
        port = by_tcp.port
        ways = [naming(b"one"), naming(b"two"), None] * 2

        answers = [
            await ask(transport, endpoint_to(port, unix_socket=way)) for way in ways
        ]

        assert [body for _, body in answers] == [b"one", b"two", b"tcp"] * 2
