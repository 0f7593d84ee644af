"""Long runs: half an hour of everything at once, and a database of millions of rows.

The usual test run does the same for some seconds and some thousand rows.
"""

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import pytest

from bench.page import SOAK_FILE, Soak
from smart_llmrouter.ledger.interval import Interval
from smart_llmrouter.ledger.reports.report import Circumstances, make_report
from smart_llmrouter.ledger.reports.source import Question
from smart_llmrouter.stores.database import open_for_reading
from tests.conftest import SOAK
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.gauges import settled
from tests.support.ledger import NOON_MS, a_record, state_in
from tests.support.line import Line, chat, line_to
from tests.support.mock import mock_process
from tests.support.process import children, open_files, resident_bytes

MIB: Final = 1024 * 1024
MINUTES: Final = 30 if SOAK else 0.1
PACE_S: Final = 0.15
SAMPLE_EVERY_S: Final = 5.0 if SOAK else 0.5
CALLERS: Final = 16
AT_LEAST: Final = 120
"""After so many calls memory is warm, however slow the machine is."""
ROWS: Final = 2_000_000 if SOAK else 20_000

Memory = dict[str, list[tuple[float, float]]]

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200 if SOAK else 600)]

FAULTS: Final[tuple[dict[str, object], ...]] = (
    {"status": 500},
    {"status": 429, "retry_after": 1},
    {"hang_up_at_byte": 30},
    {"hang_up_at_byte": 300, "rst": True},
    {"malformed_json": True},
    {"malformed_http": "status-line"},
    {"error_in_stream": {"after_events": 3}},
    {"end_after_events": 4},
    {"no_done": True},
    {"no_usage": True},
    {"drip": {"bytes": 200, "every_ms": 1}},
    {"huge_bytes": 300_000},
    {"delay_first_ms": 200},
    {"comments": 3, "crlf": True},
)


class Traffic:
    """Callers that call, rest and call again, with every kind of fault."""

    def __init__(self, gateway: Gateway, *, until_s: float) -> None:
        """Call until the monotonic clock shows `until_s`, and some calls at least."""
        self._gateway = gateway
        self._until_s = until_s
        self._chance = random.Random(7)
        self.ended: list[str] = []

    async def run(self) -> None:
        """Let all callers call, to the end."""
        async with asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(self._call())

    async def _call(self) -> None:
        async with line_to(self._gateway) as line:
            while time.monotonic() < self._until_s or len(self.ended) < AT_LEAST:
                line.send(self._next())
                self.ended.append(await _heard_out(line))
                # This is the pace of the load, not a wait for anything.
                await asyncio.sleep(self._chance.random() * 2 * PACE_S)

    def _next(self) -> bytes:
        stream = self._chance.random() < 0.5
        if self._chance.random() < 0.7:
            return chat("an ordinary question", stream=stream)
        fault = self._chance.choice(FAULTS)
        # Some faults hit the first target only, and the second one answers.
        narrowed = {"model": "first"} if self._chance.random() < 0.5 else {}
        marker = json.dumps({**fault, **narrowed})
        return chat(f"[[mock: {marker}]]", stream=stream)


async def _heard_out(line: Line) -> str:
    """Hear an answer to its end; return its request id."""
    head = await line.head()
    if head.headers.get("transfer-encoding") == "chunked":
        while await line.chunk():
            pass
    else:
        await line.reader.readexactly(int(head.headers["content-length"]))
    return head.request_id


def _two_targets(url: str) -> dict[str, object]:
    first = provider(url)
    first["models"]["mini"]["model"] = "first"
    second = provider(url)
    second["models"]["mini"]["model"] = "second"
    return configuration(
        {"one": first, "two": second}, callers=[caller(metrics_admin=True)]
    )


async def test_mixed_load_with_faults_leaves_memory_flat_and_every_row_there(
    tmp_path: Path,
) -> None:
    """Whatever the providers do, nothing piles up, and no call goes unrecorded."""
    seconds = MINUTES * 60
    with mock_process() as url:
        settings = _two_targets(f"{url}/v1")
        async with running_gateway(tmp_path, settings) as gateway:
            began_s = time.monotonic()
            async with sampled(gateway, began_s=began_s) as memory:
                warm_up = Traffic(gateway, until_s=began_s + seconds / 5)
                await warm_up.run()
                resident, files = resident_bytes(gateway.pid), open_files(gateway.pid)
                traffic = Traffic(gateway, until_s=began_s + seconds)
                await traffic.run()
                await settled(gateway)
            grown = resident_bytes(gateway.pid) - resident
            more_files = open_files(gateway.pid) - files
            ended = warm_up.ended + traffic.ended
            rows = await gateway.recorded(len(ended))
            status = await gateway.stop()

    if SOAK:
        keep_memory(memory, calls=len(ended))
    print(f"{len(ended)} calls, {grown / MIB:.1f} MiB more, {more_files} more files")
    assert sorted(row["request_id"] for row in rows) == sorted(ended)
    assert grown < 8 * MIB
    assert more_files <= CALLERS
    assert status == 0
    assert "Traceback" not in gateway.log
    assert set(memory) == {"worker", "ingester"}


@asynccontextmanager
async def sampled(gateway: Gateway, *, began_s: float) -> AsyncIterator[Memory]:
    """Take samples of the memory of the router's processes while the block runs."""
    memory: Memory = {"worker": [], "ingester": []}

    async def sample() -> None:
        while True:
            for name, pid in zip(
                memory, [gateway.pid, *children(gateway.pid)], strict=False
            ):
                at_s = round(time.monotonic() - began_s, 1)
                memory[name].append((at_s, round(resident_bytes(pid) / MIB, 2)))
            # This is the pace of the samples, not a wait for anything.
            await asyncio.sleep(SAMPLE_EVERY_S)

    async with asyncio.TaskGroup() as tasks:
        sampling = tasks.create_task(sample())
        yield memory
        sampling.cancel()


def keep_memory(memory: Memory, *, calls: int) -> None:
    """Keep the samples where `python -m bench.page` finds them."""
    kept = Soak(
        at=datetime.now(UTC).isoformat("T", "seconds"), calls=calls, memory=memory
    )
    SOAK_FILE.parent.mkdir(exist_ok=True)
    SOAK_FILE.write_bytes(msgspec.json.encode(kept))


def test_a_database_of_millions_of_rows_adds_up(tmp_path: Path) -> None:
    """Every record becomes one row, and the report's totals are the records' sums."""
    state = state_in(tmp_path)
    state.journalled(
        a_record(number, input_tokens=number % 1000, total_cost_nusd=number)
        for number in range(ROWS)
    )
    ingester = state.ingester(block_bytes=1 << 20)

    began_s = time.monotonic()
    while ingester.advance().more:
        pass
    ingested_s = time.monotonic() - began_s
    with (
        closing(sqlite3.connect(state.database)) as raw,
        open_for_reading(state.url).connect() as connection,
    ):
        (count,) = raw.execute("SELECT count(*) FROM request_usage").fetchone()
        began_s = time.monotonic()
        report = make_report(
            connection,
            Question(interval=Interval(NOON_MS, NOON_MS + ROWS)),
            made=Circumstances(made_ms=0, router_version="0"),
        )
        reported_s = time.monotonic() - began_s

    print(
        f"{ROWS} rows: ingested in {ingested_s:.1f} s, reported in {reported_s:.1f} s"
    )
    assert count == ROWS
    assert report.totals.measures.calls == ROWS
    assert report.totals.measures.cost_nusd.total == ROWS * (ROWS - 1) // 2
