"""Starting and stopping: what is in flight ends, what cannot start says why."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import (
    Gateway,
    configuration,
    free_port,
    provider,
    running_gateway,
)
from tests.support.line import Line, chat, line_to
from tests.support.process import arguments, children, is_running
from tests.support.puppet import (
    DONE,
    FINISH,
    USAGE,
    Puppet,
    completion,
    content_event,
    running_puppet,
)
from tests.support.wait import PATIENCE_S, eventually


@asynccontextmanager
async def routed(
    tmp_path: Path, *, grace_s: float = 60
) -> AsyncGenerator[tuple[Gateway, Puppet]]:
    """Run a router process in front of a puppet."""
    async with running_puppet() as puppet:
        settings = configuration(
            {"acme": provider(puppet.base_url)}, server={"shutdown_grace_s": grace_s}
        )
        async with running_gateway(tmp_path, settings) as gateway:
            yield gateway, puppet


def refuses(gateway: Gateway) -> bool:
    """Say whether the router accepts no connection any more."""
    host, port = gateway.url.removeprefix("http://").split(":")
    with closing(socket.socket()) as probe:
        return probe.connect_ex((host, int(port))) != 0


async def ended(gateway: Gateway) -> int:
    """Wait for the process, and return its exit status."""
    assert gateway.process is not None
    return await asyncio.to_thread(gateway.process.wait, PATIENCE_S)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_what_is_in_flight_is_finished(
    tmp_path: Path, how: signal.Signals
) -> None:
    """No new connection is taken, each call ends as usual, and all rows are there."""
    async with (
        routed(tmp_path) as (gateway, puppet),
        line_to(gateway) as plain,
        line_to(gateway) as streamed,
        line_to(gateway) as idle,
    ):
        ingesters = children(gateway.pid)
        idle.send(chat(key=None))
        await idle.answer()
        plain.send(chat())
        plain_call = await puppet.call()
        streamed.send(chat(stream=True))
        stream_call = await puppet.call()
        stream_call.begin_stream()
        stream_call.chunk(content_event("one"))
        await streamed.until(b"one")
        assert gateway.process is not None
        gateway.process.send_signal(how)
        await eventually(lambda: refuses(gateway))
        plain_call.write(completion())
        stream_call.chunk(FINISH + USAGE + DONE)
        stream_call.end_stream()
        answer = await plain.answer()
        rest = await streamed.rest()
        status = await ended(gateway)
        rows = gateway.rows()

    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert rest.endswith(b"0\r\n\r\n")
    assert b"[DONE]" in rest
    assert status == 0
    assert [row["status"] for row in rows] == [200, 200]
    assert list(gateway.state.glob("journal/*.jsonl")) == []
    assert not any(is_running(pid) for pid in ingesters)
    assert "Traceback" not in gateway.log


async def test_what_outlives_the_grace_period_is_told_so(tmp_path: Path) -> None:
    """Streams get an error event, waiting calls a 503, half requests too."""
    async with (
        routed(tmp_path, grace_s=1) as (gateway, puppet),
        line_to(gateway) as plain,
        line_to(gateway) as streamed,
        line_to(gateway) as sending,
    ):
        plain.send(chat())
        plain_call = await puppet.call()
        streamed.send(chat(stream=True))
        stream_call = await puppet.call()
        stream_call.begin_stream()
        stream_call.chunk(content_event("one"))
        await streamed.until(b"one")
        await _half_a_request(sending)
        began = time.monotonic()
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        answer, half, rest = await asyncio.gather(
            plain.answer(), sending.answer(), streamed.rest()
        )
        told_s = time.monotonic() - began
        status = await ended(gateway)
        await asyncio.wait_for(plain_call.left.wait(), PATIENCE_S)
        await asyncio.wait_for(stream_call.left.wait(), PATIENCE_S)
        rows = gateway.rows()

    assert told_s < 30
    assert (answer.status, answer.error_code) == (503, "shutting-down")
    assert answer.headers["retry-after"] == "1"
    assert (half.status, half.error_code) == (503, "shutting-down")
    assert b'"code":"shutting-down"' in rest
    assert b"[DONE]" not in rest
    assert status == 0
    assert [row["error_code"] for row in rows] == ["shutting-down"] * 3
    assert {row["status"] for row in rows} == {503}
    assert "Traceback" not in gateway.log
    assert "Exception" not in gateway.log


async def _half_a_request(line: Line) -> None:
    """Send a head, of which the router says that it has read it, and half a body."""
    head, _, body = chat("x" * 4000, headers={"expect": "100-continue"}).partition(
        b"\r\n\r\n"
    )
    line.send(head + b"\r\n\r\n")
    await line.until(b"100 Continue\r\n\r\n")
    line.send(body[:2000])


async def test_the_end_of_the_ingester_is_expected_while_stopping(
    tmp_path: Path,
) -> None:
    """A signal to router and ingester is no fault, and nothing is started for it."""
    async with (
        routed(tmp_path) as (gateway, puppet),
        line_to(gateway) as line,
    ):
        (ingester,) = children(gateway.pid)
        line.send(chat())
        call = await puppet.call()
        for pid in (gateway.pid, ingester):
            os.kill(pid, signal.SIGTERM)
        await eventually(lambda: refuses(gateway) and not is_running(ingester))
        call.write(completion())
        answer = await line.answer()
        status = await ended(gateway)
        rows = gateway.rows()

    assert (answer.status, status) == (200, 0)
    assert [row["status"] for row in rows] == [200]
    assert "ingester ended" not in gateway.log


def ingesters(router: int) -> list[int]:
    """Return the ingesters of a router; it may have other children while it starts."""
    return [child for child in children(router) if b"ingest" in arguments(child)]


async def test_ctrl_c_reaches_only_the_router(tmp_path: Path) -> None:
    """A terminal interrupts its whole group, also while the ingester still starts."""
    settings = configuration({"acme": provider("http://127.0.0.1:9/v1")})
    (tmp_path / "router.yaml").write_text(json.dumps(settings))
    with (tmp_path / "router.log").open("wb") as log:
        router = subprocess.Popen(
            [sys.executable, "-m", "smart_llmrouter", "serve"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        await eventually(lambda: ingesters(router.pid))
        (ingester,) = ingesters(router.pid)
        os.killpg(router.pid, signal.SIGINT)
        await asyncio.to_thread(router.wait, PATIENCE_S)
    finally:
        # One that did not stop is not left behind.
        router.kill()
        router.wait()
    await eventually(lambda: not is_running(ingester))

    text = (tmp_path / "router.log").read_text()
    assert "Traceback" not in text
    assert "ingester ended" not in text


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """Asked twice, the router tells its callers and goes, with all on record."""
    async with (
        routed(tmp_path, grace_s=60) as (gateway, puppet),
        line_to(gateway) as plain,
    ):
        plain.send(chat())
        await puppet.call()
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        await eventually(lambda: refuses(gateway))
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        answer = await plain.answer()
        status = await ended(gateway)
        took_s = time.monotonic() - began
        rows = gateway.rows()

    assert (answer.status, answer.error_code) == (503, "shutting-down")
    assert took_s < 40
    assert status == 0
    assert [row["error_code"] for row in rows] == ["shutting-down"]
    assert "Traceback" not in gateway.log


async def test_a_caller_that_does_not_read_does_not_hold_the_shutdown_up(
    tmp_path: Path,
) -> None:
    """The router is gone soon after its grace period, with the row written."""
    async with (
        routed(tmp_path, grace_s=1) as (gateway, puppet),
        line_to(gateway, receive_buffer=4096) as line,
    ):
        line.send(chat(stream=True))
        call = await puppet.call()
        call.begin_stream()
        for _ in range(400):
            call.chunk(content_event("x" * 60_000))
        began = time.monotonic()
        status = await gateway.stop()
        took_s = time.monotonic() - began
        rows = gateway.rows()

    assert status == 0
    assert took_s < 40
    assert [row["error_code"] for row in rows] == ["shutting-down"]
    assert "Traceback" not in gateway.log


async def test_idle_connections_do_not_hold_the_shutdown_up(tmp_path: Path) -> None:
    """Connections that wait for their next request are closed at once."""
    async with routed(tmp_path, grace_s=60) as (gateway, _), AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(line_to(gateway)) for _ in range(20)]
        idle[0].send(chat(key=None))
        await idle[0].answer()
        began = time.monotonic()
        status = await gateway.stop()
        took_s = time.monotonic() - began

    assert status == 0
    assert took_s < 40


async def test_what_a_killed_router_left_is_ingested_by_the_next(
    tmp_path: Path,
) -> None:
    """A start finds the journal of the run before, and moves it into the database."""
    async with routed(tmp_path) as (gateway, puppet), line_to(gateway) as line:
        (ingester,) = children(gateway.pid)
        os.kill(ingester, signal.SIGSTOP)
        line.send(chat())
        (await puppet.call()).write(completion())
        answer = await line.answer()
        os.kill(ingester, signal.SIGKILL)
        await gateway.stop(signal.SIGKILL)
        before = len(gateway.rows())
        await gateway.start()
        rows = await gateway.recorded(1)

    assert before == 0
    assert [row["request_id"] for row in rows] == [answer.request_id]
    assert "Traceback" not in gateway.log


Sabotage = Callable[[Path, dict[str, Any]], None]


def _corrupt_database(directory: Path, _settings: dict[str, Any]) -> None:
    (directory / "state").mkdir()
    (directory / "state" / "usage.sqlite").write_bytes(b"no database at all " * 400)


def _foreign_schema(directory: Path, _settings: dict[str, Any]) -> None:
    (directory / "state").mkdir()
    database = sqlite3.connect(directory / "state" / "usage.sqlite")
    with closing(database):
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('from_the_future')")
        database.commit()


def _file_instead_of_directory(directory: Path, _settings: dict[str, Any]) -> None:
    (directory / "state").write_text("a file")


def _nowhere_to_write(_directory: Path, settings: dict[str, Any]) -> None:
    settings["state"]["directory"] = "/proc/self/state"


def _journal_is_a_file(directory: Path, _settings: dict[str, Any]) -> None:
    (directory / "state").mkdir()
    (directory / "state" / "journal").write_text("a file")


def _lock_is_a_directory(directory: Path, _settings: dict[str, Any]) -> None:
    (directory / "state" / "serve.lock").mkdir(parents=True)


def _other_database(_directory: Path, settings: dict[str, Any]) -> None:
    settings["state"]["database"] = "${DATABASE_URL}"


def _foreign_address(_directory: Path, settings: dict[str, Any]) -> None:
    # An address of the documentation, which no interface has.
    settings["server"]["listen"] = "192.0.2.1:8080"


def _missing_secret(_directory: Path, settings: dict[str, Any]) -> None:
    settings["providers"]["acme"]["api_key"] = "${NO_SUCH_VARIABLE}"


HINDRANCES: dict[str, tuple[Sabotage, str]] = {
    "corrupt database": (_corrupt_database, "is not an SQLite database"),
    "foreign schema": (_foreign_schema, "schema"),
    "a file as directory": (_file_instead_of_directory, "state directory"),
    "unwritable": (_nowhere_to_write, "state directory"),
    "journal": (_journal_is_a_file, "the journal cannot be written"),
    "lock": (_lock_is_a_directory, "state directory"),
    "another database": (_other_database, "state.database"),
    "address": (_foreign_address, "192.0.2.1:8080"),
    "secret": (_missing_secret, "NO_SUCH_VARIABLE"),
}


def _try_to_serve(
    directory: Path, settings: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    (directory / "router.yaml").write_text(json.dumps(settings))
    url = "mysql://router:canary-password@127.0.0.1/usage"
    return subprocess.run(
        [sys.executable, "-m", "smart_llmrouter", "serve"],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize("hindrance", HINDRANCES)
def test_what_cannot_start_says_why_in_one_sentence(
    tmp_path: Path, hindrance: str
) -> None:
    """Exit status 1, the reason, and no traceback; nothing is left running."""
    sabotage, told = HINDRANCES[hindrance]
    settings = configuration({"acme": provider("http://127.0.0.1:9/v1")})
    sabotage(tmp_path, settings)

    tried = _try_to_serve(tmp_path, settings)

    said = tried.stdout + tried.stderr
    assert tried.returncode == 1, said
    assert told in said
    assert "error: " in said
    assert "Traceback" not in said
    assert "canary-password" not in said


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """The message has the address that somebody else listens on."""
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", free_port()))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        settings = configuration(
            {"acme": provider("http://127.0.0.1:9/v1")}, server={"listen": address}
        )

        tried = _try_to_serve(tmp_path, settings)

    assert tried.returncode == 1
    assert address in tried.stderr
    assert "in use" in tried.stderr
    assert "Traceback" not in tried.stderr


async def test_a_second_router_on_the_same_state_is_refused(tmp_path: Path) -> None:
    """The first one goes on undisturbed, and the second names the directory."""
    async with routed(tmp_path) as (gateway, puppet), line_to(gateway) as line:
        second = configuration(
            {"acme": provider("http://127.0.0.1:9/v1")},
            state={"directory": str(gateway.state)},
        )
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        tried = await asyncio.to_thread(_try_to_serve, elsewhere, second)
        line.send(chat())
        (await puppet.call()).write(completion())
        answer = await line.answer()
        rows = await gateway.recorded(1)

    assert tried.returncode == 1
    assert "another router uses the state directory" in tried.stderr
    assert str(gateway.state) in tried.stderr
    assert "Traceback" not in tried.stderr
    assert answer.status == 200
    assert len(rows) == 1
