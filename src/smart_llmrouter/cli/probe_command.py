"""`smart-llmrouter probe`: asks a target itself what it can do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from smart_llmrouter.config.schema import Settings
    from smart_llmrouter.config.snapshot import Target, Upstream


def probe(
    target: Annotated[
        str,
        typer.Argument(
            metavar="PROVIDER/MODEL",
            help="The model, by the keys of the file; no group has to use it.",
            show_default=False,
        ),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    output_tokens: Annotated[
        int,
        typer.Option(min=16, max=4096, help="Most output tokens of an answer."),
    ] = 64,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds that an answer may take.")
    ] = 60.0,
    image_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Ask for an image by its URL, too: this one, which all may see.",
        ),
    ] = None,
    output_json: Annotated[
        bool, typer.Option("--json", help="Write what was found as JSON.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 1 where the configuration differs."),
    ] = False,
) -> None:
    """Ask a target what it can do, and compare that with the configuration.

    About a dozen small requests go to the provider, in its own dialect, and are paid
    for like any others: text, usage of streams, the output cap, tools, structured
    output, an image, and reasoning. What is printed says how many there are and how
    much output they may have. Nothing is changed, and nothing is recorded.

    Exits with 1 where the target cannot be asked at all.
    """
    from smart_llmrouter.cli.probing import Probe, probed

    found = _loaded(config, target)
    asked = Probe(
        target=found[0],
        upstream=found[1],
        output_tokens=output_tokens,
        timeout_s=timeout,
        image_url=image_url,
        as_json=output_json,
    )
    if probed(asked) and strict:
        raise typer.Exit(1)


def _loaded(config: Path, use: str) -> "tuple[Target, Upstream]":
    """Return the target of this name, and how providers are reached."""
    import os

    from smart_llmrouter.config.compile import compile_target
    from smart_llmrouter.config.findings import report
    from smart_llmrouter.config.load import load

    loaded = load(config, environment=os.environ)
    if loaded.settings is None or loaded.snapshot is None:
        typer.echo(
            report([each for each in loaded.findings if each.is_error]), err=True
        )
        raise typer.Exit(1)
    try:
        target = compile_target(
            loaded.settings, use, environment=os.environ, beside=config.parent
        )
    except (KeyError, ValueError):
        _unknown(use, loaded.settings)
    return target, loaded.snapshot.upstream


def _unknown(use: str, settings: "Settings") -> NoReturn:
    from smart_llmrouter.config.findings import suggestion

    known = [
        f"{provider}/{model}"
        for provider, fields in settings.providers.items()
        for model in fields.models
    ]
    meant = suggestion(use, known)
    typer.echo(
        f"error: the configuration has no target `{use}`; "
        + (f"did you mean `{meant}`?" if meant else f"it has {', '.join(known)}"),
        err=True,
    )
    raise typer.Exit(1)
