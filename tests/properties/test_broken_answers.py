"""Answers that were broken at random, cut anywhere, and then the provider is gone.

Whatever comes, each call ends, with an answer that is in what was sent or with an error
of the transport; cutting the bytes changes nothing; a part of an answer that has an end
of its own is an error; and what comes behind an answer never meets the next call.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, cast

import pytest
import uvloop
from hypothesis import event, given, settings
from hypothesis import strategies as st

from smart_llmrouter.upstream.transport import Transport, TransportError
from tests.conftest import SOAK
from tests.support.edge import cut
from tests.support.llhttp_answers import LLHTTP_ANSWERS
from tests.support.transports import KINDS, Outcome, endpoint_to
from tests.support.upstream_server import chunked, head, plain, turns

_SOAK_S: Final = 300.0
# A machine that stands still for some seconds is no finding.
_HANGS_S: Final = 60
_QUIET_TURNS: Final = 12
_EXAMPLES: Final = 300
_NEXT: Final = plain(b"the next answer")
_SURPLUS: Final = plain(b"meant for nobody")

SEEDS: Final = sorted(
    {
        *(case.sent for case in LLHTTP_ANSWERS),
        plain(b"hello"),
        plain(b"no", "Retry-After: 3", status="429 Too Many Requests"),
        chunked(b'data: {"id": 1}\n\n', b"data: [DONE]\n\n"),
        head("Transfer-Encoding: chunked") + b"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + plain(b"hello"),
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + chunked(b"hello"),
        head("Connection: close") + b"until the end",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        head(status="204 No Content"),
        head("Content-Length: 5", status="304 Not Modified"),
    }
)
WORDS: Final = [
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b":",
    b";",
    b",",
    b"\x00",
    b"\xff",
    b"0",
    b"5",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"ffffffffffffffff\r\n",
    b"Content-Length: 5\r\n",
    b"content-length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: zstd\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"HTTP/1.0 ",
    b" 100 ",
    b" 101 ",
    b" 204 ",
    b" 304 ",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
]


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """Return one or two answers of the corpus, with up to five faults in them."""
    whole = b"".join(draw(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(0, 5))):
        begin = draw(st.integers(0, len(whole)))
        end = min(len(whole), begin + draw(st.integers(0, 12)))
        new = draw(
            st.one_of(
                st.just(b""),
                st.sampled_from(WORDS),
                st.binary(max_size=4),
                st.just(whole[begin:end] * 2),
            )
        )
        whole = whole[:begin] + new + whole[end:]
    return whole


class Speaker(asyncio.Protocol):
    """A provider's connection: it says its pieces when it is asked first.

    Asked again it gives the next answer. It leaves after its pieces unless it `stays`.
    """

    def __init__(self, pieces: list[bytes], *, stays: bool) -> None:
        """Begin before the connection is there."""
        self._pieces = pieces
        self._stays = stays
        self._transport: asyncio.Transport | None = None
        self.telling: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _: bytes) -> None:
        """Answer a request, which is small and comes in one piece."""
        assert self._transport is not None
        if self.telling is None:
            self.telling = asyncio.create_task(self._tell(self._transport))
        else:
            self._transport.write(_NEXT)

    async def _tell(self, transport: asyncio.Transport) -> None:
        for piece in self._pieces:
            if transport.is_closing():
                return
            transport.write(piece)
            await turns()
        if not self._stays:
            transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        """Note the end."""
        self.ended.set()


@dataclass(slots=True)
class Provider:
    """Who listens, what the next connections will hear, and those that there were."""

    port: int = 0
    stays: bool = False
    scripts: list[list[bytes]] = field(default_factory=list)
    speakers: list[Speaker] = field(default_factory=list)

    def speaker(self) -> Speaker:
        """Return what speaks on a new connection."""
        pieces = self.scripts.pop(0) if self.scripts else [_NEXT]
        self.speakers.append(Speaker(pieces, stays=self.stays))
        return self.speakers[-1]

    def will(self, *scripts: list[bytes], stays: bool) -> None:
        """Say these on the connections to come, and forget the earlier ones."""
        self.scripts, self.stays = [*scripts], stays
        self.speakers.clear()


async def outcome(transport: Transport, provider: Provider) -> Outcome:
    """Return what comes of one call. Raises `TimeoutError` if it hangs."""
    async with asyncio.timeout(_HANGS_S):
        try:
            answer = await transport.send(endpoint_to(provider.port), b"{}")
            try:
                return answer.status, await answer.read()
            finally:
                answer.close()
        except TransportError as fault:
            return type(fault)


async def at_the_end(
    transport: Transport, provider: Provider, pieces: list[bytes]
) -> Outcome:
    """Return what comes of pieces with the end of the connection behind them."""
    provider.will(pieces, stays=False)
    found = await outcome(transport, provider)
    async with asyncio.timeout(_HANGS_S):
        for speaker in provider.speakers:
            await speaker.ended.wait()
    await turns()
    assert len(provider.speakers) == 1
    return found


async def before_the_end(provider: Provider, pieces: list[bytes]) -> Outcome | None:
    """Return what comes of pieces alone, if anything, and check the call behind it."""
    provider.will(pieces, stays=True)
    async with KINDS[-1].open(connect_timeout_s=_HANGS_S) as transport:
        return await _and_the_next(transport, provider)


async def _and_the_next(transport: Transport, provider: Provider) -> Outcome | None:
    call = asyncio.create_task(outcome(transport, provider))
    while not (provider.speakers and provider.speakers[0].telling):  # noqa: ASYNC110
        await asyncio.sleep(0)
    await provider.speakers[0].telling
    await turns(_QUIET_TURNS)
    if not call.done():
        call.cancel()
        await asyncio.wait([call])
        return None
    assert await outcome(transport, provider) == (200, b"the next answer")
    return await call


def within(body: bytes, sent: bytes) -> bool:
    """Say whether the bytes of a body are all in what was sent, in this order."""
    rest = iter(sent)
    return all(byte in rest for byte in body)


async def check(
    transport: Transport, provider: Provider, whole: bytes, places: list[int]
) -> None:
    """Check all that must hold of some bytes."""
    pieces = cut(whole, *(each for each in places if each < len(whole)))

    at_once = await at_the_end(transport, provider, [whole])
    cut_up = await at_the_end(transport, provider, pieces)
    ended = await before_the_end(provider, pieces)

    event("an error" if isinstance(at_once, type) else "an answer")
    assert at_once == cut_up
    assert isinstance(at_once, type) or within(at_once[1], whole)
    assert ended in {None, at_once}
    if isinstance(ended, tuple):
        event("an answer before the end")
        more = await before_the_end(provider, [whole + _SURPLUS])
        assert more == ended
        assert len(provider.speakers) == 2
        most = [whole[:-1]] if len(pieces) == 1 else pieces[:-1]
        part = await at_the_end(transport, provider, most)
        assert isinstance(part, type) or part == ended


def search(*, examples: int, within_s: float) -> int:
    """Look for answers that do harm until the time is over; return how many."""
    tried = 0
    escaped: list[object] = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop = runner.get_loop()
        loop.set_exception_handler(lambda _, context: escaped.append(context))
        provider = Provider()
        listening = runner.run(_listening(provider))
        opened = KINDS[-1].open(connect_timeout_s=_HANGS_S)
        transport = runner.run(opened.__aenter__())

        @settings(max_examples=examples)
        @given(whole=broken(), places=st.lists(st.integers(1, 600), max_size=8))
        def harmless(whole: bytes, places: list[int]) -> None:
            nonlocal tried
            tried += 1
            runner.run(check(transport, provider, whole, places))
            assert escaped == []

        until_s = time.monotonic() + within_s
        try:
            harmless()
            while time.monotonic() < until_s:
                harmless()
        finally:
            runner.run(opened.__aexit__(None, None, None))
            listening.close()
            runner.run(turns())
    assert escaped == []
    return tried


async def _listening(provider: Provider) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(provider.speaker, "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    return server


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_broken_answers_do_no_harm() -> None:
    """Seconds of it in every run of the tests, five minutes in a long one."""
    if SOAK:
        tried = search(examples=5000, within_s=_SOAK_S)
    else:
        tried = search(examples=_EXAMPLES, within_s=0)

    print(f"{tried} broken answers")
    assert tried >= _EXAMPLES
