"""How a body was packed by a provider that compresses although nobody asked.

`gzip` and `deflate` are undone by zlib, `zstd` by a library that is loaded when the
first such answer comes. What is unpacked is bounded, however small it was packed.
"""

import importlib
import sys
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Final, Protocol

from smart_llmrouter.upstream.transport import AnswerTooLarge, MalformedAnswer

TOO_LARGE: Final = "the answer is larger than max_response_bytes"
_ZLIB_METHOD: Final = 8
# 8 MiB, more than which no content coding may ask for (RFC 9659, 3).
_WINDOW_LOG_MAX: Final = 23
_STREAMS_MAX: Final = 10_000
_NAME_MAX_BYTES: Final = 64
_NAMES_MAX: Final = 1024
_PLAIN_NAMES: Final[set[bytes]] = set()
"""Headers that were seen, as they were spelled, and say nothing of a coding."""


class Decompressor(Protocol):
    """One compressed stream, as `zlib` and `compression.zstd` see it."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream has come."""

    @property
    def unused_data(self) -> bytes:
        """What came after it."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Unpack `data`, up to `max_length` bytes. Raises the library's error."""


def content_coding(headers: Mapping[bytes, bytes]) -> bytes:
    """Return the name of the content coding to undo; empty if there is none.

    Raises `MalformedAnswer` for a transfer coding other than `chunked`, which would
    have to be undone, too (RFC 9112, 7).
    """
    if _PLAIN_NAMES.issuperset(headers):
        return b""
    coding = b""
    for name in [each for each in headers if each not in _PLAIN_NAMES]:
        match name.lower():
            case b"content-encoding":
                coding = headers[name].strip().lower()
            case b"transfer-encoding":
                if headers[name].strip().lower() != b"chunked":
                    raise MalformedAnswer("the answer has an unknown transfer coding")
            case _ if len(name) <= _NAME_MAX_BYTES and len(_PLAIN_NAMES) < _NAMES_MAX:
                _PLAIN_NAMES.add(name)
    return b"" if coding == b"identity" else coding


class Unpacking:
    """Undoes one content coding, piece by piece, up to `max_bytes`.

    Packed it may be as large, too: what unpacks to nothing could come for ever. One
    stream may follow another in the same body where the coding allows it.
    """

    __slots__ = (
        "_broken",
        "_coding",
        "_left_bytes",
        "_left_packed_bytes",
        "_stream",
        "_streams",
    )

    def __init__(self, coding: bytes, *, max_bytes: int) -> None:
        """Begin. Raises `MalformedAnswer` for a coding that cannot be undone."""
        if coding not in _CODINGS:
            raise MalformedAnswer("the answer has a content coding nobody asked for")
        self._coding = coding
        self._broken = _zstd().ZstdError if coding == b"zstd" else zlib.error
        self._left_bytes = self._left_packed_bytes = max_bytes
        self._stream: Decompressor | None = None
        self._streams = 0

    def feed(self, packed: bytes) -> bytes:
        """Unpack a piece. Raises `MalformedAnswer` or `AnswerTooLarge`."""
        self._left_packed_bytes -= len(packed)
        pieces = []
        while packed and self._left_bytes >= 0 and self._left_packed_bytes >= 0:
            if self._stream is None or self._stream.eof:
                self._stream = self._begun(packed)
            try:
                piece = self._stream.decompress(packed, self._left_bytes + 1)
            except self._broken:
                raise MalformedAnswer("the answer's compression is broken") from None
            pieces.append(piece)
            self._left_bytes -= len(piece)
            packed = self._stream.unused_data if self._stream.eof else b""
        if self._left_bytes < 0 or self._left_packed_bytes < 0:
            raise AnswerTooLarge(TOO_LARGE)
        return b"".join(pieces)

    def end(self) -> None:
        """Say that nothing more comes. Raises `MalformedAnswer` if that is early."""
        if self._stream is not None and not self._stream.eof:
            raise MalformedAnswer("the answer's compression is cut short")

    def _begun(self, packed: bytes) -> Decompressor:
        self._streams += 1
        if self._streams > (1 if self._coding == b"deflate" else _STREAMS_MAX):
            raise MalformedAnswer("the answer goes on behind its compression")
        return _CODINGS[self._coding](packed)


def _gunzip(_: bytes) -> Decompressor:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def _inflate(packed: bytes) -> Decompressor:
    """Tell `zlib` from the bare stream that some servers send as `deflate`.

    The lower half of the first byte of `zlib` says 8; no bare stream begins so.
    """
    bare = packed[0] & 0x0F != _ZLIB_METHOD
    return zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS)


def _unzstd(_: bytes) -> Decompressor:
    zstd = _zstd()
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
    stream: Decompressor = zstd.ZstdDecompressor(options=options)
    return stream


@cache
def _zstd() -> ModuleType:
    """Load the library when the first such answer comes; most processes see none."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return importlib.import_module(name)


_CODINGS: Final[Mapping[bytes, Callable[[bytes], Decompressor]]] = {
    b"gzip": _gunzip,
    b"x-gzip": _gunzip,
    b"deflate": _inflate,
    b"zstd": _unzstd,
}
