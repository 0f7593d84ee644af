"""One connection, many requests: nothing of one is ever taken for part of the next."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.support.gateway import configuration, provider, token
from tests.support.mock import Mock
from tests.support.router import Router, running_router
from tests.support.wait import PATIENCE_S, eventually

CHAT = "/v1/chat/completions"
GOOD = json.dumps(
    {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
).encode()
SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nhost: x\r\n\r\n"


def request(
    body: bytes, *, key: str = token(), path: str = CHAT, extra: str = ""
) -> bytes:
    """Return a request that keeps its connection open."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: router\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode() + body


class Connection:
    """One connection to the router, read answer by answer."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Use an open connection."""
        self._reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, bytes]:
        """Read one answer: its status and its body."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        status = int(head.split(b" ", 2)[1])
        if status == 100:
            return status, b""
        fields = dict(
            line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line
        )
        if b"content-length" in fields:
            return status, await self._reader.readexactly(
                int(fields[b"content-length"])
            )
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return status, body


@asynccontextmanager
async def connected(router: Router) -> AsyncGenerator[Connection]:
    """Open one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (request(SMUGGLED, key="wrong"), 401),
        (request(SMUGGLED), 400),
        (request(SMUGGLED, path="/v1/nothing"), 404),
        (request(SMUGGLED, extra="content-encoding: gzip\r\n"), 415),
        (request(GOOD), 200),
    ],
)
async def test_a_refused_body_is_not_the_next_request(
    router: Router, first: bytes, status: int
) -> None:
    """After a refusal, read or unread, the connection goes on with the next request."""
    async with connected(router) as connection:
        connection.writer.write(first)
        refused = await connection.answer()
        connection.writer.write(request(GOOD))
        served = await connection.answer()

    assert refused[0] == status
    assert served[0] == 200
    assert b"choices" in served[1]


async def test_requests_in_a_row_are_answered_in_order(router: Router) -> None:
    """Requests sent without waiting are answered one after the other."""
    streamed = GOOD[:-1] + b', "stream": true}'
    async with connected(router) as connection:
        connection.writer.write(
            request(GOOD) + request(streamed) + request(b"{") + request(GOOD)
        )
        answers = [await connection.answer() for _ in range(4)]
    records = await router.recorded(4)

    assert [status for status, _ in answers] == [200, 200, 400, 200]
    assert answers[1][1].endswith(b"data: [DONE]\n\n")
    assert sorted(record.status for record in records) == [200, 200, 200, 400]


async def test_a_caller_may_ask_before_it_sends_its_body(router: Router) -> None:
    """`Expect: 100-continue` is answered, so that large bodies are not held back."""
    head, body = request(GOOD, extra="expect: 100-continue\r\n").split(b"\r\n\r\n")
    async with connected(router) as connection:
        connection.writer.write(head + b"\r\n\r\n")
        asked = await connection.answer()
        connection.writer.write(body)
        served = await connection.answer()

    assert (asked[0], served[0]) == (100, 200)


async def test_a_body_that_never_comes(router: Router, mock: Mock) -> None:
    """A caller that leaves in the middle of its body is on record as such."""
    async with connected(router) as connection:
        connection.writer.write(request(GOOD)[:-5])
        await connection.writer.drain()
    record = await router.record()

    assert (record.status, record.error_code) == (499, "client-left")
    assert mock.received == []


async def test_one_call_after_another_shares_the_providers_connection(
    router: Router, mock: Mock
) -> None:
    """Connections to providers are kept: after answers, streams and rejections."""
    mock.will(Step(), Step(), Step(status=400), Step())
    streamed = GOOD[:-1] + b', "stream": true}'
    async with connected(router) as connection:
        for body in (GOOD, streamed, GOOD, streamed):
            connection.writer.write(request(body))
            await connection.answer()

    assert {received.connection for received in mock.received} == {1}


async def test_a_provider_that_closed_an_idle_connection(
    router: Router, mock: Mock
) -> None:
    """A kept connection that its provider has closed does not fail the next call."""
    async with connected(router) as connection:
        connection.writer.write(request(GOOD))
        await connection.answer()
        for each in tuple(mock.server.open):
            each.abort()
        await eventually(lambda: mock.open_connections == 0, what="no connection")
        connection.writer.write(request(GOOD))
        second = await connection.answer()

    assert second[0] == 200


async def test_a_provider_that_speaks_no_tls(
    tmp_path: Path, mock: Mock, other: Mock
) -> None:
    """A failed handshake passes the call on, and is named in the target's health."""
    wrong = provider(f"https://127.0.0.1:{mock.port}/v1")
    settings = configuration({"acme": wrong, "other": provider(other.base_url)})
    async with running_router(tmp_path, settings) as router, router.http() as client:
        answer = await client.post(CHAT, content=GOOD, headers={
            "content-type": "application/json"
        })  # fmt: skip
        health = (await client.get("/readyz")).json()["groups"]["chat"]

    assert answer.headers["x-router-target"] == "other/mini"
    assert health["acme/mini"]["last_error"] == "upstream_tls_failed"


UPGRADE = (
    "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
    "http2-settings: AAMAAABkAAQAAP__\r\n"
)


@pytest.mark.parametrize("extra", [UPGRADE, UPGRADE.replace("h2c", "websocket")])
async def test_an_upgrade_is_passed_over_and_the_request_served(
    router: Router, extra: str
) -> None:
    """Java's HTTP client and `curl --http2` ask for HTTP/2 with their first request."""
    async with connected(router) as connection:
        connection.writer.write(request(GOOD, extra=extra))
        together = await connection.answer()
        head, _, body = request(GOOD, extra=extra).partition(b"\r\n\r\n")
        connection.writer.write(head + b"\r\n\r\n")
        await connection.writer.drain()
        await asyncio.sleep(0.05)
        connection.writer.write(body)
        apart = await connection.answer()
        connection.writer.write(
            b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + extra.encode() + b"\r\n"
        )
        bodiless = await connection.answer()

    assert [together[0], apart[0], bodiless[0]] == [200, 200, 200]
    assert b"choices" in together[1]
    assert b"choices" in apart[1]


async def test_the_body_of_an_upgrade_is_not_the_next_request(router: Router) -> None:
    """What follows the head of such a request is still its body."""
    async with connected(router) as connection:
        head, _, body = request(SMUGGLED, extra=UPGRADE).partition(b"\r\n\r\n")
        connection.writer.write(head + b"\r\n\r\n")
        await connection.writer.drain()
        await asyncio.sleep(0.05)
        connection.writer.write(body + request(GOOD))
        answers = [await connection.answer() for _ in range(2)]

    assert [status for status, _ in answers] == [400, 200]


async def test_nobody_is_connected_to_another_host(router: Router) -> None:
    """`CONNECT` is for proxies of another kind: it is refused."""
    async with connected(router) as connection:
        connection.writer.write(b"CONNECT a.example:443 HTTP/1.1\r\nhost: x\r\n\r\n")
        status, _ = await connection.answer()

    assert status == 400
