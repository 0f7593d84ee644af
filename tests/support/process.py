"""What the kernel says about a process: memory, threads, files, children, arguments.

A process may end at any moment. Who asks for its memory, threads or files knows that it
is there, and gets an error where it is not; the rest can be asked about any process.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

# The second comes from a file that was opened while the process was there.
_ENDED: Final = (FileNotFoundError, ProcessLookupError)

_EARLY_S: Final = 0.3


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return _status(pid, "VmRSS") * 1024


def peak_resident_bytes(pid: int) -> int:
    """Return the largest resident memory since the start or the last `forget_peak`."""
    return _status(pid, "VmHWM") * 1024


def forget_peak(pid: int) -> None:
    """Let the peak begin anew at what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def thread_count(pid: int) -> int:
    """Return how many threads a process has."""
    return _status(pid, "Threads")


def open_files(pid: int) -> int:
    """Return how many file descriptors a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def children(pid: int) -> list[int]:
    """Return the ids of the living processes that a process has started."""
    found = []
    for thread in threads(pid):
        # It may have ended since it was listed.
        with suppress(*_ENDED):
            listed = Path(f"/proc/{pid}/task/{thread}/children").read_text()
            found += [int(child) for child in listed.split()]
    return sorted(child for child in found if is_running(child))


def threads(pid: int) -> list[int]:
    """Return the ids of the threads of a process; none where it has ended."""
    try:
        return [int(each.name) for each in Path(f"/proc/{pid}/task").iterdir()]
    except _ENDED:
        return []


def holds_connection(pid: int, port: int) -> bool:
    """Say whether a process has accepted the connection that comes from `port`."""
    wanted = f":{port:04X}"
    found = {
        f"socket:[{fields[9]}]"
        for fields in map(
            str.split, Path(f"/proc/{pid}/net/tcp").read_text().split("\n")
        )
        if len(fields) > 9 and fields[2].endswith(wanted)
    }
    for each in Path(f"/proc/{pid}/fd").iterdir():
        # It may have been closed since it was listed.
        with suppress(*_ENDED):
            if str(each.readlink()) in found:
                return True
    return False


def is_running(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except _ENDED:
        return False
    return state not in "ZX"


def arguments(pid: int) -> bytes:
    """Return the command line of a process, as everybody on the machine can read it.

    It is empty where the process has ended.
    """
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except _ENDED:
        return b""


async def told_again_and_again(pid: int, *numbers: signal.Signals) -> None:
    """Send a process signals for as long as an interpreter needs to start."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + _EARLY_S
    while loop.time() < until_s and is_running(pid):
        for number in numbers:
            os.kill(pid, number)
        # This is the pace of the signals, not a wait for anything.
        await asyncio.sleep(0.001)


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)
