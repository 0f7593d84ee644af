"""`smart-llmrouter db`: care for the usage database."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smart_llmrouter.cli.failures import fail, failures_told
from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption, TableFormat

if TYPE_CHECKING:
    from rich.console import Console

    from smart_llmrouter.config.snapshot import State

app = typer.Typer(help="Care for the usage database.", no_args_is_help=True)


FormatOption = Annotated[TableFormat, typer.Option("--format", help="How to write it.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The file to write; by default one in the current directory that is "
        "named after the time.",
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace a file that is there already.")
]


@app.callback()
def db() -> None:
    """Care for the usage database."""


@app.command()
def status(
    to_format: FormatOption = TableFormat.TABLE, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Say what the usage database is, how much is in it, and what is still to come.

    Reads only, also while the router runs. Nothing of the database's URL is shown but
    its kind. Exits with 1 where this version cannot use the database, and says why.
    """
    import msgspec

    from smart_llmrouter.ledger.database_status import database_status, status_lines

    with failures_told():
        state = _state(config)
        found = database_status(state.database_url.reveal(), state.directory)
    if to_format is TableFormat.JSON:
        typer.echo(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        for name, said in status_lines(found):
            typer.echo(f"{name:<18} {said}".rstrip())
    if found.problem is not None:
        fail(found.problem)


@app.command()
def verify(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check that the tables agree with each other and with the journal.

    Of SQLite the file itself, too. Reads only, also while the router runs; of a large
    database it takes minutes. Exits with 1 where anything is wrong. That totals, rows
    and roll-ups agree is shown by `smart-llmrouter usage verify`.
    """
    from smart_llmrouter.ledger.database_checks import checks

    wrong = 0
    with failures_told():
        state = _state(config)
        console = _console()
        with console.status("checking ..."):
            for check in checks(state.database_url.reveal(), state.directory):
                wrong += check.found > 0
                typer.echo(f"{check.found:>12,}  {check.name}")
    if wrong:
        fail(f"{wrong} of the checks found something; nothing was changed")
    typer.echo("the usage database is as it should be")


@app.command()
def backup(
    out: OutOption = None,
    force: ForceOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Copy the usage database as it is now to a file, while the router works.

    Of SQLite the copy is a database: stop the router and put it in the place of
    `usage.sqlite` to go back to it. Of PostgreSQL it is what `pg_restore` reads, made
    by `pg_dump`, which must be installed. The file is there when it is whole. It takes
    the place of no other without `--force`, and never of a file that the router keeps.
    A database of another version of the router is copied, too, and no other program's.
    """
    from smart_llmrouter.cli.kept_files import spare_other_file, spare_state
    from smart_llmrouter.stores.backends import require_database, schema_of
    from smart_llmrouter.stores.database_url import backend_of

    with failures_told("the usage database cannot be copied"):
        state = _state(config)
        url = state.database_url.reveal()
        if schema_of(url) is None:
            require_database(url)
        suffix = "sqlite" if backend_of(url) == "sqlite" else "dump"
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = out or Path(f"usage-{moment}.{suffix}")
        spare_state(path, state)
        spare_other_file(path, force=force)
        _copy(url, path)
    typer.echo(f"wrote {path}, {path.stat().st_size:,} bytes")


def _copy(url: str, path: Path) -> None:
    from smart_llmrouter.stores.copying import (
        CopyFailed,
        NoDumpProgram,
        copy_database,
    )

    try:
        with _console().status("copying ...") as shown:
            copy_database(
                url,
                path,
                told=lambda done, of: shown.update(f"copying, {done} of {of} pages"),
            )
    except (NoDumpProgram, CopyFailed) as error:
        fail(str(error))


@app.command()
def upgrade(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Bring the usage database to the schema of this version.

    Make a copy first if you may want to go back: `smart-llmrouter db backup`. With
    SQLite stop the router. With PostgreSQL routers may run: while it lasts they keep
    calls in the journal, and those of an older version go on with that until they are
    replaced. Everything is moved or nothing: an upgrade that is interrupted leaves the
    database as it was. Does nothing where the schema is this version's already.
    """
    problem = "the usage database could not be upgraded, and is as before"
    with failures_told(problem):
        before, after = _upgraded(_state(config))
    if before == after:
        typer.echo(f"the schema is {after} already")
    else:
        typer.echo(f"upgraded from {before} to {after}")


def _upgraded(state: "State") -> tuple[str, str]:
    from smart_llmrouter.ledger.ingester_loop import ingester_lock
    from smart_llmrouter.stores.database import upgrade
    from smart_llmrouter.stores.database_url import backend_of

    url = state.database_url.reveal()
    if backend_of(url) != "sqlite":
        return upgrade(url)
    with ingester_lock(state.directory) as acquired:
        if not acquired():
            fail(f"a router uses the state directory {state.directory}; stop it first")
        return upgrade(url)


def _state(config: Path) -> "State":
    from smart_llmrouter.cli.usage_reading import state_of

    return state_of(config)


def _console() -> "Console":
    """Return where it is shown how far a long command is, if somebody looks."""
    from rich.console import Console

    return Console(stderr=True)
