"""What is measured: the router, the bare proxy, and the provider called directly."""

import http.client
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.machine import Cores, children_of, cpu_s, move_to_core, start, stop
from bench.toolbox import ROOT, Toolbox
from bench.workload import write_configuration

CHAT_PATH: Final = "/v1/chat/completions"
INGESTER: Final = "ingester"
WORKER: Final = "worker"
_START_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.002
_CATCH_UP_WITHIN_S: Final = 30.0


class DidNotStart(Exception):
    """A subject does not answer; the end of its log is in the message."""


@dataclass(slots=True, kw_only=True)
class Subject:
    """Something that answers chat completions on a port of this machine."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    path: str = CHAT_PATH
    cold_start_s: float = 0.0

    @property
    def url(self) -> str:
        """Return where it is asked."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def roles(self) -> dict[str, int]:
        """Return the process of each role that it has."""
        return {WORKER: self.process.pid}

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU that each role has used so far."""
        return {role: cpu_s(pid) for role, pid in self.roles().items()}

    def settle(self) -> None:
        """Wait until the work that the last load left behind is done."""

    def ask(self, body: bytes, *, authorization: str) -> tuple[int, bytes]:
        """Send one request on a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            headers = {
                "Content-Type": "application/json",
                "Authorization": authorization,
            }
            connection.request("POST", self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


@dataclass(slots=True, kw_only=True)
class Router(Subject):
    """The router, with its ingester and its database."""

    directory: Path
    answered: int = 0
    _ingester: int = field(default=0)

    def roles(self) -> dict[str, int]:
        """Return the worker's process and the ingester's."""
        self._ingester = self._ingester or next(iter(children_of(self.process.pid)), 0)
        return {WORKER: self.process.pid, INGESTER: self._ingester}

    def rows(self, *, answered_only: bool = True) -> int:
        """Return how many usage rows are in the database."""
        database = self.directory / "state" / "usage.sqlite"
        query = "SELECT count(*) FROM request_usage"
        if answered_only:
            query += " WHERE status = 200"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
            return int(opened.execute(query).fetchone()[0])

    def settle(self) -> None:
        """Wait until the ingester has nothing left to do."""
        deadline = time.monotonic() + _CATCH_UP_WITHIN_S
        while time.monotonic() < deadline:
            before = self.cpu_s()[INGESTER], self.rows(answered_only=False)
            time.sleep(0.25)
            if (self.cpu_s()[INGESTER], self.rows(answered_only=False)) == before:
                return


@contextmanager
def running_mock(tools: Toolbox, *, core: int, directory: Path) -> Iterator[Subject]:
    """Run the mock provider: what is behind a proxy, or is called directly."""
    port = free_port()
    command = [str(tools.mock_upstream), "--port", str(port)]
    with _running(command, core=core, directory=directory, name="mock") as process:
        subject = Subject(name="direct", port=port, process=process)
        _wait(lambda: _listens(port), process, log=directory / "mock.log")
        yield subject


@contextmanager
def running_bare_proxy(
    upstream: Subject, *, core: int, directory: Path
) -> Iterator[Subject]:
    """Run the proxy that only forwards."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "bench.bare_proxy",
        f"--port={port}",
        f"--upstream=http://127.0.0.1:{upstream.port}",
    ]
    with _running(command, core=core, directory=directory, name="bare") as process:
        subject = Subject(name="bare proxy", port=port, process=process)
        _wait(lambda: _listens(port), process, log=directory / "bare.log")
        yield subject


@contextmanager
def running_router(
    upstream: Subject,
    *,
    cores: Cores,
    directory: Path,
    ingester_apart: bool = False,
) -> Iterator[Router]:
    """Run a router with everything on, in a state directory of its own."""
    directory.mkdir()
    port = free_port()
    config = directory / "router.yaml"
    write_configuration(config, port=port, upstream_port=upstream.port)
    command = [sys.executable, "-m", "smart_llmrouter", "serve"]
    command += ["--config", str(config)]
    began = time.monotonic()
    with _running(
        command, core=cores.subject, directory=directory, name="router"
    ) as process:
        log = directory / "router.log"
        router = Router(name="router", port=port, process=process, directory=directory)
        _wait(lambda: _is_ready(port), process, log=log)
        router.cold_start_s = time.monotonic() - began
        _wait(lambda: bool(children_of(process.pid)), process, log=log)
        if ingester_apart:
            move_to_core(router.roles()[INGESTER], cores.load)
        yield router


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(
    command: list[str], *, core: int, directory: Path, name: str
) -> Iterator[subprocess.Popen[bytes]]:
    with ExitStack() as stack:
        log = stack.enter_context((directory / f"{name}.log").open("wb"))
        # `cwd` is the checkout, so that `-m bench...` is found.
        process = start(command, core=core, cwd=ROOT, output=log)
        stack.callback(stop, process)
        yield process


def _wait(
    holds: Callable[[], bool], process: subprocess.Popen[bytes], *, log: Path
) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            raise DidNotStart(log.read_text(errors="replace")[-2000:])
        time.sleep(_POLL_S)


def _listens(port: int) -> bool:
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port))):
        return True
    return False


def _is_ready(port: int) -> bool:
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        with closing(connection):
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
    return False
