"""A provider on a raw socket that plays a script, one connection at a time.

A script gets a `Peer`, which reads requests and sends any bytes it likes, cut where it
likes, and closes or resets when it likes. When a script returns without closing, the
connection stays open until the client leaves.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

Certificate = Literal["good", "expired", "wrong-name", "self-signed"]

CERTIFICATES: Final = Path(__file__).parent / "certificates"
AUTHORITY: Final = CERTIFICATES / "authority.pem"
KEY_FILE: Final = CERTIFICATES / "leaf.test-key.pem"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
# How often the loop turns before the next piece, so that the last one has been read.
_TURNS: Final = 3


class Gone(Exception):
    """The client closed or reset the connection."""


@dataclass(frozen=True, slots=True)
class Received:
    """One whole request, as it came."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        """Return the request line."""
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Return the headers in their order, names in lower case."""
        lines = self.head.decode().split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return [(name.lower(), value.strip()) for name, _, value in pairs]


class Peer:
    """One connection, seen from the provider. `over` is set when it has ended."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Use a connection that was just accepted."""
        self._reader = reader
        self._writer = writer
        self.requests: list[Received] = []
        self.tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        self.sent_bytes = 0
        self.over = asyncio.Event()

    async def head(self) -> bytes:
        """Return the head of the next request, and leave its body unread."""
        try:
            return await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Gone from None

    async def hello(self) -> bytes:
        """Return the first bytes that come, whatever they are."""
        return await self._reader.read(65536)

    async def request(self) -> Received:
        """Return the next request, when all of it has come."""
        head = await self.head()
        length = dict(Received(head, b"").headers).get("content-length", "0")
        try:
            body = await self._reader.readexactly(int(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Gone from None
        received = Received(head, body)
        self.requests.append(received)
        return received

    async def send(self, data: bytes, *, cuts: Iterable[int] = ()) -> None:
        """Send `data`, in pieces that end at `cuts`, until the kernel has taken it."""
        places = sorted({0, len(data), *(cut % (len(data) or 1) for cut in cuts)})
        for begin, end in pairwise(places):
            if begin:
                await turns()
            if self._writer.transport.is_closing():
                raise Gone
            try:
                self._writer.write(data[begin:end])
                await self._writer.drain()
            except ConnectionError:
                raise Gone from None
            self.sent_bytes += end - begin

    def close(self) -> None:
        """End the connection in good order."""
        self.over.set()
        self._writer.close()

    def shut(self) -> None:
        """Send no more, but go on reading (a half-closed connection)."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Break the connection off (RST)."""
        self.over.set()
        number = self._writer.get_extra_info("socket").fileno()
        with socket.socket(fileno=socket.dup(number)) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client leaves, and throw away what it still sends."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                pass
        self.abandon()

    def abandon(self) -> None:
        """Let go of the connection, whatever state it is in."""
        self.over.set()
        self._writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


@dataclass(slots=True)
class Upstream:
    """A listening provider and every connection that it was offered."""

    script: Script
    host: str
    port: int = 0
    peers: list[Peer] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)

    @property
    def open(self) -> int:
        """Return how many connections have not ended yet."""
        return sum(not peer.over.is_set() for peer in self.peers)

    @property
    def requests(self) -> list[Received]:
        """Return every whole request, by connection."""
        return [request for peer in self.peers for request in peer.requests]

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Play the script on one connection."""
        peer = Peer(reader, writer)
        if peer.tls is None:
            # What the kernel has not taken yet does not count as sent. Over TLS,
            # uvloop does not always go on after such a pause.
            writer.transport.set_write_buffer_limits(high=0)
        self.peers.append(peer)
        try:
            await self.script(peer)
            if not peer.over.is_set():
                await peer.gone()
        except Gone:
            peer.abandon()
        except Exception as fault:  # noqa: BLE001 - the test shall see it, not the loop
            self.faults.append(fault)
            peer.abandon()


@asynccontextmanager
async def running_upstream(
    script: Script,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    certificate: Certificate | None = None,
    tls: ssl.SSLContext | None = None,
    unix_socket: Path | None = None,
) -> AsyncGenerator[Upstream]:
    """Listen on a free port until the block ends; then raise what a script raised.

    With a `certificate` TLS is spoken, as `serving` sets it up; `tls` says it in full.
    """
    upstream = Upstream(script, host)
    if certificate is not None:
        tls = serving(certificate)
    if unix_socket is not None:
        server = await asyncio.start_unix_server(
            upstream.serve, unix_socket, ssl=tls, backlog=512
        )
    else:
        server = await asyncio.start_server(
            upstream.serve, host, port, ssl=tls, backlog=512
        )
        upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for peer in upstream.peers:
            peer.abandon()
        await turns()
    if upstream.faults:
        raise upstream.faults[0]


def answering(answer: bytes) -> Script:
    """Return a script that gives every request the same answer."""

    async def play(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)

    return play


def in_turn(*scripts: Script) -> Script:
    """Return a script that is another one for each connection; the last repeats."""
    waiting = list(scripts)

    async def play(peer: Peer) -> None:
        script = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        await script(peer)

    return play


def plain(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer with a `Content-Length`."""
    return head(f"Content-Length: {len(body)}", *headers, status=status) + body


def chunked(*pieces: bytes, headers: Iterable[str] = ()) -> bytes:
    """Return a whole answer with a chunk for each piece."""
    framed = b"".join(chunk(piece) for piece in pieces)
    return head("Transfer-Encoding: chunked", *headers) + framed + LAST_CHUNK


def head(*headers: str, status: str = "200 OK") -> bytes:
    """Return the head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")


def chunk(piece: bytes) -> bytes:
    """Return one chunk of the transfer coding."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


LAST_CHUNK: Final = b"0\r\n\r\n"


async def turns(count: int = _TURNS) -> None:
    """Let the event loop look at every socket, `count` times."""
    for _ in range(count):
        await asyncio.sleep(0)


def serving(
    certificate: Certificate, *, asks_who: bool = False, newest: str = "TLSv1_3"
) -> ssl.SSLContext:
    """Return the context of a provider that has a certificate.

    `asks_who` lets only those in whom the tests' authority knows.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem", KEY_FILE)
    context.maximum_version = ssl.TLSVersion[newest]
    if asks_who:
        context.load_verify_locations(cafile=AUTHORITY)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def refusing_port() -> Iterator[int]:
    """Return a port where nobody listens, and keep it so while the block runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def full_backlog(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Return a port where connecting neither succeeds nor fails."""
    with socket.socket() as listening:
        listening.bind((host, port))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:
                each.settimeout(0)
                each.connect_ex(listening.getsockname())
            yield listening.getsockname()[1]
        finally:
            for each in waiting:
                each.close()
