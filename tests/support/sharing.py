"""Counters of processes that share a Valkey, by the clocks of this machine."""

import asyncio
import inspect
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from smart_llmrouter.admission.counters import Chain
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.shared import Shared
from smart_llmrouter.admission.verdicts import Lease, Verdict
from smart_llmrouter.bootstrap.counters import begin_owning, open_counters
from smart_llmrouter.config.allowances import Scope
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.stores.sqlite import create_or_check_schema
from tests.support.configuration import ENVIRONMENT, SMALL, loaded
from tests.support.counter_stores import granted

_NUMBERS = itertools.count()


class Process:
    """One process, as far as it counts."""

    def __init__(self, counters: Shared, opened: AsyncExitStack) -> None:
        """Count with these."""
        self.counters = counters
        self._opened = opened

    async def take(self, chain: Chain, *, tokens: int = 0, nusd: int = 0) -> Verdict:
        """Ask for a call that begins now."""
        demand = Demand(
            request_id=f"req_{next(_NUMBERS)}",
            began_ms=int(time.time() * 1000),
            tokens=tokens,
            nusd=nusd,
        )
        verdict = self.counters.take(chain, demand)
        return await verdict if inspect.isawaitable(verdict) else verdict

    async def grant(self, chain: Chain, *, tokens: int = 0, nusd: int = 0) -> Lease:
        """Ask for a call that must be granted."""
        return granted(await self.take(chain, tokens=tokens, nusd=nusd))

    def settle(
        self, lease: Lease, requests: int = 1, tokens: int = 0, nusd: int = 0
    ) -> None:
        """Settle a call, and tell the store."""
        self.counters.settle(lease, Spent(requests, tokens, nusd))
        self.counters.flush()

    async def use(self, scope: Scope) -> dict[str, tuple[int, int]]:
        """Return what of each limit is used and what is reserved."""
        (standing,) = await self.counters.standing([scope])
        return {each.limit: (each.used, each.reserved) for each in standing.uses}

    def reached(self) -> bool:
        """Say whether the store is there."""
        return self.counters.condition() is None

    async def die(self) -> None:
        """End without a word."""
        await self.counters.link.close()
        await self._opened.aclose()

    async def end(self) -> None:
        """End as a process does that is told to."""
        await self._opened.aclose()


@asynccontextmanager
async def processes(
    tmp_path: Path,
    url: str,
    count: int = 1,
    **state: Any,  # noqa: ANN401 - settings
) -> AsyncIterator[Sequence[Process]]:
    """Run so many workers of one router that share the store at `url`."""
    async with AsyncExitStack() as stack:
        found = []
        for seat in range(1, count + 1):
            process = await started(tmp_path, url, seat, workers=count, **state)
            stack.push_async_callback(process.end)
            found.append(process)
        yield found


async def started(
    tmp_path: Path,
    url: str,
    seat: int = 1,
    *,
    workers: int = 1,
    environment: Mapping[str, str] = ENVIRONMENT,
    **state: Any,  # noqa: ANN401 - settings
) -> Process:
    """Start one worker."""
    given = {"directory": str(tmp_path / "state"), "counters": url, **state}
    text = SMALL + f"server: {{workers: {workers}}}\nstate: {_yaml(given)}\n"
    found = loaded(text, environment={**ENVIRONMENT, **environment})
    assert found.snapshot is not None, found.findings
    snapshot = found.snapshot
    snapshot.state.directory.mkdir(exist_ok=True)
    if not (snapshot.state.directory / "counters-owner").exists():
        await asyncio.to_thread(_prepared, snapshot)
    opened = AsyncExitStack()
    counters = await opened.enter_async_context(open_counters(snapshot, seat=seat))
    return Process(cast("Shared", counters), opened)


def _prepared(snapshot: Snapshot) -> None:
    begin_owning(snapshot.state)
    create_or_check_schema(snapshot.state.database_url.reveal())


def _yaml(given: Mapping[str, object]) -> str:
    return msgspec.json.encode(given).decode()
