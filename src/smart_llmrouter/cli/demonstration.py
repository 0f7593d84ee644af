"""What `smart-llmrouter demo` does: start a provider and a router, and tell of both."""

import importlib.util
import shlex
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from smart_llmrouter.cli.children import (
    Child,
    ChildFailed,
    Children,
    answers,
    stop_signals,
)
from smart_llmrouter.cli.demo_files import (
    ADMIN_CALLER,
    ORDINARY_CALLER,
    DemoFiles,
    UnusableDemo,
    only_demo_in,
    prepare,
)
from smart_llmrouter.cli.local_llm import missing_packages
from smart_llmrouter.cli.options import Llm

_HOST: Final = "127.0.0.1"
_PORTS_TRIED: Final = 100
_MOCK_READY_S: Final = 60
_LOCAL_READY_S: Final = 300
_ROUTER_READY_S: Final = 60
_STOP_WITHIN_S: Final = 40
_MODULE: Final = (sys.executable, "-m", "smart_llmrouter")
_LOCAL_MODULE: Final = (sys.executable, "-m", "smart_llmrouter.cli.local_llm")

_GUIDE: Final = """
The demo is running.

  router         {url}/v1   (what an OpenAI client takes as its base URL)
  documentation  {url}/docs/
  provider       {provider}
  configuration  {configuration}
  state          {state}
  logs           {logs}
"""

_TOKENS: Final = """
Tokens ({renewed}; they are shown this once, only their hashes are kept):

  an application               {app}
  an operator, reads /metrics  {admin}

Three commands to try, in another terminal:

# 1. curl
curl {url}/v1/chat/completions \\
  -H 'Authorization: Bearer {app}' \\
  -H 'Content-Type: application/json' \\
  -d '{{"model": "chat", "messages": [{{"role": "user", "content": "Say hello."}}]}}'

# 2. The OpenAI SDK for Python, streamed
{python} -c '
from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="{app}")
stream = client.chat.completions.create(
    model="chat",
    messages=[{{"role": "user", "content": "Say hello."}}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
'

# 3. What it used and what it cost
{command} usage report --since 24h --config {quoted_configuration}
"""

_TRY_FAULTS: Final = """
The mock fails on demand: with [[mock: {"status": 503, "model": "mock-large"}]] in the
prompt the first provider refuses, and the second one answers, though it speaks another
dialect. /v1/messages and /v1/responses take the same tokens and models, and so do
Claude Code and Codex CLI: the pages under /docs/ say how.
"""

_NO_TOKENS: Final = """
The configuration has no demo callers any more: use the tokens of your own.
"""


_CTRL_C: Final = "\nCtrl-C stops everything."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """Where everything of one run is."""

    directory: Path
    llm: Llm
    port: int
    provider_port: int

    @property
    def base_url(self) -> str:
        """Return the provider's base URL."""
        return f"http://{_HOST}:{self.provider_port}/v1"

    @property
    def logs(self) -> Path:
        """Return the directory of the logs."""
        return self.directory / "logs"


def run_demo(directory: Path, *, llm: Llm, port: int, provider_port: int) -> None:
    """Run a demo until Ctrl-C or SIGTERM; what is wrong is told in one line."""
    if llm == "local" and (install := missing_packages()):
        need = "--llm local needs llama.cpp and a model; this installs both:"
        typer.echo(f"{need}\n  {install}", err=True)
        raise typer.Exit(1)
    directory = directory.resolve()
    try:
        with stop_signals() as stop, only_demo_in(directory):
            _perform(_stage(directory, llm, port, provider_port), stop)
    except (ChildFailed, UnusableDemo, OSError) as error:
        typer.echo(f"\n{error}", err=True)
        raise typer.Exit(1) from error


def _perform(stage: _Stage, stop: threading.Event) -> None:
    """Run everything until `stop` is set, and leave nothing running."""
    children = Children(stage.logs, stop)
    try:
        _open(stage, children)
        children.watch()
    finally:
        _close(children)


def _stage(directory: Path, llm: Llm, port: int, provider_port: int) -> _Stage:
    found = _free_port(port, "--port")
    return _Stage(
        directory=directory,
        llm=llm,
        port=found,
        provider_port=_free_port(provider_port, "--provider-port", taken=found),
    )


def _open(stage: _Stage, children: Children) -> None:
    """Start everything in order, and say where it is."""
    files = prepare(
        stage.directory,
        llm=stage.llm,
        listen=f"{_HOST}:{stage.port}",
        base_url=stage.base_url,
    )
    typer.echo(
        f"{'wrote' if files.created else 'kept'} {files.configuration}; starting …"
    )
    _start_provider(stage, children)
    if children.stopping:
        return
    router = children.start(
        "router",
        [*_MODULE, "serve", "--config", str(files.configuration)],
    )
    children.wait_until(
        router, lambda: answers(_HOST, stage.port, "/readyz"), _ROUTER_READY_S
    )
    if not children.stopping:
        typer.echo(_guide(stage, files))


def _start_provider(stage: _Stage, children: Children) -> Child:
    port = ["--port", str(stage.provider_port)]
    if stage.llm == "mock":
        name, path, within_s = "mock provider", "/healthz", _MOCK_READY_S
        arguments = [*_MODULE, "mock", *port]
    else:
        name, path, within_s = "local model", "/health", _LOCAL_READY_S
        models = str(stage.directory / "models")
        arguments = [*_LOCAL_MODULE, *port, "--directory", models]
    child = children.start(name, arguments)
    children.wait_until(
        child, lambda: answers(_HOST, stage.provider_port, path), within_s
    )
    return child


def _close(children: Children) -> None:
    # A terminal that was closed takes no more text, and that is no failure.
    with suppress(OSError):
        typer.echo("\nstopping …")
    children.stop_all(_STOP_WITHIN_S)
    with suppress(OSError):
        typer.echo("stopped")


def _guide(stage: _Stage, files: DemoFiles) -> str:
    url = f"http://{_HOST}:{stage.port}"
    guide = _GUIDE.format(
        url=url,
        provider=stage.base_url,
        configuration=files.configuration,
        state=files.state,
        logs=stage.logs,
    )
    if not files.tokens.keys() >= {ORDINARY_CALLER, ADMIN_CALLER}:
        return guide + _NO_TOKENS + _CTRL_C
    tokens = _TOKENS.format(
        url=url,
        renewed="made now" if files.created else "made anew, older ones ended",
        app=files.tokens[ORDINARY_CALLER],
        admin=files.tokens[ADMIN_CALLER],
        python=_python_with_sdk(stage.directory),
        command=_command(),
        quoted_configuration=shlex.quote(str(files.configuration)),
    )
    return guide + tokens + (_TRY_FAULTS if stage.llm == "mock" else "") + _CTRL_C


def _python_with_sdk(directory: Path) -> str:
    """Return the command of a Python that has the SDK, making one where needed."""
    if importlib.util.find_spec("openai") is not None:
        return shlex.quote(sys.executable)
    environment = directory / "sdk"
    python = shlex.quote(str(environment / "bin" / "python"))
    return (
        f"{shlex.quote(sys.executable)} -m venv {shlex.quote(str(environment))} && \\\n"
        f"{python} -m pip install --quiet openai && \\\n"
        f"{python}"
    )


def _command() -> str:
    """Return how this program is called: by its script, if that is installed."""
    script = Path(sys.executable).with_name("smart-llmrouter")
    if script.exists():
        return shlex.quote(str(script))
    return f"{shlex.quote(sys.executable)} -m smart_llmrouter"


def _free_port(wanted: int, option: str, *, taken: int | None = None) -> int:
    """Return `wanted`, or the next port that is free."""
    for port in range(wanted, min(wanted + _PORTS_TRIED, 65536)):
        if port != taken and _is_free(port):
            if port != wanted:
                typer.echo(
                    f"port {wanted} is busy: using {port} ({option} chooses another)"
                )
            return port
    typer.echo(f"no free port from {wanted} on: {option} chooses another", err=True)
    raise typer.Exit(1)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True
