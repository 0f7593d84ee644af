"""`smart-llmrouter retention`: what is removed when, and what must not be."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from smart_llmrouter.cli.failures import ASKED_WRONGLY, fail, failures_told
from smart_llmrouter.cli.interrupts import going_on
from smart_llmrouter.cli.invocation import now, user_name
from smart_llmrouter.cli.once import OnceCommand
from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption, YesOption
from smart_llmrouter.cli.upkeep_commands import roll_up_all

if TYPE_CHECKING:
    from pathlib import Path

    from smart_llmrouter.config.schema import Settings
    from smart_llmrouter.config.snapshot import State
    from smart_llmrouter.ledger.holds import Hold, HoldKind, NewHold
    from smart_llmrouter.ledger.retention import JobOrder
    from smart_llmrouter.ledger.retention_report import ClassResult

app = typer.Typer(
    name="retention",
    help="What is removed when, and what must not be.",
    no_args_is_help=True,
)
hold_app = typer.Typer(help="Calls that may not be removed.", no_args_is_help=True)
app.add_typer(hold_app, name="hold")

_LONGEST_PAUSE_S: Final = 1.0


DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only count what would be removed.")
]
ScopeArgument = Annotated[
    str,
    typer.Argument(
        metavar="KIND:NAME",
        help="Whose calls: `caller:`, `user:`, `project:`, `environment:` or `group:` "
        "and an id; or `all`.",
    ),
]
NumberArgument = Annotated[
    int, typer.Argument(metavar="NUMBER", help="The hold's number, as `list` shows it.")
]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why, in one line; it is kept with the hold.")
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force", help="Also for a name that neither the configuration nor a call has."
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        "--since",
        help="Calls from here on: a span such as 90d, or a moment in ISO 8601 (UTC "
        "unless it says otherwise). Without it, from the first call on.",
    ),
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Up to here, without it; open by default.")
]


@app.callback()
def retention() -> None:
    """What is removed when, and what must not be."""


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show what is kept for how long, how old it is, and what the last jobs did."""
    from smart_llmrouter.ledger.retention_report import status_text
    from smart_llmrouter.stores.reading import connect_for_reading

    with failures_told():
        state = _state(config)
        with connect_for_reading(state.database_url.reveal()) as reading:
            reading.begin()
            text = status_text(reading, state.retention, now_ms=now())
    typer.echo(text, nl=False)


@app.command()
def run(
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Remove what is older than the configuration says.

    A router that runs does so by itself, once a day. First all that is due is rolled
    up; nothing goes whose roll-up is not final, and nothing that a hold covers. Calls
    may be served meanwhile. With `--dry-run` nothing is changed but that it was asked.
    After Ctrl-C run it again to go on.
    """
    from smart_llmrouter.ledger.retention import class_orders
    from smart_llmrouter.ledger.retention_report import results_text

    now_ms = now()
    with going_on(), failures_told():
        state = _state(config)
        if not class_orders(state.retention, now_ms=now_ms):
            fail("nothing is ever removed: `retention` has no key")
        if dry_run:
            results = _counted(state, now_ms=now_ms)
        else:
            if not yes:
                typer.confirm(
                    f"It is {_day(now_ms)} by this machine's clock. Remove what is too "
                    "old, for good?",
                    abort=True,
                )
            roll_up_all(state, now_ms=now_ms, drafts_until_ms=None)
            results = _removed(state, now_ms=now_ms)
    typer.echo(results_text(results, dry_run=dry_run), nl=False)


def _counted(state: "State", *, now_ms: int) -> "list[ClassResult]":
    from smart_llmrouter.ledger.retention_report import count_old, note_dry_run
    from smart_llmrouter.stores.reading import connect_for_reading
    from smart_llmrouter.stores.writing import transaction

    url = state.database_url.reveal()
    with connect_for_reading(url) as reading:
        reading.begin()
        results = count_old(reading, state.retention, now_ms=now_ms)
    with transaction(url) as writing:
        note_dry_run(writing, _order(now_ms), results)
    return results


def _removed(state: "State", *, now_ms: int) -> "list[ClassResult]":
    from smart_llmrouter.ledger.retention import run_retention
    from smart_llmrouter.ledger.retention_report import last_results
    from smart_llmrouter.stores.reading import connect_for_reading
    from smart_llmrouter.stores.writing import drop_empty_days, transaction

    url = state.database_url.reveal()
    steps = run_retention(
        lambda: transaction(url),
        state.retention,
        _order(now_ms),
        now=now,
        tidy=lambda before_ms: drop_empty_days(url, before_ms),
    )
    began_s = time.monotonic()
    for _ in steps:
        # Records that came meanwhile have their turn.
        time.sleep(min(time.monotonic() - began_s, _LONGEST_PAUSE_S))
        began_s = time.monotonic()
    with connect_for_reading(url) as reading:
        return last_results(reading)


def _order(now_ms: int) -> "JobOrder":
    from smart_llmrouter.core.build_info import read_build_info
    from smart_llmrouter.ledger.retention import JobOrder

    return JobOrder(now_ms, user_name(), read_build_info().version)


@hold_app.command("add", cls=OnceCommand)
def add(
    scope: ScopeArgument,
    reason: ReasonOption,
    from_: FromOption = None,
    to: ToOption = None,
    force: ForceOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Keep calls from being removed, from now on until the hold is released.

    Says how many calls of the database it keeps now. One for a name that neither the
    configuration nor any call has is refused, unless `--force` is given.
    """
    from smart_llmrouter.ledger.holds import add_hold, calls_covered
    from smart_llmrouter.ledger.reports.wording import count_of
    from smart_llmrouter.stores.reading import connect_for_reading
    from smart_llmrouter.stores.writing import transaction

    now_ms = now()
    hold = _new_hold(scope, _one_line(reason), from_, to, now_ms=now_ms)
    with failures_told():
        url = _state(config).database_url.reveal()
        if not (force or _is_known(config, url, hold)):
            fail(
                f"neither the configuration nor any call knows {scope}: see how it is "
                "written, or add --force",
            )
        with transaction(url) as writing:
            number = add_hold(writing, hold, now_ms=now_ms, actor=user_name())
        with connect_for_reading(url) as reading:
            covered = calls_covered(reading, hold)
    calls = count_of(covered, "call", "calls")
    typer.echo(f"hold {number} keeps {scope}: {calls} now")


def _new_hold(
    scope: str, reason: str, from_: str | None, to: str | None, *, now_ms: int
) -> "NewHold":
    from smart_llmrouter.ledger.holds import FAR_MS, NewHold
    from smart_llmrouter.ledger.interval import BadMoment, moment_ms

    kind, name = _scope(scope)
    try:
        from_ms = 0 if from_ is None else moment_ms(from_, now_ms=now_ms)
        to_ms = FAR_MS if to is None else moment_ms(to, now_ms=now_ms)
    except BadMoment as error:
        fail(str(error), code=ASKED_WRONGLY)
    if from_ms >= to_ms:
        fail("nothing lies between: --from must be before --to", code=ASKED_WRONGLY)
    return NewHold(
        scope_kind=kind, scope_name=name, from_ms=from_ms, to_ms=to_ms, reason=reason
    )


def _one_line(reason: str) -> str:
    """Return why, without what is around it; end where it says nothing or too much."""
    text = reason.strip()
    if not text:
        fail("--reason is empty: say why, in one line", code=ASKED_WRONGLY)
    if not text.isprintable():
        fail(
            "--reason must be one line of text, without control characters",
            code=ASKED_WRONGLY,
        )
    return text


def _is_known(config: "Path", url: str, hold: "NewHold") -> bool:
    from smart_llmrouter.cli.usage_reading import loaded_from
    from smart_llmrouter.ledger.holds import is_on_record
    from smart_llmrouter.stores.reading import connect_for_reading

    if hold.scope_name in _configured(loaded_from(config).settings, hold.scope_kind):
        return True
    with connect_for_reading(url) as reading:
        return is_on_record(reading, hold.scope_kind, hold.scope_name)


def _configured(settings: "Settings", kind: "HoldKind") -> set[str]:
    """Return the names of one kind that the configuration has."""
    names: dict[HoldKind, set[str]] = {
        "caller": {caller.id for caller in settings.callers},
        "user": {user.id for user in settings.users},
        "project": {project.id for project in settings.projects},
        "environment": {caller.environment for caller in settings.callers},
        "group": set(settings.groups),
    }
    return names.get(kind, set())


@hold_app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List all holds, those that were released, too."""
    from smart_llmrouter.ledger.holds import all_holds
    from smart_llmrouter.stores.reading import connect_for_reading

    with failures_told():
        state = _state(config)
        with connect_for_reading(state.database_url.reveal()) as reading:
            holds = all_holds(reading)
    for hold in holds:
        typer.echo(_told(hold))
    if not holds:
        typer.echo("there are no holds")


@hold_app.command("release")
def release(
    number: NumberArgument,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why, in one line.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let go of what a hold keeps; the next run may remove it. The hold is not lost."""
    from smart_llmrouter.ledger.holds import release_hold
    from smart_llmrouter.stores.writing import transaction

    if reason is not None:
        reason = _one_line(reason)
    with failures_told():
        state = _state(config)
        with transaction(state.database_url.reveal()) as writing:
            done = release_hold(
                writing, number, now_ms=now(), actor=user_name(), reason=reason
            )
    if not done:
        fail(f"there is no hold {number} that is not released")
    typer.echo(f"hold {number} is released")


def _told(hold: "Hold") -> str:
    from smart_llmrouter.ledger.holds import FAR_MS

    scope: str = hold.scope_kind
    if hold.scope_name:
        scope = f"{hold.scope_kind}:{hold.scope_name}"
    since = _day(hold.from_ms) if hold.from_ms else "the first call"
    until = "open" if hold.to_ms == FAR_MS else _day(hold.to_ms)
    released = ""
    if hold.released_ms is not None:
        released = f"; released {_day(hold.released_ms)} by {hold.released_by}"
        if hold.release_reason is not None:
            released += f": {hold.release_reason}"
    return (
        f"{hold.id}  {scope}  from {since} to {until}  by {hold.created_by}, "
        f"{_day(hold.created_ms)}: {hold.reason}{released}"
    )


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%MZ")


def _scope(text: str) -> "tuple[HoldKind, str]":
    from smart_llmrouter.ledger.holds import HOLD_KINDS

    said, _, name = text.partition(":")
    kinds = [kind for kind in HOLD_KINDS if kind == said]
    if not kinds or (said == "all") == bool(name):
        fail(
            f"{text!r} is no scope: write `all`, or one of "
            f"{', '.join(HOLD_KINDS[:-1])}, a colon and an id",
            code=ASKED_WRONGLY,
        )
    return kinds[0], name


def _state(config: "Path") -> "State":
    from smart_llmrouter.cli.usage_reading import state_of
    from smart_llmrouter.stores.backends import require_database

    state = state_of(config)
    require_database(state.database_url.reveal())
    return state
