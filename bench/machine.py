"""Processes, cores and memory, as the kernel tells them (Linux)."""

import contextlib
import os
import platform
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_MIB: Final = 1 << 20
_GOODBYE_S: Final = 20


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core runs what is measured, which one everything else, and what is left.

    `more` are the cores that further workers may have; with two cores in all, that is
    the load's.
    """

    subject: int
    load: int
    more: tuple[int, ...] = ()

    @property
    def shared(self) -> bool:
        """Say whether there is only one core, so that numbers mean little."""
        return self.subject == self.load


def find_cores() -> Cores:
    """Take the first and the last core that this process may use."""
    first, *rest = sorted(os.sched_getaffinity(0))
    if not rest:
        return Cores(subject=first, load=first)
    return Cores(subject=first, load=rest[-1], more=tuple(rest[:-1] or rest))


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


def pinned(cores: Sequence[int], command: Sequence[str]) -> list[str]:
    """Return a command that runs on these cores only, with all that it starts."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]


def start(
    command: Sequence[str],
    *,
    cores: Sequence[int],
    cwd: Path,
    output: IO[bytes],
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    """Start a process on some cores, in a process group of its own.

    `environment` is all that it sees of one.
    """
    return subprocess.Popen(
        pinned(cores, command),
        cwd=cwd,
        env=dict(environment),
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def plain_environment(home: Path) -> dict[str, str]:
    """Return the least that a program needs: nothing of the user's own settings."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
    }


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
    found: list[int] = []
    for thread in _threads_of(pid):
        # It may have ended since it was listed.
        with contextlib.suppress(OSError):
            listed = Path(f"/proc/{pid}/task/{thread}/children").read_text()
            found += map(int, listed.split())
    return found


def _threads_of(pid: int) -> list[int]:
    """Return the threads of a process; none when it has ended."""
    with contextlib.suppress(OSError):
        return [int(each.name) for each in Path(f"/proc/{pid}/task").iterdir()]
    return []


def tree_of(pid: int) -> list[int]:
    """Return a process and all that it has started, directly or not."""
    found = [pid]
    for parent in found:
        found += children_of(parent)
    return found


def command_of(pid: int) -> str:
    """Return a process's command line; empty when it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def move_to_core(pid: int, core: int) -> None:
    """Let a running process and its threads run on one core only."""
    for thread in _threads_of(pid):
        # It may have ended since it was listed.
        with contextlib.suppress(ProcessLookupError):
            if os.sched_getaffinity(thread) != {core}:
                os.sched_setaffinity(thread, {core})


def raise_file_limit() -> None:
    """Let this process and all it starts open as many files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process has used; 0 when it has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return 0.0


@dataclass(frozen=True, slots=True)
class CoreTime:
    """What a core has done since the machine started, in ticks."""

    total: int
    idle: int
    stolen: int

    @classmethod
    def of(cls, core: int) -> Self:
        """Read it."""
        name = f"cpu{core} "
        for line in Path("/proc/stat").read_text().splitlines():
            if line.startswith(name):
                ticks = [int(word) for word in line.split()[1:9]]
                return cls(sum(ticks), ticks[3] + ticks[4], ticks[7])
        return cls(0, 0, 0)

    def busy_since(self, before: "CoreTime") -> float:
        """Return the percentage of the time since then in which it was not idle."""
        total = max(1, self.total - before.total)
        return 100 * (1 - (self.idle - before.idle) / total)

    def stolen_since(self, before: "CoreTime") -> float:
        """Return the percentage of the time that the hypervisor gave to others."""
        return 100 * (self.stolen - before.stolen) / max(1, self.total - before.total)


def rss_mib(pid: int) -> float:
    """Return the resident memory of one process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE_BYTES / _MIB


def forget_peak(pid: int) -> None:
    """Let the peak of a process's resident memory begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_rss_mib(pid: int) -> float:
    """Return the most resident memory that a process had since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def pss_mib(pids: Sequence[int]) -> float:
    """Return what processes need together, shared pages counted once."""
    kib = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        kib += int(rollup.partition("\nPss:")[2].split()[0])
    return kib / 1024
