"""What all `smart-llmrouter usage` commands share: reading, writing, and failing."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import typer

from smart_llmrouter.cli.failures import failures_told

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from smart_llmrouter.config.schema import Settings
    from smart_llmrouter.config.snapshot import Snapshot, State


@contextmanager
def explained() -> Iterator[None]:
    """End the command with one line about what goes wrong inside the block.

    The exit code is 2 for what was asked wrongly, and 1 for all else.
    """
    from smart_llmrouter.ledger.interval import BadMoment, UnknownTimezone
    from smart_llmrouter.ledger.reports.baselines import UnknownBaseline
    from smart_llmrouter.ledger.reports.columns import UnknownMeasure
    from smart_llmrouter.ledger.reports.dimensions import UnknownDimension
    from smart_llmrouter.ledger.reports.filters import BadCondition

    asked_wrongly = (
        BadMoment,
        UnknownTimezone,
        UnknownDimension,
        UnknownMeasure,
        UnknownBaseline,
        BadCondition,
    )
    with failures_told(asked_wrongly=asked_wrongly):
        yield


def show(text_of: Callable[[], str], *, out: Path | None, config: Path) -> None:
    """Print the text or write it to `out`; end with one line about what went wrong.

    `config` says which files are the router's, whose place is never taken.
    """
    from smart_llmrouter.cli.kept_files import spare_state

    with explained():
        if out is not None:
            spare_state(out, state_of(config))
        text = text_of()
        if out is not None:
            with delivered(out) as file:
                file.write(text)
    if out is None:
        typer.echo(text, nl=False)


@contextmanager
def caught_up(
    state: "State", *, decided: bool = False, longest_wait_s: float | None = None
) -> "Iterator[tuple[Connection, int]]":
    """Open the database when it is as new as the journal was, and say what it lacks.

    Raises `DatabaseUnusable`, and `DatabaseAway` also for what goes wrong in the block.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from smart_llmrouter.stores.remedies import away_of
    from smart_llmrouter.stores.usage_store import DatabaseAway

    url = state.database_url.reveal()
    try:
        with _opened(state, decided=decided, longest_wait_s=longest_wait_s) as opened:
            yield opened
    except (DatabaseAway, SQLAlchemyError) as error:
        raise away_of(error, url) from error


@contextmanager
def _opened(
    state: "State", *, decided: bool, longest_wait_s: float | None
) -> "Iterator[tuple[Connection, int]]":
    from smart_llmrouter.ledger.catch_up import LONGEST_WAIT_S, catch_up
    from smart_llmrouter.stores.database import check_schema, open_for_reading

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
        longest_wait_s=LONGEST_WAIT_S if longest_wait_s is None else longest_wait_s,
    )
    with reader.connect() as connection:
        yield connection, unread_bytes


def state_of(config: Path) -> "State":
    """Return the `state` part of a configuration, as `snapshot_of` reads it."""
    return snapshot_of(config).state


def snapshot_of(config: Path) -> "Snapshot":
    """Return a configuration, as `loaded_from` reads it."""
    return loaded_from(config).snapshot


@dataclass(frozen=True, slots=True)
class ForReading:
    """A configuration, for what needs of it no more than names, prices and `state`."""

    snapshot: "Snapshot"
    settings: "Settings"


def loaded_from(config: Path) -> ForReading:
    """Return a configuration.

    A variable that is set where the router runs may well be missing here: only those
    that `state` itself refers to are needed for a report.
    """
    from smart_llmrouter.config.findings import ConfigurationError
    from smart_llmrouter.config.load import load

    findings = load(config, environment=os.environ).findings
    missing = {found.awaits for found in findings if found.awaits is not None}
    needed = {found.awaits for found in findings if found.key_path.startswith("state")}
    stand_ins = dict.fromkeys(missing - needed, "not-needed-for-a-report")
    loaded = load(config, environment={**os.environ, **stand_ins})
    if loaded.snapshot is None or loaded.settings is None:
        raise ConfigurationError(loaded.findings)
    return ForReading(loaded.snapshot, loaded.settings)


@contextmanager
def delivered(out: Path) -> Iterator[IO[str]]:
    """Lend a file that is seen at `out` when the block has ended well, and only whole.

    What is there and is no file, such as `/dev/stdout` or a pipe, is written to; a link
    is followed. Raises `NotReplaced` where it is a database, and `OSError` with the
    name that was given.
    """
    from smart_llmrouter.cli.kept_files import spare_databases

    try:
        spare_databases(out)
        if out.exists() and not out.is_file():
            with out.open("w", encoding="utf-8", newline="") as file:
                yield file
        else:
            with _replacing(out.resolve()) as file:
                yield file
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from None


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
