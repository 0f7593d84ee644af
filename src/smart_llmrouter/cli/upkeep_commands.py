"""`smart-llmrouter usage rollup` and `usage verify`: sums that are kept, and proved."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from smart_llmrouter.cli.failures import ASKED_WRONGLY, fail, failures_told
from smart_llmrouter.cli.interrupts import going_on
from smart_llmrouter.cli.invocation import now
from smart_llmrouter.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from smart_llmrouter.cli.counters_verified import ComparedBudgets
    from smart_llmrouter.config.snapshot import State
    from smart_llmrouter.ledger.verify import Verified

_FIRST_OF_ALL: Final = "1970-01-01"

UntilOption = Annotated[
    str | None,
    typer.Option(
        "--until",
        help="Roll up what began before this, also where it has not ended and becomes "
        "a draft: a span such as 2h or a moment in ISO 8601. Without it, only what has "
        "ended an hour ago.",
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        "--from",
        help="Where to begin: a span such as 7d, or a moment in ISO 8601 (UTC unless "
        "it says otherwise). Without it, with the first call.",
    ),
]
VerifyUntilOption = Annotated[
    str | None,
    typer.Option("--until", "--to", help="Where to end, without it; now by default."),
]
CountersOption = Annotated[
    bool,
    typer.Option(
        "--counters/--no-counters",
        help="Whether to compare budgets that are counted in a shared store. Leave "
        "them out where it also counts calls of machines with databases of their own.",
    ),
]


def rollup(until: UntilOption = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Roll up hours, days and months now.

    A router that runs does so by itself, an hour after each has ended. Waits as `usage
    report` does for what the journal holds. After Ctrl-C run it again to go on.
    """
    from smart_llmrouter.ledger.interval import BadMoment, moment_ms

    now_ms = now()
    with going_on(), failures_told():
        try:
            drafts_ms = None if until is None else moment_ms(until, now_ms=now_ms)
        except BadMoment as error:
            fail(str(error), code=ASKED_WRONGLY)
        if drafts_ms is not None and drafts_ms > now_ms:
            fail(
                f"{until!r} is yet to come: --until cannot be after now",
                code=ASKED_WRONGLY,
            )
        state = _caught_up(config)
        made = roll_up_all(state, now_ms=now_ms, drafts_until_ms=drafts_ms)
    typer.echo(f"rolled up {made:,} hours, days and months")


def verify(
    since: SinceOption = None,
    until: VerifyUntilOption = None,
    counters: CountersOption = True,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Prove that totals are right: rows, roll-ups and counters against each other.

    Each roll-up is made again and compared, label by label and to the nano-dollar.
    What waits to be rolled up is not compared, which is said. Where budgets are
    counted in a shared store, those of now are compared, too. Says where something
    differs, and then ends with 1. Changes nothing.
    """
    from smart_llmrouter.cli.counters_verified import compare_counters
    from smart_llmrouter.ledger.interval import BadMoment, interval_of

    with failures_told():
        try:
            first = _FIRST_OF_ALL if since is None else since
            asked = interval_of(first, until, now_ms=now())
        except BadMoment as error:
            fail(str(error), code=ASKED_WRONGLY)
        state = _caught_up(config)
        found = _verified(state, asked.from_ms, asked.to_ms)
        budgets = compare_counters(config) if counters else None
        if budgets is not None:
            found.wrong.extend(budgets.wrong)
    _tell(found, budgets)
    if found.wrong:
        raise typer.Exit(1)


def roll_up_all(state: "State", *, now_ms: int, drafts_until_ms: int | None) -> int:
    """Roll up all that is due; return how many periods that were."""
    from smart_llmrouter.core.build_info import read_build_info
    from smart_llmrouter.ledger.rollups import next_due, roll_up
    from smart_llmrouter.stores.reading import connect_for_reading
    from smart_llmrouter.stores.writing import transaction

    url, version, made = state.database_url.reveal(), read_build_info().version, 0
    while True:
        with connect_for_reading(url) as reading:
            due = next_due(reading, now_ms=now_ms, drafts_until_ms=drafts_until_ms)
        if due is None:
            return made
        done = False
        while not done:
            with transaction(url) as writing:
                done = roll_up(writing, due, now_ms=now_ms, router_version=version)
        made += 1


def _caught_up(config: Path) -> "State":
    from smart_llmrouter.cli.usage_reading import state_of
    from smart_llmrouter.ledger.catch_up import catch_up
    from smart_llmrouter.stores.backends import require_database

    state = state_of(config)
    url = state.database_url.reveal()
    require_database(url)
    unread = catch_up(state.directory, url, sleep=time.sleep, monotonic=time.monotonic)
    if unread:
        typer.echo(f"warning: {unread:,} bytes are not yet ingested", err=True)
    return state


def _verified(state: "State", from_ms: int, to_ms: int) -> "Verified":
    from smart_llmrouter.ledger.periods import Span
    from smart_llmrouter.ledger.verify import Verified, verify
    from smart_llmrouter.stores.reading import connect_for_reading

    with connect_for_reading(state.database_url.reveal()) as reading:
        reading.begin()
        (found,) = (
            each
            for each in verify(reading, Span(from_ms, to_ms))
            if isinstance(each, Verified)
        )
    return found


def _tell(found: "Verified", budgets: "ComparedBudgets | None") -> None:
    from smart_llmrouter.ledger.reports.wording import count_of

    total = count_of(found.in_rows.calls + found.gone.calls, "call", "calls")
    nusd = found.in_rows.nusd + found.gone.nusd
    typer.echo(
        f"{total}, charged {nusd:,} nano-dollars: {found.in_rows.calls:,} in "
        f"rows, {found.gone.calls:,} of which only sums are kept"
    )
    for level, compared in found.periods.items():
        waiting = found.waiting[level]
        left = f", {waiting:,} waiting to be rolled up" if waiting else ""
        typer.echo(f"roll-ups by {level}: {compared:,} compared{left}")
    if budgets is not None and budgets.compared:
        typer.echo(f"budgets in the counter store: {budgets.compared:,} compared")
    for where, what in found.wrong:
        typer.echo(f"WRONG {where}: {what}", err=True)
    if not found.wrong:
        typer.echo(_outcome(found))


def _outcome(found: "Verified") -> str:
    """Say what is proved now that nothing was found to be wrong."""
    if any(found.waiting.values()):
        return (
            "all that was compared is right; what waits was not, and can be when it is "
            "rolled up, an hour after its end: `smart-llmrouter usage rollup`"
        )
    if not found.in_rows.calls + found.gone.calls:
        return "there is nothing to compare: no calls are on record"
    return "all totals are right"
