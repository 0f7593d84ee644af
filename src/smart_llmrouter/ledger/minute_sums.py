"""What was used of the rolling minute, as the rows have it.

Who counts minutes in memory begins with it, so that no end of a router lets anybody
begin a new one. The journal must have been read before: see `ledger.catch_up`.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

from smart_llmrouter.config.allowances import Allowances, Limits, Scope
from smart_llmrouter.ledger.budget_sums import COUNTED, Place
from smart_llmrouter.stores.reading import Queries
from smart_llmrouter.stores.rollup_schema import CHARGED_TOKENS

MINUTE_MS: Final = 60_100
"""How long a call counts: a minute, and the rest of the step it was granted in."""

_MS_PER_S: Final = 1000
# Rounded up: a call that counts a little too long does no harm.
_GRANTED_MS: Final = "ts_ms + 1 + (coalesce(queued_us, 0) + 999) / 1000"
_USES: Final = f"""
SELECT caller_id, caller_user, caller_project, caller_environment, resolved_group,
    granted_ms, sum(calls), sum(tokens)
FROM (
    SELECT labels_id, {_GRANTED_MS} AS granted_ms, count(*) AS calls,
        sum({CHARGED_TOKENS}) AS tokens
    FROM request_measures WHERE ts_ms >= ? AND ts_ms < ? GROUP BY 1, 2
) AS parts JOIN request_labels ON request_labels.id = labels_id
WHERE granted_ms > ? AND {COUNTED} AND resolved_group IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608 - constants


class Use(NamedTuple):
    """What calls have used that were granted at one moment."""

    granted_ms: int
    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class MinuteUse:
    """What was used of one scope's minute, moment by moment, in no order."""

    scope: Scope
    uses: list[Use] = field(default_factory=list)


def minute_uses(
    connection: Queries, allowances: Allowances, *, now_ms: int
) -> list[MinuteUse]:
    """Return what calls have used that count in a minute which is limited.

    Those are calls that were granted within `MINUTE_MS` before `now_ms`. A call that
    seems to begin later counts, too, where that may come from a clock that was set back
    by less than a minute. Nothing is read where no minute is limited.
    """
    if not has_minutes(allowances):
        return []
    found: dict[str, MinuteUse] = {}

    @cache
    def limited(place: Place) -> list[MinuteUse]:
        return [
            found.setdefault(scope.key, MinuteUse(scope))
            for scope in place.scopes(allowances)
            if _has_minute(scope.allowance.limits)
        ]

    from_ms = now_ms - MINUTE_MS
    since_ms = from_ms - _longest_wait_ms(allowances)
    rows = connection.execute(_USES, (since_ms, now_ms + 60 * _MS_PER_S, from_ms))
    for *place, granted_ms, calls, tokens in rows:
        for each in limited(Place(*place)):
            each.uses.append(Use(granted_ms, calls, tokens))
    return [*found.values()]


def has_minutes(allowances: Allowances) -> bool:
    """Say whether anybody's requests or tokens of a minute are limited."""
    return any(_has_minute(each.limits) for each in allowances.each())


def _has_minute(limits: Limits) -> bool:
    return (limits.rpm, limits.tpm) != (None, None)


def _longest_wait_ms(allowances: Allowances) -> int:
    """Return how long before it was granted a call may have begun."""
    waits_s = (
        each.shaping.queue.max_wait_s
        for each in allowances.each()
        if each.shaping and each.shaping.queue
    )
    return int(max(waits_s, default=0) * _MS_PER_S)
