"""`smart-llmrouter mock`: a scripted provider that costs nothing."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from smart_llmrouter.cli.output import OutputLost
from smart_llmrouter.mockprovider.provider import MockProvider, Settings
from smart_llmrouter.mockprovider.script import InvalidScript, Orders, read_orders
from smart_llmrouter.mockprovider.server import MockServer, listening

_GUIDE = """\
mock provider: {base_url}   (OpenAI Chat; {key})
  one answer   curl {base_url}/chat/completions \\
                 -H 'content-type: application/json'{header} \\
                 -d '{{"model": "mock-small", "messages": [
                      {{"role": "user", "content": "hi"}}]}}'
  one fault    write [[mock: {{"status": 503, "retry_after": 2}}]] into the prompt
  a script     curl {url}/__mock/script -d '{{"steps": [{{"status": 429}}]}}'
  what it got  curl {url}/__mock/requests
Ctrl-C stops it."""


def mock(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 9200,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    script: Annotated[
        Path | None,
        typer.Option(
            help="Steps and standing orders, JSON or YAML.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Demand the key in this environment variable; 401 without it.",
        ),
    ] = None,
    latency_ms: Annotated[
        float, typer.Option(min=0, help="Wait so long before each answer.")
    ] = 0,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model that exists (repeat); without it, every name does."),
    ] = None,
) -> None:
    """Serve a mock provider: OpenAI Chat, with faults on demand.

    Answers are made up from the request, always the same for the same request. A
    marker in the prompt, a header, a script file or the control API makes an answer
    late, wrong, broken or refused; the docs page "Mock provider" lists all of it.
    """
    settings = Settings(
        models=tuple(model or ()),
        api_key=_key(api_key_env),
        latency_ms=latency_ms,
        orders=_orders(script),
    )
    serving = _serve(
        MockProvider(settings), host=host, port=port, api_key_env=api_key_env
    )
    try:
        uvloop.run(serving)
    except OutputLost:
        raise
    except OSError as error:
        typer.echo(
            f"cannot listen on {host}:{port}: {error.strerror}; "
            "--port chooses another port, 0 a free one",
            err=True,
        )
        raise typer.Exit(1) from error


def _key(name: str | None) -> str | None:
    if name is None:
        return None
    key = os.environ.get(name)
    if not key:
        raise typer.BadParameter(f"the environment variable {name} is not set")
    return key


def _orders(path: Path | None) -> Orders:
    if path is None:
        return Orders()
    try:
        return read_orders(path)
    except (InvalidScript, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--script") from error


async def _serve(
    provider: MockProvider, *, host: str, port: int, api_key_env: str | None
) -> None:
    """Listen until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with listening(provider, host=host, port=port) as server:
        typer.echo(_guide(server, api_key_env))
        await stop.wait()


def _guide(server: MockServer, api_key_env: str | None) -> str:
    header = (
        "" if api_key_env is None else f' -H "authorization: Bearer ${api_key_env}"'
    )
    return _GUIDE.format(
        base_url=server.base_url,
        url=server.url,
        key="any key" if api_key_env is None else f"the key in ${api_key_env}",
        header=header,
    )
