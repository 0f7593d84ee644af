"""Several workers on one port: who dies, who takes over, and what is lost: nothing."""

import asyncio
import itertools
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smart_llmrouter.mockprovider.script import Step
from tests.conftest import SOAK
from tests.support.gateway import (
    Gateway,
    caller,
    configuration,
    free_port,
    provider,
    running_gateway,
)
from tests.support.gauges import gauge
from tests.support.line import Line, chat, line_to
from tests.support.load import under_load
from tests.support.mock import Mock, running_mock
from tests.support.plain_clients import without_tls
from tests.support.process import (
    arguments,
    children,
    holds_connection,
    is_running,
    open_files,
    thread_count,
)
from tests.support.puppet import completion, running_puppet
from tests.support.secure_gateway import SecureGateway
from tests.support.upstream_server import AUTHORITY, CERTIFICATES, KEY_FILE
from tests.support.wait import PATIENCE_S, NeverHappened, eventually

WORKERS = 2
CALLS = 20_000 if SOAK else 1_280
SEED = random.randrange(2**32)

pytestmark = pytest.mark.timeout(600)


def settings_for(base_url: str, **server: object) -> dict[str, Any]:
    """Return a configuration with two workers and one caller, who may see metrics."""
    return configuration(
        {"acme": provider(base_url)},
        server={"workers": WORKERS, **server},
        callers=[caller(metrics_admin=True)],
    )


@asynccontextmanager
async def routed(
    tmp_path: Path, step: Step | None = None
) -> AsyncGenerator[tuple[Gateway, Mock]]:
    """Run a router with two workers in front of a mock; all of them are up."""
    async with running_mock() as mock:
        mock.always(step or Step(words=5))
        async with running_gateway(tmp_path, settings_for(mock.base_url)) as gateway:
            await until_up(gateway)
            yield gateway, mock


async def until_up(gateway: Gateway, *, restarts: int = 0) -> None:
    """Wait until all workers are up, some of them after having been started again."""

    async def all_up() -> bool:
        # Whom a worker has taken on that was killed loses the connection.
        with suppress(httpx2.TransportError):
            report = await readiness(gateway)
            up: bool = report["workers"] == {"wanted": WORKERS, "up": WORKERS}
            return up and await gauge(gateway, "worker_restarts_total") == restarts
        return False

    await eventually(all_up, what="all workers")


async def readiness(gateway: Gateway) -> dict[str, Any]:
    """Return the report of `/readyz`."""
    async with gateway.http(None) as client:
        report: dict[str, Any] = (await client.get("/readyz")).json()
    return report


def workers_of(gateway: Gateway) -> list[int]:
    """Return the process ids of the workers."""
    own = arguments(gateway.pid)
    return [pid for pid in children(gateway.pid) if arguments(pid) == own]


def ingester_of(gateway: Gateway) -> int:
    """Return the process id of the one ingester."""
    (found,) = [pid for pid in children(gateway.pid) if is_ingester(pid)]
    return found


def is_ingester(pid: int) -> bool:
    """Say whether a process is an ingester."""
    return b"ingest_command" in arguments(pid)


async def line_of(gateway: Gateway, worker: int, stack: AsyncExitStack) -> Line:
    """Open connections until one of them is accepted by `worker`."""
    for _ in range(200):
        line = await stack.enter_async_context(line_to(gateway))
        line.send(b"GET /healthz HTTP/1.1\r\nhost: router\r\n\r\n")
        await line.answer()
        _, port = line.writer.get_extra_info("sockname")
        if holds_connection(worker, port):
            return line
    raise NeverHappened("no connection reached that worker")


async def calls_shown(gateway: Gateway) -> float:
    """Return how many calls `/metrics` tells of, by a connection of its own."""
    async with gateway.http() as client:
        text = (await client.get("/metrics")).text
    lines = [each for each in text.splitlines() if "router_calls_total{" in each]
    return sum(float(each.split()[-1]) for each in lines)


async def calls_shown_by_any(gateway: Gateway) -> float | None:
    """Return them, but not where the one that was asked is killed meanwhile."""
    with suppress(httpx2.TransportError):
        return await calls_shown(gateway)
    return None


async def test_the_port_and_the_counts_are_shared(tmp_path: Path) -> None:
    """Both workers take calls, and whichever is asked has counted those of both."""
    async with routed(tmp_path) as (gateway, _), AsyncExitStack() as stack:
        workers = workers_of(gateway)
        threads = thread_count(gateway.pid)
        lines = [await stack.enter_async_context(line_to(gateway)) for _ in range(40)]
        ports = [line.writer.get_extra_info("sockname")[1] for line in lines]
        for line in lines:
            line.send(chat())
        answers = [await line.answer() for line in lines]
        taken = [sum(holds_connection(pid, port) for port in ports) for pid in workers]
        shown = [await calls_shown(gateway) for _ in range(12)]
        rows = await gateway.recorded(40)

    assert len(workers) == WORKERS
    assert threads == 1
    assert all(taken)
    assert sum(taken) == 40
    assert {answer.status for answer in answers} == {200}
    assert shown == [40.0] * 12
    ids = {answer.request_id for answer in answers}
    assert {row["request_id"] for row in rows} == ids


@pytest.mark.soak
async def test_every_answer_has_its_row(tmp_path: Path) -> None:
    """Over 64 connections and two journals there are as many rows as answers."""
    async with routed(tmp_path) as (gateway, _), AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line_to(gateway)) for _ in range(64)]
        before = [cpu_s(pid) for pid in workers_of(gateway)]
        answered = await asyncio.gather(
            *(calls_on(line, CALLS // 64) for line in lines)
        )
        used_s = [
            cpu_s(pid) - then
            for pid, then in zip(workers_of(gateway), before, strict=True)
        ]
        shown = await calls_shown(gateway)
        status = await gateway.stop()
        rows = Counter(row["request_id"] for row in gateway.rows())

    answers = Counter(itertools.chain.from_iterable(answered))
    assert rows == answers
    assert rows.total() == len(rows) == shown == CALLS // 64 * 64
    assert all(used_s)
    assert status == 0


async def calls_on(line: Line, count: int) -> list[str]:
    """Make calls on a connection, one after the other; return their request ids."""
    ids = []
    for _ in range(count):
        line.send(chat())
        answer = await line.answer()
        assert answer.status == 200
        ids.append(answer.request_id)
    return ids


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_each_process_of_a_worker_is_told_apart(tmp_path: Path) -> None:
    """What the system says of a process is shown for each worker."""
    async with routed(tmp_path) as (gateway, _):
        async with gateway.http() as client:
            text = (await client.get("/metrics")).text
        version = [
            line.split()[0].removeprefix("smart_llmrouter_process_open_fds")
            for line in text.splitlines()
            if line.startswith("smart_llmrouter_process_open_fds")
        ]
        up = await gauge(gateway, "workers_up")
        wanted = await gauge(gateway, "workers")

    assert version == ['{worker="1"}', '{worker="2"}']
    assert (wanted, up) == (WORKERS, WORKERS)


async def test_a_killed_worker_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    """What it answered is on record, what it counted stays so, the others go on."""
    chance = random.Random(SEED)
    async with routed(tmp_path) as (gateway, _):
        async with under_load(gateway, callers=30, chance=chance) as seen:
            await eventually(lambda: len(seen.whole) >= 200)
            victim = workers_of(gateway)[0]
            before = await calls_shown(gateway)
            os.kill(victim, signal.SIGKILL)
            after = await eventually(
                lambda: calls_shown_by_any(gateway), what="the calls of both"
            )
            await until_up(gateway, restarts=1)
            whole = len(seen.whole)
            await eventually(lambda: len(seen.whole) >= whole + 50)
        again = await calls_shown(gateway)
        survivors = workers_of(gateway)
        status = await gateway.stop()
        rows = Counter(row["request_id"] for row in gateway.rows())

    assert victim not in survivors
    assert len(survivors) == WORKERS
    assert after is not None
    assert before <= after <= again
    assert set(seen.whole) <= rows.keys(), f"seed {SEED}"
    assert set(rows.values()) == {1}
    assert status == 0
    assert '"what": "worker 1", "status": -9' in gateway.log
    assert "Traceback" not in gateway.log


async def test_a_missing_worker_degrades(tmp_path: Path) -> None:
    """The readiness report says how many are up, as long as one is not."""
    async with routed(tmp_path) as (gateway, _):
        # Killed again and again, it stays away for longer each time.
        for restarts in range(1, 4):
            os.kill(workers_of(gateway)[0], signal.SIGKILL)
            if restarts < 3:
                await until_up(gateway, restarts=restarts)

        kills = 3

        async def degraded() -> dict[str, Any] | None:
            nonlocal kills
            with suppress(httpx2.TransportError):
                report = await readiness(gateway)
                if report["status"] == "degraded":
                    return report
                if await gauge(gateway, "worker_restarts_total") == kills:
                    # It is back already, unseen: once more, and for longer.
                    os.kill(workers_of(gateway)[0], signal.SIGKILL)
                    kills += 1
            return None

        report = await eventually(degraded, what="a degraded router")
        await until_up(gateway, restarts=kills)
        ready = await readiness(gateway)

    assert report is not None
    assert report["workers"] == {"wanted": 2, "up": 1}
    assert report["parts"]["workers"].startswith("1 of 2 are up")
    assert ready["status"] == "ready"
    assert ready["parts"]["workers"] == "ok"


async def test_a_worker_that_hangs_is_noticed(tmp_path: Path) -> None:
    """It has not ended, but whoever asks the others learns that it does not serve."""
    async with routed(tmp_path) as (gateway, _), AsyncExitStack() as stack:
        well, hanging = workers_of(gateway)
        asks = await line_of(gateway, well, stack)
        os.kill(hanging, signal.SIGSTOP)

        async def seen(text: str) -> dict[str, Any] | None:
            asks.send(b"GET /readyz HTTP/1.1\r\nhost: router\r\n\r\n")
            report: dict[str, Any] = json.loads((await asks.answer()).body)
            return report if report["parts"]["workers"].startswith(text) else None

        try:
            stopped = await eventually(
                lambda: seen("1 of 2 are up; worker "),
                what="the hang",
            )
        finally:
            os.kill(hanging, signal.SIGCONT)
        again = await eventually(lambda: seen("ok"), what="its return")
        pids = workers_of(gateway)

    assert stopped is not None
    assert again is not None
    assert stopped["status"] == "degraded"
    assert stopped["workers"] == {"wanted": 2, "up": 1}
    assert (again["status"], pids) == ("ready", [well, hanging])


async def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    """They end with it, the next router starts, and each answered call has its row."""
    chance = random.Random(SEED)
    async with routed(tmp_path) as (gateway, _):
        async with under_load(gateway, callers=30, chance=chance) as seen:
            await eventually(lambda: len(seen.whole) >= 200)
            processes = children(gateway.pid)
            await gateway.stop(signal.SIGKILL)
            await eventually(
                lambda: not any(is_running(each) for each in processes),
                what="the end of all of its processes",
            )
        await gateway.start()
        await until_up(gateway)
        wanted = set(seen.whole)
        await eventually(
            lambda: wanted <= {row["request_id"] for row in gateway.rows()},
        )
        rows = Counter(row["request_id"] for row in gateway.rows())

    assert len(processes) == WORKERS + 1
    assert set(rows.values()) == {1}, f"seed {SEED}"
    assert "Traceback" not in gateway.log


@pytest.mark.parametrize("everybody", [False, True], ids=["parent", "everybody"])
async def test_what_is_in_flight_in_each_worker_is_finished(
    tmp_path: Path, *, everybody: bool
) -> None:
    """A stop ends gracefully, also when all processes are told, as a service is."""
    async with (
        running_puppet() as puppet,
        running_gateway(
            tmp_path, settings_for(puppet.base_url, shutdown_grace_s=60)
        ) as gateway,
        AsyncExitStack() as stack,
    ):
        await until_up(gateway)
        processes = children(gateway.pid)
        lines, calls = [], []
        for worker in workers_of(gateway):
            line = await line_of(gateway, worker, stack)
            line.send(chat())
            lines.append(line)
            calls.append(await puppet.call())
        for pid in [gateway.pid, *(processes if everybody else [])]:
            os.kill(pid, signal.SIGTERM)
        await eventually(lambda: refuses(gateway))
        for call in calls:
            call.write(completion())
        answers = [await line.answer() for line in lines]
        assert gateway.process is not None
        status = await asyncio.to_thread(gateway.process.wait, PATIENCE_S)
        rows = gateway.rows()

    assert [answer.status for answer in answers] == [200] * WORKERS
    assert status == 0
    assert [row["status"] for row in rows] == [200] * WORKERS
    assert list(gateway.state.glob("journal/*.jsonl")) == []
    assert not any(is_running(each) for each in processes)
    assert "child ended" not in gateway.log
    assert "Traceback" not in gateway.log


def refuses(gateway: Gateway) -> bool:
    """Say whether the router accepts no connection any more."""
    host, port = gateway.url.removeprefix("http://").split(":")
    with closing(socket.socket()) as probe:
        return probe.connect_ex((host, int(port))) != 0


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """Asked twice, all workers tell their callers and go, with all on record."""
    async with (
        running_puppet() as puppet,
        running_gateway(
            tmp_path, settings_for(puppet.base_url, shutdown_grace_s=60)
        ) as gateway,
        AsyncExitStack() as stack,
    ):
        await until_up(gateway)
        lines = []
        for worker in workers_of(gateway):
            line = await line_of(gateway, worker, stack)
            line.send(chat())
            lines.append(line)
            await puppet.call()
        os.kill(gateway.pid, signal.SIGINT)
        await eventually(lambda: refuses(gateway))
        began = time.monotonic()
        os.kill(gateway.pid, signal.SIGINT)
        answers = [await line.answer() for line in lines]
        assert gateway.process is not None
        status = await asyncio.to_thread(gateway.process.wait, PATIENCE_S)
        took_s = time.monotonic() - began
        rows = gateway.rows()

    assert [answer.error_code for answer in answers] == ["shutting-down"] * WORKERS
    assert [row["error_code"] for row in rows] == ["shutting-down"] * WORKERS
    assert status == 0
    assert took_s < 40
    assert "Traceback" not in gateway.log


async def test_a_worker_that_is_told_to_stop_finishes_and_is_replaced(
    tmp_path: Path,
) -> None:
    """New connections go to the others meanwhile, and its call is answered."""
    async with (
        running_puppet() as puppet,
        running_gateway(
            tmp_path, settings_for(puppet.base_url, shutdown_grace_s=60)
        ) as gateway,
        AsyncExitStack() as stack,
    ):
        await until_up(gateway)
        worker = workers_of(gateway)[0]
        line = await line_of(gateway, worker, stack)
        line.send(chat())
        call = await puppet.call()
        before = open_files(worker)
        os.kill(worker, signal.SIGTERM)
        # The socket that it listened on is closed.
        await eventually(lambda: open_files(worker) < before)
        meanwhile = [await alive(gateway) for _ in range(30)]
        draining = is_running(worker)
        call.write(completion())
        answer = await line.answer()
        await until_up(gateway, restarts=1)
        workers = workers_of(gateway)

    assert meanwhile == [200] * 30
    assert draining
    assert answer.status == 200
    assert worker not in workers
    assert len(workers) == WORKERS


async def alive(gateway: Gateway) -> int:
    """Return the status of `/healthz`, asked for on a connection of its own."""
    async with without_tls(trust_env=False) as client:
        return (await client.get(f"{gateway.url}/healthz")).status_code


async def test_the_ingester_is_kept_for_all(tmp_path: Path) -> None:
    """There is one, it is started again when it dies, and all rows arrive."""
    async with routed(tmp_path) as (gateway, _):
        first = ingester_of(gateway)
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: not is_running(first))
        async with gateway.http() as client:
            for _ in range(3):
                await client.post(
                    "/v1/chat/completions",
                    json={
                        "model": "chat",
                        "messages": [{"role": "user", "content": "x"}],
                    },
                )
        rows = await gateway.recorded(3)
        second = ingester_of(gateway)
        status = await gateway.stop()

    assert len(rows) == 3
    assert second != first
    assert status == 0
    assert '"what": "ingester", "status": -9' in gateway.log


def try_to_serve(
    directory: Path, settings: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    """Start a router that cannot run, and return how it ended."""
    directory.mkdir(exist_ok=True)
    (directory / "router.yaml").write_text(json.dumps(settings))
    return subprocess.run(
        [sys.executable, "-m", "smart_llmrouter", "serve"],
        cwd=directory,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_if_a_worker_cannot_start_none_does(tmp_path: Path) -> None:
    """The reason of the worker is the router's, told once, with exit status 1."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal").write_text("a file")

    tried = try_to_serve(tmp_path, settings_for("http://127.0.0.1:9/v1"))

    assert tried.returncode == 1, tried.stderr
    assert tried.stderr.count("error: the journal cannot be written") == 1
    assert "Traceback" not in tried.stderr


async def test_the_port_of_several_workers_is_theirs_alone(tmp_path: Path) -> None:
    """Another router, of one worker or more, is refused it and gets no call."""
    async with routed(tmp_path) as (gateway, _):
        address = gateway.settings["server"]["listen"]
        tried = [
            await asyncio.to_thread(
                try_to_serve,
                tmp_path / f"other-{workers}",
                settings_for("http://127.0.0.1:9/v1", listen=address, workers=workers),
            )
            for workers in (1, 2)
        ]

    for each in tried:
        assert each.returncode == 1
        assert "in use" in each.stderr
        assert address in each.stderr


async def test_a_tls_session_goes_on_in_another_worker(tmp_path: Path) -> None:
    """Callers that come back need no full handshake, whichever worker they reach."""
    tls = {"cert_file": str(CERTIFICATES / "good.pem"), "key_file": str(KEY_FILE)}
    settings = settings_for("http://127.0.0.1:9/v1", tls=tls)
    host, port = settings["server"]["listen"].split(":")
    context = ssl.create_default_context(cafile=AUTHORITY)
    # Before 1.3 the session is there as soon as the connection is.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    gateway = SecureGateway(tmp_path, settings)
    try:
        await gateway.start()
        await eventually(lambda: len(workers_of(gateway)) == WORKERS)
        begun: list[ssl.SSLSession | None] = [None]
        resumed = []
        for _ in range(20):
            connected = await asyncio.to_thread(
                connect, (host, int(port)), context, begun[0]
            )
            with closing(connected):
                resumed.append(connected.session_reused)
                begun[0] = begun[0] or connected.session
    finally:
        status = await gateway.stop()

    assert resumed == [False] + [True] * 19
    assert status == 0


def connect(
    address: tuple[str, int], context: ssl.SSLContext, session: ssl.SSLSession | None
) -> ssl.SSLSocket:
    """Connect and shake hands, with a session where there is one."""
    plain = socket.create_connection(address, timeout=PATIENCE_S)
    return context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)


async def test_a_stop_while_starting_is_a_stop(tmp_path: Path) -> None:
    """Stopped at any moment of its start, the router ends with nothing left over."""
    settings = settings_for("http://127.0.0.1:9/v1", listen=f"127.0.0.1:{free_port()}")
    (tmp_path / "router.yaml").write_text(json.dumps(settings))
    chance = random.Random(SEED)
    ended = []
    for _ in range(3):
        router = subprocess.Popen(
            [sys.executable, "-m", "smart_llmrouter", "serve"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        await eventually(lambda: children(router.pid))  # noqa: B023 - at once
        await asyncio.sleep(chance.uniform(0, 0.2))  # the moment, not a wait
        processes = children(router.pid)
        router.terminate()
        _, said = await asyncio.to_thread(router.communicate, None, PATIENCE_S)
        ended.append((router.returncode, b"Traceback" in said))
        assert not any(is_running(each) for each in processes)

    assert ended == [(0, False)] * 3, f"seed {SEED}"
