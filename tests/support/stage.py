"""A place for programs of others: no network but loopback, no home, no environment.

`Stage` holds a network namespace open, in which nothing but loopback exists, and runs
router, mock and clients in it. Where the machine allows no namespaces the programs run
beside everything else, with the same emptied environment.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.support.wait import PATIENCE_S

_POLL_S: Final = 0.05
_HOLD: Final = """
import fcntl, socket, struct, sys
IFF_UP, SIOCSIFFLAGS = 0x1, 0x8914
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
print("up", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program left behind."""

    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        """Say all of it, for the message of a failed assertion."""
        return f"exit {self.code}\n{self.stdout[-4000:]}\n{self.stderr[-4000:]}"


class Stage:
    """Runs programs of others where they can do no harm, and reach nobody."""

    def __init__(self, home: Path) -> None:
        """Let `home` be the home directory of what runs here."""
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self._enter: list[str] = []
        self._holder: subprocess.Popen[str] | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def is_apart(self) -> bool:
        """Whether there is a network namespace; without one, programs share ours."""
        return self._holder is not None

    def __enter__(self) -> Self:
        """Make the namespace, if the machine allows it."""
        for unshare, enter in _WAYS:
            holder = subprocess.Popen(
                [*unshare, sys.executable, "-c", _HOLD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert holder.stdout is not None
            if holder.stdout.readline() == "up\n":
                self._holder = holder
                self._enter = [each.format(pid=holder.pid) for each in enter]
                break
            holder.communicate()
        return self

    def __exit__(self, *_: object) -> None:
        """End whatever was started here."""
        for process in reversed(self._started):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._holder is not None:
            self._holder.communicate()

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return all of the environment that a program gets."""
        plain = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.home),
        }
        return plain | dict(more)

    def run(
        self,
        *command: str,
        cwd: Path,
        within_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run a program to its end, with nothing to read. It is killed at its time."""
        try:
            ended = subprocess.run(
                [*self._enter, *command],
                check=False,
                cwd=cwd,
                env=self.environment(environment or {}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=within_s,
            )
        except subprocess.TimeoutExpired as late:
            said = [
                (text or b"").decode(errors="replace")
                for text in (late.stdout, late.stderr)
            ]
            return Ended(-1, said[0], f"{said[1]}\nstill running after {within_s} s")
        return Ended(
            ended.returncode,
            ended.stdout.decode(errors="replace"),
            ended.stderr.decode(errors="replace"),
        )

    def start(self, *command: str, log: Path) -> None:
        """Start a program that goes on until the stage ends."""
        with log.open("ab") as output:
            self._started.append(
                subprocess.Popen(
                    [*self._enter, *command],
                    cwd=log.parent,
                    env=self.environment({}),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            )

    def wait_for(self, text: str, *, log: Path) -> str:
        """Wait until a log holds `text`; return the line that does."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            for line in log.read_text().splitlines() if log.exists() else ():
                if text in line:
                    return line
            time.sleep(_POLL_S)
        raise AssertionError(f"{text!r} not seen in {PATIENCE_S} s:\n{log.read_text()}")


_WAYS: Final = tuple(
    (unshare, enter)
    for unshare, enter in (
        (["unshare", "--net"], ["nsenter", "--net=/proc/{pid}/ns/net", "--"]),
        (
            ["unshare", "--net", "--map-root-user"],
            [
                "nsenter",
                "--user=/proc/{pid}/ns/user",
                "--preserve-credentials",
                "--net=/proc/{pid}/ns/net",
                "--",
            ],
        ),
    )
    if shutil.which("unshare") and shutil.which("nsenter")
)


@contextmanager
def stage(directory: Path) -> Generator[Stage]:
    """Open a stage whose home is a new folder in `directory`."""
    with Stage(directory / "home") as opened:
        yield opened
