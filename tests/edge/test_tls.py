"""TLS with callers: what is spoken, how it ends, and what is no TLS at all."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from smart_llmrouter.config.snapshot import ServerTls
from smart_llmrouter.edge.tls import CertificateUnusable, serving_context
from tests.support.edge import Edge, on_uvloop, serving_edge
from tests.support.edge_cases import PROBE, SMUGGLED, line
from tests.support.upstream_server import AUTHORITY, CERTIFICATES, KEY_FILE
from tests.support.wait import PATIENCE_S, eventually

OURS = ServerTls(cert_file=str(CERTIFICATES / "good.pem"), key_file=str(KEY_FILE))


def clients_context() -> ssl.SSLContext:
    """Return a client's context that trusts the authority of the tests."""
    return ssl.create_default_context(cafile=AUTHORITY)


@asynccontextmanager
async def secure_edge(*, client_timeout_s: float = 30.0) -> AsyncGenerator[Edge]:
    """Serve over TLS."""
    context = serving_context(OURS)
    async with serving_edge(tls=context, client_timeout_s=client_timeout_s) as edge:
        yield edge


def test_requests_over_tls() -> None:
    """The same requests in the same order, however the records are cut."""

    async def outcome() -> list[int]:
        async with secure_edge() as edge:
            sent = 3 * line(b"POST /hot HTTP/1.1", body=SMUGGLED) + PROBE
            pieces = [sent[at : at + 9] for at in range(0, len(sent), 9)]
            heard, ending = await edge.send(pieces, tls=clients_context())
            assert (ending, edge.failures) == ("closed", [])
            assert b"/smuggled" not in [taken.target for taken in edge.taken]
            return [answer.status for answer in edge.answers(heard, closed=True)]

    assert on_uvloop(outcome()) == [200] * 4


@pytest.mark.parametrize("count", [0, 50, 1500])
def test_large_answers_over_tls(count: int) -> None:
    """However much there is to send, it arrives whole before the connection ends."""

    async def outcome() -> int:
        async with secure_edge() as edge:
            request = line(b"POST /hot HTTP/1.1", body=b"a" * 2000)
            heard, _ = await edge.send([count * request + PROBE], tls=clients_context())
            return len(edge.answers(heard, closed=True))

    assert on_uvloop(outcome()) == count + 1


@pytest.mark.parametrize(
    ("lowest", "highest", "spoken"),
    [
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
    ],
)
def test_what_is_agreed_on(
    lowest: ssl.TLSVersion, highest: ssl.TLSVersion, spoken: str
) -> None:
    """TLS 1.2 or 1.3, and HTTP/1.1 in it, also for who would like HTTP/2 better."""
    context = clients_context()
    context.minimum_version, context.maximum_version = lowest, highest
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def agreed() -> tuple[str | None, str | None]:
        async with secure_edge() as edge:
            _, writer = await asyncio.open_connection(
                "localhost", edge.port, ssl=context
            )
            found: ssl.SSLObject = writer.get_extra_info("ssl_object")
            writer.close()
            return found.version(), found.selected_alpn_protocol()

    assert on_uvloop(agreed()) == (spoken, "http/1.1")


def test_old_versions_are_not_spoken() -> None:
    """The context refuses what is older than TLS 1.2, and renegotiation."""
    context = serving_context(OURS)

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("sent", [PROBE, b"\x00" * 50, b"\x16\x03\x01\x00\x05hello"])
def test_what_is_no_tls_gets_a_clean_close(sent: bytes) -> None:
    """Plain HTTP, or anything, at the port of TLS: the end, and nothing is served."""

    async def outcome() -> tuple[str, list[str], int]:
        async with secure_edge() as edge:
            _, ending = await edge.send([sent], silence_s=PATIENCE_S)
            second, _ = await edge.send([PROBE], tls=clients_context())
            assert second.startswith(b"HTTP/1.1 200 OK")
            return ending, edge.failures, len(edge.taken)

    assert on_uvloop(outcome()) == ("closed", [], 1)


def test_a_handshake_that_never_ends_is_cut_off() -> None:
    """Who connects and says nothing, or half of a greeting, is let go."""

    async def endings() -> list[str]:
        async with secure_edge(client_timeout_s=0.3) as edge:
            silent = edge.send([], silence_s=PATIENCE_S)
            half = edge.send([b"\x16\x03\x01\x02\x00\x01"], silence_s=PATIENCE_S)
            found = await asyncio.gather(silent, half)
            assert edge.failures == []
            return [ending for _, ending in found]

    assert on_uvloop(endings()) == ["closed", "closed"]


def test_stopping_lets_an_answer_end() -> None:
    """A graceful stop over TLS: the answer under way arrives, then the end does."""

    async def heard() -> bytes:
        async with secure_edge() as edge:
            reader, writer = await asyncio.open_connection(
                "localhost", edge.port, ssl=clients_context()
            )
            request = line(b"POST /hot HTTP/1.1", body=SMUGGLED)
            writer.write(request[:-5])
            await eventually(lambda: any(each.busy for each in edge.hub.connections))
            edge.server.stop()
            writer.write(request[-5:])
            found = await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            assert edge.failures == []
            return found

    answer = on_uvloop(heard())

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in answer
    assert answer.endswith(SMUGGLED)


def test_stopping_during_handshakes() -> None:
    """Connections that are not ready yet do not keep the router from stopping."""

    async def stopped() -> list[str]:
        async with secure_edge(client_timeout_s=0.5) as edge:
            plain = [socket.create_connection(("127.0.0.1", edge.port)) for _ in "123"]
            await asyncio.sleep(0)
        for each in plain:
            each.close()
        return edge.failures

    assert on_uvloop(asyncio.wait_for(stopped(), PATIENCE_S)) == []


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        ("gone.pem", None),
        ("good.pem", None),
        ("good.pem", "encrypted.test-key.pem"),
        ("leaf.test-key.pem", "leaf.test-key.pem"),
    ],
)
def test_a_certificate_that_cannot_be_used(certificate: str, key: str | None) -> None:
    """The router says where to look, and asks nobody for a passphrase."""
    tls = ServerTls(
        cert_file=str(CERTIFICATES / certificate),
        key_file=None if key is None else str(CERTIFICATES / key),
    )

    with pytest.raises(CertificateUnusable, match=r"server\.tls"):
        serving_context(tls)


def test_a_key_may_be_in_the_file_of_the_certificate(tmp_path: Path) -> None:
    """One file for both will do."""
    both = tmp_path / "both.pem"
    both.write_bytes((CERTIFICATES / "good.pem").read_bytes() + KEY_FILE.read_bytes())

    context = serving_context(ServerTls(cert_file=str(both), key_file=None))

    assert context.get_ca_certs() == []


def test_a_caller_that_takes_nothing_over_tls_is_cut_off() -> None:
    """What is written waits for it, and nothing more is begun, until its time is up."""

    async def served() -> int:
        async with secure_edge(client_timeout_s=60) as edge:
            _, writer = await asyncio.open_connection(
                "localhost", edge.port, ssl=clients_context()
            )
            cast("asyncio.Transport", writer.transport).pause_reading()
            writer.write(20_000 * line(b"POST /hot HTTP/1.1", body=b"a" * 2000))
            await eventually(
                lambda: any(each.congested for each in edge.hub.connections)
            )
            await edge.later(1)
            await edge.later(58)
            assert len(edge.hub.connections) == 1
            await edge.later(3)
            await eventually(lambda: not edge.hub.connections)
            writer.transport.abort()
            assert edge.failures == []
            return len(edge.taken)

    assert on_uvloop(served()) < 20_000
