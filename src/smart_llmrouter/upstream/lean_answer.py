"""An answer on a `LeanConnection`: its bounds, its compression, and its end."""

import asyncio
from contextlib import suppress
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from smart_llmrouter.upstream.codings import TOO_LARGE, Unpacking, content_coding
from smart_llmrouter.upstream.lean_connection import LeanConnection
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectionCut,
    Sink,
    TransportError,
)

_FINISH_S: Final = 1.0
_FINISH_BYTES: Final = 64 * 1024
_BLANKS: Final = b" \t"


class Lender(Protocol):
    """Whoever lent a connection for one exchange."""

    def release(self, connection: LeanConnection) -> None:
        """Take a connection back whose answer is over, or not wanted any more."""


# A `Struct` is made several times as fast as another object.
class LeanAnswer(msgspec.Struct, gc=False, eq=False, repr_omit_defaults=True):
    """An answer on a `LeanConnection`; see `UpstreamAnswer`. Made by `answer_on`."""

    _connection: LeanConnection
    _lender: Lender
    _left_bytes: int
    _headers: dict[bytes, bytes]
    status: int
    _unpacking: Unpacking | None = None
    _closed: bool = False

    def header(self, name: str) -> str | None:
        """Return a header by its name, whatever the case."""
        wanted = _as_sent(name)
        for spelled, value in self._headers.items():
            if len(spelled) == len(wanted) and spelled.lower() == wanted:
                return _as_read(value)
        return None

    async def read(self) -> bytes:
        """Return the whole body; see `UpstreamAnswer.read`."""
        connection, packed = self._connection, self._unpacking is not None
        if connection.complete and connection.held and not (packed or self._closed):
            # All of it has come with its head, as a short answer does.
            return self._taken()
        first = await self.next_chunk()
        if connection.complete and not packed:
            return first
        chunks = [first]
        while chunks[-1]:
            if not (packed or connection.held or connection.complete):
                # All of it is wanted, so nobody wakes before the end.
                await connection.gather(self._left_bytes)
            chunks.append(await self.next_chunk())
        return b"".join(chunks)

    async def next_chunk(self) -> bytes:
        """Return what has arrived; see `UpstreamAnswer.next_chunk`."""
        if self._closed:
            # The connection may carry another call's answer by now.
            raise ConnectionCut("the answer was closed")
        connection = self._connection
        while True:
            while not connection.held:
                if connection.complete:
                    return self._ended()
                await connection.progress()
            block = self._taken()
            if block:
                return block

    def _taken(self) -> bytes:
        """Take what is held of the body, within its bound."""
        block = self._connection.take()
        if self._unpacking is not None:
            block = self._unpacking.feed(block)
        self._left_bytes -= len(block)
        if self._left_bytes < 0:
            raise AnswerTooLarge(TOO_LARGE)
        return block

    async def pour(self, sink: Sink) -> None:
        """Give `sink` what arrives; see `UpstreamAnswer.pour`.

        It is called where the bytes come in: nobody wakes for a chunk in the middle.
        """
        connection = self._connection
        while True:
            waiting = not (connection.held or connection.complete or self._closed)
            if waiting and self._unpacking is None:
                more, self._left_bytes = await connection.pour(sink, self._left_bytes)
                if self._left_bytes < 0:
                    raise AnswerTooLarge(TOO_LARGE)
            else:
                chunk = await self.next_chunk()
                more = sink(chunk) and chunk != b""
            if not more:
                return

    def _ended(self) -> bytes:
        """Return the empty chunk that ends a body, if it may end here."""
        if self._unpacking is not None:
            self._unpacking.end()
        return b""

    async def finish(self) -> None:
        """Read to the end of the body; see `UpstreamAnswer.finish`."""
        connection = self._connection
        if self._closed:
            return
        if not connection.complete:
            with suppress(TransportError, TimeoutError):
                async with asyncio.timeout(_FINISH_S):
                    await self._read_to_the_end()
        if connection.complete:
            connection.held.clear()

    async def _read_to_the_end(self) -> None:
        """Drop what still comes, up to a bound."""
        connection, left_bytes = self._connection, _FINISH_BYTES
        while not connection.complete and left_bytes >= 0:
            if connection.held:
                left_bytes -= len(connection.take())
            else:
                await connection.progress()

    def close(self) -> None:
        """Give the connection back, or cut it."""
        if self._closed:
            return
        self._closed = True
        if self._connection.held:
            # A body that nobody wanted must not meet the next request.
            self._connection.abort()
        self._lender.release(self._connection)


def answer_on(
    connection: LeanConnection, lender: Lender, *, max_bytes: int
) -> LeanAnswer:
    """Return the answer whose head is on `connection`, of `max_bytes` at the most.

    Closing it gives the connection back to `lender`. Raises `MalformedAnswer` for a
    coding of the body that cannot be undone.
    """
    headers = connection.headers
    coding = content_coding(headers)
    return LeanAnswer(
        connection,
        lender,
        max_bytes,
        headers,
        connection.status,
        Unpacking(coding, max_bytes=max_bytes) if coding else None,
    )


@lru_cache(maxsize=64)
def _as_sent(name: str) -> bytes:
    return name.lower().encode("latin-1")


# Nearly all answers have the same types.
@lru_cache(maxsize=64)
def _as_read(value: bytes) -> str:
    return value.rstrip(_BLANKS).decode("latin-1")
