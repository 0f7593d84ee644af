"""Answers that a provider compressed although nobody asked: undone, and bounded."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import pytest
from backports import zstd

from smart_llmrouter.upstream.transport import (
    AnswerTooLarge,
    ConnectionCut,
    MalformedAnswer,
    Transport,
    TransportError,
)
from tests.support.transports import MIB, Kind, ask
from tests.support.upstream_server import (
    Peer,
    answering,
    chunked,
    plain,
    running_upstream,
)

TEXT: Final = b'{"usage": {"prompt_tokens": 12}}' * 999
_WIDE: Final[Mapping[int, int]] = {
    zstd.CompressionParameter.window_log: 25,
    zstd.CompressionParameter.content_size_flag: 0,
}


def bare(text: bytes) -> bytes:
    """Compress as `deflate` without what `zlib` puts around it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


def in_parts(compress: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Compress in several streams, one behind the other, one of them of nothing."""

    def whole(text: bytes) -> bytes:
        ends = (0, len(text) // 3, len(text) // 2, len(text) // 2, len(text))
        return b"".join(compress(text[begin:end]) for begin, end in pairwise(ends))

    return whole


CODINGS: Final[Mapping[str, tuple[str, Callable[[bytes], bytes]]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "GZIP": ("GZIP", gzip.compress),
    "gzip in members": ("gzip", in_parts(gzip.compress)),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare),
    "zstd": ("zstd", zstd.compress),
    "zstd in frames": ("zstd", in_parts(zstd.compress)),
}
BROKEN: Final[Mapping[str, tuple[bytes, str]]] = {
    "unknown": (b"uryyb", "rot13"),
    "brotli": (b"hello", "br"),
    "two codings": (gzip.compress(gzip.compress(b"hello")), "gzip, gzip"),
    "no gzip": (b"hello", "gzip"),
    "no deflate": (b"hello", "deflate"),
    "no zstd": (b"hello", "zstd"),
    "cut short": (gzip.compress(TEXT)[:-9], "gzip"),
    "deflate cut short": (zlib.compress(TEXT)[:-3], "deflate"),
    "bare deflate cut short": (bare(TEXT)[:-3], "deflate"),
    "zstd cut short": (zstd.compress(TEXT)[:-3], "zstd"),
    "a member cut short": (gzip.compress(b"hello") + gzip.compress(TEXT)[:-9], "gzip"),
    "a frame cut short": (zstd.compress(b"hello") + zstd.compress(TEXT)[:-3], "zstd"),
    "junk behind gzip": (gzip.compress(TEXT) + b"junk", "gzip"),
    "junk behind deflate": (zlib.compress(TEXT) + b"junk", "deflate"),
    "junk behind zstd": (zstd.compress(TEXT) + b"junk", "zstd"),
    "a wrong sum": (gzip.compress(TEXT)[:-8] + bytes(8), "gzip"),
    "a window that is too wide": (
        zstd.compress(bytes(9 * MIB), options=_WIDE)[:64],
        "zstd",
    ),
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("framing", [plain, chunked])
async def test_compressed_answers_are_undone(
    transport: Transport, coding: str, framing: object
) -> None:
    """A provider that compresses although nobody asked is understood."""
    name, compress = CODINGS[coding]
    small = compress(TEXT)
    field = f"Content-Encoding: {name}"
    whole = plain(small, field) if framing is plain else chunked(small, headers=[field])

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(whole, cuts=range(0, len(whole), 7))

    async with running_upstream(play) as upstream:
        answers = [await ask(transport, upstream) for _ in range(2)]

        assert answers == [(200, TEXT)] * 2
        assert len(upstream.peers) == 1


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_compressed_answer_may_be_cut_anywhere(
    transport: Transport, coding: str
) -> None:
    """Two pieces, split at each byte of the body in turn, are the same answer."""
    name, compress = CODINGS[coding]
    small = compress(b"hello, and good-bye")
    whole = plain(small, f"Content-Encoding: {name}")
    place = iter(range(len(whole) - len(small), len(whole)))

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(whole, cuts=[next(place)])

    async with running_upstream(play) as upstream:
        answers = {await ask(transport, upstream) for _ in small}

        assert answers == {(200, b"hello, and good-bye")}
        assert len(upstream.peers) == 1


@pytest.mark.parametrize("name", BROKEN)
async def test_a_content_encoding_that_cannot_be_undone_fails(
    transport: Transport, name: str
) -> None:
    """What cannot be unpacked is an error, and the next call meets none of it."""
    body, coding = BROKEN[name]
    answers = iter([plain(body, f"Content-Encoding: {coding}"), plain(b"next")])

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(next(answers))

    async with running_upstream(play) as upstream:
        with pytest.raises((MalformedAnswer, ConnectionCut)):
            await ask(transport, upstream)

        assert await ask(transport, upstream) == (200, b"next")


@pytest.mark.parametrize("field", ["identity", "Identity", ""])
async def test_an_encoding_that_changes_nothing_is_accepted(
    transport: Transport, field: str
) -> None:
    """`identity` is what was asked for."""
    answer = plain(b"hello", f"Content-Encoding: {field}")
    async with running_upstream(answering(answer)) as upstream:
        assert await ask(transport, upstream) == (200, b"hello")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
async def test_an_empty_answer_may_be_called_compressed(
    transport: Transport, coding: str
) -> None:
    """Nothing is nothing, whatever its encoding."""
    answer = plain(b"", f"Content-Encoding: {coding}")
    async with running_upstream(answering(answer)) as upstream:
        assert await ask(transport, upstream) == (200, b"")


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_compression_bomb_is_bounded(transport: Transport, coding: str) -> None:
    """What unpacks to more than is allowed fails, before it is unpacked."""
    name, compress = CODINGS[coding]
    bomb = compress(bytes(256 * MIB))
    answer = plain(bomb, f"Content-Encoding: {name}")
    async with running_upstream(answering(answer)) as upstream:
        tracemalloc.start()
        try:
            with pytest.raises(AnswerTooLarge):
                await ask(transport, upstream)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert peak < 16 * MIB


@pytest.mark.parametrize("coding", CODINGS)
async def test_the_bound_of_a_compressed_answer_is_exact(
    kind: Kind, coding: str
) -> None:
    """It counts what is unpacked: as much as allowed is read, one more is too large."""
    name, compress = CODINGS[coding]

    async def play(peer: Peer) -> None:
        while True:
            small = compress(b"x" * int((await peer.request()).body))
            await peer.send(plain(small, f"Content-Encoding: {name}"))

    async with (
        running_upstream(play) as upstream,
        kind.open(max_response_bytes=100_000) as transport,
    ):
        fits = await ask(transport, upstream, b"100000")
        with pytest.raises(AnswerTooLarge):
            await ask(transport, upstream, b"100001")

        assert fits == (200, b"x" * 100_000)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_great_many_streams_of_nothing_are_given_up(
    transport: Transport, coding: str
) -> None:
    """What unpacks to nothing costs time; there is a bound to that, too."""
    nothing = gzip.compress(b"") if coding == "gzip" else zstd.compress(b"")
    answer = plain(nothing * 20_000, f"Content-Encoding: {coding}")
    async with running_upstream(answering(answer)) as upstream:
        with pytest.raises(TransportError):
            await ask(transport, upstream)
