"""What the operator is told of a provider that cannot be reached."""

from pathlib import Path

import pytest

from smart_llmrouter.config.snapshot import Tls
from smart_llmrouter.upstream.endpoints import Endpoint
from smart_llmrouter.upstream.transport import Transport, TransportError
from tests.support.transports import ask, endpoint_to
from tests.support.upstream_server import (
    AUTHORITY,
    Certificate,
    Peer,
    answering,
    plain,
    refusing_port,
    running_upstream,
    serving,
)

ANSWER = plain(b"ok")


async def why(transport: Transport, endpoint: Endpoint) -> str:
    """Return the reason for which a call fails."""
    with pytest.raises(TransportError) as failed:
        await ask(transport, endpoint)
    return failed.value.reason


async def test_a_refusal_is_told(transport: Transport) -> None:
    """Nobody listens: a wrong port, or a provider that is down."""
    with refusing_port() as port:
        assert await why(transport, endpoint_to(port)) == "the connection was refused"


async def test_a_host_that_is_none_is_told(transport: Transport) -> None:
    """A name that nobody knows, and one that cannot be a name."""
    unknown = await why(transport, endpoint_to(80, host="no-such-host.invalid"))
    impossible = await why(transport, endpoint_to(80, host="a" * 64 + ".example"))

    # Without any resolver, even that nobody knows it is not known.
    assert unknown in {
        "there is no such host",
        "its host name could not be looked up for now",
    }
    assert impossible == "its host name cannot be one"


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("expired", "its certificate has expired"),
        ("wrong-name", "its certificate is for another address"),
        ("self-signed", "its certificate is self-signed, and not in `tls.ca_file`"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_told(
    transport: Transport, certificate: Certificate, reason: str
) -> None:
    """Each has another remedy."""
    async with running_upstream(
        answering(ANSWER), tls=serving(certificate)
    ) as upstream:
        found = await why(transport, endpoint_to(upstream.port, scheme="https"))

    assert found == reason


async def test_an_unknown_authority_is_told(transport: Transport) -> None:
    """The system's authorities have not signed it."""
    async with running_upstream(answering(ANSWER), tls=serving("good")) as upstream:
        endpoint = endpoint_to(upstream.port, scheme="https", tls=Tls())
        found = await why(transport, endpoint)

    assert found == "its certificate goes back to an authority that is not trusted"


async def test_plain_http_where_tls_was_meant_is_told(transport: Transport) -> None:
    """`https` to a port that speaks HTTP."""

    async def speak_http(peer: Peer) -> None:
        await peer.send(plain(b"no TLS here"))

    async with running_upstream(speak_http) as upstream:
        tls = Tls(ca_file=str(AUTHORITY))
        endpoint = endpoint_to(upstream.port, scheme="https", tls=tls)
        found = await why(transport, endpoint)

    assert found == "what answers there speaks no TLS"


async def test_a_certificate_for_another_name_is_told(transport: Transport) -> None:
    """The name that was asked for is not one of the certificate's."""
    tls = Tls(ca_file=str(AUTHORITY), server_name="somewhere.test")
    async with running_upstream(answering(ANSWER), tls=serving("good")) as upstream:
        found = await why(
            transport, endpoint_to(upstream.port, scheme="https", tls=tls)
        )

    assert found == "its certificate is for another host name"


async def test_a_missing_unix_socket_is_told(lean: Transport) -> None:
    """Nobody has made it, or somewhere else."""
    nowhere = Path("/nowhere/provider.sock")
    found = await why(lean, endpoint_to(80, unix_socket=nowhere))

    assert found == "there is no such Unix socket"
