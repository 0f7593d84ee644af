"""What a shared store begins with: what the rows say of budgets that it does not know.

A store knows a period of a budget when somebody has counted in it. Where nobody has,
the rows are put in: after a change from memory to a store, in one that lost what it
had, and for budgets that are new or have another time zone. Only the rows of this
router's own database are known here.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from smart_llmrouter.admission.shared import Shared
from smart_llmrouter.admission.shared_seeds import Recorded, Seed
from smart_llmrouter.bootstrap.recorded import OnRecord, on_record
from smart_llmrouter.bootstrap.recounting import changed_budgets
from smart_llmrouter.config.allowances import Allowances, PeriodName
from smart_llmrouter.config.scopes import scope_of
from smart_llmrouter.config.snapshot import Snapshot
from smart_llmrouter.ledger.budget_sums import PeriodUse, ScopeUse, has_budgets

_TRIES: Final = 5


async def seeds_at_start(snapshot: Snapshot) -> Sequence[Seed]:
    """Return what is on record of all budgets; read it before a call is taken.

    Raises `DatabaseAway` where the rows cannot be had.
    """
    if not has_budgets(snapshot.allowances):
        return []
    found = await asyncio.to_thread(on_record, snapshot.state, snapshot.allowances)
    return seeds_of(found, snapshot.allowances)


async def seed_changed(
    snapshot: Snapshot, counters: Shared, *, before: Allowances
) -> None:
    """Tell a store what is on record of budgets that the allowances `before` had not.

    To be called when the new allowances are about to hold. Calls go on while the rows
    are read. So they are read again until they say the same, and what has come in
    meanwhile is made good as long as nobody counts in the new budgets.

    Raises `DatabaseAway` where the rows cannot be had.
    """
    wanted = changed_budgets(before, snapshot.allowances)
    if not has_budgets(wanted):
        return
    known: OnRecord | None = None
    for _ in range(_TRIES):
        found = await asyncio.to_thread(on_record, snapshot.state, wanted)
        if known is not None and found.uses == known.uses:
            return
        await counters.seed(seeds_of(found, snapshot.allowances, known=known))
        known = found


def seeds_of(
    found: OnRecord, allowances: Allowances, *, known: OnRecord | None = None
) -> Sequence[Seed]:
    """Return what a store is told of what is on record, and was `known` before."""
    return [
        Seed(
            scope_of(allowances, key) or use.scope,
            int(found.periods.at_ms),
            {
                period: Recorded(
                    each.used,
                    before=_before(known, key, period, each),
                    reset_ms=_reset_ms(found, use, period),
                )
                for period, each in use.periods.items()
            },
        )
        for key, use in found.uses.items()
    ]


def _before(
    known: OnRecord | None, key: str, period: PeriodName, use: PeriodUse
) -> tuple[int, int, int] | None:
    scope = known.uses.get(key) if known else None
    each = scope.periods.get(period) if scope else None
    return each.used if each and each.since_ms == use.since_ms else None


def _reset_ms(found: OnRecord, use: ScopeUse, period: PeriodName) -> int:
    """Return when the period was reset, if it was since it began; otherwise 0."""
    reset_ms = found.periods.resets.get((use.scope.key, period), 0)
    return reset_ms if reset_ms == use.periods[period].since_ms else 0
