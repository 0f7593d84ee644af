"""The bridge to ASGI applications: what they are told, and what becomes of it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from smart_llmrouter.edge.asgi import (
    REQUEST_ID,
    AsgiApp,
    AsgiRoute,
    Message,
    Receive,
    Scope,
    Send,
)
from smart_llmrouter.edge.exchange import Route
from tests.support.edge import Edge, Taken, TellingRoute, on_uvloop, serving_edge
from tests.support.edge_cases import CHUNKED, PROBE, head, line, post
from tests.support.http_answers import Answer
from tests.support.wait import PATIENCE_S, eventually

MIB = 1024 * 1024
START: Message = {"type": "http.response.start", "status": 200, "headers": []}


def part(body: bytes = b"", *, more: bool = False) -> Message:
    """Return a message with a part of an answer's body."""
    return {"type": "http.response.body", "body": body, "more_body": more}


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    """Return the message that begins an answer."""
    return {"type": "http.response.start", "status": status, "headers": headers}


def playing(*messages: Message) -> AsgiApp:
    """Return an application that sends these messages, whatever it is asked."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def behind(app: AsgiApp) -> Any:  # noqa: ANN401 - what `serving_edge` takes
    """Return routes with the application at all paths but `/probe`."""

    def routes(taken: list[Taken]) -> tuple[dict[str, Route], Route]:
        return {"/probe": TellingRoute("probe", taken)}, AsgiRoute(app)

    return routes


def answered(
    app: AsgiApp, *sent: bytes, pieces: Sequence[bytes] = ()
) -> tuple[list[Answer], int]:
    """Return the answers to some requests, and how often the probe was served."""

    async def run() -> tuple[list[Answer], int]:
        async with serving_edge(routes=behind(app)) as edge:
            heard, ending = await edge.send(
                [*sent, *pieces, PROBE], silence_s=PATIENCE_S
            )
            answers = edge.answers(heard, closed=ending == "closed")
            assert ending == "closed"
            assert edge.failures == []
            return list(answers), len(edge.taken)

    return on_uvloop(run())


GET = line(b"GET /a HTTP/1.1")
HEAD = line(b"HEAD /a HTTP/1.1")


def test_a_whole_answer() -> None:
    """What comes in one message gets its length, whatever the application said."""
    app = playing(start((b"content-length", b"99"), (b"x", b"y")), part(b"hello"))

    answers, probes = answered(app, GET)

    assert answers[0].fields[b"content-length"] == b"5"
    assert (answers[0].body, answers[0].fields[b"x"], probes) == (b"hello", b"y", 1)


def test_a_stream_of_unknown_length() -> None:
    """It is sent in chunks, and its end is told."""
    app = playing(START, part(b"a", more=True), part(more=True), part(b"b"))

    answers, probes = answered(app, GET)

    assert answers[0].fields[b"transfer-encoding"] == b"chunked"
    assert (answers[0].body, probes) == (b"ab", 1)


def test_a_stream_to_http_1_0() -> None:
    """It ends with the connection."""
    app = playing(START, part(b"a", more=True), part(b"b"))

    answers, probes = answered(app, head(b"GET /a HTTP/1.0"))

    assert (answers[0].body, answers[0].closes, probes) == (b"ab", True, 0)


def test_a_file_in_pieces() -> None:
    """A length that was announced is kept, and nothing is framed."""
    app = playing(
        start((b"content-length", b"6")), part(b"abc", more=True), part(b"def")
    )

    answers, probes = answered(app, GET)

    assert answers[0].fields[b"content-length"] == b"6"
    assert (answers[0].body, probes) == (b"abcdef", 1)


def test_more_than_was_announced_is_not_sent() -> None:
    """It would be taken for the next answer."""
    app = playing(
        start((b"content-length", b"4")), part(b"abc", more=True), part(b"def")
    )

    answers, probes = answered(app, GET)

    assert (answers[0].body, probes) == (b"abcd", 1)


def test_less_than_was_announced_ends_the_connection() -> None:
    """The next answer would be taken for the rest of this one."""
    app = playing(start((b"content-length", b"9")), part(b"abc", more=True), part())

    async def run() -> tuple[bytes, int]:
        async with serving_edge(routes=behind(app)) as edge:
            heard, ending = await edge.send([GET + PROBE], silence_s=PATIENCE_S)
            assert (ending, edge.failures) == ("closed", [])
            return heard, len(edge.taken)

    heard, probes = on_uvloop(run())

    assert heard.count(b"HTTP/1.1 ") <= 1
    assert probes == 0


@pytest.mark.parametrize(
    "messages",
    [
        (start((b"content-length", b"5")), part(b"hello")),
        (start((b"content-length", b"5")), part(b"hel", more=True), part(b"lo")),
        (START, part(b"hel", more=True), part(b"lo")),
        (start((b"content-length", b"5")), part()),
    ],
)
def test_nothing_follows_the_head_for_head(messages: Sequence[Message]) -> None:
    """The fields are those of `GET`; there is no body, and the connection goes on."""
    answers, probes = answered(playing(*messages), HEAD, HEAD)

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert answers[0].fields.get(b"content-length", b"5") == b"5"
    assert probes == 1


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_have_no_body(status: int) -> None:
    """What an application sends with them all the same is left out."""
    app = playing(start((b"etag", b"x"), status=status), part(b"body"))

    answers, probes = answered(app, GET, GET)

    assert [answer.status for answer in answers] == [status, status, 200]
    assert (answers[0].fields[b"etag"], probes) == (b"x", 1)


def test_fields_of_the_connection_are_not_the_applications() -> None:
    """Framing and closing are the edge's own affair."""
    app = playing(
        start(
            (b"connection", b"close"),
            (b"transfer-encoding", b"gzip"),
            (b"keep-alive", b"1"),
            (b"date", b"yesterday"),
        ),
        part(b"hello"),
    )

    answers, probes = answered(app, GET)

    assert set(answers[0].fields) == {b"content-length", b"date", b"x-request-id"}
    assert (answers[0].body, probes) == (b"hello", 1)


async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Fail before an answer has begun."""
    raise ValueError("secret")


async def failing_late(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Fail in the middle of an answer."""
    await send(START)
    await send(part(b"some", more=True))
    raise ValueError("secret")


@pytest.mark.parametrize("app", [failing, playing(), playing(START)])
def test_an_application_that_does_not_answer(app: AsgiApp) -> None:
    """The caller gets an error of the router's, and the connection goes on."""
    with capture_logs() as logs:
        answers, probes = answered(app, GET)

    assert [answer.status for answer in answers] == [500, 200]
    assert b"internal-error" in answers[0].body
    assert b"secret" not in answers[0].body
    assert probes == 1
    assert len(logs) == (1 if app is failing else 0)


@pytest.mark.parametrize("app", [failing_late, playing(START, part(b"a", more=True))])
def test_an_answer_that_breaks_off_ends_the_connection(app: AsgiApp) -> None:
    """Without its end, so that nobody takes it for whole; a fault is in the log."""

    async def run() -> tuple[bytes, int]:
        async with serving_edge(routes=behind(app)) as edge:
            heard, ending = await edge.send([GET + PROBE], silence_s=PATIENCE_S)
            assert (ending, edge.failures) == ("closed", [])
            return heard, len(edge.taken)

    with capture_logs() as logs:
        heard, probes = on_uvloop(run())

    assert not heard.endswith(b"0\r\n\r\n")
    assert probes == 0
    told = [(each["event"], each["request_id"][:4]) for each in logs]
    assert told == ([("request failed", "req_")] if app is failing_late else [])


async def echoing(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the size of the body."""
    message = await receive()
    assert not message["more_body"]
    await send(START)
    await send(part(b"%d" % len(message["body"])))


@pytest.mark.parametrize(
    ("request_", "status", "goes_on"),
    [
        (line(b"POST /a HTTP/1.1", body=b"a" * MIB), 200, True),
        (line(b"POST /a HTTP/1.1", body=b"a" * (MIB + 1)), 413, True),
        (line(b"POST /a HTTP/1.1", body=b"a" * 3 * MIB), 413, False),
        (
            post(b"%x\r\n%b\r\n0\r\n\r\n" % (MIB, b"a" * MIB), CHUNKED),
            200,
            True,
        ),
        (
            post(b"%x\r\n%b\r\n0\r\n\r\n" % (MIB + 1, b"a" * (MIB + 1)), CHUNKED),
            413,
            False,
        ),
    ],
)
def test_bodies_of_a_mebibyte_at_most(
    request_: bytes, status: int, *, goes_on: bool
) -> None:
    """Above it the body is refused while it arrives."""
    answers, probes = answered(echoing, request_)

    assert [answer.status for answer in answers] == [status] + [200] * goes_on
    assert answers[0].body == b"%d" % MIB or status == 413
    assert probes == int(goes_on)


def test_what_an_application_is_told() -> None:
    """Path, query, fields and caller, and nothing of what came after the body."""
    scopes: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send(START)
        await send(part())

    sent = head(
        b"POST /a%20%C3%A4/b?c=%20d HTTP/1.1", b"Host: Y", b"X-A: 1", b"x-a: 2", CHUNKED
    )
    answered(app, sent + b"0\r\nauthorization: Bearer late\r\nx-a: 3\r\n\r\n")
    answered(app, head(b"GET http://other/p?q HTTP/1.0"))
    [first, second] = scopes

    assert first["path"] == "/a ä/b"
    assert first["raw_path"] == b"/a%20%C3%A4/b"
    assert first["query_string"] == b"c=%20d"
    assert first["headers"] == [
        (b"host", b"Y"),
        (b"x-a", b"1"),
        (b"x-a", b"2"),
        (b"transfer-encoding", b"chunked"),
    ]
    assert (first["method"], first["scheme"]) == ("POST", "http")
    assert (first["http_version"], first["client"][0]) == ("1.1", "127.0.0.1")
    assert first[REQUEST_ID].startswith("req_")
    assert (second["path"], second["query_string"]) == ("/p", b"q")
    assert (second["http_version"], second["headers"]) == ("1.0", [])


@pytest.mark.parametrize("half", [False, True])
def test_a_caller_that_leaves_ends_the_application(*, half: bool) -> None:
    """Closing or half-closing, which is the same here: nobody waits any more."""
    ended: list[str] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        ended.append("waits")
        try:
            await receive()
        finally:
            ended.append("ended")

    async def run(edge: Edge) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(GET)
        await eventually(lambda: ended == ["waits"])
        if half:
            writer.write_eof()
            assert await reader.read() == b""
        writer.close()
        await eventually(lambda: ended == ["waits", "ended"])
        await eventually(lambda: not edge.hub.connections)
        assert edge.failures == []

    async def serving() -> None:
        async with serving_edge(routes=behind(app)) as edge:
            await run(edge)

    with capture_logs() as logs:
        on_uvloop(serving())

    assert logs == []


def test_a_half_closed_caller_hears_what_needs_no_waiting() -> None:
    """`printf ... | nc` closes its side at once; a quick answer still arrives."""

    async def run() -> bytes:
        async with serving_edge(routes=behind(playing(START, part(b"hi")))) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(head(b"GET /healthz HTTP/1.0"))
            writer.write_eof()
            heard = await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            return heard

    assert on_uvloop(run()).endswith(b"\r\n\r\nhi")


def test_a_slow_reader_is_waited_for() -> None:
    """An application that sends much waits until there is room for it."""
    sent: list[int] = []
    piece = b"a" * 65536

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        for number in range(400):
            await send(part(piece, more=True))
            sent.append(number)
        await send(part())

    async def run() -> int:
        async with serving_edge(routes=behind(app)) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(GET + PROBE)
            await eventually(
                lambda: any(each.congested for each in edge.hub.connections)
            )
            waiting_at = len(sent)
            heard = await asyncio.wait_for(reader.read(), PATIENCE_S)
            writer.close()
            answers = edge.answers(heard, closed=True)
            assert len(answers[0].body) == 400 * len(piece)
            return waiting_at

    assert on_uvloop(run()) < 400


def test_a_head_leaves_before_a_body_that_takes_long() -> None:
    """An empty part sends it: a caller may wait for the head before it goes on."""
    heard_head = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(START)
        await send(part(more=True))
        await heard_head.wait()
        await send(part(b"body"))

    async def run() -> tuple[bytes, bytes]:
        async with serving_edge(routes=behind(app)) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(GET)
            first = await reader.readuntil(b"\r\n\r\n")
            heard_head.set()
            rest = await reader.readuntil(b"0\r\n\r\n")
            writer.close()
            await writer.wait_closed()
            return first, rest

    first, rest = on_uvloop(run())

    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest == b"4\r\nbody\r\n0\r\n\r\n"
