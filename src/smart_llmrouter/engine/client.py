"""The caller's side of a call as the engine sees it: what came, and the way back."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from smart_llmrouter.core.identity import Caller
from smart_llmrouter.core.request import DialectName

HeaderLines = bytes
"""Headers as they are sent: each a line of its own, ended by CRLF."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One authenticated request.

    `began_s` is on the monotonic clock, `ts_ms` in milliseconds since 1970 UTC; both
    are of the moment when the request's headers were complete. `client` is a label out
    of a closed set, never the user agent itself. `dialect` is that of the path. `codex`
    says that Codex asks, and is told of permanent refusals in its way; see `refusals`.
    `retry_count` is how often the caller says that it has asked this before.
    `anthropic_version` and `anthropic_beta` are what the caller said in the headers of
    these names: printable, bounded, and to be said to targets of that dialect.
    """

    request_id: str
    caller: Caller
    client: str
    began_s: float
    ts_ms: int
    dialect: DialectName = "openai-chat"
    codex: bool = False
    retry_count: int = 0
    anthropic_version: str | None = None
    anthropic_beta: str | None = None


def header_lines(*fields: tuple[bytes, bytes]) -> HeaderLines:
    """Encode headers, whose names and values are known to be such."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])


class Client(Protocol):
    """The way back to the caller. After the end, or when the caller left, it is silent.

    Only `send` lets its caller wait while the other side reads slowly: what ends an
    answer is given away at once, and whoever owns the connection sees to it that it is
    not kept for ever.
    """

    @property
    def began(self) -> bool:
        """Whether the status and headers of the answer have left."""

    @property
    def left(self) -> bool:
        """Whether the caller closed its connection."""

    @property
    def cache_control(self) -> bytes | None:
        """What the caller said in `Cache-Control`, if anything."""

    def ask_on_leaving(self, stays: Callable[[], bool]) -> None:
        """Ask `stays` when the caller leaves whether the call goes on without it.

        Without this, or where it says no, the call is cancelled.
        """

    def answer(self, status: int, headers: HeaderLines, body: bytes) -> None:
        """Send a whole answer at once."""

    def begin(self, headers: HeaderLines) -> None:
        """Open a stream with status 200."""

    def send(self, block: bytes) -> Awaitable[None] | None:
        """Send a block of whole events; what is returned is awaited before the next."""

    def end(self, last: bytes) -> None:
        """Send the last block, and end the answer."""

    def fail(self, last: bytes) -> None:
        """End the answer as `end` does, but cut off a caller that makes no room."""
