"""Allowances and calls for tests of budgets, and what these calls add up to."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from smart_llmrouter.config.allowances import (
    Allowance,
    Allowances,
    Budgets,
    Cap,
    PeriodName,
)
from smart_llmrouter.ledger.budget_sums import NOTHING_USED, ScopeUse, Used
from smart_llmrouter.ledger.record import UsageRecord

CAP = Cap(requests=1000, tokens=1_000_000, nusd=1_000_000_000)
_SHOWN: Mapping[PeriodName, str] = {"day": "%Y-%m-%d", "month": "%Y-%m", "lifetime": ""}


def with_budgets(*periods: PeriodName, timezone: str = "UTC") -> Allowance:
    """Return an allowance with a budget for each of these periods."""
    caps = dict.fromkeys(periods, CAP)
    return Allowance(budgets=Budgets(caps=caps, timezone=timezone))


def used_by(record: UsageRecord) -> Used:
    """Return what one call was charged."""
    if record.attempts == 0 and record.cache != "hit":
        return NOTHING_USED
    tokens, nusd = record.charged_tokens, record.charged_cost_nusd
    if tokens is None and None not in (record.input_tokens, record.output_tokens):
        tokens = (record.input_tokens or 0) + (record.output_tokens or 0)
    if nusd is None:
        nusd = record.total_cost_nusd
    return Used(1, tokens or 0, nusd or 0)


def added_up(
    records: Iterable[UsageRecord],
    allowances: Allowances,
    *,
    at_ms: int,
    resets: Mapping[tuple[str, PeriodName], int],
) -> dict[tuple[str, PeriodName], Used]:
    """Return what these calls have used of each budget, one by one."""
    sums: dict[tuple[str, PeriodName], Used] = {}
    for record in records:
        for key, allowance in _scopes(record, allowances):
            for period in allowance.budgets.caps:
                shown = _SHOWN[period]
                zone = ZoneInfo(allowance.budgets.timezone)
                if record.ts_ms < resets.get((key, period), 0):
                    continue
                if _text(record.ts_ms, zone, shown) == _text(at_ms, zone, shown):
                    known = sums.get((key, period), NOTHING_USED)
                    sums[key, period] = known.plus(used_by(record))
    return without_nothing(sums)


def without_nothing(
    sums: Mapping[tuple[str, PeriodName], Used],
) -> dict[tuple[str, PeriodName], Used]:
    """Leave those out of which nothing was used."""
    return {key: used for key, used in sums.items() if used != NOTHING_USED}


def flat(uses: Mapping[str, ScopeUse]) -> dict[tuple[str, PeriodName], Used]:
    """Return what was used of each budget, as `added_up` does."""
    return without_nothing(
        {
            (key, period): each.used
            for key, use in uses.items()
            for period, each in use.periods.items()
        }
    )


def _text(ts_ms: int, zone: ZoneInfo, shown: str) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, zone).strftime(shown)


def _scopes(
    record: UsageRecord, allowances: Allowances
) -> Iterator[tuple[str, Allowance]]:
    group, caller = record.resolved_group or "", record.caller_id
    place = (record.caller_project, record.caller_environment)
    found = (
        (f"caller:{caller}", allowances.callers.get(caller)),
        (f"owner:{record.caller_user}", allowances.owners.get(record.caller_user)),
        (f"project:{place[0]}", allowances.projects.get(place[0])),
        (f"environment:{'/'.join(place)}", allowances.environments.get(place)),
        (f"group:{group}", allowances.groups.get(group)),
        (f"group-caller:{group}/{caller}", allowances.per_caller.get(group)),
    )
    for key, allowance in found:
        if allowance is not None:
            yield key, allowance
