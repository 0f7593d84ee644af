"""HTTP by hand: what really came over the socket, and how the connection ended."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.support.wait import next_heard

Ending = Literal["closed", "reset", "open"]

_SILENCE_S = 60.0
"""Only what is to stay open waits for so long; what ends is heard at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Every byte that came, when (seconds after the request), and how it ended.

    `open` means that nothing more came for a while and the connection was still up.
    """

    data: bytes
    arrivals_s: tuple[float, ...]
    ending: Ending

    @property
    def head(self) -> bytes:
        """Return the status line and headers."""
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """Return what follows the headers, with its framing."""
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        """Return the status of the status line."""
        return int(self.head.split(b" ", 2)[1])

    @property
    def events(self) -> list[bytes]:
        """Return the lines that carry data, without `data: `."""
        return [
            line.removeprefix(b"data: ").rstrip(b"\r")
            for line in self.body.split(b"\n")
            if line.startswith(b"data: ")
        ]


def chat_request(
    text: str = "hi",
    *,
    headers: Mapping[str, str] | None = None,
    close: bool = True,
    **fields: object,
) -> bytes:
    """Return a whole Chat request as bytes; `fields` are added to its body."""
    document: dict[str, object] = {
        "model": "mock-small",
        "messages": [{"role": "user", "content": text}],
        **fields,
    }
    body = json.dumps(document).encode()
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: mock",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
        *(["connection: close"] if close else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def exchange(
    port: int,
    request: bytes,
    *,
    silence_s: float = _SILENCE_S,
    enough: bytes | None = None,
) -> Heard:
    """Send `request` and listen until the connection ends or falls silent.

    Where it stays open, `enough` is what need only have come.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    pieces: list[bytes] = []
    arrivals: list[float] = []
    ending: Ending = "closed"
    try:
        writer.write(request)
        while True:
            piece = await next_heard(reader, silence_s=silence_s)
            if not piece:
                break
            pieces.append(piece)
            arrivals.append(time.monotonic() - began)
            if enough is not None and enough in b"".join(pieces):
                ending = "open"
                break
    except ConnectionResetError:
        ending = "reset"
    except TimeoutError:
        ending = "open"
    finally:
        writer.close()
    return Heard(data=b"".join(pieces), arrivals_s=tuple(arrivals), ending=ending)
