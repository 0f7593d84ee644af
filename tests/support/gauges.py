"""What a router says of itself in `/metrics`, as numbers."""

import asyncio
from typing import Protocol

import httpx2

from tests.support.wait import PATIENCE_S


class Reachable(Protocol):
    """A router, in whatever process."""

    @property
    def url(self) -> str:
        """Where it listens, without a path."""

    def http(self, key: str | None = "k1") -> httpx2.AsyncClient:
        """Return a client with the token of `key`."""


async def gauge(router: Reachable, name: str) -> float:
    """Return the value of a metric without labels; its reader needs `metrics_admin`."""
    async with router.http() as client:
        text = (await client.get("/metrics")).text
    (value,) = [
        line.split()[1]
        for line in text.splitlines()
        if line.startswith(f"smart_llmrouter_{name} ")
    ]
    return float(value)


async def settled(router: Reachable, *, within_s: float = PATIENCE_S) -> None:
    """Wait until no call is being served."""
    async with asyncio.timeout(within_s):
        while await gauge(router, "calls_in_flight"):  # noqa: ASYNC110 - not our loop
            await asyncio.sleep(0.01)
