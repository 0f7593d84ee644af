"""What is measured: the router, the bare proxy, and the provider called directly."""

import http.client
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.machine import (
    Cores,
    command_of,
    cpu_s,
    move_to_core,
    plain_environment,
    start,
    stop,
    tree_of,
)
from bench.toolbox import ROOT, Toolbox
from bench.workload import SMALL, TOKEN, Scale, write_configuration

CHAT_PATH: Final = "/v1/chat/completions"
MESSAGES_PATH: Final = "/v1/messages"
INGESTER: Final = "ingester"
WORKER: Final = "worker"
STORE: Final = "counter store"
_INGESTER_MODULE: Final = "ingest_command"
_ROLES: Final = {_INGESTER_MODULE: INGESTER, "valkey-server": STORE}
"""What stands in the commands of processes that serve no calls."""
_START_WITHIN_S: Final = 30.0
_POLL_S: Final = 0.002
_CATCH_UP_WITHIN_S: Final = 30.0


class DidNotStart(Exception):
    """A subject does not answer; the end of its log is in the message."""


@dataclass(slots=True, kw_only=True)
class Subject:
    """Something that answers chat completions on a port of this machine.

    `settle_s` is how long it goes on with calls that a load has given up.
    """

    name: str
    port: int
    process: subprocess.Popen[bytes]
    path: str = CHAT_PATH
    cold_start_s: float = 0.0
    authorization: str = f"Bearer {TOKEN}"
    headers: Mapping[str, str] = field(default_factory=dict)
    settle_s: float = 0.0

    @property
    def url(self) -> str:
        """Return where it is asked."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def roles(self) -> dict[str, list[int]]:
        """Return the processes of each role that it has."""
        return {WORKER: tree_of(self.process.pid)}

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU that each role has used so far."""
        return {role: sum(map(cpu_s, pids)) for role, pids in self.roles().items()}

    def settle(self) -> None:
        """Wait until the work that the last load left behind is done."""
        time.sleep(self.settle_s)

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """Send one request on a connection of its own."""
        with closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        ) as connection:
            headers = {
                "Content-Type": "application/json",
                "Authorization": self.authorization,
                **self.headers,
            }
            connection.request("POST", self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


@dataclass(slots=True, kw_only=True)
class Mock(Subject):
    """The mock provider; over TLS, too, where it was built with it."""

    tls_port: int | None = None
    certificate: Path | None = None


@dataclass(slots=True, kw_only=True)
class Router(Subject):
    """The router, with its ingester and its database."""

    directory: Path
    answered: int = 0

    def roles(self) -> dict[str, list[int]]:
        """Return the processes of workers, ingester, and counter store if any."""
        roles: dict[str, list[int]] = {WORKER: [], INGESTER: []}
        for pid in tree_of(self.process.pid):
            command = command_of(pid)
            named = (role for part, role in _ROLES.items() if part in command)
            role = next(named, WORKER)
            roles.setdefault(role, []).append(pid)
        return roles

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
def running_mock(tools: Toolbox, *, core: int, directory: Path) -> Iterator[Mock]:
    """Run the mock provider: what is behind a proxy, or is called directly."""
    port, tls_port = free_port(), free_port()
    certificate = directory / "mock.pem"
    command = [str(tools.mock_upstream), "--port", str(port)]
    if tools.tls:
        command += ["--tls-port", str(tls_port), "--certificate", str(certificate)]
    with running(command, cores=[core], directory=directory, name="mock") as process:
        subject = Mock(
            name="direct",
            port=port,
            process=process,
            tls_port=tls_port if tools.tls else None,
            certificate=certificate if tools.tls else None,
        )
        wait_for(lambda: listens(port), process, log=directory / "mock.log")
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
    with running(command, cores=[core], directory=directory, name="bare") as process:
        subject = Subject(name="bare proxy", port=port, process=process)
        wait_for(lambda: listens(port), process, log=directory / "bare.log")
        yield subject


@contextmanager
def running_router(
    upstream: Mock,
    *,
    cores: Cores,
    directory: Path,
    name: str = "router",
    scale: Scale = SMALL,
    one_core: bool = False,
) -> Iterator[Router]:
    """Run a router with everything on, in a state directory of its own.

    With `one_core` its ingester shares the worker's core; otherwise it has the load's.
    """
    directory.mkdir()
    port = free_port()
    config = directory / "router.yaml"
    write_configuration(config, port=port, upstream_port=upstream.port, scale=scale)
    command = [sys.executable, "-m", "smart_llmrouter", "serve", "--config"]
    ingester_core = cores.subject if one_core else cores.load
    environment = _router_environment(directory, upstream, ingester_core=ingester_core)
    workers_cores = [cores.subject, *cores.more][: max(1, scale.workers)]
    began = time.monotonic()
    with running(
        [*command, str(config)],
        cores=workers_cores,
        directory=directory,
        name="router",
        environment=environment,
    ) as process:
        log = directory / "router.log"
        router = Router(name=name, port=port, process=process, directory=directory)
        wait_for(lambda: is_ready(port), process, log=log)
        router.cold_start_s = time.monotonic() - began
        wait_for(lambda: bool(router.roles()[INGESTER]), process, log=log)
        for pid in router.roles()[INGESTER]:
            move_to_core(pid, ingester_core)
        yield router


def _router_environment(
    directory: Path, upstream: Mock, *, ingester_core: int
) -> dict[str, str]:
    environment = plain_environment(directory)
    environment["SMART_LLMROUTER_INGESTER_CPUS"] = str(ingester_core)
    # Another source tree than the installed one may be under test.
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    if upstream.certificate is not None:
        environment["SSL_CERT_FILE"] = str(upstream.certificate)
    return environment


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    *,
    cores: Sequence[int],
    directory: Path,
    name: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process as long as the block does; what it says goes to `NAME.log`."""
    if environment is None:
        environment = plain_environment(directory)
    with ExitStack() as stack:
        log = stack.enter_context((directory / f"{name}.log").open("wb"))
        # `cwd` is the checkout, so that `-m bench...` is found.
        process = start(
            command, cores=cores, cwd=ROOT, output=log, environment=environment
        )
        stack.callback(stop, process)
        yield process


def wait_for(
    holds: Callable[[], bool],
    process: subprocess.Popen[bytes],
    *,
    log: Path,
    within_s: float = _START_WITHIN_S,
) -> None:
    """Wait until something holds. Raises `DidNotStart` with the end of the log."""
    deadline = time.monotonic() + within_s
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            raise DidNotStart(log.read_text(errors="replace")[-2000:])
        time.sleep(_POLL_S)


def listens(port: int) -> bool:
    """Say whether something accepts connections on a port."""
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port))):
        return True
    return False


def is_ready(port: int) -> bool:
    """Say whether a router is ready."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        with closing(connection):
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
    return False
