"""The implementations of the transport's seam, and what their common tests need."""

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from smart_llmrouter.config.snapshot import Provider, Tls
from smart_llmrouter.config.snapshot import Upstream as Settings
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.upstream.addresses import Resolve, resolve_by_system
from smart_llmrouter.upstream.aiohttp_transport import open_aiohttp_transport
from smart_llmrouter.upstream.endpoints import Endpoint, endpoint_of
from smart_llmrouter.upstream.lean_transport import open_lean_transport
from smart_llmrouter.upstream.transport import Transport, TransportError
from tests.support.upstream_server import (
    AUTHORITY,
    Peer,
    Upstream,
    running_upstream,
    turns,
)
from tests.support.wait import PATIENCE_S

MIB: Final = 1024 * 1024
KEY: Final = "sk-canary-0123456789"
TRUSTING: Final = Tls(ca_file=str(AUTHORITY))
SYSTEM: Final = Tls()


class Opener(Protocol):
    """What opens a transport."""

    def __call__(
        self, upstream: Settings, *, resolve: Resolve = ...
    ) -> AbstractAsyncContextManager[Transport]:
        """Open a transport until the block ends."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One implementation.

    `sends_again` says whether a request that met a closed pooled connection goes out
    once more, even where the provider closed it only after having read the request.
    """

    name: str
    opener: Opener
    sends_again: bool

    def open(
        self,
        *,
        connect_timeout_s: float = 30,
        max_response_bytes: int = MIB,
        max_connections: int = 1024,
        idle_connection_s: float = 30,
        dns_ttl_s: float = 30,
        resolve: Resolve = resolve_by_system,
    ) -> AbstractAsyncContextManager[Transport]:
        """Open a transport with the bounds of the tests."""
        settings = Settings(
            transport="lean",
            proxied=False,
            max_connections=max_connections,
            idle_connection_s=idle_connection_s,
            dns_ttl_s=dns_ttl_s,
            connect_timeout_s=connect_timeout_s,
            first_event_timeout_s=120,
            idle_timeout_s=120,
            total_timeout_s=600,
            max_response_bytes=max_response_bytes,
        )
        return self.opener(settings, resolve=resolve)


KINDS: Final = (
    Kind("aiohttp", open_aiohttp_transport, sends_again=False),
    Kind("lean", open_lean_transport, sends_again=True),
)


def endpoint_to(
    port: int,
    *,
    host: str = "127.0.0.1",
    scheme: str = "http",
    path: str = "/v1",
    headers: Mapping[str, str] | None = None,
    tls: Tls = TRUSTING,
    unix_socket: Path | None = None,
    proxy: str | None = None,
) -> Endpoint:
    """Return an endpoint on the loopback, with the key `KEY`.

    Over `https` the tests' authority is trusted.
    """
    provider = Provider(
        name="acme",
        dialect="openai-chat",
        base_url=f"{scheme}://{host}:{port}{path}",
        api_key=Secret(KEY, source="tests"),
        headers=tuple((headers or {}).items()),
        tls=tls,
        unix_socket=None if unix_socket is None else str(unix_socket),
        proxy=None if proxy is None else Secret(proxy, source="tests"),
    )
    return endpoint_of(provider, user_agent="conformance/1")


async def ask(
    transport: Transport, to: Upstream | Endpoint, body: bytes = b"{}"
) -> tuple[int, bytes]:
    """Send `body`, read the whole answer, and return its status and body."""
    endpoint = to if isinstance(to, Endpoint) else endpoint_to(to.port)
    # The tests' own time-out cannot break into uvloop.
    async with asyncio.timeout(PATIENCE_S):
        answer = await transport.send(endpoint, body)
        try:
            return answer.status, await answer.read()
        finally:
            answer.close()


Outcome = tuple[int, bytes] | type[TransportError]
"""The status and body of a call, or how it failed."""


async def outcomes(
    transport: Transport, sent: bytes, ways: Sequence[Sequence[int]]
) -> list[Outcome]:
    """Return what comes of bytes, cut in each way in turn, with the end behind them."""
    way = iter(ways)

    async def play(peer: Peer) -> None:
        await peer.request()
        await peer.send(sent, cuts=next(way))
        peer.close()

    found: list[Outcome] = []
    async with running_upstream(play) as upstream:
        for _ in ways:
            try:
                found.append(await ask(transport, upstream))
            except TransportError as fault:
                found.append(type(fault))
            # What comes late would look like the next answer.
            while upstream.open:  # noqa: ASYNC110 - turn by turn
                await asyncio.sleep(0)
            await turns()
        assert len(upstream.peers) == len(ways)
    return found


def everywhere(sent: bytes) -> list[list[int]]:
    """Return ways to cut: not at all, between all bytes, and at each place alone."""
    places = range(1, len(sent))
    return [[], list(places), *([place] for place in places)]


def held() -> tuple[int, int]:
    """Return how many tasks the loop has, and how many files the process."""
    return len(asyncio.all_tasks()), len([*Path("/proc/self/fd").iterdir()])


def sockets_to(port: int) -> list[socket.socket]:
    """Return copies of this process' sockets that are connected to a port."""
    numbers = {}
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            numbers[str(each.readlink())] = int(each.name)
    found = []
    for name, number in numbers.items():
        if name.startswith("socket:"):
            copy = socket.socket(fileno=os.dup(number))
            with suppress(OSError, IndexError):
                if copy.getpeername()[1] == port:
                    found.append(copy)
                    continue
            copy.close()
    return found


_FULL_HANDSHAKES: Final = "aiohttp does not tell when the session has come"
_JUNK: Final = "aiohttp keeps what nobody asked for, and reads it as the next answer"
_LAX: Final = "aiohttp is lax where nothing can be told apart wrongly"
_ENDLESS: Final = "aiohttp bounds a line and the headers, but not this"
KNOWN_LIMITS: Final[Mapping[str, str]] = {
    **{
        f"test_a_session_is_resumed[{version}]": _FULL_HANDSHAKES
        for version in ("TLSv1_2", "TLSv1_3")
    },
    **{
        f"test_a_call_cancelled_when_its_turn_comes_passes_it_on[{order} first]": (
            "aiohttp may wake the call that was cancelled, and nobody after it"
        )
        for order in ("cancelled", "given back")
    },
    "test_an_exhausted_pool_is_told_from_a_silent_provider": (
        "aiohttp has one time-out for waiting and for connecting"
    ),
    "test_a_silent_connection_is_kept_alive": "aiohttp leaves this to the system",
    "test_closing_the_transport_ends_the_waiting": ("aiohttp cancels those who wait"),
    "test_a_unix_socket_with_a_full_queue_is_waited_for": (
        "the event loop takes a full queue for a failure"
    ),
    "test_tls_is_spoken_over_a_unix_socket": (
        "aiohttp speaks no TLS there; the call is refused"
    ),
    "test_junk_on_an_idle_connection_meets_no_other_call": _JUNK,
    **{
        f"test_junk_behind_an_answer_meets_no_other_call[{framing}-{junk}]": _JUNK
        for framing in ("length", "chunks")
        for junk in ("half", "byte", "zeros", "chunk")
    },
    **{
        f"test_the_end_of_an_answer_is_found_wherever_it_is_cut[{name}]": _JUNK
        for name in (
            "204 with a body",
            "204 with chunks",
            "204 with a body until the end",
            "304 with a body",
        )
    },
    "test_a_reset_does_not_end_an_answer_without_a_length": (
        "aiohttp takes any end of the connection for the end of such an answer"
    ),
    **{
        f"test_what_is_not_http_fails_and_its_connection_is_dropped[{name}]": _LAX
        for name in ("a blank before the colon", "switching protocols")
    },
    **{
        f"test_a_content_encoding_that_cannot_be_undone_fails[{name}]": _LAX
        for name in (
            "unknown",
            "two codings",
            "cut short",
            "a member cut short",
            "zstd cut short",
            "a frame cut short",
            "a window that is too wide",
        )
    },
    **{
        f"{test}[{which}]": "aiohttp does not know the old name of gzip"
        for test, which in (
            ("test_compressed_answers_are_undone", "plain-x-gzip"),
            ("test_compressed_answers_are_undone", "chunked-x-gzip"),
            ("test_a_compressed_answer_may_be_cut_anywhere", "x-gzip"),
            ("test_the_bound_of_a_compressed_answer_is_exact", "x-gzip"),
            ("test_a_compression_bomb_is_bounded", "x-gzip"),
        )
    },
    **{
        f"test_what_has_no_end_is_given_up[{name}]": _ENDLESS
        for name in (
            "interim answers",
            "a chunk size",
            "a chunk extension",
            "gzip of nothing",
        )
    },
}
"""Tests that aiohttp does not pass, without its name in theirs, and why not."""
