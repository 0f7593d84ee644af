"""What the kernel says about a process: memory, threads, files, children, arguments."""

from contextlib import suppress
from pathlib import Path


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
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may have ended since it was listed.
        with suppress(FileNotFoundError, ProcessLookupError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return sorted(child for child in found if is_running(child))


def is_running(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state != "Z"


def arguments(pid: int) -> bytes:
    """Return the command line of a process, as everybody on the machine can read it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)
