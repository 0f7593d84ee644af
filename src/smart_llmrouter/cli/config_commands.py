"""`smart-llmrouter config`: check, show and describe the configuration file."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption

app = typer.Typer(
    help="Check, show and describe the configuration file.", no_args_is_help=True
)

FileArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]",
        help="The configuration file; the one of --config where not given.",
        show_default=False,
    ),
]


@app.command()
def check(
    file: FileArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    output: Annotated[
        Literal["text", "json"],
        typer.Option("--format", help="How the findings are written."),
    ] = "text",
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail on warnings too.")
    ] = False,
) -> None:
    """Report every mistake in the configuration file, each with place and remedy.

    Exits with 0 when the file can be served, warnings or not, and with 1 when it
    cannot. Variables and files that it refers to must be there, as for `serve`.
    """
    from smart_llmrouter.config.findings import report
    from smart_llmrouter.config.load import load

    path = file or config
    today = datetime.now(UTC).date()
    loaded = load(path, environment=os.environ, today=today)
    errors = sum(finding.is_error for finding in loaded.findings)
    warnings = len(loaded.findings) - errors
    snapshot = loaded.snapshot
    if output == "json":
        summary = {
            "file": str(path),
            "fingerprint": None if snapshot is None else snapshot.fingerprint,
            "errors": errors,
            "warnings": warnings,
            "findings": [asdict(finding) for finding in loaded.findings],
        }
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    elif loaded.findings:
        typer.echo(report(loaded.findings))
    else:
        typer.echo(f"{path}: no errors, no warnings")
    if errors or (strict and warnings):
        raise typer.Exit(1)


@app.command()
def show(file: FileArgument = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print the effective configuration: defaults filled in, secrets masked.

    Settings that have no effect yet are marked `not built yet`. The first lines tell
    the fingerprint that usage records carry.
    """
    from smart_llmrouter.config.findings import report
    from smart_llmrouter.config.load import load
    from smart_llmrouter.config.show import show as shown

    path = file or config
    loaded = load(path, environment=os.environ)
    if loaded.settings is None:
        typer.echo(report(loaded.findings), err=True)
        raise typer.Exit(1)
    typer.echo(shown(loaded.settings, file=str(path)), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors."""
    from smart_llmrouter.config.jsonschema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
