"""The implementations of the transport's seam, and what their common tests need."""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from smart_llmrouter.config.snapshot import Provider
from smart_llmrouter.core.secrets import Secret
from smart_llmrouter.upstream.aiohttp_transport import open_aiohttp_transport
from smart_llmrouter.upstream.endpoints import Endpoint, endpoint_of
from smart_llmrouter.upstream.lean_transport import open_lean_transport
from smart_llmrouter.upstream.transport import Transport
from tests.support.upstream_server import Upstream

MIB: Final = 1024 * 1024
KEY: Final = "sk-canary-0123456789"


class Opener(Protocol):
    """What opens a transport."""

    def __call__(
        self,
        *,
        connect_timeout_s: float,
        max_response_bytes: int,
        tls: ssl.SSLContext | None = None,
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
        connect_timeout_s: float = 5,
        max_response_bytes: int = MIB,
        tls: ssl.SSLContext | None = None,
    ) -> AbstractAsyncContextManager[Transport]:
        """Open a transport with the bounds of the tests."""
        return self.opener(
            connect_timeout_s=connect_timeout_s,
            max_response_bytes=max_response_bytes,
            tls=tls,
        )


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
) -> Endpoint:
    """Return an endpoint on the loopback, with the key `KEY`."""
    provider = Provider(
        name="acme",
        dialect="openai-chat",
        base_url=f"{scheme}://{host}:{port}{path}",
        api_key=Secret(KEY, source="tests"),
        headers=tuple((headers or {}).items()),
    )
    return endpoint_of(provider, user_agent="conformance/1")


async def ask(
    transport: Transport, to: Upstream | Endpoint, body: bytes = b"{}"
) -> tuple[int, bytes]:
    """Send `body`, read the whole answer, and return its status and body."""
    endpoint = to if isinstance(to, Endpoint) else endpoint_to(to.port)
    answer = await transport.send(endpoint, body)
    try:
        return answer.status, await answer.read()
    finally:
        answer.close()


def held() -> tuple[int, int]:
    """Return how many tasks the loop has, and how many files the process."""
    return len(asyncio.all_tasks()), len([*Path("/proc/self/fd").iterdir()])


_HELD_BACK: Final = (
    "aiohttp keeps what nobody asked for, and reads it as the next answer"
)
KNOWN_LIMITS: Final[Mapping[str, str]] = {
    "test_junk_behind_an_answer_meets_no_other_call": _HELD_BACK,
    "test_junk_on_an_idle_connection_meets_no_other_call": _HELD_BACK,
}
"""Tests that aiohttp does not pass in every case, and why not."""
