"""A provider that says only what a test tells it to, byte by byte, and notices all."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from tests.support.wait import PATIENCE_S

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def content_event(text: str) -> bytes:
    """Return a Chat event that carries `text`."""
    chunk = {"choices": [{"index": 0, "delta": {"content": text}}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


FINISH: Final = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE: Final = (
    b'data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,'
    b'"total_tokens":18}}\n\n'
)
DONE: Final = b"data: [DONE]\n\n"


def completion(text: str = "hello") -> bytes:
    """Return a whole plain answer, head and body."""
    message = {"role": "assistant", "content": text}
    body = json.dumps(
        {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }
    ).encode()
    return answer_head(len(body)) + body


def answer_head(length: int, *, content_type: bytes = b"application/json") -> bytes:
    """Return the head of an answer whose body has `length` bytes."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (
        content_type,
        length,
    )


@dataclass(slots=True)
class PuppetCall:
    """One request that arrived; `left` is set when whoever asked closed."""

    head: bytes
    body: bytes
    writer: asyncio.StreamWriter
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def begin_stream(self) -> None:
        """Send the head of a stream."""
        self.write(STREAM_HEAD)

    def chunk(self, piece: bytes) -> None:
        """Send a piece of a stream as one chunk of the transfer coding."""
        self.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def end_stream(self) -> None:
        """Send the end of the transfer coding."""
        self.write(b"0\r\n\r\n")


class Puppet:
    """A listening provider whose calls wait to be answered by the test."""

    def __init__(self) -> None:
        """Have no calls yet."""
        self.port = 0
        self.connections = 0
        self._calls: asyncio.Queue[PuppetCall] = asyncio.Queue()

    @property
    def base_url(self) -> str:
        """Return what goes into a provider's `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def unanswered(self) -> int:
        """Return how many calls the test has not taken yet."""
        return self._calls.qsize()

    async def call(self, *, within_s: float = PATIENCE_S) -> PuppetCall:
        """Return the next call, as soon as it is there."""
        async with asyncio.timeout(within_s):
            return await self._calls.get()

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Read the requests of one connection."""
        self.connections += 1
        call: PuppetCall | None = None
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length.group(1)) if length else 0)
                call = PuppetCall(head, body, writer)
                self._calls.put_nowait(call)
        if call is not None:
            call.left.set()
        writer.close()


@asynccontextmanager
async def running_puppet() -> AsyncGenerator[Puppet]:
    """Listen on a free port of the loopback until the block ends."""
    puppet = Puppet()
    server = await asyncio.start_server(
        puppet.serve, "127.0.0.1", 0, limit=64 * 1024 * 1024
    )
    puppet.port = server.sockets[0].getsockname()[1]
    try:
        yield puppet
    finally:
        server.close()
