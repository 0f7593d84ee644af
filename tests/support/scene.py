"""Mock providers and a router before them, on a stage of their own, for real clients.

Each provider is a mock of its own with a name of its own, so that reasoning which the
one has signed is refused by the other, as real providers do.
"""

import json
import os
import sqlite3
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.gateway import (
    CAPABLE,
    RESTLESS,
    caller,
    configuration,
    free_port,
    provider,
    token,
)
from tests.support.stage import Ended, Stage, stage
from tests.support.wait import eventually_sync
from tools.clients import is_complete, node_home, python_home

DIALECTS: Final = ("openai-chat", "openai-responses", "anthropic-messages")
Settings = dict[str, Any]
_FETCH: Final = (
    "import sys, urllib.request as web; print(web.urlopen(sys.argv[1]).read().decode())"
)


def why_not() -> str | None:
    """Say why real clients cannot run here, if they cannot."""
    homes = (node_home(), python_home("python"), python_home("aider"))
    missing = [home.name for home in homes if not is_complete(home)]
    if not missing:
        return None
    reason = f"`python tools/clients.py` has not installed {', '.join(missing)}"
    # Where all must run, none may be skipped.
    assert os.environ.get("CI") != "true", reason
    return reason


@dataclass(frozen=True, slots=True)
class Served:
    """A provider: the dialect that it speaks, and the script that it follows."""

    dialect: str
    script: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as a provider got it."""

    path: str
    headers: Mapping[str, str]
    body: Settings


@dataclass(frozen=True, slots=True)
class Scene:
    """A router and its providers, and a folder where a client works."""

    stage: Stage
    directory: Path
    port: int
    mocks: Sequence[str]

    @property
    def url(self) -> str:
        """Return where the router listens, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """Return the caller's token."""
        return token()

    @property
    def work(self) -> Path:
        """Return the folder in which the client works."""
        return self.directory / "work"

    def run(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        within_s: float = 240,
    ) -> Ended:
        """Run a client in its folder, to its end."""
        return self.stage.run(
            *command, cwd=self.work, environment=environment, within_s=within_s
        )

    def script(self, code: str, *, language: str = "python") -> Ended:
        """Run a program with the SDKs; it reads `BASE_URL` and `TOKEN`."""
        environment = {"BASE_URL": self.url, "TOKEN": self.token}
        if language == "python":
            program = str(python_home("python") / "bin/python")
            return self.run(program, "-c", code, environment=environment)
        file = self.directory / "program.mjs"
        file.write_text(code)
        modules = self.directory / "node_modules"
        if not modules.exists():
            modules.symlink_to(node_home() / "node_modules")
        return self.run(node(), str(file), environment=environment)

    def seen(self, *, provider: int = -1) -> list[Seen]:
        """Return the requests that a provider got, oldest first."""
        got = self.run(
            sys.executable, "-c", _FETCH, f"{self.mocks[provider]}/__mock/requests"
        )
        assert got.code == 0, got
        return [
            Seen(each["path"], dict(each["headers"]), json.loads(each["body"] or "{}"))
            for each in json.loads(got.stdout)["requests"]
        ]

    def rows(self, columns: str, *, at_least: int = 1) -> list[tuple[Any, ...]]:
        """Wait for so many calls on record; return columns of all, oldest first."""
        return eventually_sync(
            lambda: self._rows(columns, at_least),
            what=f"{at_least} rows",
        )

    def _rows(self, columns: str, at_least: int) -> list[tuple[Any, ...]]:
        database = self.directory / "state/usage.sqlite"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
            query = f"select {columns} from request_usage order by ts_ms, request_id"  # noqa: S608 - our own
            found = list(opened.execute(query))
        return found if len(found) >= at_least else []

    @property
    def log(self) -> str:
        """Return what routers and mocks have said."""
        logs = sorted(self.directory.glob("**/*.log"))
        return "\n".join(log.read_text() for log in logs)

    @property
    def kept(self) -> bytes:
        """Return all that routers have written: logs, journals and databases."""
        files = [
            *self.directory.glob("**/router.log"),
            *self.directory.glob("**/state/**/*"),
        ]
        return b"\0".join(_content(file) for file in files if file.is_file())


def _content(file: Path) -> bytes:
    """Return what is in a file; nothing where it has gone since it was listed."""
    with suppress(FileNotFoundError):
        return file.read_bytes()
    return b""


def node() -> str:
    """Return the program that runs JavaScript."""
    return str(python_home("python") / "bin/node")


def npm_program(*path: str) -> str:
    """Return a program out of an npm package."""
    return str(node_home().joinpath("node_modules", *path))


@contextmanager
def scene(
    directory: Path,
    *served: str | Served,
    amend: Mapping[str, Any] | None = None,
    behind: str | None = None,
) -> Generator[Scene]:
    """Set a router up whose group `chat` is served by `served`, tried in this order.

    `amend` replaces keys of the group. With `behind` there are two routers: the first
    one's only provider is the second, which it speaks `behind` to.
    """
    with stage(directory) as opened:
        (directory / "work").mkdir()
        mocks = [
            _start_mock(opened, directory, at, _as_served(each))
            for at, each in enumerate(served)
        ]
        providers = {
            f"mock-{at}": provider(
                f"{url}/v1", dialect=_as_served(each).dialect, backoff=RESTLESS
            )
            for at, (url, each) in enumerate(zip(mocks, served, strict=True))
        }
        if behind is not None:
            port = _start_router(opened, directory / "behind", providers, amend or {})
            providers = {"router": _behind(directory, port, behind)}
        port = _start_router(opened, directory, providers, amend or {})
        yield Scene(opened, directory, port, mocks)


def _as_served(served: str | Served) -> Served:
    return served if isinstance(served, Served) else Served(served)


def _start_mock(opened: Stage, directory: Path, at: int, served: Served) -> str:
    log = directory / f"mock-{at}.log"
    script = directory / f"mock-{at}.json"
    script.write_text(json.dumps(served.script))
    opened.start(
        *(sys.executable, "-u", "-m", "smart_llmrouter", "mock", "--port", "0"),
        *("--name", f"mock-{at}", "--script", str(script)),
        log=log,
    )
    line = opened.wait_for("mock provider: ", log=log)
    return line.partition("mock provider: ")[2].split()[0].removesuffix("/v1")


def _start_router(
    opened: Stage,
    directory: Path,
    providers: Mapping[str, Settings],
    amend: Mapping[str, Any],
) -> int:
    directory.mkdir(exist_ok=True)
    port = free_port()
    settings = configuration(
        providers, server={"listen": f"127.0.0.1:{port}"}, callers=[caller()]
    )
    settings["groups"]["chat"] |= dict(amend)
    (directory / "router.yaml").write_text(json.dumps(settings, indent=1))
    log = directory / "router.log"
    opened.start(sys.executable, "-m", "smart_llmrouter", "serve", log=log)
    opened.wait_for("listening", log=log)
    return port


def _behind(directory: Path, port: int, dialect: str) -> Settings:
    """Return a router as the provider of another: its group is the model."""
    key = directory / "behind.key"
    key.write_text(token())
    return provider(
        f"http://127.0.0.1:{port}/v1",
        dialect=dialect,
        api_key=f"file:{key}",
        models={"mini": {"model": "chat", **CAPABLE}},
        backoff=RESTLESS,
    )
