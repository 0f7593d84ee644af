"""The edge alone, on a real socket: every request that it takes is written down.

Behind it are two routes that say what they were given, so that a test can tell which
bytes became a request, and which became a body.
"""

import asyncio
import itertools
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import uvloop

from smart_llmrouter.core.clock import WallClock
from smart_llmrouter.core.errors import RouterError, Unauthorized
from smart_llmrouter.edge.exchange import Exchange, Route
from smart_llmrouter.edge.hub import Hub, refuse
from smart_llmrouter.edge.server import Server, listening_socket
from tests.support.http_answers import Answer, read_answers
from tests.support.wait import next_heard, served_out

T = TypeVar("T")
Ending = Literal["closed", "waits"]

HOT: Final = "/hot"
MAX_BODY_BYTES: Final = 2000
_SILENCE_S: Final = 0.25
_YIELDS: Final = 4


@dataclass(frozen=True, slots=True)
class Taken:
    """A request as a route was given it; `route` is `hot` or `site`."""

    route: str
    method: bytes
    target: bytes
    body: bytes


class TellingRoute:
    """Answers with the body that it was given, as a stream if the path asks for one.

    A target that holds `refuse` is refused when its head is there.
    """

    max_body_bytes = MAX_BODY_BYTES

    def __init__(self, name: str, taken: list[Taken]) -> None:
        """Write down in `taken`, under this name, what is served."""
        self._name = name
        self._taken = taken

    def open(self, exchange: Exchange) -> None:
        """Refuse what asks for that."""
        if b"refuse" in exchange.target:
            raise Unauthorized

    def refuse(self, exchange: Exchange, error: RouterError) -> None:
        """Answer with an error."""
        refuse(exchange, error)

    async def serve(self, exchange: Exchange) -> None:
        """Answer at once, or piece by piece; to `HEAD` always at once."""
        body = exchange.take_body()
        self._taken.append(Taken(self._name, exchange.method, exchange.target, body))
        if b"stream" not in exchange.target or exchange.method == b"HEAD":
            exchange.answer(200, b"content-type: text/plain\r\n", body)
            return
        exchange.begin(b"content-type: text/event-stream\r\n")
        for at in range(0, len(body), 7):
            await asyncio.sleep(0)
            room = exchange.send(body[at : at + 7])
            if room is not None:
                await room
        exchange.end(b"")


class WatchedHub(Hub):
    """Remembers each exchange's method, to know which answers have no body."""

    methods: dict[bytes, bytes]

    def exchange(
        self,
        *given: Any,  # noqa: ANN401 - whatever a hub is given
        **more: Any,  # noqa: ANN401 - the same
    ) -> Exchange:
        """Begin an exchange, as every hub does."""
        begun = super().exchange(*given, **more)
        self.methods[begun.request_id.encode()] = begun.method
        return begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of some bytes: answers, requests that were served, and the ending."""

    answers: tuple[Answer, ...]
    taken: tuple[Taken, ...]
    ending: Ending

    @property
    def statuses(self) -> list[int]:
        """Return the status of each answer."""
        return [answer.status for answer in self.answers]


@dataclass(slots=True)
class TurnedClock:
    """The monotonic clock, and how far a test has turned it ahead."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return time.monotonic() + self.ahead_s


@dataclass(slots=True)
class Edge:
    """A running edge, what it took, and what went wrong in it."""

    port: int
    hub: WatchedHub
    server: Server
    clock: TurnedClock
    taken: list[Taken]
    failures: list[str] = field(default_factory=list)

    async def send(
        self,
        pieces: Sequence[bytes],
        *,
        silence_s: float = _SILENCE_S,
        tls: ssl.SSLContext | None = None,
    ) -> tuple[bytes, Ending]:
        """Send pieces, each by itself, and hear what comes until nothing does."""
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=tls, server_hostname=name
        )
        connected: socket.socket = writer.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                if writer.is_closing():
                    break
                writer.write(piece)
                # Both ends are on this loop: it hands the piece over in between.
                for _ in range(_YIELDS):
                    await asyncio.sleep(0)
            return await _heard(reader, silence_s)
        except ConnectionError:
            return await _heard(reader, silence_s)
        finally:
            writer.close()

    async def later(self, seconds: float) -> None:
        """Let this time pass at once, as the edge sees it."""
        # What was sent before is read before.
        for _ in range(_YIELDS):
            await asyncio.sleep(0)
        self.clock.ahead_s += seconds
        self.hub.sweep()
        for _ in range(_YIELDS):
            await asyncio.sleep(0)

    async def outcome(
        self, pieces: Sequence[bytes], *, silence_s: float = _SILENCE_S
    ) -> Outcome:
        """Send pieces on a connection of its own, while there is no other."""
        self.taken.clear()
        sent, ending = await self.send(pieces, silence_s=silence_s)
        answers = self.answers(sent, closed=ending == "closed")
        return Outcome(answers=answers, taken=tuple(self.taken), ending=ending)

    def answers(self, sent: bytes, *, closed: bool) -> tuple[Answer, ...]:
        """Read what was sent, strictly."""
        return tuple(
            read_answers(sent, method_of=self.hub.methods.__getitem__, closed=closed)
        )


async def _heard(
    reader: asyncio.StreamReader, silence_s: float
) -> tuple[bytes, Ending]:
    heard = b""
    while True:
        try:
            piece = await next_heard(reader, silence_s=silence_s)
        except TimeoutError:
            return heard, "waits"
        except ConnectionError:
            return heard, "closed"
        if not piece:
            return heard, "closed"
        heard += piece


Routes = Callable[[list[Taken]], tuple[dict[str, Route], Route]]


def telling_routes(taken: list[Taken]) -> tuple[dict[str, Route], Route]:
    """Return the routes that tell: one hot path, and one for all others."""
    return {HOT: TellingRoute("hot", taken)}, TellingRoute("site", taken)


@asynccontextmanager
async def serving_edge(
    *,
    routes: Routes = telling_routes,
    client_timeout_s: float = 30.0,
    grace_s: float = 1.0,
    tls: ssl.SSLContext | None = None,
    wall_clock: WallClock = time.time,
) -> AsyncGenerator[Edge]:
    """Serve on a free port and the running loop; what fails there is written down."""
    loop = asyncio.get_running_loop()
    taken: list[Taken] = []
    hot, site = routes(taken)
    ids, clock = itertools.count(1), TurnedClock()
    hub = WatchedHub(
        hot,
        site,
        loop=loop,
        client_timeout_s=client_timeout_s,
        now=clock,
        wall_clock=wall_clock,
        new_id=lambda _: f"req_{next(ids):032x}",
    )
    hub.methods = {}
    listening = listening_socket("127.0.0.1", 0)
    server = Server(hub, grace_s=grace_s, tls=tls)
    edge = Edge(listening.getsockname()[1], hub, server, clock, taken)
    loop.set_exception_handler(lambda _, context: edge.failures.append(str(context)))
    task = asyncio.create_task(server.serve(listening))
    try:
        await server.listening.wait()
        yield edge
    finally:
        server.stop()
        await task
        await served_out()
        listening.close()


def on_uvloop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run on the loop that the router runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def cut(data: bytes, *places: int) -> list[bytes]:
    """Cut `data` at some places."""
    ends = sorted({0, len(data), *places})
    return [data[begin:end] for begin, end in itertools.pairwise(ends)]
