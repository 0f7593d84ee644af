"""`usage verify` compares budgets with the store in which several routers count."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from smart_llmrouter.admission.counters import Counters, chain_of
from smart_llmrouter.admission.demand import Demand, Spent
from smart_llmrouter.admission.verdicts import Lease
from smart_llmrouter.bootstrap.counters import open_counters
from smart_llmrouter.config.allowances import Scope
from smart_llmrouter.config.scopes import scope_of
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.ledger.record import UsageRecord
from tests.support.configuration import SMALL, loaded
from tests.support.ledger import StateDirectory, a_record, state_in
from tests.support.valkey import ValkeyServer
from tests.support.wait import PATIENCE_S, eventually

CALLER: Final = "caller:alice-search-dev"
PROJECT: Final = "project:search"
CONFIGURATION: Final = (
    SMALL.replace(
        "  - id: search\n", "  - {id: search, budgets: {lifetime: {tokens: 9000}}}\n"
    )
    + "    budgets: {lifetime: {requests: 9, usd: 5}}\n"
)
NUMBERS: Final = count(1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Return a server of the test's own, which has nothing."""
    directory = tmp_path / "valkey"
    directory.mkdir()
    made = ValkeyServer(directory)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def state(tmp_path: Path, server: ValkeyServer) -> StateDirectory:
    """Return a state directory and, beside it, a configuration that uses the store."""
    state = state_in(tmp_path)
    given = {"directory": str(state.path), "counters": server.url}
    text = f"state: {json.dumps(given)}\n{CONFIGURATION}"
    (tmp_path / "router.yaml").write_text(text)
    return state


def snapshot_of(state: StateDirectory) -> Snapshot:
    """Return its configuration, as a router reads it."""
    found = loaded((state.path.parent / "router.yaml").read_text())
    assert found.snapshot is not None, found.findings
    return found.snapshot


def record(state: StateDirectory, call: UsageRecord) -> None:
    """Put a call on record."""
    state.journalled([call])
    ingester = state.ingester()
    while ingester.advance().more:
        pass


class Router:
    """A process that counts, and keeps records of its calls."""

    def __init__(
        self, state: StateDirectory, counters: Counters, scopes: Sequence[Scope]
    ) -> None:
        """Count these scopes."""
        self._state = state
        self._counters = counters
        self.scopes = scopes

    async def call(
        self, scopes: Sequence[Scope] = (), *, nusd: int = 0, recorded: bool = True
    ) -> None:
        """Make a call of ten tokens that counts in these scopes, by default in all."""
        chain = chain_of("alice-search-dev", tuple(scopes or self.scopes))
        number, now_ms = next(NUMBERS), int(time.time() * 1000)
        verdict = self._counters.take(
            chain,
            Demand(request_id=f"req_{number}", began_ms=now_ms, tokens=10, nusd=nusd),
        )
        lease = verdict if isinstance(verdict, Lease) else await verdict  # type: ignore[misc]  # a refusal fails below
        assert isinstance(lease, Lease)
        if recorded:
            record(self._state, a_call(number, now_ms, nusd))
        before = await self._used()
        self._counters.settle(lease, Spent(1, 10, nusd))
        self._counters.flush()

        async def settled() -> bool:
            return await self._used() != before

        await eventually(settled, what="the settlement")

    async def _used(self) -> list[tuple[str, int]]:
        standings = await self._counters.standing(self.scopes)
        return [
            (use.limit, use.used) for standing in standings for use in standing.uses
        ]


def a_call(number: int, ts_ms: int, nusd: int = 0) -> UsageRecord:
    """Return the record of a call of ten tokens."""
    return a_record(
        number,
        ts_ms=ts_ms,
        resolved_group="chat",
        input_tokens=4,
        output_tokens=6,
        total_cost_nusd=nusd,
    )


@asynccontextmanager
async def running(state: StateDirectory) -> AsyncIterator[Router]:
    """Run one."""
    snapshot = snapshot_of(state)
    scopes = [scope_of(snapshot.allowances, key) for key in (CALLER, PROJECT)]
    async with open_counters(snapshot) as counters:
        yield Router(state, counters, [each for each in scopes if each])


async def verified(state: StateDirectory) -> subprocess.CompletedProcess[str]:
    """Run `usage verify` in a process of its own."""
    return await asyncio.to_thread(
        subprocess.run,
        [
            *(sys.executable, "-m", "smart_llmrouter", "usage", "verify"),
            *("--config", str(state.path.parent / "router.yaml")),
        ],
        env={**os.environ, "ACME_API_KEY": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * PATIENCE_S,
    )


async def test_counters_that_are_right_are_proved(state: StateDirectory) -> None:
    """Those that came from records, and those of calls that were counted since."""
    record(state, a_call(next(NUMBERS), int(time.time() * 1000), 7))
    async with running(state) as router:
        await router.call(nusd=5)

        proved = await verified(state)

    assert proved.stderr == ""
    assert proved.returncode == 0
    assert "\nbudgets in the counter store: 3 compared\n" in proved.stdout
    assert proved.stdout.startswith("2 calls, charged 12 nano-dollars: ")
    assert "\nall that was compared is right; what waits was not, " in proved.stdout


async def test_counters_that_are_wrong_are_named(state: StateDirectory) -> None:
    """By scope and budget, those that are ahead and those that are behind."""
    async with running(state) as router:
        await router.call(nusd=5)
        for _ in range(2):
            await router.call([router.scopes[0]], nusd=1000, recorded=False)
        record(state, a_call(next(NUMBERS), int(time.time() * 1000)))

        found = await verified(state)

    assert found.returncode == 1
    assert sorted(found.stderr.splitlines()) == [
        f"WRONG {CALLER} lifetime.requests: 2 by the records, 3 by the counter store",
        (
            f"WRONG {CALLER} lifetime.usd: 5 nano-dollars by the records, "
            "2,005 nano-dollars by the counter store"
        ),
        f"WRONG {PROJECT} lifetime.tokens: 20 by the records, 10 by the counter store",
    ]
    assert "all totals are right" not in found.stdout


async def test_a_store_that_is_away_proves_nothing(
    state: StateDirectory, server: ValkeyServer
) -> None:
    """That is no agreement."""
    server.stop()

    found = await verified(state)

    assert found.returncode == 1
    assert found.stderr.startswith("WRONG counter store: it cannot be asked what it ")
    assert found.stderr.endswith("; --no-counters leaves it out\n")
    assert "all totals are right" not in found.stdout
