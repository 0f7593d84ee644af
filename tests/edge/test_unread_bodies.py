"""The body of a request without a good token is never kept."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

import pytest

from smart_llmrouter.core.errors import RouterError
from smart_llmrouter.edge.asgi import AsgiRoute, Message, Receive, Scope, Send
from smart_llmrouter.edge.door import Door
from smart_llmrouter.edge.exchange import Exchange, Route
from smart_llmrouter.edge.failures import Failures
from smart_llmrouter.edge.identity import Authenticator
from smart_llmrouter.edge.inference import inference_routes
from smart_llmrouter.engine.client import Arrival, Client
from smart_llmrouter.engine.tally import Tally
from tests.support.accesses import Written, accesses_to
from tests.support.edge import Edge, Taken, on_uvloop, serving_edge
from tests.support.wait import eventually

LARGEST: Final = 32 * 1024 * 1024
HALF: Final = bytes(512 * 1024)


class NobodyCalls:
    """A carrier that must not be asked for anything."""

    def carry(
        self, arrival: Arrival, body: bytes, client: Client
    ) -> Coroutine[Any, Any, None]:
        """Fail."""
        raise AssertionError(arrival, body, client)

    def refuse(self, error: RouterError, arrival: Arrival, client: Client) -> None:
        """Fail."""
        raise AssertionError(error, arrival, client)


async def bodiless(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body."""
    length = len((await receive())["body"])
    start: Message = {"type": "http.response.start", "status": 200, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": b"%d" % length})


def guarded(_taken: list[Taken]) -> tuple[dict[str, Route], Route]:
    """Return the routes of the router, to which nobody has a token."""
    tally, carrier = Tally(), NobodyCalls()
    failures = Failures(tally, now=time.monotonic)
    authenticator = Authenticator({}, wall_clock=time.time)
    door = Door(authenticator, failures, accesses_to(Written()))
    routes = inference_routes(
        carrier, carrier, carrier, door, tally=tally, max_request_bytes=LARGEST
    )
    return routes, AsgiRoute(bodiless, keeps_bodies=False)


async def half_sent(edge: Edge, head: bytes) -> tuple[Exchange, bytes]:
    """Send the half of a body; return the exchange then, and the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(head + b"host: a\r\ncontent-length: %d\r\n\r\n" % (2 * len(HALF)))
    writer.write(HALF)
    await eventually(lambda: edge.hub.connections)
    (connection,) = edge.hub.connections
    await eventually(
        lambda: getattr(connection._reading, "body_bytes", 0) == len(HALF),
        what="the half of the body",
    )
    reading = connection._reading
    assert reading is not None
    writer.write(HALF)
    heard = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return reading, heard


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v1/chat/completions HTTP/1.1\r\n", 401),
        (b"POST /v1/messages HTTP/1.1\r\nx-api-key: wrong\r\n", 401),
        (b"GET /v1/responses HTTP/1.1\r\nx-api-key: wrong\r\n", 405),
        (b"HEAD /v1/responses HTTP/1.1\r\n", 200),
        (b"POST /v1/route/explain HTTP/1.1\r\n", 401),
        (b"POST /v1/models HTTP/1.1\r\n", 200),
        (b"GET /healthz HTTP/1.1\r\n", 200),
    ],
)
def test_no_body_of_a_stranger_is_kept(head: bytes, status: int) -> None:
    """It is passed over while it comes, so that a flood of them takes no memory."""

    async def alone() -> tuple[Exchange, bytes]:
        async with serving_edge(routes=guarded) as edge:
            return await half_sent(edge, head)

    reading, heard = on_uvloop(alone())

    assert reading.body_bytes >= len(HALF)
    assert list(reading.pieces) == []
    assert heard.startswith(b"HTTP/1.1 %d " % status)
