"""`smart-llmrouter token`: make tokens for callers."""

import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from smart_llmrouter.cli.failures import fail
from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption
from smart_llmrouter.cli.output import OutputLost, forget_output

if TYPE_CHECKING:
    from pathlib import Path

    from smart_llmrouter.config.addition import Wish
    from smart_llmrouter.config.tokens import IssuedToken

app = typer.Typer(help="Make tokens for callers.", no_args_is_help=True)


def _id(value: str | None) -> str | None:
    """Refuse what is no id of a user, project, environment, key or caller."""
    from smart_llmrouter.config.schema.kinds import ID_PATTERN

    return _matching(value, ID_PATTERN)


def _matching(value: str | None, pattern: str) -> str | None:
    from smart_llmrouter.config.schema.kinds import PATTERN_MEANINGS

    if value is not None and not re.match(pattern, value):
        raise typer.BadParameter(f"use {PATTERN_MEANINGS[pattern]}")
    return value


def _groups(given: list[str]) -> list[str]:
    """Split `chat,fast`, and refuse what is no name of a group."""
    from smart_llmrouter.config.schema.kinds import NAME_PATTERN

    names = [name.strip() for names in given for name in names.split(",")]
    for name in names:
        _matching(name, NAME_PATTERN)
    return list(dict.fromkeys(names))


def _ahead(day: datetime | None) -> datetime | None:
    """Refuse a day from which on a token that is made now would never work."""
    if day is not None and day.date() <= datetime.now(UTC).date():
        raise typer.BadParameter("give a day after today (UTC); it would never work")
    return day


@app.callback()
def token() -> None:
    """Make tokens for callers."""


@app.command()
def new(
    context: typer.Context,
    *,
    user: Annotated[
        str, typer.Option(callback=_id, help="Id of the user who owns the token.")
    ],
    project: Annotated[
        str, typer.Option(callback=_id, help="Id of the project it is used for.")
    ],
    environment: Annotated[
        str, typer.Option(callback=_id, help="Where it is used: dev, prod, ...")
    ],
    allow: Annotated[
        list[str],
        typer.Option(callback=_groups, help="Groups that it may use: chat,fast"),
    ],
    key: Annotated[
        str | None,
        typer.Option(
            callback=_id,
            help="Id of the key; the next of k1, k2, ... where not given.",
        ),
    ] = None,
    caller_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            callback=_id,
            help="Id of the caller; user-project-environment where not given.",
        ),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            callback=_ahead,
            help="First day (UTC) on which it does not work.",
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    write: Annotated[
        bool, typer.Option("--write", help="Add the entry to the configuration file.")
    ] = False,
) -> None:
    """Make a token, print it once, and print the entry that lets it in.

    Only the SHA-256 hash of the token is kept anywhere. With --write the entry is
    added to the configuration file: comments stay, the old file is backed up under
    state.directory, and nothing is changed if the result would have errors.
    """
    from smart_llmrouter.config.addition import Wish
    from smart_llmrouter.config.amend import CannotAmend
    from smart_llmrouter.config.findings import ConfigurationError
    from smart_llmrouter.config.tokens import Holder

    wish = Wish(
        holder=Holder(user=user, project=project, environment=environment),
        key=key,
        caller_id=caller_id,
        allow=tuple(allow),
        expires_at=None if expires is None else expires.date(),
    )
    if _is_named(context, "config") and not config.is_file():
        fail(f"{config}: there is no such file")
    try:
        (_write if write else _print)(config, wish)
    except ConfigurationError as error:
        typer.echo(
            f"{config} was not changed; with this entry it had errors:", err=True
        )
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except CannotAmend as error:
        fail(f"{config}: {error}")
    except OutputLost:
        raise
    except OSError as error:
        fail(f"{config}: {error}")


def _is_named(context: typer.Context, parameter: str) -> bool:
    """Say whether somebody gave this parameter, in whatever way."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name != "DEFAULT"


def _print(config: "Path", wish: "Wish") -> None:
    """Print the token and its entry; say what the file would have against it."""
    import secrets

    from smart_llmrouter.config.addition import prepare
    from smart_llmrouter.config.findings import report
    from smart_llmrouter.config.yamltext import list_item

    prepared = prepare(config, wish, random_bytes=secrets.token_bytes)
    told = "Add this to `callers` in the configuration file (--write does it):"
    typer.echo(_text(prepared.issued, told, list_item(prepared.entry, indent=2)))
    if prepared.before is None:
        typer.echo(f"\nnote: there is no {config} here; nothing was checked", err=True)
    if prepared.findings:
        typer.echo(f"\nnote: with this entry, {config} has errors:", err=True)
        typer.echo(report(prepared.findings), err=True)


def _write(config: "Path", wish: "Wish") -> None:
    """Add the entry to the file; print the token only when that is done."""
    import secrets
    import time

    from smart_llmrouter.config.addition import add_caller
    from smart_llmrouter.config.yamltext import list_item

    if sys.stdout is None:
        fail("the standard output is closed: the token could not be shown")
    added = add_caller(
        config, wish, random_bytes=secrets.token_bytes, wall_clock=time.time
    )
    told = f"Added to `callers` in {config}:"
    text = _text(added.issued, told, list_item(added.entry, indent=2))
    try:
        typer.echo(f"{text}\n\nThe file as it was: {added.backup}")
    except OutputLost:
        forget_output()
        fail(
            f"the entry {added.entry['id']} was added to {config}, but its token"
            " could not be shown: remove that entry and make a new one"
        )


def _text(issued: "IssuedToken", told: str, entry: list[str]) -> str:
    """Return what is printed, at once: the only time that the token is shown."""
    return "\n".join(
        [
            f"token:    {issued.token.reveal()}",
            f"token id: {issued.token_id}",
            "",
            "Keep the token now: it is not stored, and cannot be shown again.",
            "",
            told,
            "",
            *entry,
        ]
    )
