"""A process that this one has started, as an event loop follows it to its end."""

import asyncio
import os
import signal
from typing import Final

from smart_llmrouter.ledger.spawning import Spawned

_POLL_S: Final = 0.05
_UNKNOWN_STATUS: Final = 255


class Child:
    """One process, from its start until the kernel has forgotten it.

    It is waited for here and nowhere else, so that its id is nobody else's meanwhile.
    """

    def __init__(self, spawned: Spawned) -> None:
        """Take over what was started, and the end of the pipe that holds it alive."""
        self.pid = spawned.pid
        self._holds: int | None = spawned.holds
        self._status: int | None = None

    def look(self) -> int | None:
        """Return the status with which it has ended; `None`: it runs.

        It is that of `subprocess`: of a signal, the number below zero. With the end
        nothing of the process is left, here or in the kernel.
        """
        if self._status is None:
            self._status = _status_of(self.pid)
            if self._status is not None:
                self.release()
        return self._status

    async def ended(self) -> int:
        """Wait for its end, and return the status. May be cancelled at any time."""
        while (status := self.look()) is None:
            await _perhaps_ended(self.pid)
        return status

    def release(self) -> None:
        """Let it finish and go."""
        if self._holds is not None:
            os.close(self._holds)
            self._holds = None

    def kill(self) -> None:
        """End it at once."""
        if self.look() is None:
            os.kill(self.pid, signal.SIGKILL)


def _status_of(pid: int) -> int | None:
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        # Where SIGCHLD is ignored the kernel tells nobody.
        return _UNKNOWN_STATUS
    return os.waitstatus_to_exitcode(status) if ended else None


async def _perhaps_ended(pid: int) -> None:
    """Wait until a process has ended; where the kernel does not tell, for a moment."""
    try:
        told = os.pidfd_open(pid)
    except (AttributeError, OSError):
        await asyncio.sleep(_POLL_S)
        return
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(told, over.set)
        await over.wait()
    finally:
        loop.remove_reader(told)
        os.close(told)
