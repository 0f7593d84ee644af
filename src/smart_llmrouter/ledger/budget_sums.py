"""What was used of budgets, as the rows have it.

The rows are the truth: whoever counts in memory begins with what these sums say, and
whoever shares a counter mends it by them. A row counts when its call has asked a
provider, with what the call was charged, or was answered out of the cache; so do rows
that retention has removed, of which roll-ups keep the sums. The journal must have been
read before: see `ledger.catch_up`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import Final, NamedTuple

from smart_llmrouter.config.allowances import Allowances, PeriodName, Scope
from smart_llmrouter.core.identity import Caller
from smart_llmrouter.stores.budget_events import Resets
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.rollup_schema import (
    CHARGED_NUSD,
    CHARGED_TOKENS,
    GONE,
    TABLE_OF,
)

BoundsOf = Callable[[PeriodName, float, str], tuple[float, float]]
"""When the period of a time zone begins to which an instant belongs, and when it ends.

Both in milliseconds since 1970 UTC, and infinite where it has none.
"""

COUNTED: Final = "(attempts >= 1 OR cache = 'hit')"
"""Which rows count at all."""

# What is gone stands where its hour, day or month began, or at the last reset after it.
_GONE: Final = " ".join(
    "UNION ALL SELECT labels_id, calls, charged_tokens, charged_cost_nusd "  # noqa: S608 - of our own words; values are bound
    f"FROM {table} WHERE part = {GONE} AND start_ms >= ? AND start_ms < ?"
    for table in TABLE_OF.values()
)
# What calls have in common is looked up once for all of them, not once a call.
_SUMS: Final = f"""
SELECT caller_id, caller_user, caller_project, caller_environment, resolved_group,
    sum(calls), sum(tokens), sum(nusd)
FROM (
    SELECT labels_id, count(*) AS calls,
        sum({CHARGED_TOKENS}) AS tokens, sum({CHARGED_NUSD}) AS nusd
    FROM request_measures WHERE ts_ms >= ? AND ts_ms < ? GROUP BY labels_id
    {_GONE}
) AS used JOIN request_labels ON request_labels.id = labels_id
WHERE {COUNTED} AND resolved_group IS NOT NULL GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 - constants
_CALLS: Final = f"""
SELECT request_id, {COUNTED}, {CHARGED_TOKENS}, {CHARGED_NUSD}
FROM request_measures JOIN request_labels ON request_labels.id = labels_id
WHERE ts_ms >= ?
"""  # noqa: S608 - constants
_FAR_MS: Final = (1 << 63) - 1


class Used(NamedTuple):
    """What calls have used: how many they were, their tokens and nano-dollars."""

    requests: int = 0
    tokens: int = 0
    nusd: int = 0

    def plus(self, other: "Used") -> "Used":
        """Return the use of both together."""
        return Used(
            self.requests + other.requests,
            self.tokens + other.tokens,
            self.nusd + other.nusd,
        )


NOTHING_USED: Final = Used()


@dataclass(frozen=True, slots=True)
class PeriodUse:
    """What was used in one period by the calls that count in it.

    Those are the calls that began from `since_ms` on, which is the beginning of the
    period or its last reset, and before `until_ms`; both may be infinite.
    """

    since_ms: float
    until_ms: float
    used: Used = NOTHING_USED


@dataclass(frozen=True, slots=True)
class ScopeUse:
    """What was used of one scope's budgets, by their periods."""

    scope: Scope
    periods: Mapping[PeriodName, PeriodUse]


@dataclass(frozen=True, slots=True)
class Periods:
    """The periods to which one instant belongs, as far as they were not reset."""

    at_ms: float
    resets: Resets
    bounds_of: BoundsOf

    def unused(self, scope: Scope) -> ScopeUse:
        """Return a scope with the periods of its budgets, without any use."""
        budgets = scope.allowance.budgets
        return ScopeUse(
            scope,
            {
                period: self._unused(scope.key, period, budgets.timezone)
                for period in budgets.caps
            },
        )

    def _unused(self, key: str, period: PeriodName, timezone: str) -> PeriodUse:
        begins_ms, ends_ms = self.bounds_of(period, self.at_ms, timezone)
        reset_ms = self.resets.get((key, period), -inf)
        return PeriodUse(max(begins_ms, reset_ms), ends_ms)


class Place(NamedTuple):
    """Whose calls these are, and of which group."""

    caller_id: str
    owner: str
    project: str
    environment: str
    group: str

    def scopes(self, allowances: Allowances) -> tuple[Scope, ...]:
        """Return whose budgets they count in."""
        caller = Caller(
            id=self.caller_id,
            owner_user=self.owner,
            project=self.project,
            environment=self.environment,
            token_id="",
            status="active",
            expires_on=None,
            allowed_groups=frozenset(),
            metrics_admin=False,
        )
        return allowances.scopes_of(caller, self.group)


def budget_uses(
    connection: Queries,
    allowances: Allowances,
    periods: Periods,
    *,
    before_ms: float = inf,
) -> dict[str, ScopeUse]:
    """Return what calls have used that began before `before_ms`.

    By the keys of those scopes with budgets for which there are calls in one of their
    periods. Each row is read once, and rows of before all periods not at all.
    """
    found: dict[str, ScopeUse] = {}
    for stretch in _stretches(allowances, periods, before_ms=before_ms):
        for place, used in _sums(connection, *stretch):
            for scope in place.scopes(allowances):
                if not scope.allowance.budgets.caps:
                    continue
                known = found.get(scope.key) or periods.unused(scope)
                found[scope.key] = _with(known, used, stretch)
    return found


def _with(known: ScopeUse, used: Used, stretch: tuple[float, float]) -> ScopeUse:
    """Add what was used in a stretch of time to the periods in which it lies."""
    begins_ms, ends_ms = stretch
    return ScopeUse(
        known.scope,
        {
            period: replace(use, used=use.used.plus(used))
            if use.since_ms <= begins_ms and ends_ms <= use.until_ms
            else use
            for period, use in known.periods.items()
        },
    )


def has_budgets(allowances: Allowances) -> bool:
    """Say whether there is any budget."""
    return any(each.budgets.caps for each in allowances.each())


def charged_of(
    connection: Queries, request_ids: Collection[str], *, since_ms: int
) -> dict[str, Used]:
    """Return what these calls were charged, of those that are on record.

    They began at `since_ms` or later: rows of before are not looked at.
    """
    wanted = set(request_ids)
    rows = connection.execute(_CALLS, (since_ms,))
    return {
        request_id: Used(1, tokens, nusd) if attempted else NOTHING_USED
        for request_id, attempted, tokens, nusd in rows
        if request_id in wanted
    }


def _stretches(
    allowances: Allowances, periods: Periods, *, before_ms: float
) -> Iterator[tuple[float, float]]:
    """Return stretches of time in none of which a period begins, ends or is reset."""
    edges = set()
    for each in allowances.each():
        for period in each.budgets.caps:
            timezone = each.budgets.timezone
            edges |= {*periods.bounds_of(period, periods.at_ms, timezone)}
    if not edges:
        return
    first_ms = min(edges)
    edges |= {reset_ms for reset_ms in periods.resets.values() if reset_ms > first_ms}
    yield from pairwise(sorted({*(e for e in edges if e < before_ms), before_ms}))


def _sums(
    connection: Queries, since_ms: float, until_ms: float
) -> Iterator[tuple[Place, Used]]:
    """Return what was used from one instant on, up to but without the other."""
    bounds = (_whole(since_ms), _whole(until_ms))
    rows = connection.execute(_SUMS, bounds * (1 + len(TABLE_OF)))
    for *place, calls, tokens, nusd in rows:
        yield Place(*place), Used(calls, tokens, nusd)


def _whole(ms: float) -> int:
    return int(min(max(ms, -_FAR_MS), _FAR_MS))
