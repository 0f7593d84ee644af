"""Keeps a Valkey of the router's own running, in a router with one process.

With several, their parent does; see `workers.serving`.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from smart_llmrouter.config.snapshot import EMBEDDED_VALKEY, State
from smart_llmrouter.ledger.spawning import without_secrets
from smart_llmrouter.stores.valkey_server import (
    prepare_embedded,
    spawn_embedded,
    wait_for_embedded,
)

_LOOK_EVERY_S: Final = 0.2
_FIRST_PAUSE_S: Final = 0.2
_LAST_PAUSE_S: Final = 10.0
_LONG_LIFE_S: Final = 60.0
_FAREWELL_S: Final = 10.0
_POLL_S: Final = 0.02

log = structlog.get_logger()


def is_embedded(state: State) -> bool:
    """Say whether the router starts its own store."""
    return state.counters.reveal() == EMBEDDED_VALKEY


@asynccontextmanager
async def embedded_store(state: State) -> AsyncIterator[None]:
    """Run the store that `state` asks for while the block runs, where it asks for one.

    Raises `EmbeddedUnusable`. Call it before calls are taken: it blocks.
    """
    if not is_embedded(state):
        yield
        return
    prepare_embedded(state.directory)
    store = _Embedded(state.directory)
    store.start()
    wait_for_embedded(store.pid, state.directory)
    keeping = asyncio.create_task(store.keep())
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await store.stop()


class _Embedded:
    def __init__(self, directory: Path) -> None:
        """Be ready to start."""
        self._directory = directory
        self.pid = 0

    def start(self) -> None:
        """Start it. Raises `OSError`."""
        self.pid = spawn_embedded(self._directory, without_secrets(os.environ))

    async def keep(self) -> None:
        """Start it again whenever it ends, later each time."""
        pause_s, began_s = _FIRST_PAUSE_S, time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self.pid and not self._ended():
                continue
            if time.monotonic() - began_s > _LONG_LIFE_S:
                pause_s = _FIRST_PAUSE_S
            log.error("the router's own Valkey ended", restart_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s, began_s = min(pause_s * 2, _LAST_PAUSE_S), time.monotonic()
            try:
                self.start()
            except OSError as error:
                log.warning(
                    "the router's own Valkey cannot start", reason=error.strerror
                )

    async def stop(self) -> None:
        """Let it write everything down and end; kill it where that takes too long."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            if not self.pid:
                return
            with suppress(ProcessLookupError):
                os.kill(self.pid, how)
            with suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    while not self._ended():  # noqa: ASYNC110 - a process
                        await asyncio.sleep(_POLL_S)

    def _ended(self) -> bool:
        if self.pid:
            try:
                ended, _ = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                ended = self.pid
            self.pid = 0 if ended else self.pid
        return not self.pid
