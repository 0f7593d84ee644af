"""`smart-llmrouter usage export`, `tail` and `import`: usage records one by one."""

import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from smart_llmrouter.cli.failures import fail
from smart_llmrouter.cli.interrupts import going_on
from smart_llmrouter.cli.invocation import now
from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption, TableFormat
from smart_llmrouter.cli.usage_options import (
    OutOption,
    SinceOption,
    TimezoneOption,
    UntilOption,
    WhereOption,
)
from smart_llmrouter.cli.usage_reading import (
    caught_up,
    delivered,
    explained,
    snapshot_of,
)
from smart_llmrouter.cli.usage_report_command import Asked, question_of

if TYPE_CHECKING:
    from smart_llmrouter.config.snapshot import Snapshot
    from smart_llmrouter.ledger.exporting import Row
    from smart_llmrouter.ledger.interval import Zone
    from smart_llmrouter.ledger.reports.source import Question

_LOOK_EVERY_S: Final = 0.5
_CATCH_UP_S: Final = 0.2
_LONGEST_CALL_S: Final = 3600.0
"""How long a call may take where the configuration does not say."""


class RowsFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"


RowsFormatOption = Annotated[
    RowsFormat,
    typer.Option("--format", help="CSV, or JSON lines: an object a line."),
]
LineFormatOption = Annotated[
    TableFormat,
    typer.Option("--format", help="Lines for people, or JSON lines for programs."),
]
LinesOption = Annotated[
    int,
    typer.Option(
        "--lines", "-n", min=0, help="How many of the calls before to show first."
    ),
]
CountOption = Annotated[
    int | None,
    typer.Option("--count", min=1, help="End after so many calls; never by default."),
]
JournalsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="DIR|FILE…",
        help="State directories or journal directories of other machines, or files of "
        "their journals.",
    ),
]


def export(
    since: SinceOption = "24h",
    until: UntilOption = None,
    timezone: TimezoneOption = None,
    where: WhereOption = None,
    to_format: RowsFormatOption = RowsFormat.CSV,
    out: OutOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write the usage records of an interval, one line a call, in the order of time.

    There are the columns of `request_usage`, and nothing else. Waits as `usage report`
    does, and ends with an error where records are still missing then. However many
    records there are, few are held in memory; a file is never seen half-written.
    """
    from smart_llmrouter.cli.kept_files import spare_state
    from smart_llmrouter.ledger.exporting import (
        count_rows,
        exported_rows,
        written_rows,
    )

    asked = Asked(since=since, until=until, timezone=timezone, where=where or ())
    with explained(), ExitStack() as stack:
        snapshot = snapshot_of(config)
        if out is not None:
            spare_state(out, snapshot.state)
        question = question_of(snapshot, asked, now_ms=now())
        connection, unread = stack.enter_context(caught_up(snapshot.state))
        if unread:
            fail(
                f"{unread:,} bytes of the journal are not yet in the database: an "
                "export would lack them; try again",
            )
        watched = stack.enter_context(_progress("rows", out=out))
        total = count_rows(connection, question) if watched is not None else 0
        rows = _counted(exported_rows(connection, question), watched, total)
        file: IO[str] = sys.stdout
        if out is not None:
            file = stack.enter_context(delivered(out))
        for text in written_rows(rows, "csv" if to_format == "csv" else "jsonl"):
            file.write(text)
        file.flush()


def tail(
    where: WhereOption = None,
    timezone: TimezoneOption = None,
    lines: LinesOption = 10,
    count: CountOption = None,
    to_format: LineFormatOption = TableFormat.TABLE,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Follow calls as they end, until Ctrl-C.

    First come the last calls that there are, however old. A call is shown when its
    record is in the database, which is a moment after its end.
    """
    asked = Asked(since="1h", until=None, timezone=timezone, where=where or ())
    with explained():
        snapshot = snapshot_of(config)
        question = question_of(snapshot, asked, now_ms=now())
        rows = _followed(snapshot, question, lines=lines)
        line_of = _line_writer(to_format, question.zone)
        try:
            for row in itertools.islice(rows, count):
                typer.echo(line_of(row))
        except KeyboardInterrupt:
            return


def _followed(
    snapshot: "Snapshot", question: "Question", *, lines: int
) -> "Iterator[Row]":
    """Yield the last calls that were, and then those that come."""
    from smart_llmrouter.ledger.watching import Watch
    from smart_llmrouter.stores.usage_store import DatabaseAway

    longest_s = snapshot.upstream.total_timeout_s or _LONGEST_CALL_S
    watch = Watch(question, longest_call_s=longest_s)
    with caught_up(snapshot.state) as (connection, _):
        before = watch.last_rows(connection, now_ms=now(), most=lines)
    yield from before
    away = False
    while True:
        # Nobody tells of new rows, in either kind of database.
        time.sleep(_LOOK_EVERY_S)
        try:
            with caught_up(snapshot.state, longest_wait_s=_CATCH_UP_S) as (
                connection,
                _,
            ):
                found = list(watch.new_rows(connection, now_ms=now()))
            away = False
        except DatabaseAway:
            if not away:
                typer.echo("the usage database cannot be read; waiting", err=True)
            away, found = True, []
        yield from found


def _line_writer(to: TableFormat, zone: "Zone") -> "Callable[[Row], str]":
    import msgspec

    from smart_llmrouter.cli.call_line import call_line

    if to is TableFormat.TABLE:
        return lambda row: call_line(row, zone)
    return lambda row: msgspec.json.encode(row).decode()


def import_(
    journals: JournalsArgument,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Bring journals of another machine into the database, each record exactly once.

    It may be repeated, and begun again where it was cut off: what is there already
    changes nothing. The files stay as they are; the router may run meanwhile. What
    `usage export` wrote is no journal: then nothing is imported at all. Lines that are
    no records are set aside in `journal/rejected.jsonl` and counted, and the command
    ends with 1, unless they are only the torn end of what a killed router wrote. Lines
    of hours whose rows retention has removed are left out: they may be in the sums.
    """
    from smart_llmrouter.ledger.importing import (
        NothingToImport,
        import_journals,
        journal_files,
        removed_hours,
    )
    from smart_llmrouter.ledger.reports.wording import count_of
    from smart_llmrouter.stores.backends import create_or_check_schema
    from smart_llmrouter.stores.reading import connect_for_reading
    from smart_llmrouter.stores.usage_store import open_store

    with going_on(), explained(), _progress("bytes", out=None) as watched:
        state = snapshot_of(config).state
        url = state.database_url.reveal()
        try:
            files = journal_files(journals)
        except NothingToImport as error:
            fail(str(error))
        state.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_or_check_schema(url)
        total = sum(path.stat().st_size for path in files)
        store = open_store(url, journal=state.directory / "journal")
        try:
            with connect_for_reading(url) as reading:
                done = import_journals(
                    files,
                    store=store,
                    removed=lambda: removed_hours(reading),
                    state_directory=state.directory,
                    sleep=time.sleep,
                    told=(lambda _: None)
                    if watched is None
                    else lambda read: watched(read, total),
                )
        finally:
            store.close()
    records = count_of(done.records, "record", "records")
    from_files = count_of(done.files, "file", "files")
    rejected = count_of(done.rejected, "line", "lines")
    typer.echo(
        f"{records} imported from {from_files}; {done.duplicates:,} already there, "
        f"{rejected} rejected"
    )
    if done.removed:
        removed = count_of(done.removed, "line", "lines")
        typer.echo(f"{removed} left out: retention has removed their hours", err=True)
    if done.unfinished:
        unfinished = count_of(done.unfinished, "file", "files")
        typer.echo(f"{unfinished} still being written", err=True)
    if done.rejected:
        typer.echo(f"see {state.directory / 'journal' / 'rejected.jsonl'}", err=True)
    if done.rejected > done.torn:
        raise typer.Exit(1)


@contextmanager
def _progress(
    unit: str, *, out: Path | None
) -> "Iterator[Callable[[int, int], None] | None]":
    """Lend what shows on a terminal how far work is; `None` where nobody looks."""
    writes_there = unit == "rows" and out is None and sys.stdout.isatty()
    if not sys.stderr.isatty() or writes_there or "CI" in os.environ:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn(f"{{task.completed:,.0f}} of {{task.total:,.0f}} {unit}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(unit, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def _counted(
    rows: "Iterable[Row]", watched: "Callable[[int, int], None] | None", total: int
) -> "Iterator[Row]":
    for number, row in enumerate(rows):
        if watched is not None and number % 1000 == 0:
            watched(number, total)
        yield row
