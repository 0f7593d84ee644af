"""`smart-llmrouter demo`: a provider, a router and tokens, ready to be tried."""

from pathlib import Path
from typing import Annotated

import typer

from smart_llmrouter.cli.options import Llm


def demo(
    directory: Annotated[
        Path, typer.Option(file_okay=False, help="Where the demo keeps its files.")
    ] = Path("demo"),
    llm: Annotated[
        Llm,
        typer.Option(
            help="The provider: the mock, or a real model on this machine's CPU."
        ),
    ] = "mock",
    port: Annotated[
        int,
        typer.Option(
            min=1, max=65535, help="The router's port; the next free one if it is busy."
        ),
    ] = 8080,
    provider_port: Annotated[
        int, typer.Option(min=1, max=65535, help="The provider's port; the same.")
    ] = 9200,
) -> None:
    """Start a provider and a router with a demo configuration, until Ctrl-C.

    The first start writes the configuration into the directory; later ones keep it.
    Every start makes new tokens, because the old ones cannot be shown again.
    """
    from smart_llmrouter.cli.demonstration import run_demo

    run_demo(directory, llm=llm, port=port, provider_port=provider_port)
