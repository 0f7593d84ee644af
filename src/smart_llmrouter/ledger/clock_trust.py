"""Whether the clock is believed when it says that rows are old.

Rows go for good, and by the time that it is: a clock that was set ahead by years would
let all of them go. So the router removes something by itself only where the clock has
been about here for a while: where a call, or a run of retention, is on record that
began between three and ten days ago. A run that was refused is on record, too. So after
a longer gap it takes three days, in which a wrong clock is noticed: by a clock that is
years ahead no provider's certificate is valid.
"""

from typing import Final

from smart_llmrouter.config.policies import Retention
from smart_llmrouter.ledger.interval import utc_text
from smart_llmrouter.ledger.periods import DAY_MS
from smart_llmrouter.ledger.removing import ACCESS_EVENTS, DIAGNOSTICS
from smart_llmrouter.ledger.retention import DataClass, class_orders
from smart_llmrouter.stores.reading import Queries

_LATEST_DAYS: Final = 3
_EARLIEST_DAYS: Final = 10
_CALLS: Final = """
SELECT 1 FROM usage_rollup_periods
WHERE period = 'hour' AND start_ms >= ? AND start_ms <= ? LIMIT 1
"""
_RUNS: Final = """
SELECT 1 FROM retention_jobs WHERE started_ms >= ? AND started_ms <= ? LIMIT 1
"""
_OLD: Final[dict[DataClass, tuple[str, ...]]] = {
    "usage_detail": ("request_measures WHERE ts_ms >= 0 AND ts_ms < ?",),
    "usage_diagnostics": tuple(
        f"{table} WHERE ts_ms >= 0 AND ts_ms < ?" for table in DIAGNOSTICS
    ),
    "security_access_events": (f"{ACCESS_EVENTS} WHERE ts_ms >= 0 AND ts_ms < ?",),
    "usage_rollup_hourly": ("usage_rollup_hourly WHERE part = 1 AND start_ms < ?",),
    "usage_rollup_daily": ("usage_rollup_daily WHERE part = 1 AND start_ms < ?",),
}


def may_remove(reading: Queries, policy: Retention, *, now_ms: int) -> bool:
    """Say whether the clock is believed, or has nothing to say: nothing is old."""
    return _is_believed(reading, now_ms) or not _is_anything_old(
        reading, policy, now_ms
    )


def doubt(now_ms: int) -> str:
    """Return why a clock that says this is not believed."""
    return (
        f"by this machine's clock it is {utc_text(now_ms)[:16]}Z, but no call or run "
        f"of {_LATEST_DAYS} to {_EARLIEST_DAYS} days before that is on record"
    )


def _is_believed(reading: Queries, now_ms: int) -> bool:
    span = (now_ms - _EARLIEST_DAYS * DAY_MS, now_ms - _LATEST_DAYS * DAY_MS)
    return any(reading.execute(query, span).fetchone() for query in (_CALLS, _RUNS))


def _is_anything_old(reading: Queries, policy: Retention, now_ms: int) -> bool:
    return any(
        reading.execute(f"SELECT 1 FROM {old} LIMIT 1", (order.before_ms,)).fetchone()  # noqa: S608 - of our own words; values are bound
        for order in class_orders(policy, now_ms=now_ms)
        for old in _OLD[order.name]
    )
