"""TLS in memory: what is read at a time, and which session is offered."""

import ssl
import tracemalloc
from dataclasses import dataclass

from smart_llmrouter.config.snapshot import Tls
from smart_llmrouter.upstream.trust import ResumingContext, make_context
from tests.support.upstream_server import AUTHORITY, serving

KIB = 1024


@dataclass
class Line:
    """Two ends that speak TLS to each other without a socket."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    to_client: ssl.MemoryBIO
    to_server: ssl.MemoryBIO


def connected(context: ResumingContext, serving_context: ssl.SSLContext) -> Line:
    """Return two ends after their handshake."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    line = Line(
        context.wrap_bio(to_client, to_server, server_hostname="localhost"),
        serving_context.wrap_bio(to_server, to_client, server_side=True),
        to_client,
        to_server,
    )
    ends = [line.client, line.server]
    while ends:
        for end in tuple(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
    return line


def test_a_read_takes_the_memory_of_one_record() -> None:
    """Event loops ask for 256 KiB; what arrives is whole, and costs what it is."""
    line = connected(make_context(Tls(ca_file=str(AUTHORITY))), serving("good"))
    sent = bytes(range(256)) * 200
    line.server.write(sent)
    tracemalloc.start()

    received = b""
    while len(received) < len(sent):
        received += line.client.read(256 * KIB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert received == sent
    assert peak < 200 * KIB


def test_a_read_into_a_buffer_is_left_alone() -> None:
    """Loops that bring their own buffer get it filled."""
    line = connected(make_context(Tls(ca_file=str(AUTHORITY))), serving("good"))
    line.server.write(b"hello")
    buffer = bytearray(100)

    line.client.read(100, buffer)

    assert bytes(buffer[:6]) == b"hello\0"


def test_a_session_is_offered_once_it_can_be_resumed() -> None:
    """Before the server's ticket has come, there is nothing to resume."""
    context, server = make_context(Tls(ca_file=str(AUTHORITY))), serving("good")
    first = connected(context, server)
    context.remember(first.client)
    second = connected(context, server)
    second.server.write(b"hello")
    second.client.read(5)
    context.remember(second.client)
    third = connected(context, server)

    assert [each.client.session_reused for each in (first, second, third)] == [
        False,
        False,
        True,
    ]
