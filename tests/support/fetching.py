"""Fetching images from this host, as if it were another."""

import asyncio
import json
import socket
from collections.abc import Sequence
from typing import Final

from smart_llmrouter.config.snapshot import Tls
from smart_llmrouter.upstream.addresses import Address
from smart_llmrouter.upstream.fetching import Fetcher

PNG: Final = b"\x89PNG\r\n\x1a\n" + b"png" * 40
IS_PNG: Final = "Content-Type: image/png"
_TYPES: Final = ("image/png", "image/jpeg", "image/webp")


class Resolver:
    """Answers look-ups in turn, the last for ever, and counts them."""

    def __init__(self, *answers: Sequence[str]) -> None:
        """Tell these addresses."""
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[Address]:
        """Look a name up."""
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not found:
            raise socket.gaierror(-2, "Name or service not known")
        return [Address(socket.AF_INET, (address, port)) for address in found]


def fetcher(
    resolver: Resolver,
    *,
    allow: bool = True,
    max_bytes: int = 1000,
    tls: Tls | None = None,
) -> Fetcher:
    """Return what fetches images from this host's own addresses, where allowed."""
    return Fetcher(
        resolver,
        max_bytes=max_bytes,
        types=_TYPES,
        allow_private=allow,
        now=asyncio.get_running_loop().time,
        tls=tls or Tls(),
    )


def home() -> Resolver:
    """Return a resolver that knows one address for all."""
    return Resolver(["127.0.0.1"])


def asking(*urls: str) -> bytes:
    """Return a request of Chat with images at these URLs."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return json.dumps({"messages": [{"role": "user", "content": parts}]}).encode()
