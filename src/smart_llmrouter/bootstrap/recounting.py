"""Counters in memory at a reload: budgets that are new begin with what is on record.

What is counted goes on while the rows are read. So they are read again until nothing of
these budgets was settled meanwhile: then all that is counted is in the rows, too, and
what the rows have beyond it is what the counters have not seen.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from smart_llmrouter.admission.memory import Memory, Used
from smart_llmrouter.bootstrap.recorded import OnRecord, on_record
from smart_llmrouter.config.allowances import (
    NO_ALLOWANCE,
    Allowance,
    Allowances,
    PeriodName,
    Scope,
)
from smart_llmrouter.config.scopes import scope_of
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.ledger.budget_sums import has_budgets
from smart_llmrouter.stores.usage_store import DatabaseAway

_TRIES: Final = 5

K = TypeVar("K")

Counted = Mapping[tuple[str, str], int]
"""What is settled, by the key of a scope and the name of a limit."""


@dataclass(frozen=True, slots=True)
class Load:
    """What counters are told of one scope."""

    scope: Scope
    used: Mapping[PeriodName, Used]


async def recount(snapshot: Snapshot, counters: Memory, *, before: Allowances) -> int:
    """Tell counters what is on record of budgets that the allowances `before` had not.

    Those are new ones, and such as have another time zone now. To be called when the
    new allowances are about to hold. Calls that are in flight then, of which nobody
    knew that they would count in a new scope, count in it from the next start on.

    Returns which reset was the last. Raises `DatabaseAway` where the rows cannot be
    had; then nothing has changed.
    """
    wanted = changed_budgets(before, snapshot.allowances)
    found = await asyncio.to_thread(on_record, snapshot.state, wanted)
    if not has_budgets(wanted):
        return found.last_event
    counted: Counted = {}
    for _ in range(_TRIES):
        scopes = [each.scope for each in loads_of(found, snapshot.allowances)]
        counted = await _counted(counters, scopes)
        # What is settled is written down before the loop has come round.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with suppress(DatabaseAway):
            found = await asyncio.to_thread(on_record, snapshot.state, wanted)
        if await _counted(counters, scopes) == counted:
            break
    # Of a scope that is never quiet, what was settled during the last reading may be
    # counted twice; better than not at all.
    for each in loads_of(found, snapshot.allowances):
        counters.load(each.scope, _unseen(each, counted, before))
    return found.last_event


def loads_of(found: OnRecord, allowances: Allowances) -> Iterator[Load]:
    """Yield what is on record of each scope, as it is limited now."""
    for key, use in found.uses.items():
        yield Load(
            scope_of(allowances, key) or use.scope,
            {
                name: Used(*each.used)
                for name, each in use.periods.items()
                # A day may have ended since it was read.
                if found.still_in(each)
            },
        )


async def _counted(counters: Memory, scopes: Sequence[Scope]) -> Counted:
    return {
        (scope.key, use.limit): use.used
        for scope, standing in zip(scopes, await counters.standing(scopes), strict=True)
        for use in standing.uses
    }


def _unseen(load: Load, counted: Counted, before: Allowances) -> dict[PeriodName, Used]:
    """Return what the rows have beyond what is counted."""
    known = scope_of(before, load.scope.key)
    periods = known.allowance.budgets.caps if known else {}
    unseen = {}
    for period, used in load.used.items():
        # What has no cap is not told: a period that goes on has counted it already.
        goes_on = period in periods
        unseen[period] = Used(
            *(
                amount
                - counted.get(
                    (load.scope.key, f"{period}.{unit}"), amount if goes_on else 0
                )
                for unit, amount in (
                    ("requests", used.requests),
                    ("tokens", used.tokens),
                    ("usd", used.nusd),
                )
            )
        )
    return unseen


def changed_budgets(before: Allowances, after: Allowances) -> Allowances:
    """Return of the allowances `after` only those budgets that must be counted anew.

    A budget is one of a scope and a period; other caps make no other budget of it, but
    another time zone does, except of a lifetime.
    """
    return Allowances(
        callers=_changed(before.callers, after.callers),
        owners=_changed(before.owners, after.owners),
        projects=_changed(before.projects, after.projects),
        environments=_changed(before.environments, after.environments),
        groups=_changed(before.groups, after.groups),
        per_caller=_changed(before.per_caller, after.per_caller),
    )


def _changed(
    before: Mapping[K, Allowance], after: Mapping[K, Allowance]
) -> dict[K, Allowance]:
    changed = {}
    for key, allowance in after.items():
        budgets, known = allowance.budgets, before.get(key, NO_ALLOWANCE).budgets
        moved = budgets.timezone != known.timezone
        caps = {
            period: cap
            for period, cap in budgets.caps.items()
            if period not in known.caps or (moved and period != "lifetime")
        }
        if caps:
            changed[key] = replace(allowance, budgets=replace(budgets, caps=caps))
    return changed
