"""TLS beyond the handshake: who is trusted, who we are, and sessions."""

import asyncio
import ssl
from pathlib import Path

import pytest

from smart_llmrouter.config.snapshot import Tls
from smart_llmrouter.upstream.transport import TlsFailed, Transport, TransportError
from tests.support.transports import Kind, ask, endpoint_to
from tests.support.upstream_server import (
    AUTHORITY,
    CERTIFICATES,
    KEY_FILE,
    Peer,
    answering,
    plain,
    running_upstream,
    serving,
)
from tests.support.wait import PATIENCE_S

ANSWER = plain(b"ok")
CLOSING = plain(b"ok", "Connection: close")
CLIENT = Tls(
    ca_file=str(AUTHORITY),
    client_cert_file=str(CERTIFICATES / "client.pem"),
    client_key_file=str(KEY_FILE),
)


async def test_a_client_certificate_is_shown(transport: Transport) -> None:
    """A provider that asks who calls sees the provider's own certificate."""
    tls = serving("good", asks_who=True)
    async with running_upstream(answering(ANSWER), tls=tls) as upstream:
        endpoint = endpoint_to(upstream.port, scheme="https", tls=CLIENT)

        answer = await ask(transport, endpoint)

        assert answer == (200, b"ok")
        [peer] = upstream.peers
        assert peer.tls is not None
        shown = peer.tls.getpeercert()
        assert shown is not None
        assert shown["subject"] == ((("commonName", "client"),),)


async def test_a_certificate_and_its_key_may_share_a_file(
    transport: Transport, tmp_path: Path
) -> None:
    """The key may stand in the file of the certificate."""
    both = tmp_path / "both.pem"
    both.write_text((CERTIFICATES / "client.pem").read_text() + KEY_FILE.read_text())
    tls = serving("good", asks_who=True)
    async with running_upstream(answering(ANSWER), tls=tls) as upstream:
        own = Tls(ca_file=str(AUTHORITY), client_cert_file=str(both))

        answer = await ask(
            transport, endpoint_to(upstream.port, scheme="https", tls=own)
        )

        assert answer == (200, b"ok")


@pytest.mark.parametrize("newest", ["TLSv1_2", "TLSv1_3"])
async def test_who_shows_no_certificate_is_turned_away(
    transport: Transport, newest: str
) -> None:
    """Where a certificate is asked for, a call without one fails, and soon."""
    tls = serving("good", asks_who=True, newest=newest)
    async with running_upstream(answering(ANSWER), tls=tls) as upstream:
        with pytest.raises(TransportError):
            await asyncio.wait_for(
                ask(transport, endpoint_to(upstream.port, scheme="https")), PATIENCE_S
            )

        assert upstream.requests == []


async def test_clients_of_two_names_share_no_connection(transport: Transport) -> None:
    """A connection that proved who we are is not used for calls of somebody else."""
    tls = serving("good")
    tls.load_verify_locations(cafile=AUTHORITY)
    tls.verify_mode = ssl.CERT_OPTIONAL
    async with running_upstream(answering(ANSWER), tls=tls) as upstream:
        nobody = endpoint_to(upstream.port, scheme="https")
        somebody = endpoint_to(upstream.port, scheme="https", tls=CLIENT)

        for endpoint in (nobody, somebody, nobody, somebody):
            await ask(transport, endpoint)

        shown = [peer.tls and peer.tls.getpeercert() for peer in upstream.peers]
        assert [bool(each) for each in shown] == [False, True]
        assert [len(peer.requests) for peer in upstream.peers] == [2, 2]


async def test_the_very_certificate_may_be_trusted(transport: Transport) -> None:
    """`ca_file` may hold a server's own certificate instead of an authority's."""
    for name in ("self-signed", "good"):
        pinned = Tls(ca_file=str(CERTIFICATES / f"{name}.pem"))
        tls = serving(name)
        async with running_upstream(answering(ANSWER), tls=tls) as upstream:
            answer = await ask(
                transport, endpoint_to(upstream.port, scheme="https", tls=pinned)
            )

            assert answer == (200, b"ok")


async def test_a_server_name_replaces_the_host(transport: Transport) -> None:
    """`server_name` is asked for (SNI), and is what the certificate must be for."""
    asked: list[str | None] = []
    tls = serving("wrong-name")
    tls.sni_callback = lambda _, name, __: asked.append(name)
    async with running_upstream(answering(ANSWER), tls=tls) as upstream:
        named = Tls(ca_file=str(AUTHORITY), server_name="elsewhere.test")
        answer = await ask(
            transport, endpoint_to(upstream.port, scheme="https", tls=named)
        )

        assert answer == (200, b"ok")
        assert asked == ["elsewhere.test"]
        host = dict(upstream.requests[0].headers)["host"]
        assert host == f"127.0.0.1:{upstream.port}"


async def test_a_wrong_server_name_is_refused(transport: Transport) -> None:
    """The name that was asked for must be in the certificate; the host's is not it."""
    async with running_upstream(answering(ANSWER), certificate="good") as upstream:
        named = Tls(ca_file=str(AUTHORITY), server_name="elsewhere.test")
        endpoint = endpoint_to(
            upstream.port, host="localhost", scheme="https", tls=named
        )

        with pytest.raises(TlsFailed):
            await ask(transport, endpoint)


async def test_the_host_is_asked_for_but_no_address_is(transport: Transport) -> None:
    """SNI names hosts only (RFC 6066, 3)."""
    asked: list[str | None] = []
    tls = serving("good")
    tls.sni_callback = lambda _, name, __: asked.append(name)
    async with running_upstream(answering(ANSWER), tls=tls) as upstream:
        for host in ("localhost", "127.0.0.1"):
            await ask(transport, endpoint_to(upstream.port, host=host, scheme="https"))

        assert asked == ["localhost", None]


async def test_http_1_1_is_what_is_offered(transport: Transport) -> None:
    """A provider that could speak HTTP/2 is told not to (ALPN)."""
    tls = serving("good")
    tls.set_alpn_protocols(["h2", "http/1.1"])
    async with running_upstream(answering(ANSWER), tls=tls) as upstream:
        await ask(transport, endpoint_to(upstream.port, scheme="https"))

        [peer] = upstream.peers
        assert peer.tls is not None
        assert peer.tls.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("missing", ["ca_file", "client_cert_file"])
async def test_a_file_that_has_gone_is_a_failure_of_tls(
    transport: Transport, tmp_path: Path, missing: str
) -> None:
    """What the configuration named may be gone by the first call: no call is made."""
    async with running_upstream(answering(ANSWER), certificate="good") as upstream:
        gone = Tls(**{missing: str(tmp_path / "gone.pem")})

        with pytest.raises(TlsFailed):
            await ask(transport, endpoint_to(upstream.port, scheme="https", tls=gone))

        assert upstream.peers == []


@pytest.mark.parametrize("newest", ["TLSv1_2", "TLSv1_3"])
async def test_a_session_is_resumed(transport: Transport, newest: str) -> None:
    """A second connection to the same provider needs no second full handshake."""
    tls = serving("good", newest=newest)
    async with running_upstream(answering(CLOSING), tls=tls) as upstream:
        for _ in range(4):
            await ask(transport, endpoint_to(upstream.port, scheme="https"))

        reused = [peer.tls and peer.tls.session_reused for peer in upstream.peers]
        assert reused == [False, True, True, True]


async def test_a_session_that_the_provider_forgot_costs_nothing(kind: Kind) -> None:
    """A provider that was restarted gets a full handshake, and its new session kept."""
    async with kind.open() as transport:
        port = 0
        for _ in range(2):
            async with running_upstream(
                answering(CLOSING), port=port, certificate="good"
            ) as upstream:
                port = upstream.port
                endpoint = endpoint_to(port, scheme="https")
                answers = [await ask(transport, endpoint) for _ in range(3)]

                assert answers == [(200, b"ok")] * 3
                resumes = kind.name == "lean"
                reused = [
                    peer.tls and peer.tls.session_reused for peer in upstream.peers
                ]
                assert reused == [False, resumes, resumes]


async def test_a_session_is_of_one_name_and_one_trust(transport: Transport) -> None:
    """What one authority vouched for is not believed by whoever trusts another."""
    async with running_upstream(answering(CLOSING), certificate="good") as upstream:
        await ask(transport, endpoint_to(upstream.port, scheme="https"))
        other = Tls(ca_file=str(CERTIFICATES / "self-signed.pem"))

        with pytest.raises(TlsFailed):
            await ask(transport, endpoint_to(upstream.port, scheme="https", tls=other))


async def test_many_connections_at_once_read_certificates_once(
    transport: Transport,
) -> None:
    """Calls that need the same settings at the same time all get through."""
    go_on = asyncio.Event()

    async def play(peer: Peer) -> None:
        await peer.request()
        if len(upstream.requests) == 20:
            go_on.set()
        await go_on.wait()
        await peer.send(ANSWER)

    async with running_upstream(play, certificate="good") as upstream:
        endpoint = endpoint_to(upstream.port, scheme="https", tls=CLIENT)

        answers = await asyncio.gather(*(ask(transport, endpoint) for _ in range(20)))

        assert answers == [(200, b"ok")] * 20
