"""The strategy `script`: a function of the operator's decides, in processes of its own.

A process is killed when its budget is used up, and a new one takes its place. All of
them run the text that the script had when the configuration was read.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec
import structlog

from smart_llmrouter.config.policies import Script
from smart_llmrouter.core.decisions import PolicyKind
from smart_llmrouter.engine.policies.answers import parsed, verdict_of
from smart_llmrouter.engine.policies.script_process import (
    ProcessBroken,
    Raised,
    ScriptProcess,
    started_process,
)
from smart_llmrouter.engine.policies.unusable import PolicyUnusable
from smart_llmrouter.routing.features import question_document
from smart_llmrouter.routing.policy import (
    FaultCode,
    PolicyFault,
    Question,
    Verdict,
)

_RESTART_AFTER_S: Final = 0.5
_RESTART_AT_MOST_EVERY_S: Final = 30.0
_MOST_LOGGED: Final = 16

log = structlog.get_logger()

T = TypeVar("T")


@asynccontextmanager
async def open_script(script: Script, *, group: str) -> AsyncIterator["ScriptPolicy"]:
    """Start the processes of a group's script, and end them with the block.

    Raises `PolicyUnusable` where the script cannot be read or imported.
    """
    try:
        source = await asyncio.to_thread(script.file.read_text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise PolicyUnusable(
            f"the script {script.file} cannot be read: {reason}"
        ) from None
    policy = ScriptPolicy(script, source, group=group)
    try:
        await policy.start()
        yield policy
    finally:
        await policy.close()


class ScriptPolicy:
    """The script of one group, and the processes that run it."""

    kind: Final[PolicyKind] = "script"

    def __init__(self, script: Script, source: str, *, group: str) -> None:
        """Run `source`; nothing runs before `start`."""
        self._script = script
        self._source = source
        self._group = group
        self._budget_s = script.timeout_ms / 1000
        self._processes: set[ScriptProcess] = set()
        # The one that was used last is the one whose memory is at hand.
        self._idle: asyncio.LifoQueue[ScriptProcess] = asyncio.LifoQueue()
        self._tasks: set[asyncio.Task[object]] = set()
        self._logged: set[Raised] = set()

    async def start(self) -> None:
        """Start all processes. Raises `PolicyUnusable`."""
        starting = [self._start_one() for _ in range(self._script.processes)]
        for started in await asyncio.gather(*starting, return_exceptions=True):
            if started is not None:
                raise started

    async def close(self) -> None:
        """End all processes, whatever they do."""
        while self._tasks:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.difference_update(tasks)
        await asyncio.gather(*(each.end() for each in self._processes))
        self._processes.clear()

    async def decide(self, question: Question) -> Verdict:
        """Ask a process, within the script's budget. Raises `PolicyFault`."""
        asked = msgspec.json.encode(question_document(question))
        until_s = asyncio.get_running_loop().time() + self._budget_s
        try:
            async with asyncio.timeout_at(until_s):
                process = await self._a_free_one()
        except TimeoutError:
            raise PolicyFault("busy") from None
        # A caller that leaves stops waiting; the process is free when it has decided.
        asking = self._go_on_with(self._ask(process, asked, until_s=until_s))
        answer = await asyncio.shield(asking)
        if isinstance(answer, str):
            raise PolicyFault(answer)
        return verdict_of(parsed(answer), question.eligible)

    async def _a_free_one(self) -> ScriptProcess:
        while True:
            process = await self._idle.get()
            if not process.has_ended:
                return process
            self._replace(process)

    async def _ask(
        self, process: ScriptProcess, asked: bytes, *, until_s: float
    ) -> bytes | FaultCode:
        """Return what a process answers; perhaps nobody waits for it any more."""
        try:
            async with asyncio.timeout_at(until_s):
                answer = await process.ask(asked)
        except TimeoutError:
            self._replace(process)
            return "timeout"
        except ProcessBroken as broken:
            self._replace(process)
            return broken.code
        self._idle.put_nowait(process)
        if isinstance(answer, Raised):
            self._tell(answer)
            return "raised"
        return answer

    def _replace(self, process: ScriptProcess) -> None:
        # It goes on by itself; `close` ends it.
        _ = self._go_on_with(self._start_instead_of(process))

    async def _start_instead_of(self, process: ScriptProcess) -> None:
        await process.end()
        self._processes.discard(process)
        pause_s = _RESTART_AFTER_S
        while True:
            try:
                return await self._start_one()
            except PolicyUnusable as unusable:
                log.warning(
                    "policy script cannot be started again",
                    group=self._group,
                    reason=str(unusable),
                )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _RESTART_AT_MOST_EVERY_S)

    async def _start_one(self) -> None:
        process = await started_process(self._script.file, self._source)
        self._processes.add(process)
        self._idle.put_nowait(process)

    def _tell(self, raised: Raised) -> None:
        """Log what the script raises, each kind and place once."""
        if raised in self._logged or len(self._logged) >= _MOST_LOGGED:
            return
        self._logged.add(raised)
        log.warning(
            "policy script raised",
            group=self._group,
            exception=raised.name,
            line=raised.line,
        )

    def _go_on_with(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
