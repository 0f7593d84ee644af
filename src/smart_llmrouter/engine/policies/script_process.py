"""One process that runs an operator's script, as its parent sees it."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from smart_llmrouter.engine.policies.unusable import PolicyUnusable
from smart_llmrouter.routing.policy import FaultCode

MOST_ANSWER_BYTES: Final = 65_536
START_WITHIN_S: Final = 10.0
_LONGEST_NAME: Final = 64
_CHILD: Final = Path(__file__).with_name("script_child.py")


class ProcessBroken(Exception):
    """A process has ended, or says what makes no sense; it is of no more use."""

    def __init__(self, code: FaultCode) -> None:
        """Say what that is for the call that it was asked about."""
        super().__init__(code)
        self.code: FaultCode = code


class Raised(msgspec.Struct, frozen=True):
    """The script has raised an exception: its type's name, and a line; 0: none."""

    name: str
    line: int


class _Said(msgspec.Struct, frozen=True):
    ready: bool = False
    answer: msgspec.Raw = msgspec.Raw()
    fault: FaultCode | None = None
    raised: str | None = None
    line: int = 0


class ScriptProcess:
    """A started process; it decides one call at a time."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Take over what `started_process` has started."""
        self._process = process
        self._reader = reader
        self._writer = writer

    async def import_script(self, file: Path, source: str) -> None:
        """Let it import the script. Raises `PolicyUnusable`."""
        given = {
            "parent": os.getpid(),
            "file": str(file),
            "source": source,
            "most": MOST_ANSWER_BYTES,
        }
        try:
            async with asyncio.timeout(START_WITHIN_S):
                said = await self._said(msgspec.json.encode(given))
        except (TimeoutError, ProcessBroken):
            raise PolicyUnusable(
                f"the script {file} was not imported within {START_WITHIN_S:g} s, or"
                " has ended its process: let it do nothing at its top level but"
                " define `route(ctx)`"
            ) from None
        if not said.ready:
            raise PolicyUnusable(
                f"the script {file} cannot be imported: {_place(said)}; it must define"
                " `route(ctx)`"
            )

    @property
    def has_ended(self) -> bool:
        """Whether nobody is there any more to answer."""
        return self._reader.at_eof()

    async def ask(self, question: bytes) -> bytes | Raised | FaultCode:
        """Return what `route` answers to a JSON text, as JSON, or why it does not.

        Raises `ProcessBroken`. Who stops waiting must `end` it: it goes on deciding.
        """
        said = await self._said(question)
        if said.raised is not None:
            return Raised(_safe_name(said.raised), said.line)
        return bytes(said.answer) if said.fault is None else said.fault

    async def _said(self, line: bytes) -> _Said:
        self._writer.write(line + b"\n")
        try:
            return msgspec.json.decode(await self._reader.readline(), type=_Said)
        except (ConnectionError, msgspec.DecodeError):
            # It is gone; or the script has written to where answers go.
            raise ProcessBroken("raised") from None
        except ValueError:
            raise ProcessBroken("too-large") from None

    async def end(self) -> None:
        """End it, and all that it has started in its session."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._writer.close()
        await self._process.wait()


async def started_process(file: Path, source: str) -> ScriptProcess:
    """Start a process that has imported the script. Raises `PolicyUnusable`."""
    started = await _spawned(file)
    try:
        await started.import_script(file, source)
    except BaseException:
        await started.end()
        raise
    return started


async def _spawned(file: Path) -> ScriptProcess:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",  # nothing is imported by way of the environment or the user
                "-B",
                str(_CHILD),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                cwd=file.parent,
                # Ctrl-C is meant for the router, which then ends this one.
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise PolicyUnusable(
                f"no process can be started for the script {file}: {error.strerror}"
            ) from None
    reader, writer = await asyncio.open_unix_connection(
        sock=ours, limit=2 * MOST_ANSWER_BYTES
    )
    return ScriptProcess(process, reader, writer)


def _place(said: _Said) -> str:
    name = _safe_name(said.raised or "")
    return f"{name} in line {said.line}" if said.line else name


def _safe_name(name: str) -> str:
    """Return the name of an exception as it may be logged."""
    is_one = len(name) <= _LONGEST_NAME and name.isidentifier()
    return name if is_one else "Exception"
