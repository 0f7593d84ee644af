"""Comparing budgets that are counted in a shared store with what is on record.

The store is asked twice, and the records are read in between: calls may go on
meanwhile. A call is on record before the store is told of it, so the records of a
moment hold what the store knew before, and no more than it knows soon after.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from smart_llmrouter.cli.budget_commands import (
    StoreAway,
    lines_by_records,
    lines_by_store,
)

if TYPE_CHECKING:
    from smart_llmrouter.config.allowances import Scope
    from smart_llmrouter.config.snapshot import Snapshot
    from smart_llmrouter.ledger.budget_report import BudgetLine
    from smart_llmrouter.ledger.verify import Wrong

_MORE_LOOKS: Final = 2
_LOOK_AGAIN_S: Final = 1.0
_UNPROVED: Final = (
    "it cannot be asked what it has counted (that of a router runs as long as the "
    "router does); --no-counters leaves it out"
)


class ComparedBudgets(NamedTuple):
    """How many budgets were compared, and which of them differ."""

    compared: int
    wrong: "list[Wrong]"


def compare_counters(config: Path) -> ComparedBudgets | None:
    """Compare each budget of a configuration; `None` where no store is shared.

    What is wrong is looked at again, twice: records of other machines may be on their
    way. A store that cannot be asked proves nothing, and is wrong.
    """
    from smart_llmrouter.cli.usage_reading import snapshot_of
    from smart_llmrouter.config.scopes import all_scopes
    from smart_llmrouter.config.snapshot import MEMORY

    snapshot = snapshot_of(config)
    if snapshot.state.counters.reveal() == MEMORY:
        return None
    scopes = [each for each in all_scopes(snapshot) if each.allowance.budgets.caps]
    found = _compared(snapshot, scopes)
    for _ in range(_MORE_LOOKS):
        if not found.wrong:
            break
        time.sleep(_LOOK_AGAIN_S)
        found = _compared(snapshot, scopes)
    return found


def _compared(snapshot: "Snapshot", scopes: "Sequence[Scope]") -> ComparedBudgets:
    from smart_llmrouter.ledger.verify import Wrong

    try:
        before = lines_by_store(snapshot, scopes)
        recorded = lines_by_records(snapshot, scopes)
        after = lines_by_store(snapshot, scopes)
    except StoreAway:
        return ComparedBudgets(0, [Wrong("counter store", _UNPROVED)])
    # Of limits that are no budgets nothing is on record.
    lines = [line for line in recorded if "." in line.limit]
    return ComparedBudgets(len(lines), list(differences(before, lines, after)))


def differences(
    before: "Iterable[BudgetLine]",
    recorded: "Iterable[BudgetLine]",
    after: "Iterable[BudgetLine]",
) -> "Iterator[Wrong]":
    """Yield the budgets of which there is on record what the store cannot have counted.

    That is less than it had counted just before, or more than just after.
    """
    from smart_llmrouter.ledger.verify import Wrong

    least, most = _used(before), _used(after)
    for line in recorded:
        key = (line.scope, line.limit)
        used = line.used or 0
        counted = max(least[key], min(used, most[key]))
        if used != counted:
            unit = " nano-dollars" if line.limit.endswith("usd") else ""
            yield Wrong(
                f"{line.scope} {line.limit}",
                f"{used:,}{unit} by the records, "
                f"{counted:,}{unit} by the counter store",
            )


def _used(lines: "Iterable[BudgetLine]") -> dict[tuple[str, str], int]:
    return {(line.scope, line.limit): line.used or 0 for line in lines}
