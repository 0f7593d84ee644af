"""How connections go on, or end, after what does not happen every day."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from structlog.testing import capture_logs

from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.edge.exchange import Exchange, Route
from smart_llmrouter.edge.hub import refuse
from tests.support.edge import HOT, Edge, Taken, TellingRoute, on_uvloop, serving_edge
from tests.support.edge_cases import PROBE, line, post
from tests.support.wait import PATIENCE_S, eventually

TIMEOUT_S: Final = 60.0
ANSWERED: Final = b"HTTP/1.1 200 OK\r\n"
Serve = Callable[[Exchange], Coroutine[Any, Any, None]]


class PlayedRoute:
    """Serves as a test says; a target that holds `bug` fails when its head is there."""

    max_body_bytes = 1 << 20

    def __init__(self, serve: Serve) -> None:
        """Serve by `serve`."""
        self.serve = serve

    def open(self, exchange: Exchange) -> None:
        """Fail where that is asked for."""
        if b"bug" in exchange.target:
            raise ZeroDivisionError

    def refuse(self, exchange: Exchange, error: RouterError) -> None:
        """Answer with an error."""
        refuse(exchange, error)


def at_all_paths_but_hot(serve: Serve) -> Any:  # noqa: ANN401 - what `serving_edge` takes
    """Return routes that serve everything by `serve`, but `/hot` as usual."""

    def routes(taken: list[Taken]) -> tuple[dict[str, Route], Route]:
        return {HOT: TellingRoute("hot", taken)}, PlayedRoute(serve)

    return routes


async def answer_at_once(exchange: Exchange) -> None:
    """Answer without a body."""
    exchange.answer(200, b"", b"")


def transport_of(writer: asyncio.StreamWriter) -> asyncio.Transport:
    """Return the transport, with which reading can be stopped."""
    return cast("asyncio.Transport", writer.transport)


async def congest(exchange: Exchange) -> None:
    """Begin a stream, and send until the caller takes no more."""
    exchange.begin(b"")
    room = None
    while room is None:
        await asyncio.sleep(0)
        room = exchange.send(b"a" * 65536)


def test_a_caller_that_makes_room_after_a_failure_is_not_cut_off() -> None:
    """Its connection goes on: only who takes nothing is hurried."""

    async def fail_while_congested(exchange: Exchange) -> None:
        await congest(exchange)
        exchange.fail(b"the end")

    async def run() -> bytes:
        routes = at_all_paths_but_hot(fail_while_congested)
        async with serving_edge(routes=routes, client_timeout_s=TIMEOUT_S) as edge:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", edge.port, limit=1 << 25
            )
            transport_of(writer).pause_reading()
            writer.write(line(b"GET /stream HTTP/1.1"))
            await eventually(
                lambda: any(each.congested for each in edge.hub.connections)
            )
            transport_of(writer).resume_reading()
            await reader.readuntil(b"\r\n0\r\n\r\n")
            await edge.later(3)
            writer.write(line(b"GET /hot HTTP/1.1"))
            told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            writer.close()
            return told

    assert on_uvloop(run()).startswith(ANSWERED)


def test_a_caller_that_makes_no_room_after_a_failure_is_cut_off_soon() -> None:
    """Also where the connection ends with the answer anyway, as in HTTP/1.0."""

    async def fail_while_congested(exchange: Exchange) -> None:
        await congest(exchange)
        exchange.fail(b"the end")

    async def run() -> int:
        routes = at_all_paths_but_hot(fail_while_congested)
        async with serving_edge(routes=routes, client_timeout_s=TIMEOUT_S) as edge:
            _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            transport_of(writer).pause_reading()
            writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
            await eventually(
                lambda: any(each.congested for each in edge.hub.connections)
            )
            await edge.later(1)
            await edge.later(1.5)
            await asyncio.sleep(0)
            left = len(edge.hub.connections)
            writer.close()
            return left

    assert on_uvloop(run()) == 0


def test_a_body_that_had_to_wait_for_its_turn_gets_its_time() -> None:
    """What is not read behind a long answer has not been slow to come."""

    async def run() -> bytes:
        go_on = asyncio.Event()

        async def serve(exchange: Exchange) -> None:
            await go_on.wait()
            exchange.answer(200, b"", b"")

        routes = at_all_paths_but_hot(serve)
        async with serving_edge(routes=routes, client_timeout_s=TIMEOUT_S) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            begun = post(b"he", b"content-length: 5")
            writer.write(line(b"GET /long HTTP/1.1") + begun)
            await eventually(lambda: len(edge.hub.methods) == 2)
            await edge.later(600)
            go_on.set()
            told = await reader.readuntil(b"\r\n\r\n")
            await edge.later(30)
            writer.write(b"llo" + PROBE)
            told += await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            return told

    assert on_uvloop(run()).count(ANSWERED) == 3


def test_a_body_that_is_no_use_any_more_is_let_go_at_once() -> None:
    """What came of a body before it was refused is not kept with the connection."""

    async def run() -> list[int]:
        kept: list[Exchange] = []

        class KeepingRoute(PlayedRoute):
            def open(self, exchange: Exchange) -> None:
                kept.append(exchange)

        def routes(_: list[Taken]) -> tuple[dict[str, Route], Route]:
            return {}, KeepingRoute(answer_at_once)

        async with serving_edge(routes=routes, client_timeout_s=TIMEOUT_S) as edge:
            slow, left = [
                await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(2)
            ]
            for _, writer in (slow, left):
                writer.write(post(b"hello", b"content-length: 100"))
            await eventually(lambda: [e.body_bytes for e in kept] == [5, 5])
            left[1].close()
            await eventually(lambda: len(edge.hub.connections) == 1)
            await edge.later(TIMEOUT_S + 1)
            await slow[0].read()
            slow[1].close()
            return [len(each.pieces) for each in kept]

    assert on_uvloop(run()) == [0, 0]


def test_a_defect_in_a_route_is_told_as_one() -> None:
    """It is no fault of the caller's, and its traceback is in the log."""

    async def run() -> tuple[list[int], list[str]]:
        async with serving_edge(routes=at_all_paths_but_hot(answer_at_once)) as edge:
            heard, ending = await edge.send([line(b"GET /bug HTTP/1.1"), PROBE])
            answers = edge.answers(heard, closed=ending == "closed")
            return [each.status for each in answers], edge.failures

    with capture_logs() as logs:
        statuses, failures = on_uvloop(run())

    assert (statuses, failures) == ([500, 200], [])
    assert [(each["event"], each["log_level"]) for each in logs] == [
        ("request failed", "error")
    ]


def test_what_is_cancelled_before_it_began_still_begins() -> None:
    """Else a call could end without an answer and without a record."""

    async def run() -> list[str]:
        steps = []

        async def serve() -> None:
            steps.append("begun")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                steps.append("cancelled")

        async with serving_edge() as edge:
            task = asyncio.create_task(serve())
            edge.hub.cancel(task)
            await task
            return steps

    assert on_uvloop(run()) == ["begun", "cancelled"]


def test_a_connection_is_cut_only_once() -> None:
    """A second time its file's number may belong to another connection."""

    async def cut_twice(exchange: Exchange) -> None:
        exchange.begin(b"")
        exchange.cut()
        exchange.cut()

    async def run() -> tuple[bytes, list[str]]:
        routes = at_all_paths_but_hot(cut_twice)
        async with serving_edge(routes=routes) as edge:
            _, ending = await edge.send([line(b"GET /a HTTP/1.1")])
            assert ending == "closed"
            await eventually(lambda: not edge.hub.connections)
            heard, _ = await edge.send([line(b"GET /hot HTTP/1.1")])
            return heard, edge.failures

    heard, failures = on_uvloop(run())

    assert heard.startswith(ANSWERED)
    assert failures == []


def test_no_long_host_is_remembered() -> None:
    """Names that callers make up must not fill the memory."""
    long = b"GET /hot HTTP/1.1\r\nhost: %b\r\n\r\n" % (b"a" * 10_000)

    async def run() -> tuple[bytes, Edge]:
        async with serving_edge() as edge:
            heard, _ = await edge.send([long + line(b"GET /hot HTTP/1.1")])
            return heard, edge

    heard, edge = on_uvloop(run())

    assert heard.count(ANSWERED) == 2
    assert edge.hub.sound_hosts == {b"x"}


def test_a_status_without_a_name_is_sent() -> None:
    """Providers make some up; a caller gets the number."""

    async def serve(exchange: Exchange) -> None:
        exchange.answer(444, b"", b"")

    async def run() -> bytes:
        routes = at_all_paths_but_hot(serve)
        async with serving_edge(routes=routes) as edge:
            heard, _ = await edge.send([line(b"GET /a HTTP/1.1")])
            return heard

    assert on_uvloop(run()).startswith(b"HTTP/1.1 444 \r\n")
