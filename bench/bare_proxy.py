"""The least that uvicorn and aiohttp can do: pass a request on, and its answer back.

No authentication, no parsing, no record. What the router takes beyond this is what
governing a call costs.

    python -m bench.bare_proxy --port 8081 --upstream http://127.0.0.1:9100
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp
import uvicorn

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BareProxy:
    """One ASGI function in front of one provider."""

    def __init__(self, session: aiohttp.ClientSession, upstream: str) -> None:
        """Send everything to `upstream`, path by path."""
        self._session = session
        self._upstream = upstream

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        body = await _body(receive)
        async with self._session.post(
            self._upstream + scope["path"],
            data=body,
            headers={"Content-Type": "application/json"},
        ) as answer:
            content_type = answer.headers.get("content-type", "").encode()
            headers = [(b"content-type", content_type)]
            streamed = content_type.startswith(b"text/event-stream")
            whole = b"" if streamed else await answer.read()
            if not streamed:
                headers.append((b"content-length", b"%d" % len(whole)))
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status,
                    "headers": headers,
                }
            )
            while streamed and (chunk := await answer.content.readany()):
                await send(_block(chunk, more=True))
            await send(_block(whole, more=False))


def _block(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    return body


async def serve(*, port: int, upstream: str) -> None:
    """Serve until asked to stop."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:
        config = uvicorn.Config(
            BareProxy(session, upstream),
            port=port,
            http="httptools",
            loop="uvloop",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        await uvicorn.Server(config).serve()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="such as http://127.0.0.1:9")
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=_uvloop) as runner:
        runner.run(serve(port=chosen.port, upstream=chosen.upstream))


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415 - needed here only

    return uvloop.new_event_loop()


if __name__ == "__main__":
    main()
