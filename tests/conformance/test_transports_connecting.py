"""How a connection comes about, and every way in which it does not."""

import asyncio
import gc
import socket
from contextlib import suppress
from typing import Final

import pytest

from smart_llmrouter.upstream.lean_connection import LeanConnection
from smart_llmrouter.upstream.racing import Race
from smart_llmrouter.upstream.transport import (
    ConnectFailed,
    ConnectTimedOut,
    TlsFailed,
    Transport,
    TransportError,
)
from tests.support.transports import (
    SYSTEM,
    Kind,
    ask,
    endpoint_to,
    held,
    sockets_to,
)
from tests.support.upstream_server import (
    AUTHORITY,
    Certificate,
    Peer,
    answering,
    full_backlog,
    plain,
    refusing_port,
    running_upstream,
)
from tests.support.wait import PATIENCE_S, eventually

LABEL_TOO_LONG: Final = "a" * 64 + ".example"


async def test_a_refused_connection_has_failed(transport: Transport) -> None:
    """Where nobody listens, there is no connection."""
    with refusing_port() as port, pytest.raises(ConnectFailed):
        await ask(transport, endpoint_to(port))


async def test_a_refused_connection_leaves_the_collector_nothing(
    lean: Transport,
) -> None:
    """A provider that is down fills no memory until somebody looks for cycles."""
    gc.collect()
    gc.disable()
    try:
        with refusing_port() as port:
            for _ in range(3):
                with suppress(ConnectFailed):
                    await ask(lean, endpoint_to(port))
        # The loop holds what it does last.
        await asyncio.sleep(0)
        left = [o for o in gc.get_objects() if isinstance(o, LeanConnection | Race)]
    finally:
        gc.enable()

    assert left == []


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", LABEL_TOO_LONG])
async def test_a_host_that_does_not_exist_has_failed(
    transport: Transport, host: str
) -> None:
    """A name that cannot be resolved, or cannot even be one, is no connection."""
    with pytest.raises(ConnectFailed):
        await ask(transport, endpoint_to(80, host=host))


async def test_connecting_has_a_time_limit(kind: Kind) -> None:
    """Who does not answer the knock within `connect_timeout_s` has timed out."""
    with full_backlog() as port:
        async with kind.open(connect_timeout_s=0.2) as transport:
            before = held()
            with pytest.raises(ConnectTimedOut):
                await asyncio.wait_for(ask(transport, endpoint_to(port)), PATIENCE_S)

            await eventually(lambda: held() <= before)


async def test_the_time_limit_of_connecting_is_not_the_answers(kind: Kind) -> None:
    """A provider may think for longer than connecting may take."""

    async def slow(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(1.5)
        await peer.send(plain(b"at last"))

    async with (
        running_upstream(slow) as upstream,
        kind.open(connect_timeout_s=1) as transport,
    ):
        assert await ask(transport, upstream) == (200, b"at last")


async def test_a_silent_connection_is_kept_alive(transport: Transport) -> None:
    """The kernel asks now and then, so that nothing on the way forgets it."""
    async with running_upstream(answering(plain(b"ok"))) as upstream:
        await ask(transport, upstream)

        [connection] = sockets_to(upstream.port)
        with connection:
            kept = connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            after_s = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            delays = not connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert kept
        assert after_s <= 60
        assert not delays


def _ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _ipv6(), reason="the machine has no IPv6 loopback")
async def test_ipv6_is_spoken(transport: Transport) -> None:
    """An address in brackets is connected to, and named so in `Host`."""
    async with running_upstream(answering(plain(b"six")), host="::1") as upstream:
        answer = await ask(transport, endpoint_to(upstream.port, host="[::1]"))

        assert answer == (200, b"six")
        assert dict(upstream.requests[0].headers)["host"] == f"[::1]:{upstream.port}"


async def test_a_name_with_several_addresses_is_tried_to_the_end(
    transport: Transport,
) -> None:
    """`localhost` may be IPv6 first; the IPv4 address is found all the same."""
    async with running_upstream(answering(plain(b"found"))) as upstream:
        answer = await ask(transport, endpoint_to(upstream.port, host="localhost"))

        assert answer == (200, b"found")
        host = dict(upstream.requests[0].headers)["host"]
        assert host == f"localhost:{upstream.port}"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_tls_to_a_name_and_to_an_address(kind: Kind, host: str) -> None:
    """A certificate that is valid, and for this name, is enough; and is reused."""
    body = b"x" * 500_000
    async with (
        running_upstream(answering(plain(body)), certificate="good") as upstream,
        kind.open() as transport,
    ):
        endpoint = endpoint_to(upstream.port, host=host, scheme="https")
        answers = [await ask(transport, endpoint, body) for _ in range(3)]

        assert answers == [(200, body)] * 3
        assert [request.body for request in upstream.requests] == [body] * 3
        assert len(upstream.peers) == 1


@pytest.mark.parametrize("certificate", ["expired", "wrong-name", "self-signed"])
async def test_a_certificate_that_is_not_in_order_is_refused(
    kind: Kind, certificate: Certificate
) -> None:
    """No request, and so no key, goes to whoever cannot prove who it is."""
    async with (
        running_upstream(answering(plain()), certificate=certificate) as upstream,
        kind.open() as transport,
    ):
        before = held()
        with pytest.raises(TlsFailed):
            await ask(transport, endpoint_to(upstream.port, scheme="https"))

        assert upstream.requests == []
        await eventually(lambda: held() <= before)


async def test_an_authority_that_the_system_does_not_know_is_refused(
    transport: Transport,
) -> None:
    """By default only the system's authorities are trusted."""
    async with running_upstream(answering(plain()), certificate="good") as upstream:
        endpoint = endpoint_to(upstream.port, scheme="https", tls=SYSTEM)
        with pytest.raises(TlsFailed):
            await ask(transport, endpoint)

        assert upstream.requests == []


async def test_an_authority_of_ssl_cert_file_is_trusted(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SSL_CERT_FILE` says whom to trust, as it does for other programs."""
    monkeypatch.setenv("SSL_CERT_FILE", str(AUTHORITY))
    async with (
        running_upstream(answering(plain(b"ok")), certificate="good") as upstream,
        kind.open() as transport,
    ):
        endpoint = endpoint_to(upstream.port, scheme="https", tls=SYSTEM)
        answer = await ask(transport, endpoint)

        assert answer == (200, b"ok")


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_handshake_that_breaks_off_has_failed(kind: Kind, ending: str) -> None:
    """Whoever hangs up in the handshake is not asked anything."""

    async def play(peer: Peer) -> None:
        await peer.hello()
        peer.close() if ending == "close" else peer.reset()

    async with (
        running_upstream(play) as upstream,
        kind.open() as transport,
    ):
        with pytest.raises((TlsFailed, ConnectFailed)):
            await ask(transport, endpoint_to(upstream.port, scheme="https"))


async def test_a_provider_without_tls_has_failed(kind: Kind) -> None:
    """Plain HTTP where TLS was meant is refused before the request."""

    async def play(peer: Peer) -> None:
        await peer.hello()
        await peer.send(plain(b"no TLS here", status="400 Bad Request"))

    async with (
        running_upstream(play) as upstream,
        kind.open() as transport,
    ):
        with pytest.raises((TlsFailed, ConnectFailed)):
            await ask(transport, endpoint_to(upstream.port, scheme="https"))

        await eventually(lambda: upstream.open == 0)


async def test_a_handshake_that_never_ends_times_out(kind: Kind) -> None:
    """The time limit of connecting covers the handshake, too."""

    async def play(peer: Peer) -> None:
        await peer.hello()
        await peer.gone()

    async with (
        running_upstream(play) as upstream,
        kind.open(connect_timeout_s=0.2) as transport,
    ):
        endpoint = endpoint_to(upstream.port, scheme="https")
        with pytest.raises(TransportError):
            await asyncio.wait_for(ask(transport, endpoint), PATIENCE_S)

        await eventually(lambda: upstream.open == 0)
