"""What the ingester process is told, and what it is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import (
    Gateway,
    configuration,
    provider,
    running_gateway,
)
from tests.support.process import children
from tests.support.wait import PATIENCE_S, eventually

VARIABLE = "SMART_LLMROUTER_INGESTER_CPUS"
KEY = "canary-of-a-provider-key-0123456789"


async def test_the_ingester_does_not_get_the_providers_keys(tmp_path: Path) -> None:
    """It moves records and needs no credential, so it inherits none."""
    settings = configuration(
        {"acme": provider("http://127.0.0.1:9/v1", api_key="${ACME_API_KEY}")}
    )
    async with running_gateway(
        tmp_path, settings, environment={"ACME_API_KEY": KEY}
    ) as gateway:
        children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text()
        told = {
            pid: Path(f"/proc/{pid}/environ").read_bytes() for pid in children.split()
        }
        own = Path(f"/proc/{gateway.pid}/environ").read_bytes()

    assert KEY.encode() in own
    assert told
    assert not any(KEY.encode() in environment for environment in told.values())


async def test_the_ingester_stays_on_the_processors_it_is_given(tmp_path: Path) -> None:
    """The variable is for the ingester alone: the router runs where it did."""
    settings = configuration({"acme": provider("http://127.0.0.1:9/v1")})
    wanted = min(os.sched_getaffinity(0))
    async with running_gateway(
        tmp_path, settings, environment={VARIABLE: str(wanted)}
    ) as gateway:
        await eventually(
            lambda: (
                [os.sched_getaffinity(pid) for pid in children(gateway.pid)]
                == [{wanted}]
            )
        )
        own = os.sched_getaffinity(gateway.pid)

    assert own == os.sched_getaffinity(0)


@pytest.mark.parametrize("text", ["first", "9999"])
def test_processors_that_cannot_be_had_keep_it_from_starting(
    tmp_path: Path, text: str
) -> None:
    """The message names the variable and says what is expected; the status is 1."""
    gateway = Gateway(
        tmp_path, configuration({"acme": provider("http://127.0.0.1:9/v1")})
    )
    gateway.config_path.write_text(json.dumps(gateway.settings))

    done = subprocess.run(
        [sys.executable, "-m", "smart_llmrouter", "serve"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], VARIABLE: text},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {VARIABLE}=")
    assert "such as `1` or `0,2-3`" in done.stderr
    assert len(done.stderr.splitlines()) == 1
