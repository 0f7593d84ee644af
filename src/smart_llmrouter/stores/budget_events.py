"""Budgets that were begun anew by hand: who did it, when, and what had been used.

They are rows beside those of calls, never changed and never taken back: who counts from
rows looks for the last one of each budget, and a router that runs for new ones.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from smart_llmrouter.config.allowances import PeriodName, ScopeKind
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.writing import transaction

Resets = Mapping[tuple[str, PeriodName], int]
"""From when on calls count, by the key of a scope and the period that was reset."""

_ADD: Final = (
    "INSERT INTO budget_events (ts_ms, kind, scope_kind, scope_name, period, at_ms, "
    "actor, used_requests, used_tokens, used_nusd) "
    "VALUES (?, 'reset', ?, ?, ?, ?, ?, ?, ?, ?)"
)
_LAST: Final = (
    "SELECT scope_kind || ':' || scope_name, period, max(at_ms) FROM budget_events "
    "WHERE kind = 'reset' AND at_ms <= ? GROUP BY 1, 2"
)
_AFTER: Final = (
    "SELECT id, scope_kind || ':' || scope_name, period, at_ms FROM budget_events "
    "WHERE kind = 'reset' AND id > ? ORDER BY id"
)


class BudgetReset(msgspec.Struct, frozen=True, kw_only=True):
    """A reset that somebody makes: calls that began before `at_ms` count no more."""

    scope_kind: ScopeKind
    scope_name: str
    period: PeriodName
    at_ms: int
    actor: str
    used_requests: int
    used_tokens: int
    used_nusd: int


class MadeReset(NamedTuple):
    """A reset that was made, and the number of its row."""

    event: int
    scope_key: str
    period: PeriodName
    at_ms: int


def add_reset(url: str, reset: BudgetReset, *, ts_ms: int) -> None:
    """Write a reset down, to the disk. Raises `DatabaseAway` or `DatabaseUnusable`."""
    with transaction(url) as writing:
        writing.execute(_ADD, (ts_ms, *msgspec.structs.astuple(reset)))


def last_resets(connection: Queries, *, at_ms: int) -> Resets:
    """Return the last reset of each budget that holds at this instant."""
    rows = connection.execute(_LAST, (at_ms,))
    return {(key, period): reset_ms for key, period, reset_ms in rows}


def events_until(connection: Queries, *, at_ms: int) -> int:
    """Return the number of the last row before those of which the time has not come.

    It is 0 where there is none.
    """
    query = "SELECT min(id) FROM budget_events WHERE at_ms > ?"
    (coming,) = connection.execute(query, (at_ms,)).fetchone()
    if coming is not None:
        return int(coming) - 1
    (newest,) = connection.execute("SELECT max(id) FROM budget_events").fetchone()
    return int(newest or 0)


def resets_after(connection: Queries, event: int) -> list[MadeReset]:
    """Return the resets of later rows, in their order."""
    return [MadeReset(*row) for row in connection.execute(_AFTER, (event,))]
