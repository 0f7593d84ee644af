"""One connection to the router, held by hand: to reuse, to pipeline, to leave."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tests.support.gateway import token
from tests.support.gauges import Reachable
from tests.support.wait import PATIENCE_S

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Answered:
    """One whole answer; `body` is without its transfer coding."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        """Return the request id of its header."""
        return self.headers["x-request-id"]

    @property
    def error_code(self) -> str:
        """Return the code of the error that it, or its last event, tells of."""
        told = self.body.rpartition(b"data: ")[2]
        error = json.loads(told)["error"]
        # Anthropic's shape keeps it among the details.
        code: str = error["code"] if "code" in error else error["details"]["error_code"]
        return code


def chat(
    text: str = "hi",
    *,
    key: str | None = "k1",
    headers: Mapping[str, str] | None = None,
    path: str = "/v1/chat/completions",
    **fields: object,
) -> bytes:
    """Return a whole Chat request to the group `chat`; `fields` go into its body."""
    messages = [{"role": "user", "content": text}]
    body = json.dumps({"model": "chat", "messages": messages, **fields}).encode()
    return request("POST", path, key=key, headers=headers, body=body)


def request(
    method: str,
    path: str,
    *,
    key: str | None = "k1",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> bytes:
    """Return a whole request as bytes; `headers` win over those that belong to it."""
    lines = {"host": "router", "content-type": "application/json"}
    if key is not None:
        lines["authorization"] = f"Bearer {token(key)}"
    lines |= {"content-length": str(len(body)), **(headers or {})}
    head = [f"{method} {path} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in lines.items()]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Line:
    """A connection on which the test decides what is sent and read, and when."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Use an open connection."""
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    async def until(self, mark: bytes, *, within_s: float = PATIENCE_S) -> bytes:
        """Read up to `mark`, and return all of it."""
        async with asyncio.timeout(within_s):
            return await self.reader.readuntil(mark)

    async def rest(self, *, within_s: float = PATIENCE_S) -> bytes:
        """Read until the router closes the connection."""
        async with asyncio.timeout(within_s):
            return await self.reader.read()

    async def head(self, *, within_s: float = PATIENCE_S) -> Answered:
        """Read the head of an answer."""
        raw = await self.until(b"\r\n\r\n", within_s=within_s)
        first, *lines = raw.decode("latin-1").strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return Answered(int(first.split(" ", 2)[1]), headers, b"")

    async def chunk(self, *, within_s: float = PATIENCE_S) -> bytes:
        """Read one chunk of a chunked body; empty at its end."""
        size = int(await self.until(b"\r\n", within_s=within_s), 16)
        async with asyncio.timeout(within_s):
            return (await self.reader.readexactly(size + 2))[:-2]

    async def answer(self, *, within_s: float = PATIENCE_S) -> Answered:
        """Read a whole answer."""
        head = await self.head(within_s=within_s)
        if head.headers.get("transfer-encoding") == "chunked":
            body = b""
            while piece := await self.chunk(within_s=within_s):
                body += piece
        else:
            async with asyncio.timeout(within_s):
                length = int(head.headers["content-length"])
                body = await self.reader.readexactly(length)
        return Answered(head.status, head.headers, body)

    def leave(self) -> None:
        """Close the connection."""
        self.writer.close()

    def vanish(self) -> None:
        """Reset the connection, as a crashed client's system does."""
        connected = self.writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.writer.transport.abort()


@asynccontextmanager
async def line_to(
    router: Reachable, *, receive_buffer: int | None = None
) -> AsyncGenerator[Line]:
    """Open a connection; a small `receive_buffer` makes a reader that is soon full."""
    host, port = router.url.removeprefix("http://").split(":")
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer is not None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    opened.setblocking(False)  # noqa: FBT003 - the socket's own signature
    try:
        await asyncio.get_running_loop().sock_connect(opened, (host, int(port)))
        reader, writer = await asyncio.open_connection(sock=opened, limit=1024 * 1024)
    except BaseException:
        opened.close()
        raise
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
