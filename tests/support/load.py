"""Many callers at once, and which of their calls they saw answered to the last byte."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.gauges import Reachable
from tests.support.line import Line, chat, line_to

_GONE = (ConnectionError, asyncio.IncompleteReadError, OSError, TimeoutError)


@dataclass(slots=True)
class Seen:
    """The request ids of calls that were answered completely, and of those cut."""

    whole: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


async def one_call(line: Line, seen: Seen, *, stream: bool) -> None:
    """Make one call; note its id with how far its answer came."""
    line.send(chat(stream=stream))
    head = await line.head()
    try:
        if head.headers.get("transfer-encoding") == "chunked":
            while await line.chunk():
                pass
        else:
            await line.reader.readexactly(int(head.headers["content-length"]))
    except _GONE:
        seen.cut.append(head.request_id)
        raise
    seen.whole.append(head.request_id)


async def caller_without_rest(
    router: Reachable, seen: Seen, *, chance: random.Random
) -> None:
    """Call again and again, plain and streamed, until the router is gone."""
    with suppress(*_GONE):
        async with line_to(router) as line:
            while True:
                await one_call(line, seen, stream=chance.random() < 0.5)


@asynccontextmanager
async def under_load(
    router: Reachable, *, callers: int, chance: random.Random
) -> AsyncGenerator[Seen]:
    """Keep `callers` calls in flight while the block runs, or the router does."""
    seen = Seen()
    calling = [
        asyncio.create_task(caller_without_rest(router, seen, chance=chance))
        for _ in range(callers)
    ]
    try:
        yield seen
    finally:
        for task in calling:
            task.cancel()
        await asyncio.gather(*calling, return_exceptions=True)
