"""An answer on a `LeanConnection`: its bounds, its compression, and its end."""

import asyncio
import zlib
from contextlib import suppress
from typing import Final, Protocol

from smart_llmrouter.upstream.lean_connection import LeanConnection
from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectionCut,
    MalformedAnswer,
    TransportError,
)

_FINISH_S: Final = 1.0
_COMPRESSED: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})
_ZLIB_OR_GZIP: Final = zlib.MAX_WBITS | 32
_TOO_LARGE: Final = "the answer is larger than max_response_bytes"


class Lender(Protocol):
    """Whoever lent a connection for one exchange."""

    def release(self, connection: LeanConnection) -> None:
        """Take a connection back whose answer is over, or not wanted any more."""


class LeanAnswer:
    """An answer on a `LeanConnection`; see `UpstreamAnswer`."""

    __slots__ = (
        "_connection",
        "_headers",
        "_inflate",
        "_left_bytes",
        "_left_packed_bytes",
        "_lender",
        "_max_bytes",
        "_released",
        "status",
    )

    def __init__(
        self, connection: LeanConnection, lender: Lender, *, max_bytes: int
    ) -> None:
        """Read no more than `max_bytes`, then give `connection` back to `lender`.

        Raises `MalformedAnswer` for a content encoding that nobody asked for and that
        cannot be undone.
        """
        self._connection = connection
        self._lender = lender
        self._max_bytes = self._left_bytes = self._left_packed_bytes = max_bytes
        # The connection's own are replaced when it carries the next answer.
        self._headers = connection.headers
        self._inflate = _inflater(connection.headers.get(b"content-encoding"))
        self._released = False
        self.status = connection.status

    def header(self, name: str) -> str | None:
        """Return a header by its name, whatever the case."""
        value = self._headers.get(name.lower().encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    async def read(self) -> bytes:
        """Return the whole body; see `UpstreamAnswer.read`."""
        first = await self.next_chunk()
        if self._connection.complete and self._inflate is None:
            return first
        chunks = [first]
        while chunk := await self.next_chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    async def next_chunk(self) -> bytes:
        """Return what has arrived; see `UpstreamAnswer.next_chunk`."""
        if self._released:
            # The connection may carry another call's answer by now.
            raise ConnectionCut("the answer was closed")
        chunk = await self._connection.next_block()
        if self._inflate is not None:
            chunk = await self._inflated(self._inflate, chunk)
        self._left_bytes -= len(chunk)
        if self._left_bytes < 0:
            raise AnswerTooLarge(_TOO_LARGE)
        return chunk

    async def finish(self) -> None:
        """Read to the end of the body; see `UpstreamAnswer.finish`."""
        if self._released or self._connection.complete:
            return
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                await self._connection.next_block()

    def close(self) -> None:
        """Give the connection back, or cut it."""
        if not self._released:
            self._released = True
            self._lender.release(self._connection)

    async def _inflated(self, inflate: "zlib._Decompress", chunk: bytes) -> bytes:
        """Undo the compression, up to what may still be read; empty only at the end."""
        try:
            while chunk:
                # What unpacks to nothing may come for ever, too.
                self._left_packed_bytes -= len(chunk)
                if self._left_packed_bytes < 0:
                    raise AnswerTooLarge(_TOO_LARGE)
                plain = inflate.decompress(chunk, self._left_bytes + 1)
                if plain:
                    return plain
                chunk = await self._connection.next_block()
        except zlib.error:
            raise MalformedAnswer("the answer's compression is broken") from None
        if self._left_packed_bytes < self._max_bytes and not inflate.eof:
            raise MalformedAnswer("the answer's compression is cut short")
        return b""


def _inflater(encoding: bytes | None) -> "zlib._Decompress | None":
    if not encoding or encoding.lower() == b"identity":
        return None
    if encoding.lower() not in _COMPRESSED:
        raise MalformedAnswer("the answer has a content encoding nobody asked for")
    return zlib.decompressobj(_ZLIB_OR_GZIP)
