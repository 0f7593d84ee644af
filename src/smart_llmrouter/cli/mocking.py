"""What `smart-llmrouter mock` does: serve a mock provider, and say how to use it."""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import typer
import uvloop

from smart_llmrouter.cli.output import OutputLost
from smart_llmrouter.mockprovider.provider import MockProvider, Settings
from smart_llmrouter.mockprovider.script import InvalidScript, Orders, read_orders
from smart_llmrouter.mockprovider.server import MockServer, listening

_GUIDE = """\
mock provider: {base_url}   (OpenAI Chat and Responses, Anthropic Messages; {key})
  one answer   curl {base_url}/chat/completions \\
                 -H 'content-type: application/json'{header} \\
                 -d '{{"model": "mock-small", "messages": [
                      {{"role": "user", "content": "hi"}}]}}'
  an agent     ANTHROPIC_BASE_URL={url}, or a Codex provider with {base_url};
               write MOCK: run ls into the prompt
  one fault    write [[mock: {{"status": 503, "retry_after": 2}}]] into the prompt
  a script     curl {url}/__mock/script -d '{{"steps": [{{"status": 429}}]}}'
  what it got  curl {url}/__mock/requests
Ctrl-C stops it."""


def serve_mock(
    *,
    host: str,
    port: int,
    script: Path | None,
    api_key_env: str | None,
    latency_ms: float,
    models: Sequence[str],
    name: str,
) -> None:
    """Serve until Ctrl-C or SIGTERM; what is wrong is told in one line."""
    settings = Settings(
        name=name,
        models=tuple(models),
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
