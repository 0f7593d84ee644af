"""The processes of a script: they end with the router, however that ends."""

import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, configuration, provider, running_gateway
from tests.support.mock import running_mock
from tests.support.process import arguments, children, is_running
from tests.support.wait import PATIENCE_S, eventually

SCRIPT = "def route(ctx): return 'acme/mini'"
QUESTION = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


def settings_for(base_url: str, *, workers: int) -> dict[str, Any]:
    """Return a configuration whose group is decided by the script beside it."""
    settings = configuration({"acme": provider(base_url)}, server={"workers": workers})
    settings["groups"]["chat"] |= {
        "strategy": "script",
        "script": {"file": "policy.py", "timeout_ms": 5000, "processes": 2},
    }
    return settings


@asynccontextmanager
async def deciding_gateway(directory: Path, *, workers: int) -> AsyncGenerator[Gateway]:
    """Run a router with the script."""
    (directory / "policy.py").write_text(SCRIPT)
    async with (
        running_mock() as mock,
        running_gateway(
            directory, settings_for(mock.base_url, workers=workers)
        ) as gateway,
    ):
        yield gateway


def script_processes(pid: int) -> list[int]:
    """Return the processes of scripts below a process."""
    found = []
    for child in children(pid):
        if b"script_child.py" in arguments(child):
            found.append(child)
        found += script_processes(child)
    return found


async def ask(gateway: Gateway) -> int:
    """Ask once, and return the status."""
    async with gateway.http() as client:
        answer = await client.post("/v1/chat/completions", json=QUESTION)
    return answer.status_code


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_processes_end_with_the_router(
    tmp_path: Path, workers: int, how: signal.Signals
) -> None:
    """Each worker has its own; none is left, whether the router stops or is killed."""
    async with deciding_gateway(tmp_path, workers=workers) as gateway:
        status = await ask(gateway)
        processes = await eventually(
            lambda: its_processes(gateway, 2 * workers), what="the processes"
        )
        await gateway.stop(how)
        await eventually(
            lambda: not any(is_running(each) for each in processes), what="their end"
        )

    assert status == 200


def its_processes(gateway: Gateway, count: int) -> list[int]:
    """Return the processes of its scripts when there are so many, and none before."""
    found = script_processes(gateway.pid)
    return found if len(found) == count else []


async def test_a_script_that_cannot_be_imported_keeps_the_router_from_starting(
    tmp_path: Path,
) -> None:
    """What is wrong is told in one sentence, and nothing is left behind."""
    (tmp_path / "policy.py").write_text("import nosuch\ndef route(ctx): ...\n")
    gateway = Gateway(tmp_path, settings_for("http://127.0.0.1:9/v1", workers=1))
    gateway.config_path.write_text(json.dumps(gateway.settings))

    served = subprocess.run(
        [sys.executable, "-m", "smart_llmrouter", "serve"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )

    said = (served.stdout + served.stderr).decode()
    assert served.returncode != 0
    assert "cannot be imported: ModuleNotFoundError in line 1" in said
    assert "Traceback" not in said
