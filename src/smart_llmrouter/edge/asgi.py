"""The bridge to what is not hot: an ASGI application behind the same connections."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import structlog

from smart_llmrouter.core.errors import InternalError, RouterError, ShuttingDown
from smart_llmrouter.edge.exchange import Exchange, Fields
from smart_llmrouter.edge.heads import split_target
from smart_llmrouter.edge.hub import refuse
from smart_llmrouter.engine.client import header_lines

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID: Final = "smart_llmrouter.request_id"
"""The key of a scope under which the request's id is found."""

EXCHANGE: Final = "smart_llmrouter.exchange"
"""The key of a scope under which the exchange itself is found."""

_MAX_BODY_BYTES: Final = 1024 * 1024
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
# The connection's own affair (RFC 9110, 7.6.1).
_THE_EDGES: Final = frozenset(
    {b"connection", b"date", b"keep-alive", b"transfer-encoding"}
)

log = structlog.get_logger()


def hostless(scope: Scope) -> Scope:
    """Return the scope without a host, so that redirects made from it are relative.

    Behind a proxy the router knows neither the name nor the scheme that callers use,
    and a caller's `Host` is no place to send anybody.
    """
    headers = [field for field in scope["headers"] if field[0] != b"host"]
    return {**scope, "headers": headers, "server": None}


class AsgiRoute:
    """Serves requests by an ASGI application; bodies up to 1 MiB, or none."""

    max_body_bytes = _MAX_BODY_BYTES

    def __init__(self, app: AsgiApp, *, keeps_bodies: bool = True) -> None:
        """Serve by `app`, which is never told of a life before or after requests.

        An application that reads no body need not have any kept for it: it finds out
        too late who sends one.
        """
        self.app = app
        self._keeps_bodies = keeps_bodies

    def open(self, exchange: Exchange) -> None:
        """Let every head pass: the application looks at it."""
        if not self._keeps_bodies:
            exchange.keep_no_body()

    def refuse(self, exchange: Exchange, error: RouterError) -> None:
        """Answer with an error of the router's."""
        refuse(exchange, error)

    async def serve(self, exchange: Exchange) -> None:
        """Let the application answer."""
        answer = _Answer(exchange)
        body: list[bytes] = [exchange.take_body()]

        async def receive() -> Message:
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            # A caller that leaves ends this by cancelling the task.
            await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        try:
            await self.app(_scope_of(exchange), receive, answer.send)
        except asyncio.CancelledError:
            answer.give_up(ShuttingDown())
        except Exception:
            # An application that answers its own faults raises them all the same.
            answered = exchange.ended
            answer.give_up(InternalError())
            if not answered:
                log.exception("request failed", request_id=exchange.request_id)
        else:
            answer.give_up(InternalError())


class _Answer:
    """Puts an application's messages into the exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._status = 500
        self._headers: Fields = []
        # How much of the announced body is still to come, where it was announced.
        self._missing_bytes: int | None = None

    async def send(self, message: Message) -> None:
        """Take one message of the application."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [
                (name, value)
                for name, value in message.get("headers", ())
                if name not in _THE_EDGES
            ]
            return
        more = message.get("more_body", False)
        await self._body(message.get("body", b""), more=more)

    async def _body(self, body: bytes, *, more: bool) -> None:
        exchange = self._exchange
        bodiless = exchange.method == b"HEAD" or self._status in _BODILESS
        if not exchange.began:
            self._begin(body, whole=not more, bodiless=bodiless)
        elif not bodiless and (room := self._send(body)) is not None:
            await room
        if not more and not exchange.ended:
            self._end()

    def _send(self, body: bytes) -> Awaitable[None] | None:
        if self._missing_bytes is not None:
            # More than was announced would be taken for the next answer.
            body = body[: self._missing_bytes]
            self._missing_bytes -= len(body)
        return self._exchange.send(body)

    def _end(self) -> None:
        if self._missing_bytes:
            # The next answer would be taken for the rest of this one.
            self._exchange.cut()
        else:
            self._exchange.end(b"")

    def _begin(self, body: bytes, *, whole: bool, bodiless: bool) -> None:
        exchange, headers = self._exchange, self._headers
        length = dict(headers).get(b"content-length")
        if whole and not bodiless:
            bare = [field for field in headers if field[0] != b"content-length"]
            exchange.answer(self._status, header_lines(*bare), body)
            return
        if length is not None or bodiless:
            exchange.begin_sized(header_lines(*headers), status=self._status)
        else:
            exchange.begin(header_lines(*headers), status=self._status)
        if not bodiless:
            self._missing_bytes = None if length is None else int(length)
            self._send(body)

    def give_up(self, error: RouterError) -> None:
        """End what the application has not ended."""
        exchange = self._exchange
        if not exchange.began:
            refuse(exchange, error)
        elif not exchange.ended and not exchange.left:
            exchange.cut()


def _scope_of(exchange: Exchange) -> Scope:
    # What cannot be split never gets here.
    path, query = split_target(exchange.target) or (exchange.target, b"")
    transport = exchange.connection.transport
    secure = transport.get_extra_info("ssl_object") is not None
    peer = transport.get_extra_info("peername")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1" if exchange.chunked else "1.0",
        "method": exchange.method.decode("ascii"),
        "scheme": "https" if secure else "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": exchange.fields,
        "client": tuple(peer[:2]) if isinstance(peer, tuple) else None,
        "server": None,
        REQUEST_ID: exchange.request_id,
        EXCHANGE: exchange,
    }
