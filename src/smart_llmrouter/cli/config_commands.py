"""`smart-llmrouter config`: check, show and describe the configuration file."""

import json
import os
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from smart_llmrouter.config.findings import Finding
    from smart_llmrouter.config.snapshot import Snapshot

_USUAL: Final = "write `sqlite`, or a reference to a postgresql:// URL"

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
    cannot. Variables and files that it refers to must be there, as for `serve`, and the
    driver of its database.
    """
    from smart_llmrouter.config.findings import report
    from smart_llmrouter.config.load import load

    path = file or config
    today = datetime.now(UTC).date()
    loaded = load(path, environment=os.environ, today=today)
    snapshot = loaded.snapshot
    findings = loaded.findings
    if snapshot is not None:
        findings += _unusable_database(path, snapshot)
    errors = sum(finding.is_error for finding in findings)
    warnings = len(findings) - errors
    if output == "json":
        summary = {
            "file": str(path),
            "fingerprint": None if snapshot is None else snapshot.fingerprint,
            "errors": errors,
            "warnings": warnings,
            "findings": [asdict(finding) for finding in findings],
        }
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    elif findings:
        typer.echo(report(findings))
    else:
        typer.echo(f"{path}: no errors, no warnings")
    if errors or (strict and warnings):
        raise typer.Exit(1)


def _unusable_database(path: Path, snapshot: "Snapshot") -> "tuple[Finding, ...]":
    """Return what is wrong with the kind of database, if anything is."""
    from smart_llmrouter.config.reader import read_file
    from smart_llmrouter.stores.database_url import backend_of
    from smart_llmrouter.stores.unusable import UnsupportedDatabase

    try:
        backend_of(snapshot.state.database_url.reveal())
    except UnsupportedDatabase as error:
        message, remedy, *_ = [*re.split("[:;] ", str(error), maxsplit=1), _USUAL]
        document = read_file(path).document
        if document is not None:
            return (document.error(("state", "database"), message, remedy),)
    return ()


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
