"""`smart-llmrouter demo` as its users run it: a process, and what it prints."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.gateway import free_port
from tests.support.wait import PATIENCE_S, eventually_sync

STARTED_WITHIN_S = PATIENCE_S
STOPPED_WITHIN_S = PATIENCE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo process; its output is collected in a file."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def printed(self) -> str:
        """Return everything that it has printed so far."""
        return self.output.read_text()

    @property
    def url(self) -> str:
        """Return the router's URL, without a path."""
        return self._found(r"router\s+(http://127\.0\.0\.1:\d+)/v1")

    @property
    def provider_url(self) -> str:
        """Return the provider's URL, without a path."""
        return self._found(r"provider\s+(http://127\.0\.0\.1:\d+)/v1")

    @property
    def token(self) -> str:
        """Return the ordinary caller's token."""
        return self._found(r"an application\s+(rtr_\w+)")

    @property
    def admin_token(self) -> str:
        """Return the operator's token."""
        return self._found(r"an operator, reads /metrics\s+(rtr_\w+)")

    @property
    def commands(self) -> list[str]:
        """Return the printed commands, exactly as somebody would copy them."""
        parts = re.split(r"^# \d\. .*\n", self.printed, flags=re.MULTILINE)[1:]
        return [part.split("\n\n")[0] for part in parts]

    @property
    def children(self) -> list[int]:
        """Return the ids of the processes that it started, in that order."""
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return sorted(int(child) for child in listed.split())

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until `condition` holds; fail at once when the process ends."""

        def held() -> bool:
            if condition():
                return True
            assert self.process.poll() is None, f"the demo ended:\n{self.printed}"
            return False

        eventually_sync(held, within_s=STARTED_WITHIN_S, what=what)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Return the exit code when the process has ended."""
        return self.process.wait(STOPPED_WITHIN_S)

    def _found(self, pattern: str) -> str:
        found = re.search(pattern, self.printed)
        assert found is not None, self.printed
        return found.group(1)


@contextmanager
def starting_demo(
    directory: Path,
    *options: str,
    port: int | None = None,
    provider_port: int | None = None,
) -> Generator[Demo]:
    """Start a demo in `directory`, without waiting for it; stop it at the end."""
    output = directory.parent / f"{directory.name}-{free_port()}.txt"
    command = [sys.executable, "-m", "smart_llmrouter", "demo"]
    ports = ["--port", str(port or free_port())]
    ports += ["--provider-port", str(provider_port or free_port())]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--directory", str(directory), *ports, *options],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    demo = Demo(process=process, output=output)
    try:
        yield demo
    finally:
        if process.poll() is None:
            demo.stop(signal.SIGTERM)


@contextmanager
def running_demo(directory: Path, *options: str) -> Generator[Demo]:
    """Start a demo in `directory` and wait until it says that it runs."""
    with starting_demo(directory, *options) as demo:
        demo.wait_for(lambda: "Ctrl-C stops" in demo.printed, "a running demo")
        yield demo
