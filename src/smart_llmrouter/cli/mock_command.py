"""`smart-llmrouter mock`: a scripted provider that costs nothing."""

from pathlib import Path
from typing import Annotated

import typer


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
    name: Annotated[
        str,
        typer.Option(
            help="What it signs reasoning with; one of another name refuses it."
        ),
    ] = "mock",
) -> None:
    """Serve a mock provider: OpenAI Chat, Responses and Anthropic Messages.

    Answers are made up from the request, always the same for the same request. A
    marker in the prompt, a header, a script file or the control API makes an answer
    late, wrong, broken or refused; the docs page "Mock provider" lists all of it.
    """
    from smart_llmrouter.cli.mocking import serve_mock

    serve_mock(
        host=host,
        port=port,
        script=script,
        api_key_env=api_key_env,
        latency_ms=latency_ms,
        models=model or (),
        name=name,
    )
