"""A mock provider and a router before it, on a stage of their own, for real clients."""

import json
import os
import sqlite3
import sys
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.gateway import caller, configuration, free_port, provider, token
from tests.support.stage import Ended, Stage, stage
from tools.clients import is_complete, node_home, python_home

DIALECTS: Final = ("openai-chat", "openai-responses", "anthropic-messages")
Settings = dict[str, Any]


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
class Scene:
    """A router and its provider, and a folder where a client works."""

    stage: Stage
    directory: Path
    port: int

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
        within_s: float = 120,
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

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        """Return columns of the calls on record, oldest first."""
        database = self.directory / "state/usage.sqlite"
        with closing(sqlite3.connect(database)) as connection:
            query = f"select {columns} from request_usage order by ts, request_id"  # noqa: S608 - our own
            return list(connection.execute(query))

    @property
    def log(self) -> str:
        """Return what router and mock have said."""
        return "\n".join(
            (self.directory / name).read_text() for name in ("router.log", "mock.log")
        )


def node() -> str:
    """Return the program that runs JavaScript."""
    return str(python_home("python") / "bin/node")


def npm_program(*path: str) -> str:
    """Return a program out of an npm package."""
    return str(node_home().joinpath("node_modules", *path))


@contextmanager
def scene(
    directory: Path,
    dialect: str,
    *,
    amend: Mapping[str, Any] | None = None,
    providers: Mapping[str, Settings] | None = None,
) -> Generator[Scene]:
    """Set a router up whose group `chat` is served in `dialect`.

    `providers` are more of them, tried before that one; `{base_url}` in them is the
    mock's. `amend` replaces keys of the group.
    """
    with stage(directory) as opened:
        (directory / "work").mkdir()
        base_url = _start_mock(opened, directory)
        named = {
            name: {**settings, "base_url": base_url}
            for name, settings in (providers or {}).items()
        }
        named["mock"] = provider(base_url, dialect=dialect)
        port = free_port()
        settings = configuration(
            named, server={"listen": f"127.0.0.1:{port}"}, callers=[caller()]
        )
        settings["groups"]["chat"] |= dict(amend or {})
        (directory / "router.yaml").write_text(json.dumps(settings, indent=1))
        log = directory / "router.log"
        opened.start(sys.executable, "-m", "smart_llmrouter", "serve", log=log)
        opened.wait_for("listening", log=log)
        yield Scene(opened, directory, port)


def _start_mock(opened: Stage, directory: Path) -> str:
    log = directory / "mock.log"
    opened.start(
        sys.executable, "-u", "-m", "smart_llmrouter", "mock", "--port", "0", log=log
    )
    line = opened.wait_for("mock provider: ", log=log)
    return line.partition("mock provider: ")[2].split()[0]
