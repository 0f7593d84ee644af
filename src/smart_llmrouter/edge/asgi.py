"""The ASGI side of `engine.Client`, and reading a request's body within its bound."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Final

from smart_llmrouter.core.errors import ClientLeft, RequestTooLarge
from smart_llmrouter.engine.client import Headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_FAREWELL_S: Final = 2.0
CONNECTION: Final = "smart_llmrouter.connection"
"""The key of a scope under which our server's connection is found."""


def hostless(scope: Scope) -> Scope:
    """Return the scope without a host, so that redirects made from it are relative.

    Behind a proxy the router knows neither the name nor the scheme that callers use,
    and a caller's `Host` is no place to send anybody.
    """
    headers = [field for field in scope["headers"] if field[0] != b"host"]
    return {**scope, "headers": headers, "server": None}


class AsgiClient:
    """The way back to one caller. After the end it is silent."""

    __slots__ = ("_cut", "_request_id", "_send", "began", "ended", "left")

    def __init__(
        self,
        send: Send,
        *,
        request_id: str,
        cut: Callable[[], None] | None = None,
    ) -> None:
        """Answer through `send`, with the request id; `cut` drops the connection."""
        self._send = send
        self._cut = cut
        self._request_id = request_id.encode()
        self.began = False
        self.ended = False
        self.left = False

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer at once."""
        if self.began:
            return
        await self._start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self._body(body, more=False)

    async def begin(self, headers: Headers) -> None:
        """Open a stream with status 200."""
        if not self.began:
            await self._start(200, headers)

    async def send(self, block: bytes) -> None:
        """Send a block of whole events."""
        await self._body(block, more=True)

    async def end(self, last: bytes) -> None:
        """Send the last block, and end the answer."""
        await self._body(last, more=False)

    async def fail(self, last: bytes) -> None:
        """End the answer, but cut off a caller that makes no room for its end."""
        await self._or_cut(self._body(last, more=False))

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, but cut off a caller that makes no room for it."""
        await self._or_cut(self.answer(status, headers, body))

    async def _or_cut(self, farewell: Coroutine[None, None, None]) -> None:
        """Send the last there is to say, and wait no longer than a moment for room.

        A caller that reads nothing would otherwise hold its call for ever.
        """
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await farewell
        except TimeoutError:
            if self._cut is not None:
                self._cut()

    async def _start(self, status: int, headers: Headers) -> None:
        self.began = True
        with_id = [*headers, (b"x-request-id", self._request_id)]
        await self._send(
            {"type": "http.response.start", "status": status, "headers": with_id}
        )

    async def _body(self, body: bytes, *, more: bool) -> None:
        if self.ended:
            return
        self.ended = not more
        await self._send(
            {"type": "http.response.body", "body": body, "more_body": more}
        )


async def read_body(receive: Receive, *, max_bytes: int) -> bytes:
    """Read a whole request body. Raises `RequestTooLarge` and `ClientLeft`."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and message["type"] == "http.request":
        return _bounded(body, max_bytes)
    chunks, size = [body], len(body)
    while message["type"] == "http.request" and message.get("more_body", False):
        if size > max_bytes:
            raise RequestTooLarge(max_bytes)
        message = await receive()
        chunk: bytes = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
    if message["type"] != "http.request":
        raise ClientLeft
    return _bounded(b"".join(chunks), max_bytes)


def _bounded(body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise RequestTooLarge(max_bytes)
    return body
