"""What the mock received, and what became of it: a bounded ring in memory."""

import base64
from collections import deque
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from smart_llmrouter.mockprovider.http import Request

Outcome = Literal["answering", "answered", "client-left", "hung-up", "stalled"]

_MOST_REQUESTS: Final = 2_000
_MOST_BYTES: Final = 64 * 1024 * 1024


class Received(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One request, verbatim, and the course of its answer.

    `number` counts from 1 since the start or the last reset, `connection` counts the
    connections. A body that is not UTF-8 stands in `body_base64` instead of `body`.
    Everything but the outcome, the status and `sent_bytes` is fixed at receipt.
    """

    number: int
    connection: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: str | None = None
    body_base64: str | None = None
    status: int | None = None
    outcome: Outcome = "answering"
    sent_bytes: int = 0

    def header(self, name: str) -> str | None:
        """Return the first header called `name`, in any spelling, or nothing."""
        wanted = name.lower()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value
        return None

    @property
    def raw_body(self) -> bytes:
        """Return the body as it came."""
        if self.body_base64 is not None:
            return base64.b64decode(self.body_base64)
        return (self.body or "").encode()


class Recording:
    """The latest requests; the oldest go when there are too many, or too large."""

    def __init__(
        self, *, most_requests: int = _MOST_REQUESTS, most_bytes: int = _MOST_BYTES
    ) -> None:
        """Keep at most so many requests, whose bodies have at most so many bytes."""
        self._ring: deque[tuple[Received, int]] = deque()
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._held_bytes = 0
        self._count = 0

    def add(self, request: Request, connection: int) -> Received:
        """Keep `request` and return its entry."""
        self._count += 1
        text, encoded = _body(request.body)
        entry = Received(
            number=self._count,
            connection=connection,
            method=request.method,
            path=request.path,
            headers=tuple(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in request.headers
            ),
            body=text,
            body_base64=encoded,
        )
        self._ring.append((entry, len(request.body)))
        self._held_bytes += len(request.body)
        self._shrink()
        return entry

    def clear(self) -> None:
        """Forget everything and count from 1 again."""
        self._ring.clear()
        self._held_bytes = 0
        self._count = 0

    @property
    def count(self) -> int:
        """Return how many requests came since the start or the last reset."""
        return self._count

    def __iter__(self) -> Iterator[Received]:
        """Go through what is kept, oldest first."""
        return (entry for entry, _ in tuple(self._ring))

    def _shrink(self) -> None:
        ring = self._ring
        while len(ring) > self._most_requests or (
            self._held_bytes > self._most_bytes and len(ring) > 1
        ):
            self._held_bytes -= ring.popleft()[1]


def _body(body: bytes) -> tuple[str | None, str | None]:
    if not body:
        return None, None
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(body).decode()
