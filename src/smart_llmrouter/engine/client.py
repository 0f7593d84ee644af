"""The caller's side of a call as the engine sees it: what came, and the way back."""

from typing import Protocol

import msgspec
from msgspec.structs import replace

from smart_llmrouter.core.identity import Caller

Headers = list[tuple[bytes, bytes]]


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One authenticated request whose body has arrived.

    `began_s` is on the monotonic clock, `ts_ms` in milliseconds since 1970 UTC; both
    are of the moment when the request's headers were complete. `client` is a label out
    of a closed set, never the user agent itself.
    """

    request_id: str
    caller: Caller
    client: str
    body: bytes
    began_s: float
    ts_ms: int

    def with_body(self, body: bytes) -> "Arrival":
        """Return this arrival, now that its body is here."""
        return replace(self, body=body)


class Client(Protocol):
    """The way back to the caller. Each method waits while the caller reads slowly."""

    @property
    def began(self) -> bool:
        """Whether the status and headers of the answer have left."""

    @property
    def left(self) -> bool:
        """Whether the caller closed its connection."""

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer at once."""

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, but cut off a caller that makes no room for it."""

    async def begin(self, headers: Headers) -> None:
        """Open a stream with status 200."""

    async def send(self, block: bytes) -> None:
        """Send a block of whole events."""

    async def end(self, last: bytes) -> None:
        """Send the last block, and end the answer."""

    async def fail(self, last: bytes) -> None:
        """End the answer as `end` does, but cut off a caller that makes no room."""
