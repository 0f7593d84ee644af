"""Processes, cores and memory, as the kernel tells them (Linux)."""

import contextlib
import os
import platform
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_MIB: Final = 1 << 20
_GOODBYE_S: Final = 20


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core runs what is measured, and which one everything else."""

    subject: int
    load: int

    @property
    def shared(self) -> bool:
        """Say whether there is only one core, so that numbers mean little."""
        return self.subject == self.load


def find_cores() -> Cores:
    """Take the first and the last core that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(subject=usable[0], load=usable[-1])


def machine_facts() -> dict[str, str]:
    """Return what a reader needs in order to place the numbers."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "python": platform.python_version(),
        "cores": str(len(os.sched_getaffinity(0))),
        "cpu": model,
        "system": f"{platform.system()} {platform.release()}",
    }


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """Return a command that runs on one core, with all that it starts."""
    return ["taskset", "--cpu-list", str(core), *command]


def start(
    command: Sequence[str],
    *,
    core: int,
    cwd: Path,
    output: IO[bytes],
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process on one core, in a process group of its own."""
    return subprocess.Popen(
        pinned(core, command),
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that `start` started; its whole group if it does not listen."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GOODBYE_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    with contextlib.suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [
            int(child)
            for task in tasks
            for child in (task / "children").read_text().split()
        ]
    return []


def move_to_core(pid: int, core: int) -> None:
    """Let a running process and its threads run on one core only."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process has used, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_mib(pid: int) -> float:
    """Return the resident memory of one process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE_BYTES / _MIB


def pss_mib(pids: Sequence[int]) -> float:
    """Return what processes need together, shared pages counted once."""
    kib = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        kib += int(rollup.partition("\nPss:")[2].split()[0])
    return kib / 1024
