"""The Valkey of the router's own, and signals that come while it starts."""

import asyncio
import os
import signal
from pathlib import Path

from smart_llmrouter.ledger.spawning import without_secrets
from smart_llmrouter.stores.valkey_server import (
    prepare_embedded,
    spawn_embedded,
    wait_for_embedded,
)
from tests.support.process import is_running, told_again_and_again
from tests.support.wait import eventually


async def test_no_signal_comes_too_early(tmp_path: Path) -> None:
    """Signals to all processes mean nothing to it: the router says when to end."""
    prepare_embedded(tmp_path)
    pid = spawn_embedded(tmp_path, without_secrets(os.environ))
    try:
        await told_again_and_again(pid, signal.SIGHUP, signal.SIGINT)
        alive = is_running(pid)
        await asyncio.to_thread(wait_for_embedded, pid, tmp_path)
    finally:
        os.kill(pid, signal.SIGTERM)
        await eventually(lambda: os.waitpid(pid, os.WNOHANG) != (0, 0), what="its end")

    assert alive
