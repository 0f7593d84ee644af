"""`smart-llmrouter db`: care for the usage database."""

from typing import TYPE_CHECKING, NoReturn

import typer

from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from smart_llmrouter.config.snapshot import State

app = typer.Typer(help="Care for the usage database.", no_args_is_help=True)


@app.command()
def upgrade(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Bring the usage database to the schema of this version.

    Stop the router first, and keep a copy of the database if you may want to go back.
    Everything is moved or nothing: an upgrade that is interrupted leaves the database
    as it was. Does nothing where the schema is this version's already.
    """
    from smart_llmrouter.cli.usage_commands import state_of
    from smart_llmrouter.config.findings import ConfigurationError
    from smart_llmrouter.stores.unusable import DatabaseUnusable
    from smart_llmrouter.stores.usage_store import DatabaseAway

    try:
        before, after = _upgraded(state_of(config))
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except DatabaseUnusable as error:
        _fail(str(error))
    except DatabaseAway as away:
        _fail(f"the usage database could not be upgraded, and is as before: {away}")
    except OSError as error:
        _fail(f"{error.filename or 'database'}: {error.strerror}")
    if before == after:
        typer.echo(f"the schema is {after} already")
    else:
        typer.echo(f"upgraded from {before} to {after}")


def _upgraded(state: "State") -> tuple[str, str]:
    from smart_llmrouter.ledger.ingester_loop import ingester_lock
    from smart_llmrouter.stores.database import upgrade

    with ingester_lock(state.directory) as acquired:
        if not acquired():
            _fail(f"a router uses the state directory {state.directory}; stop it first")
        return upgrade(state.database_url.reveal())


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)
