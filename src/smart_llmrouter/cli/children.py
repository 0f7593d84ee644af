"""Child processes that start in order, are watched, and stop in reverse order."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import Final

_POLL_S: Final = 0.1
_ANSWER_WITHIN_S: Final = 2
_TAIL_LINES: Final = 20


class ChildFailed(Exception):
    """A child stopped by itself, or was not ready in time; the message tells all."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process that we started, and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def ended(self) -> bool:
        """Tell whether the process is gone."""
        return self.process.poll() is not None

    def last_words(self) -> str:
        """Return the last lines of its log, indented."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(f"  {line}" for line in text.splitlines()[-_TAIL_LINES:])


class Children:
    """The processes of one command; `stop` is set when they are to end."""

    def __init__(self, logs: Path, stop: threading.Event) -> None:
        """Write logs into the directory `logs`, which is made if it is not there."""
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._stop = stop
        self._children: list[Child] = []

    @property
    def stopping(self) -> bool:
        """Tell whether a stop was asked for."""
        return self._stop.is_set()

    def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Start a process in a process group of its own.

        A Ctrl-C in the terminal then reaches only us, and we stop the children in
        the right order.
        """
        log = self._logs / f"{name.replace(' ', '-')}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def wait_until(
        self, child: Child, ready: Callable[[], bool], within_s: int
    ) -> None:
        """Poll `ready` until it holds or a stop is asked for.

        Raises `ChildFailed` when any child ends before that, or time runs out.
        """
        deadline = time.monotonic() + within_s
        while not self._stop.is_set() and not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ChildFailed(
                    f"the {child.name} was not ready within {within_s} seconds; "
                    f"its log ({child.log}) ends:\n{child.last_words()}"
                )
            self._stop.wait(_POLL_S)

    def watch(self) -> None:
        """Wait for a stop; raise `ChildFailed` when a child ends before it."""
        while not self._stop.wait(_POLL_S):
            self.check()

    def check(self) -> None:
        """Raise `ChildFailed` if a child has ended by itself."""
        for child in self._children:
            if child.ended() and not self._stop.is_set():
                raise ChildFailed(
                    f"the {child.name} stopped by itself (exit code "
                    f"{child.process.returncode}); its log ({child.log}) ends:\n"
                    f"{child.last_words()}"
                )

    def stop_all(self, within_s: float) -> None:
        """Stop the children, the last one first; kill what takes longer."""
        while self._children:
            child = self._children.pop()
            child.process.terminate()
            try:
                child.process.wait(within_s)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


@contextmanager
def stop_signals() -> Generator[threading.Event]:
    """Turn SIGINT, SIGTERM and SIGHUP into an event while the block runs."""
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, ask_to_stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def answers(host: str, port: int, path: str) -> bool:
    """Tell whether `path` is answered with a 200 right now."""
    connection = HTTPConnection(host, port, timeout=_ANSWER_WITHIN_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
