"""`smart-llmrouter usage`: what was used, by whom, and what it cost."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Protocol, TypeVar

import typer

from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption, ExplainFormat

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from smart_llmrouter.config.snapshot import Snapshot, State
    from smart_llmrouter.ledger.interval import Interval

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Make(Protocol[R_co]):
    """Reads an interval from the database."""

    def __call__(
        self,
        connection: "Connection",
        /,
        *,
        interval: "Interval",
        made_ms: int,
        router_version: str,
        unread_bytes: int,
    ) -> R_co:
        """Return what is in it."""
        ...


app = typer.Typer(
    name="usage",
    help="What was used, by whom, and what it cost.",
    no_args_is_help=True,
)


class ReportFormat(StrEnum):
    """How a report is written."""

    MARKDOWN = "markdown"
    JSON = "json"
    CSV = "csv"


class NotOnRecord(Exception):
    """No call of this id is in the database."""

    def __init__(self, request_id: str, unread_bytes: int) -> None:
        """Say so, and whether it may still come."""
        yet = f"; {unread_bytes:,} bytes are not yet ingested" if unread_bytes else ""
        super().__init__(f"no call {request_id!r} is on record{yet}")


SinceOption = Annotated[
    str,
    typer.Option(
        "--since",
        help="Where to begin: a span such as 30m, 24h, 7d or 2w, or a moment in "
        "ISO 8601 (UTC unless it says otherwise).",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", help="Where to end, without it; now by default."),
]
GroupByOption = Annotated[
    str | None,
    typer.Option(
        "--group-by",
        help="One table by these, comma-separated, instead of the usual ones: "
        "caller, user, project, environment, token, group, requested-model, "
        "provider, model, target, client, dialect, target-dialect, lane, status, "
        "error, strategy, stream, fallback, disconnect, refused-by, budget-warning, "
        "hour, day.",
    ),
]
FormatOption = Annotated[
    ReportFormat, typer.Option("--format", help="How to write the report.")
]
ExplainFormatOption = Annotated[
    ExplainFormat, typer.Option("--format", help="How to write it.")
]
RequestIdArgument = Annotated[
    str,
    typer.Argument(
        metavar="REQUEST_ID", help="The call's id: `X-Request-Id` of its answer."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write to this file instead of the terminal."),
]


@app.callback()
def usage() -> None:
    """What was used, by whom, and what it cost."""


@app.command()
def report(
    since: SinceOption = "24h",
    until: UntilOption = None,
    group_by: GroupByOption = None,
    to_format: FormatOption = ReportFormat.MARKDOWN,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Report calls, tokens, errors, latency and cost of an interval.

    Waits, five seconds at most, until all that was journalled when it began is in the
    database; what is still missing then is said in the report.
    """
    from smart_llmrouter.ledger.dimensions import dimensions_of
    from smart_llmrouter.ledger.render import render
    from smart_llmrouter.ledger.reports import make_report

    def text(asked: "Asked") -> str:
        dimensions = dimensions_of(group_by) if group_by is not None else ()
        make = partial(make_report, group_by=dimensions)
        return render(_made(config, asked, make), to=to_format.value)

    _tell(text, since=since, until=until, out=out)


@app.command()
def notes(
    since: SinceOption = "24h",
    until: UntilOption = None,
    to_format: FormatOption = ReportFormat.MARKDOWN,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List what translations could not carry, by field and target.

    Each line is a field of a dialect that reached a target changed or not at all, why,
    and in how many calls. Waits as `usage report` does.
    """
    from smart_llmrouter.ledger.noted import make_notes_report
    from smart_llmrouter.ledger.render_notes import render_notes

    def text(asked: "Asked") -> str:
        return render_notes(_made(config, asked, make_notes_report), to=to_format.value)

    _tell(text, since=since, until=until, out=out)


@app.command()
def explain(
    request_id: RequestIdArgument,
    to_format: ExplainFormatOption = ExplainFormat.TABLE,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show one call: its record, and how it was decided.

    Each target with what it missed, scores, the policy's run and every attempt, where
    `diagnostics.decisions` has kept them. Waits as `usage report` does.
    """
    from smart_llmrouter.ledger.explained import explained
    from smart_llmrouter.ledger.render_decision import render_call

    def text() -> str:
        with _caught_up(config, decided=True) as (connection, unread_bytes):
            call = explained(connection, request_id)
        if call is None:
            raise NotOnRecord(request_id, unread_bytes)
        return render_call(call, to=to_format.value)

    _show(text, out=out)


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which interval, and when."""

    interval: "Interval"
    now_ms: int


def _tell(
    text_of: Callable[[Asked], str],
    *,
    since: str,
    until: str | None,
    out: Path | None,
) -> None:
    """Print the text of an interval or write it to `out`."""
    from smart_llmrouter.ledger.interval import interval_of

    now_ms = int(time.time() * 1000)
    _show(
        lambda: text_of(Asked(interval_of(since, until, now_ms=now_ms), now_ms)),
        out=out,
    )


def _show(text_of: Callable[[], str], *, out: Path | None) -> None:
    """Print the text or write it to `out`; end with one line about what went wrong."""
    from sqlalchemy.exc import SQLAlchemyError

    from smart_llmrouter.config.findings import ConfigurationError
    from smart_llmrouter.ledger.dimensions import UnknownDimension
    from smart_llmrouter.ledger.interval import BadMoment
    from smart_llmrouter.stores.unusable import DatabaseUnusable
    from smart_llmrouter.stores.usage_store import DatabaseAway

    try:
        text = text_of()
        if out is not None:
            _deliver(text, out)
    except (BadMoment, UnknownDimension) as error:
        _fail(str(error), code=2)
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except (DatabaseUnusable, NotOnRecord) as error:
        _fail(str(error), code=1)
    except (DatabaseAway, SQLAlchemyError) as error:
        _fail(f"the usage database cannot be read ({type(error).__name__})", code=1)
    except OSError as error:
        _fail(f"{error.filename or 'output'}: {error.strerror}", code=1)
    if out is None:
        typer.echo(text, nl=False)


def _made(config: Path, asked: Asked, make: "Make[R]") -> R:
    """Read an interval of the database."""
    from smart_llmrouter.core.build_info import read_build_info

    with _caught_up(config) as (connection, unread_bytes):
        return make(
            connection,
            interval=asked.interval,
            made_ms=asked.now_ms,
            router_version=read_build_info().version,
            unread_bytes=unread_bytes,
        )


@contextmanager
def _caught_up(
    config: Path, *, decided: bool = False
) -> "Iterator[tuple[Connection, int]]":
    """Open the database when it is as new as the journal was, and say what it lacks."""
    from smart_llmrouter.ledger.catch_up import catch_up
    from smart_llmrouter.stores.database import check_schema, open_for_reading

    state = state_of(config)
    url = state.database_url.reveal()
    reader = open_for_reading(url)
    with reader.connect() as connection:
        check_schema(connection)
    unread_bytes = catch_up(
        state.directory,
        url,
        sleep=time.sleep,
        monotonic=time.monotonic,
        decided=decided,
    )
    with reader.connect() as connection:
        yield connection, unread_bytes


def state_of(config: Path) -> "State":
    """Return the `state` part of a configuration, as `snapshot_of` reads it."""
    return snapshot_of(config).state


def snapshot_of(config: Path) -> "Snapshot":
    """Return a configuration, for what needs of it no more than names and `state`.

    A variable that is set where the router runs may well be missing here: only those
    that `state` itself refers to are needed for a report.
    """
    from smart_llmrouter.config.load import load, load_snapshot

    findings = load(config, environment=os.environ).findings
    missing = {found.awaits for found in findings if found.awaits is not None}
    needed = {found.awaits for found in findings if found.key_path.startswith("state")}
    stand_ins = dict.fromkeys(missing - needed, "not-needed-for-a-report")
    return load_snapshot(config, environment={**os.environ, **stand_ins})


def _deliver(text: str, out: Path) -> None:
    """Put the text into a file that is never seen half-written.

    What is there and is no file, such as `/dev/stdout` or a pipe, is written to; a link
    is followed. Raises `OSError` with the name that was given.
    """
    try:
        if out.exists() and not out.is_file():
            out.write_text(text, encoding="utf-8", newline="")
        else:
            _replace(out.resolve(), text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from None


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _fail(message: str, *, code: int) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)
