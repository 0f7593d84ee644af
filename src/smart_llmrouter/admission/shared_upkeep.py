"""What a process does beside counting, while it shares a store.

It says once a second that it lives, which also moves the store's clock on. When it
starts, it settles what its dead predecessors had in flight by what is on record of it.
The record of a call is written before the store is told: a process that was killed in
between has left a record without a settlement, and never the reverse.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from smart_llmrouter.admission.shared import Shared
from smart_llmrouter.admission.shared_records import Charged
from smart_llmrouter.core.errors.faults import CountersAway

_RENEW_EVERY_S: Final = 1.0
_THIRD: Final = 3

log = structlog.get_logger()


@asynccontextmanager
async def kept_up(
    shared: Shared, *, lease_s: float, charged: Charged
) -> AsyncIterator[None]:
    """Keep leases alive while the block runs, and settle what the dead have left."""
    renewing = asyncio.create_task(
        _renew(shared, min(_RENEW_EVERY_S, lease_s / _THIRD))
    )
    mending = asyncio.create_task(_mend(shared, charged))
    try:
        yield
    finally:
        for task in (renewing, mending):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _renew(shared: Shared, every_s: float) -> None:
    while True:
        with suppress(CountersAway):
            await shared.renew()
        await asyncio.sleep(every_s)


async def _mend(shared: Shared, charged: Charged) -> None:
    """Settle what dead predecessors had in flight, as soon as the store is there."""
    while True:
        try:
            await shared.dead.mend(charged)
            return
        except CountersAway:
            await asyncio.sleep(_RENEW_EVERY_S)
        except Exception:
            log.exception("calls of an earlier process cannot be looked up")
            await asyncio.sleep(_RENEW_EVERY_S * 10)
