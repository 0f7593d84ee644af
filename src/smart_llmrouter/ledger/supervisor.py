"""Keeping the ingester process alive for as long as the router is.

The ingester lives and dies by its standard input: the router holds it open, and when it
closes, however the router ended, the ingester finishes what is journalled and goes.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog

from smart_llmrouter.config.snapshot import State
from smart_llmrouter.ledger.child import Child
from smart_llmrouter.ledger.ingester_loop import read_status
from smart_llmrouter.ledger.spawning import spawn_ingester

_FIRST_RESTART_S: Final = 0.2
_LAST_RESTART_S: Final = 10.0
_LONG_LIFE_S: Final = 60.0
_FAREWELL_S: Final = 15.0
_HEARD_WITHIN_S: Final = 0.1
_OK: Final = "ok"

log = structlog.get_logger()


class IngesterSupervisor:
    """Run one ingester; start it again when it dies, later each time."""

    def __init__(self, state: State, *, cpus: frozenset[int] = frozenset()) -> None:
        """Ingest the journal in the state directory into its database.

        `cpus` are the processors that the ingester shall run on; none means any.
        """
        self._state = state
        self._cpus = cpus
        self._child: Child | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> Self:
        """Start the ingester and keep it alive from here on."""
        self._child = child = self._start()
        self._watch = asyncio.create_task(self._keep_alive(child))
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
        child = self._child
        if child is None:
            return
        if child.look() is not None:
            # It died a moment ago; what is journalled is still to be moved.
            with suppress(OSError):
                self._child = child = self._start()
        child.release()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await child.ended()
        except TimeoutError:
            log.warning("ingester was stopped before it had finished")
            child.kill()
            await child.ended()

    def expect_its_end(self) -> None:
        """Take it for no fault from here on: the router itself is being stopped.

        Whoever stops it may well signal all of its processes at once.
        """
        self._stopping = True

    def condition(self) -> str:
        """Say `ok`, or in safe words what keeps records from the database."""
        child = self._child
        alive = child is not None and child.look() is None
        return condition_of(child.pid if child and alive else None, self._state)

    def _start(self) -> Child:
        return Child(spawn_ingester(self._state, cpus=self._cpus))

    async def _keep_alive(self, child: Child) -> None:
        loop, pause_s = asyncio.get_running_loop(), _FIRST_RESTART_S
        while True:
            began_s = loop.time()
            status = await child.ended()
            if not self._stopping:
                # Whoever stops all processes may be heard of here after the others.
                await asyncio.sleep(_HEARD_WITHIN_S)
            if self._stopping:
                return
            if loop.time() - began_s > _LONG_LIFE_S:
                pause_s = _FIRST_RESTART_S
            log.error("ingester ended", status=status, restart_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LAST_RESTART_S)
            try:
                self._child = child = self._start()
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
