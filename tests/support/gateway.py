"""The router as its operators run it: a process, a configuration file, a database."""

import asyncio
import fcntl
import hashlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx2
import openai
import psycopg
from psycopg.rows import dict_row

from smart_llmrouter.config.load import load_snapshot
from tests.support.plain_clients import openai_without_tls, without_tls
from tests.support.wait import PATIENCE_S, eventually

SECRET: Final = "5ec2e7" + "0" * 58
"""The secret part of every token in tests; it opens nothing."""


DATABASE_VARIABLE: Final = "ROUTER_DATABASE_URL"
"""Where a test keeps the URL of a database that is no file."""

_NOT_DEALT_OUT: Final = range(10_240, 32_768)
_TRIES: Final = 100
_CHANCE: Final = random.SystemRandom()
_TAKEN: Final[set[int]] = set()
_CLAIMS: Final = Path(tempfile.gettempdir(), f"router-test-ports-{os.getuid()}")


def token(key: str = "k1") -> str:
    """Return a caller token whose public id ends in `key`."""
    return f"rtr_alice_search_dev_{key}_{SECRET}"


def caller(key: str = "k1", **changes: object) -> dict[str, Any]:
    """Return the configuration entry of `token(key)`."""
    digest = hashlib.sha256(token(key).encode()).hexdigest()
    return {
        "id": f"alice-search-dev-{key}",
        "owner_user": "alice",
        "project": "search",
        "environment": "dev",
        "status": "active",
        "token_id": f"rtr_alice_search_dev_{key}",
        "token_sha256": digest,
        "allow": ["chat"],
        **changes,
    }


PRICE: Final = {
    "input_per_million": "0.25",
    "cached_input_per_million": "0.025",
    "output_per_million": "2.00",
}


CAPABLE: Final[Mapping[str, Any]] = {
    "input": ["text", "image", "audio", "document"],
    "tools": ["function", "forced_choice", "parallel"],
    "structured_outputs": True,
    "reasoning": {},
}
"""What a model is declared to be that can do everything."""


RESTLESS: Final[Mapping[str, Any]] = {
    "on_429": {"min_s": 0.001, "max_s": 0.001, "honor_retry_after": False},
    "on_quota": {"min_s": 0.001, "max_s": 0.001},
    "on_failure": {"failures": 1000, "min_s": 0.001, "max_s": 0.001},
}
"""How long a provider is left alone that fails in each of a test's calls."""


def provider(base_url: str, **changes: object) -> dict[str, Any]:
    """Return a provider at `base_url` whose one model `mini` is called `mock-mini`."""
    return {
        "dialect": "openai-chat",
        "base_url": base_url,
        "models": {"mini": {"model": "mock-mini", "price": PRICE, **CAPABLE}},
        **changes,
    }


def configuration(
    providers: Mapping[str, Mapping[str, Any]], **changes: object
) -> dict[str, Any]:
    """Return a configuration: the group `chat` fails over from provider to provider.

    `changes` replace whole top-level keys, except `server`, `state` and `upstream`,
    which they amend.
    """
    settings: dict[str, Any] = {
        "server": {"listen": f"127.0.0.1:{free_port()}", "shutdown_grace_s": 5},
        "state": {"directory": "./state"},
        "upstream": {},
        "providers": dict(providers),
        "groups": {
            "chat": {
                "strategy": "failover",
                "targets": [{"use": f"{name}/mini"} for name in providers],
                # One attempt on each target, so that tests count what they cause.
                "same_target_retries": 0,
            }
        },
        "users": [{"id": "alice", "name": "Alice", "status": "active"}],
        "projects": [{"id": "search", "name": "Search", "status": "active"}],
        "project_memberships": [
            {
                "user": "alice",
                "project": "search",
                "role": "developer",
                "status": "active",
            }
        ],
        "callers": [caller()],
    }
    for key, value in changes.items():
        if isinstance(value, dict) and key in {"server", "state", "upstream"}:
            settings[key] |= value
        else:
            settings[key] = value
    return settings


def free_port() -> int:
    """Return a port that nobody holds now, for a process that is to listen there.

    It is none of those that the system deals out by itself: until that process is up,
    no connection and no test that lets the system choose comes upon it. And it is
    given out once: not again by this process of tests, nor by others that run beside
    it. Where nobody shall listen, hold one; see
    `tests.support.upstream_server.refusing_port`.
    """
    # Each process of a parallel run has the same seed; their ports must differ.
    for port in _CHANCE.sample(_NOT_DEALT_OUT, k=_TRIES):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _claim(port)
            return port
    raise AssertionError("no port is free")


def _claim(port: int) -> None:
    """Keep a port from being given out again. Raises `OSError` if it was."""
    if port in _TAKEN:
        raise BlockingIOError(port)
    # A lock of one byte a port; the system releases all of them with the process.
    fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    _TAKEN.add(port)


@cache
def _claims() -> int:
    """Return the file of the locks, open until the process ends."""
    return os.open(_CLAIMS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


@dataclass(slots=True)
class Gateway:
    """A router in a process of its own. It can be killed, and started again."""

    directory: Path
    settings: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    opened: list[openai.AsyncOpenAI] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return where it listens, without a path."""
        return f"http://{self.settings['server']['listen']}"

    @property
    def config_path(self) -> Path:
        """Return the configuration file."""
        return self.directory / "router.yaml"

    @property
    def state(self) -> Path:
        """Return the state directory."""
        return self.directory / "state"

    @property
    def log(self) -> str:
        """Return what it has logged so far."""
        return (self.directory / "router.log").read_text()

    @property
    def pid(self) -> int:
        """Return the process id of the router."""
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.write()
        with (self.directory / "router.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "smart_llmrouter", "serve"],
                cwd=self.directory,
                env={**_plain_environment(), **self.environment},
                stdout=log,
                stderr=log,
            )
        await eventually(self._answers, what="readiness")

    def write(self) -> None:
        """Write the settings to the configuration file, all at once."""
        # JSON is YAML, too.
        fresh = self.config_path.with_suffix(".new")
        fresh.write_text(json.dumps(self.settings, indent=1))
        fresh.replace(self.config_path)

    async def report(self) -> dict[str, Any]:
        """Return the report of `/readyz`, by a connection of its own."""
        async with without_tls(trust_env=False) as client:
            answer = await client.get(f"{self.url}/readyz", timeout=PATIENCE_S)
        report: dict[str, Any] = answer.json()
        return report

    async def reload(self) -> dict[str, Any]:
        """Have what is in the file read again; return the report when that is over.

        Call it where no reload is under way: the end of that one would be taken for the
        end of this. Where SIGHUP was sent before, see `has_taken_what_is_written`.
        """
        before: int = (await self.report())["configuration"]["reloads"]
        os.kill(self.pid, signal.SIGHUP)

        async def over() -> bool:
            reloads: int = (await self.report())["configuration"]["reloads"]
            return reloads > before

        await eventually(over, what="the end of the reload")
        return await self.report()

    def has_taken_what_is_written(self) -> bool:
        """Say whether what was taken last, by all workers, is the file as it is now."""
        written = load_snapshot(self.config_path, environment=self.environment)
        taken = [
            json.loads(line)["fingerprint"]
            for line in self.log.splitlines()
            if "configuration reloaded" in line
        ]
        return taken[-1:] == [written.fingerprint]

    async def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        async with without_tls(trust_env=False) as client:
            try:
                answer = await client.get(f"{self.url}/readyz")
            except httpx2.TransportError:
                return False
        return answer.status_code == httpx2.codes.OK

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return await asyncio.to_thread(self.process.wait, PATIENCE_S)

    def openai(
        self,
        key: str = "k1",
        **options: Any,  # noqa: ANN401 - whatever the SDK takes
    ) -> openai.AsyncOpenAI:
        """Return the official SDK, pointed here; it does not retry by itself.

        It is closed with the gateway.
        """
        options.setdefault("max_retries", 0)
        options.setdefault("http_client", openai_without_tls())
        client = openai.AsyncOpenAI(
            api_key=token(key), base_url=f"{self.url}/v1", **options
        )
        self.opened.append(client)
        return client

    def http(self, key: str | None = "k1") -> httpx2.AsyncClient:
        """Return a plain HTTP client with the token of `key`."""
        headers = {"Authorization": f"Bearer {token(key)}"} if key else {}
        return without_tls(
            base_url=self.url,
            headers=headers,
            trust_env=False,
            timeout=PATIENCE_S,
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return the usage rows that are in the database now, oldest first."""
        server_url = self.environment.get(DATABASE_VARIABLE)
        if server_url is not None:
            return _server_rows(server_url)
        database = self.state / "usage.sqlite"
        if not database.exists():
            return []
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
            opened.row_factory = sqlite3.Row
            found = opened.execute(
                "SELECT * FROM request_usage ORDER BY ts_ms, request_id"
            )
            return [dict(row) for row in found]

    async def recorded(self, count: int) -> list[dict[str, Any]]:
        """Wait until there are `count` usage rows at least, and return them all."""
        await eventually(lambda: len(self.rows()) >= count, what=f"{count} rows")
        return self.rows()


def _server_rows(url: str) -> list[dict[str, Any]]:
    try:
        with psycopg.connect(url, row_factory=dict_row) as opened:
            return opened.execute(
                "SELECT * FROM request_usage ORDER BY ts_ms, request_id"
            ).fetchall()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return []


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "COVERAGE_PROCESS_START")
    return {name: os.environ[name] for name in kept if name in os.environ}


@asynccontextmanager
async def running_gateway(
    directory: Path,
    settings: dict[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[Gateway]:
    """Run a router in `directory`; stop it at the end, whatever happened."""
    gateway = Gateway(directory, settings, dict(environment or {}))
    try:
        await gateway.start()
        yield gateway
    finally:
        for client in gateway.opened:
            await client.close()
        if gateway.process is not None and gateway.process.poll() is None:
            await gateway.stop()
