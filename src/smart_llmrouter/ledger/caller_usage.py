"""What one caller has used, by day and by group: for the caller itself.

Only the standard library is needed here, because the router loads it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from smart_llmrouter.core.clock import Monotonic
from smart_llmrouter.stores.sqlite import connect

DAY_MS: Final = 86_400_000
_LOOK_EVERY: Final = 10_000
"""Steps of the database's machine, a millisecond or less, between looks at the time."""
_TOKENS: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)
_SUMMED: Final = (*_TOKENS, "total_cost_nusd")
# What calls have in common is looked up once for all of them, not once a call.
_QUERY: Final = f"""
SELECT day, resolved_group, sum(calls),
    sum(CASE WHEN error_code IS NULL THEN 0 ELSE calls END),
    {", ".join(f"sum({name})" for name in _SUMMED)}
FROM (
    SELECT ts_ms / {DAY_MS} AS day, labels_id, count(*) AS calls,
        {", ".join(f"sum({name}) AS {name}" for name in _SUMMED)}
    FROM request_measures
    WHERE ts_ms >= ? AND ts_ms < ?
        AND labels_id IN (SELECT id FROM request_labels WHERE caller_id = ?)
    GROUP BY 1, 2
) JOIN request_labels ON request_labels.id = labels_id
GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - constants


class UsageUnread(Exception):
    """The rows cannot be read now, or not in time."""


class Amounts(NamedTuple):
    """How many calls, and what they add up to; what is unknown adds nothing."""

    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nusd: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        """Return both together."""
        return Amounts(*map(sum, zip(self, other, strict=True)))


class UsageLine(NamedTuple):
    """The calls of one day, in days since 1970 UTC, and one group, `None` for none."""

    day: int
    group: str | None
    amounts: Amounts


def caller_usage(
    path: Path,
    caller_id: str,
    days: range,
    *,
    within_s: float,
    now: Monotonic,
) -> list[UsageLine]:
    """Return what a caller has used on some days, which are counted from 1970 on.

    Raises `UsageUnread` where that cannot be had in `within_s` seconds.
    """
    by_s = now() + within_s
    bounds = (days.start * DAY_MS, days.stop * DAY_MS, caller_id)
    try:
        with closing(connect(path, mode="ro")) as connection:
            connection.set_progress_handler(lambda: now() > by_s, _LOOK_EVERY)
            rows = connection.execute(_QUERY, bounds).fetchall()
    except sqlite3.Error as error:
        raise UsageUnread(type(error).__name__) from error
    return [
        UsageLine(day, group, Amounts(*(each or 0 for each in amounts)))
        for day, group, *amounts in rows
    ]
