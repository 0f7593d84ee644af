"""Memory, threads and files of a router that works: flat, however long it works."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.conftest import SOAK
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    provider,
    running_gateway,
)
from tests.support.gauges import settled
from tests.support.line import Line, chat, line_to, request
from tests.support.mock import mock_process, running_mock
from tests.support.process import (
    forget_peak,
    open_files,
    peak_resident_bytes,
    resident_bytes,
    thread_count,
)
from tests.support.puppet import completion, running_puppet
from tests.support.wait import PATIENCE_S, eventually

MIB: Final = 1024 * 1024
CALLS: Final = 200_000 if SOAK else 20_000
WARM_UP: Final = CALLS // 4
CONNECTIONS: Final = 16

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200 if SOAK else 600)]


@asynccontextmanager
async def routed(tmp_path: Path) -> AsyncGenerator[Gateway]:
    """Run a router in front of a mock in a process of its own."""
    with mock_process() as url:
        settings = configuration(
            {"acme": provider(f"{url}/v1")}, callers=[caller(metrics_admin=True)]
        )
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway


class Shift:
    """So many calls, of every kind, over a few connections."""

    def __init__(self, gateway: Gateway, *, calls: int) -> None:
        """Plan `calls` calls."""
        self._gateway = gateway
        self._left = calls
        self._kinds = [
            chat("short"),
            chat("streamed", stream=True),
            chat("long " * 200),
            chat(model="unknown"),
            request("POST", "/v1/chat/completions", body=b"{"),
            chat(key="unknown"),
            request("GET", "/readyz"),
            chat("[[mock: " + json.dumps({"status": 500}) + "]]"),
        ]
        self._weights = [60, 20, 5, 3, 3, 3, 1, 5]
        self._chance = random.Random(64)

    async def run(self) -> None:
        """Make the calls."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(CONNECTIONS):
                workers.create_task(self._work())

    async def _work(self) -> None:
        async with line_to(self._gateway) as line:
            while self._left > 0:
                self._left -= 1
                (data,) = self._chance.choices(self._kinds, self._weights)
                line.send(data)
                await _answered(line)


async def _answered(line: Line) -> None:
    """Read an answer to its end, without looking at it."""
    head = await line.until(b"\r\n\r\n")
    if b"chunked" in head:
        await line.until(b"\r\n0\r\n\r\n")
        return
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    await line.reader.readexactly(length)


async def test_memory_that_grows_until_the_process_is_killed(tmp_path: Path) -> None:
    """Resident memory, threads and open files are flat over many thousand calls."""
    async with routed(tmp_path) as gateway:
        await Shift(gateway, calls=WARM_UP).run()
        warm = resident_bytes(gateway.pid)
        threads, files = thread_count(gateway.pid), open_files(gateway.pid)
        await Shift(gateway, calls=CALLS - WARM_UP).run()
        await settled(gateway)
        grown = resident_bytes(gateway.pid) - warm
        more_threads = thread_count(gateway.pid) - threads
        await eventually(lambda: open_files(gateway.pid) <= files)

    assert grown < 6 * MIB
    assert more_threads <= 4
    assert "Traceback" not in gateway.log


async def test_a_thread_for_each_chunk_of_a_stream(tmp_path: Path) -> None:
    """A hundred open streams of many chunks are served by the threads of one."""
    async with running_mock() as mock:
        mock.always(Step(words=60, delay_between_ms=5))
        settings = configuration({"acme": provider(mock.base_url)})
        async with running_gateway(tmp_path, settings) as gateway:
            before = thread_count(gateway.pid)
            lines: list[asyncio.Task[int]] = [
                asyncio.create_task(_stream(gateway)) for _ in range(100)
            ]
            most = 0
            while not all(task.done() for task in lines):
                most = max(most, thread_count(gateway.pid))
                await asyncio.sleep(0.02)
            statuses = {task.result() for task in lines}

    assert statuses == {200}
    # The pools of the event loop and of the executor, whose sizes are fixed.
    assert most - before <= 8


async def _stream(gateway: Gateway) -> int:
    async with line_to(gateway) as line:
        line.send(chat(stream=True))
        return (await line.answer()).status


async def test_a_large_picture_that_is_copied_many_times(tmp_path: Path) -> None:
    """Twenty megabytes, again and again, cost about four times their size at most."""
    size = 20 * MIB
    async with running_puppet() as puppet:
        settings = configuration({"acme": provider(puppet.base_url)})
        async with running_gateway(tmp_path, settings) as gateway:
            picture = {"url": "data:image/png;base64," + "A" * size}
            content = [{"type": "image_url", "image_url": picture}]
            data = chat(messages=[{"role": "user", "content": content}])
            before = resident_bytes(gateway.pid)
            forget_peak(gateway.pid)
            received, statuses = [], []
            for _ in range(5):
                async with line_to(gateway) as line:
                    line.send(data)
                    call = await puppet.call()
                    received.append(len(call.body))
                    call.write(completion())
                    statuses.append((await line.answer()).status)
            peak = peak_resident_bytes(gateway.pid) - before

    assert statuses == [200] * 5
    assert min(received) > size
    assert peak < 4.5 * size, f"{peak / size:.1f} times its size"


async def test_a_body_over_the_limit_is_not_collected(tmp_path: Path) -> None:
    """Reading stops at the bound, whatever is still on its way."""
    async with running_puppet() as puppet:
        settings = configuration(
            {"acme": provider(puppet.base_url)}, server={"max_request_bytes": MIB}
        )
        async with running_gateway(tmp_path, settings) as gateway:
            before = resident_bytes(gateway.pid)
            forget_peak(gateway.pid)
            head = request("POST", "/v1/chat/completions").replace(
                b"content-length: 0", b"transfer-encoding: chunked"
            )
            async with line_to(gateway) as line:
                line.send(head)
                sending = asyncio.create_task(_send_chunks(line, 64 * MIB))
                refused = await line.answer()
                await asyncio.wait_for(sending, PATIENCE_S)
            peak = peak_resident_bytes(gateway.pid) - before

    assert (refused.status, refused.error_code) == (413, "request-too-large")
    assert peak < 16 * MIB
    assert puppet.connections == 0


async def _send_chunks(line: Line, count: int) -> None:
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with suppress(ConnectionError):
        for _ in range(count // 65536):
            line.send(piece)
            await line.writer.drain()
