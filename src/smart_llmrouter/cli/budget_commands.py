"""`smart-llmrouter budget`: what is left of limits and budgets, and beginning anew."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from smart_llmrouter.cli.failures import failures_told
from smart_llmrouter.cli.invocation import now, user_name
from smart_llmrouter.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    TableFormat,
    YesOption,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from smart_llmrouter.bootstrap.recorded import OnRecord
    from smart_llmrouter.config.allowances import Scope
    from smart_llmrouter.config.snapshot import Snapshot
    from smart_llmrouter.ledger.budget_report import BudgetLine, BudgetReport
    from smart_llmrouter.ledger.budget_sums import Used

app = typer.Typer(
    name="budget",
    help="What is used and left of limits and budgets.",
    no_args_is_help=True,
)

_KINDS: Final = "caller, owner, project, environment, group or group-caller"


class Period(StrEnum):
    """Of which budget."""

    DAY = "day"
    MONTH = "month"
    LIFETIME = "lifetime"


ScopeOption = Annotated[
    str | None,
    typer.Option(
        "--scope",
        metavar="KIND:NAME",
        help="Only this one, such as `caller:alice-dev`, `environment:search/dev` or "
        "`group-caller:chat/alice-dev`.",
    ),
]
CallerOption = Annotated[
    str | None,
    typer.Option("--caller", help="Only those that limit this caller's calls."),
]
FormatOption = Annotated[
    TableFormat, typer.Option("--format", help="How to write them.")
]
ScopeArgument = Annotated[
    str,
    typer.Argument(metavar="KIND:NAME", help=f"Whose budget. The kind is {_KINDS}."),
]
PeriodArgument = Annotated[
    Period, typer.Argument(metavar="PERIOD", help="`day`, `month` or `lifetime`.")
]


class NoSuchScope(Exception):
    """The command names something that is not limited."""


class StoreAway(Exception):
    """The store that routers share cannot be asked."""


@app.callback()
def budget() -> None:
    """What is used and left of limits and budgets."""


@app.command()
def show(
    scope: ScopeOption = None,
    caller: CallerOption = None,
    to_format: FormatOption = TableFormat.TABLE,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show every limit and budget: its cap, what is used and left, when it resets.

    What is used is added up from the usage records, for the day and month that are now
    in the time zone of each budget, since its last reset; no router need run. Where
    several share a store, `state.counters`, that is asked.
    """
    from smart_llmrouter.cli.usage_reading import snapshot_of
    from smart_llmrouter.config.snapshot import MEMORY
    from smart_llmrouter.ledger.budget_report import render_budgets

    with failures_told(asked_wrongly=(NoSuchScope,)):
        snapshot = snapshot_of(config)
        scopes = _asked_for(snapshot, scope, caller)
        report = None
        if snapshot.state.counters.reveal() != MEMORY:
            report = _by_store(snapshot, scopes)
        if report is None:
            report = _by_records(snapshot, scopes)
    typer.echo(render_budgets(report, to=to_format.value), nl=False)


def lines_by_records(
    snapshot: "Snapshot", scopes: "Sequence[Scope]"
) -> "Sequence[BudgetLine]":
    """Return a line for each limit and budget, by what is on record."""
    return _by_records(snapshot, scopes).lines


def lines_by_store(
    snapshot: "Snapshot", scopes: "Sequence[Scope]"
) -> "Sequence[BudgetLine]":
    """Return a line for each limit and budget, by the store that routers share.

    Raises `StoreAway` where it cannot be asked.
    """
    from smart_llmrouter.cli.logs import log_to_stderr  # isort: skip - before structlog

    import asyncio
    import logging

    from smart_llmrouter.bootstrap.standings import lines_in_store
    from smart_llmrouter.core.errors.faults import CountersAway
    from smart_llmrouter.stores.valkey_address import AddressUnusable

    log_to_stderr(logging.ERROR)
    try:
        return asyncio.run(lines_in_store(snapshot.state, scopes))
    except (CountersAway, AddressUnusable):
        raise StoreAway from None


def _by_records(snapshot: "Snapshot", scopes: "Sequence[Scope]") -> "BudgetReport":
    from smart_llmrouter.ledger.budget_report import BudgetReport, budget_lines

    found = _on_record(snapshot)
    lines = budget_lines(scopes, found.periods, found.uses)
    return BudgetReport(lines, at_ms=int(found.periods.at_ms), source="records")


def _on_record(snapshot: "Snapshot") -> "OnRecord":
    from smart_llmrouter.bootstrap.recorded import on_record
    from smart_llmrouter.stores.backends import require_database

    require_database(snapshot.state.database_url.reveal())
    return on_record(snapshot.state, snapshot.allowances)


def _by_store(snapshot: "Snapshot", scopes: "Sequence[Scope]") -> "BudgetReport | None":
    """Return what the shared store says; say so and return `None` where it is away."""
    from smart_llmrouter.ledger.budget_report import BudgetReport

    at_ms = now()
    try:
        lines = lines_by_store(snapshot, scopes)
    except StoreAway:
        typer.echo(
            "warning: the counter store cannot be asked; this is what the usage "
            "records of this machine say",
            err=True,
        )
        return None
    return BudgetReport(lines, at_ms=at_ms, source="store")


@app.command()
def reset(
    scope: ScopeArgument,
    period: PeriodArgument,
    yes: YesOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let a budget's day, month or lifetime begin anew, a second from now.

    Calls that began before do not count in it any more; all other budgets go on. What
    had been used, when, and who did this is kept in the table `budget_events`. A router
    that runs sees it by itself, and needs no restart.
    """
    from smart_llmrouter.cli.usage_reading import snapshot_of

    with failures_told(asked_wrongly=(NoSuchScope,)):
        snapshot = snapshot_of(config)
        chosen = _scope_called(snapshot, scope)
        if period.value not in chosen.allowance.budgets.caps:
            raise NoSuchScope(_without(chosen, period))
        used = _used(snapshot, chosen, period)
        told = _told(chosen, period, used)
        if not yes:
            typer.confirm(f"{scope} has used {told}. Begin anew?", abort=True)
        at_ms = _begin_anew(snapshot, chosen, period, used)
    typer.echo(
        f"{scope}: its {period.value} begins anew at {_utc(at_ms)}; it had used {told}."
        "\nA router that runs sees this by itself within about a second."
    )


def _used(snapshot: "Snapshot", scope: "Scope", period: Period) -> "Used":
    from smart_llmrouter.ledger.budget_sums import NOTHING_USED

    use = _on_record(snapshot).uses.get(scope.key)
    return NOTHING_USED if use is None else use.periods[period.value].used


def _told(scope: "Scope", period: Period, used: "Used") -> str:
    from smart_llmrouter.ledger.budget_report import used_text

    return used_text(scope.allowance.budgets.caps[period.value], used)


def _begin_anew(
    snapshot: "Snapshot", scope: "Scope", period: Period, used: "Used"
) -> int:
    """Write the reset down, and return when the period begins anew."""
    from smart_llmrouter.bootstrap.budgets import RESET_AHEAD_MS
    from smart_llmrouter.stores.budget_events import BudgetReset, add_reset

    now_ms = now()
    made = BudgetReset(
        scope_kind=scope.kind,
        scope_name=scope.name,
        period=period.value,
        at_ms=now_ms + RESET_AHEAD_MS,
        actor=user_name(),
        used_requests=used.requests,
        used_tokens=used.tokens,
        used_nusd=used.nusd,
    )
    add_reset(snapshot.state.database_url.reveal(), made, ts_ms=now_ms)
    return made.at_ms


def _utc(at_ms: int) -> str:
    from smart_llmrouter.ledger.interval import utc_text

    return utc_text(at_ms)


def _asked_for(
    snapshot: "Snapshot", scope: str | None, caller: str | None
) -> tuple["Scope", ...]:
    """Return the scopes to show. Raises `NoSuchScope`."""
    from smart_llmrouter.config.scopes import all_scopes, scopes_of_caller

    if scope is not None:
        return (_scope_called(snapshot, scope),)
    if caller is None:
        return all_scopes(snapshot)
    found = scopes_of_caller(snapshot, caller)
    if found is None:
        known = {each.id for each in snapshot.callers_by_digest.values()}
        raise NoSuchScope(f"no caller is called {caller!r}{_close(caller, known)}")
    return found


def _scope_called(snapshot: "Snapshot", key: str) -> "Scope":
    """Return a scope by its key. Raises `NoSuchScope`, which names a close one."""
    from smart_llmrouter.config.scopes import all_scopes

    known = {scope.key: scope for scope in all_scopes(snapshot)}
    if key in known:
        return known[key]
    if ":" not in key:
        raise NoSuchScope(
            f"{key!r} says not what it is: write KIND:NAME, where KIND is {_KINDS}"
            f"{_close(f'caller:{key}', known)}"
        )
    raise NoSuchScope(f"nothing limits {key!r}{_close(key, known)}")


def _close(name: str, known: "Iterable[str]") -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _without(scope: "Scope", period: Period) -> str:
    others = ", ".join(scope.allowance.budgets.caps) or "none"
    return f"{scope.key} has no {period.value} budget; its budgets are: {others}"
