"""Keeping the ingester process alive for as long as the router is.

The ingester lives and dies by its standard input: the router holds it open, and when it
closes, however the router ended, the ingester finishes what is journalled and goes.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog

from smart_llmrouter.config.snapshot import State
from smart_llmrouter.ledger.ingester_loop import (
    INGESTER_ARGUMENTS,
    read_status,
    settings_line,
)

_FIRST_RESTART_S: Final = 0.2
_LAST_RESTART_S: Final = 10.0
_LONG_LIFE_S: Final = 60.0
_FAREWELL_S: Final = 15.0
_OK: Final = "ok"

_INHERITED: Final = ("PYTHON", "LC_", "LANG", "LD_LIBRARY_PATH", "TZ", "TMPDIR")

log = structlog.get_logger()


class IngesterSupervisor:
    """Run one ingester; start it again when it dies, later each time."""

    def __init__(self, state: State, *, cpus: frozenset[int] = frozenset()) -> None:
        """Ingest the journal in the state directory into its database.

        `cpus` are the processors that the ingester shall run on; none means any.
        """
        self._state = state
        self._cpus = cpus
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        """Start the ingester and keep it alive from here on."""
        self._process = await self._start()
        self._watch = asyncio.create_task(self._keep_alive())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the ingester finish what is journalled, and wait for it."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self._process is not None and self._process.returncode is not None:
            # It died a moment ago; what is journalled is still to be moved.
            with suppress(OSError):
                self._process = await self._start()
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._process.wait()
        except TimeoutError:
            log.warning("ingester was stopped before it had finished")
            self._process.kill()
            await self._process.wait()

    def expect_its_end(self) -> None:
        """Take it for no fault from here on: the router itself is being stopped.

        Whoever stops it may well signal all of its processes at once.
        """
        self._stopping = True

    def condition(self) -> str:
        """Say `ok`, or in safe words what keeps records from the database."""
        process = self._process
        alive = process is not None and process.returncode is None
        return condition_of(process.pid if process and alive else None, self._state)

    async def _start(self) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *INGESTER_ARGUMENTS,
            stdin=PIPE,
            stdout=DEVNULL,
            env=without_secrets(os.environ),
            # Ctrl-C is meant for the router, which then lets the ingester finish.
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - it was asked for
        settings = settings_for(self._state, cpus=self._cpus)
        # It may have died already (uvloop says so with a RuntimeError); whoever waits
        # for it will see.
        with suppress(OSError, RuntimeError):
            process.stdin.write(settings)
        return process

    async def _keep_alive(self) -> None:
        loop, pause_s = asyncio.get_running_loop(), _FIRST_RESTART_S
        while self._process is not None:
            began_s = loop.time()
            status = await self._process.wait()
            if self._stopping:
                return
            if loop.time() - began_s > _LONG_LIFE_S:
                pause_s = _FIRST_RESTART_S
            log.error("ingester ended", status=status, restart_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LAST_RESTART_S)
            try:
                self._process = await self._start()
            except OSError as error:
                log.warning("ingester cannot be started", reason=error.strerror)


def condition_of(pid: int | None, state: State) -> str:
    """Say `ok`, or what the ingester with this process id (`None`: none) has told."""
    if pid is None:
        return "not running; it is being started again"
    status = read_status(state.directory)
    if status is None or status.pid != pid or status.database == _OK:
        return _OK
    return f"database {status.database}: {status.reason}"


def settings_for(state: State, *, cpus: frozenset[int]) -> bytes:
    """Return the first line for the standard input of the ingester of `state`."""
    return settings_line(
        state.directory.absolute(), state.database_url.reveal(), cpus=cpus
    )


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what an interpreter needs; providers' keys are none of its business."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith((*_INHERITED, "COVERAGE_"))
    }
