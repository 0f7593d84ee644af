"""`kill -9` at any moment: each call that a caller saw answered is on record, once."""

import asyncio
import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from smart_llmrouter.ledger.ingester_loop import read_status
from smart_llmrouter.mockprovider.script import Step
from tests.conftest import SOAK
from tests.support.gateway import Gateway, configuration, provider, running_gateway
from tests.support.ledger import StateDirectory
from tests.support.load import Seen, under_load
from tests.support.mock import Mock, running_mock
from tests.support.process import children, is_running
from tests.support.wait import eventually

CALLERS = 200
ROUNDS = 60 if SOAK else 2
INGESTER_KILLS = 20 if SOAK else 3
SEED = random.randrange(2**32)

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200 if SOAK else 600)]


@asynccontextmanager
async def routed(tmp_path: Path) -> AsyncGenerator[tuple[Gateway, Mock]]:
    """Run a router in front of a mock whose answers take their time."""
    async with running_mock() as mock:
        mock.always(Step(delay_first_ms=30, delay_between_ms=2, words=10))
        settings = configuration(
            {"acme": provider(mock.base_url)}, diagnostics={"decisions": "all"}
        )
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway, mock


def kill(gateway: Gateway) -> None:
    """Kill the router, which has no say in it."""
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait()


async def all_on_record(gateway: Gateway, ids: list[str]) -> None:
    """Wait until the journal is empty but for the segment that is being written."""
    wanted = set(ids)
    await eventually(
        lambda: wanted <= {row["request_id"] for row in gateway.rows()},
        what="a row for each answered call",
    )
    await eventually(
        lambda: len(list(gateway.state.glob("journal/*.jsonl"))) == 1,
        what="the end of the old segments",
    )


def times_on_record(gateway: Gateway) -> Counter[str]:
    """Count the rows of each request id."""
    return Counter(row["request_id"] for row in gateway.rows())


async def all_decided(gateway: Gateway) -> None:
    """Wait until there is how each recorded call was decided, once, and no other."""
    state = StateDirectory(gateway.state)
    await eventually(
        lambda: state.decided_ids() == state.request_ids(),
        what="a decision for each recorded call",
    )


async def test_killed_in_the_middle_of_200_calls(tmp_path: Path) -> None:
    """After a restart there is exactly one row for every call that was answered."""
    chance = random.Random(SEED)
    answered: list[str] = []
    async with routed(tmp_path) as (gateway, _):
        for _ in range(ROUNDS):
            moment = chance.randrange(1, 6 * CALLERS)
            async with under_load(gateway, callers=CALLERS, chance=chance) as seen:
                await eventually(_at_least(seen, moment), what="the moment")
                kill(gateway)
            answered += seen.whole
            await gateway.start()
        await all_on_record(gateway, answered)
        await all_decided(gateway)
        rows = times_on_record(gateway)

    assert len(answered) == len(set(answered))
    assert {rows[each] for each in answered} == {1}, f"seed {SEED}"
    assert set(rows.values()) == {1}, f"seed {SEED}"
    assert "Traceback" not in gateway.log


def _at_least(seen: Seen, count: int) -> Callable[[], bool]:
    """Return a condition: so many calls were answered."""
    return lambda: len(seen.whole) >= count


async def test_the_ingester_killed_under_load(tmp_path: Path) -> None:
    """It is started again, and nothing is lost or doubled."""
    chance = random.Random(SEED)
    async with routed(tmp_path) as (gateway, _):
        killed: list[int] = []
        async with under_load(gateway, callers=20, chance=chance) as seen:
            for turn in range(INGESTER_KILLS):
                (ingester,) = await eventually(
                    # One that was killed is a child until its end is taken note of.
                    lambda: [pid for pid in children(gateway.pid) if pid not in killed],
                    what="an ingester",
                )
                await eventually(_at_least(seen, 100 * (turn + 1)))
                os.kill(ingester, signal.SIGKILL)
                killed.append(ingester)
                await eventually(lambda: not is_running(killed[-1]))
        status = await gateway.stop()
        await all_decided(gateway)
        rows = times_on_record(gateway)

    assert status == 0
    assert "Traceback" not in gateway.log
    assert set(seen.whole) <= rows.keys()
    assert set(rows.values()) == {1}, f"seed {SEED}"
    assert len(set(killed)) == INGESTER_KILLS


async def test_router_and_ingester_killed_together(tmp_path: Path) -> None:
    """Nothing survives but the files, and they hold every answered call."""
    chance = random.Random(SEED)
    answered: list[str] = []
    async with routed(tmp_path) as (gateway, _):
        for _ in range(ROUNDS):
            (ingester,) = children(gateway.pid)
            moment = chance.randrange(1, 300)
            async with under_load(gateway, callers=50, chance=chance) as seen:
                await eventually(_at_least(seen, moment))
                os.kill(ingester, signal.SIGKILL)
                kill(gateway)
            answered += seen.whole
            await gateway.start()
        await all_on_record(gateway, answered)
        await all_decided(gateway)
        rows = times_on_record(gateway)

    assert {rows[each] for each in answered} == {1}, f"seed {SEED}"
    assert set(rows.values()) == {1}, f"seed {SEED}"


def _has_taken_over(gateway: Gateway, ingester: int) -> bool:
    """Say whether this ingester is the one that holds the lock."""
    status = read_status(gateway.state)
    return status is not None and status.pid == ingester


def _stopped_between_transactions(gateway: Gateway, ingester: int) -> bool:
    """Stop the ingester; let it go on where it holds a lock of the database."""
    os.kill(ingester, signal.SIGSTOP)
    try:
        with closing(sqlite3.connect(gateway.state / "usage.sqlite")) as connection:
            connection.execute("PRAGMA busy_timeout=0")
            connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        os.kill(ingester, signal.SIGCONT)
        return False
    return True


async def test_the_killed_routers_ingester_beside_the_new_one(tmp_path: Path) -> None:
    """The new ingester waits until the old one has finished; no row is there twice."""
    chance = random.Random(SEED)
    async with routed(tmp_path) as (gateway, _):
        (old,) = children(gateway.pid)
        await eventually(lambda: _has_taken_over(gateway, old))
        await eventually(lambda: _stopped_between_transactions(gateway, old))
        async with under_load(gateway, callers=50, chance=chance) as seen:
            await eventually(_at_least(seen, 200))
            kill(gateway)
        await gateway.start()
        (new,) = children(gateway.pid)
        waiting = is_running(old) and is_running(new) and not gateway.rows()
        async with under_load(gateway, callers=50, chance=chance) as later:
            await eventually(_at_least(later, 200))
            os.kill(old, signal.SIGCONT)
            await eventually(lambda: not is_running(old))
        await all_on_record(gateway, seen.whole + later.whole)
        rows = times_on_record(gateway)

    assert waiting
    assert set(rows.values()) == {1}, f"seed {SEED}"


async def test_killed_again_and_again_while_it_starts(tmp_path: Path) -> None:
    """A start that is cut short leaves nothing that hinders the next."""
    chance = random.Random(SEED)
    async with routed(tmp_path) as (gateway, _):
        async with under_load(gateway, callers=20, chance=chance) as seen:
            await eventually(_at_least(seen, 50))
            kill(gateway)
        for _ in range(ROUNDS):
            with suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(0, 1.2)):
                    await gateway.start()
            kill(gateway)
        await gateway.start()
        await all_on_record(gateway, seen.whole)
        rows = times_on_record(gateway)

    assert set(rows.values()) == {1}, f"seed {SEED}"
