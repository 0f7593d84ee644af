"""Roll-ups, retention and holds, as SQLite is told to build them.

The columns that are sums stand in one list, from which tables, statements and the
description in `stores.rollup_tables` are made.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal

Level = Literal["hour", "day", "month"]
LEVELS: Final[tuple[Level, ...]] = ("hour", "day", "month")
TABLE_OF: Final[dict[Level, str]] = {
    "hour": "usage_rollup_hourly",
    "day": "usage_rollup_daily",
    "month": "usage_rollup_monthly",
}

THERE: Final = 0
"""The `part` of sums that were made of what is still there on the level below."""
GONE: Final = 1
"""The `part` of sums over what retention has removed from the level below."""

KNOWN: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_cost_nusd",
    "cached_input_cost_nusd",
    "cache_write_cost_nusd",
    "output_cost_nusd",
    "reasoning_cost_nusd",
    "image_cost_nusd",
    "failed_attempts_cost_nusd",
    "total_cost_nusd",
    "upstream_reported_cost_nusd",
    "queued_us",
    "ttfb_us",
    "ttft_us",
)
"""Measures of a call that may be unknown: a sum, and of how many calls it is."""

KNOWN_SUFFIX: Final = "_known"
HIGHEST: Final = "latency_max_us"
"""The only column that is no sum."""

ADDED: Final = (
    "calls",
    "latency_us",
    "charged_tokens",
    "charged_cost_nusd",
    "paced_tokens",
    "paced_us",
    *(name + suffix for name in KNOWN for suffix in ("", KNOWN_SUFFIX)),
)
"""All columns that are sums, in the tables' order."""

CHARGED_TOKENS: Final = "coalesce(charged_tokens, input_tokens + output_tokens, 0)"
"""How many tokens a row of calls was charged."""

CHARGED_NUSD: Final = "coalesce(charged_cost_nusd, total_cost_nusd, 0)"
"""How many nano-dollars a row of calls was charged."""

TIMED: Final = {"latency": "latency_us", "first_token": "ttft_us"}
"""Of which durations there is a histogram, by the name that it has there."""


def _sums(table: str) -> str:
    columns = ",\n    ".join(f"{name} BIGINT NOT NULL" for name in ADDED)
    return f"""
CREATE TABLE {table} (
    start_ms BIGINT NOT NULL,
    part BIGINT NOT NULL,
    labels_id BIGINT NOT NULL,
    {HIGHEST} BIGINT NOT NULL,
    {columns},
    CONSTRAINT pk_{table} PRIMARY KEY (part, start_ms, labels_id)
) WITHOUT ROWID
"""


_TIMINGS: Final = """
CREATE TABLE usage_rollup_timings (
    period VARCHAR NOT NULL,
    start_ms BIGINT NOT NULL,
    part BIGINT NOT NULL,
    labels_id BIGINT NOT NULL,
    measure VARCHAR NOT NULL,
    bucket_us BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    CONSTRAINT pk_usage_rollup_timings
        PRIMARY KEY (period, part, start_ms, labels_id, measure, bucket_us)
) WITHOUT ROWID
"""
_PERIODS: Final = """
CREATE TABLE usage_rollup_periods (
    period VARCHAR NOT NULL,
    start_ms BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    changes BIGINT NOT NULL,
    rolled_up_changes BIGINT NOT NULL,
    made_until_ms BIGINT,
    made_from_changes BIGINT,
    calls BIGINT NOT NULL,
    source_gone BOOLEAN NOT NULL,
    sums_gone BOOLEAN NOT NULL,
    generated_ms BIGINT,
    finalized_ms BIGINT,
    router_version VARCHAR,
    CONSTRAINT pk_usage_rollup_periods PRIMARY KEY (period, start_ms)
) WITHOUT ROWID
"""
_JOBS: Final = """
CREATE TABLE retention_jobs (
    id INTEGER NOT NULL,
    started_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    status VARCHAR NOT NULL,
    dry_run BOOLEAN NOT NULL,
    automatic BOOLEAN NOT NULL,
    actor VARCHAR NOT NULL,
    router_version VARCHAR NOT NULL,
    CONSTRAINT pk_retention_jobs PRIMARY KEY (id)
)
"""
_RESULTS: Final = """
CREATE TABLE retention_job_results (
    job_id BIGINT NOT NULL,
    data_class VARCHAR NOT NULL,
    kept_days BIGINT NOT NULL,
    before_ms BIGINT NOT NULL,
    looked_at BIGINT NOT NULL,
    removed BIGINT NOT NULL,
    held BIGINT NOT NULL,
    blocked BIGINT NOT NULL,
    CONSTRAINT pk_retention_job_results PRIMARY KEY (job_id, data_class)
) WITHOUT ROWID
"""
_HOLDS: Final = """
CREATE TABLE legal_holds (
    id INTEGER NOT NULL,
    scope_kind VARCHAR NOT NULL,
    scope_name VARCHAR NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    created_ms BIGINT NOT NULL,
    created_by VARCHAR NOT NULL,
    released_ms BIGINT,
    released_by VARCHAR,
    release_reason VARCHAR,
    CONSTRAINT pk_legal_holds PRIMARY KEY (id)
)
"""
ROLLUP_SCHEMA: Final = (
    *(_sums(table) for table in TABLE_OF.values()),
    _TIMINGS,
    _PERIODS,
    _JOBS,
    _RESULTS,
    _HOLDS,
)
ROLLUP_RELATIONS: Final = (
    *TABLE_OF.values(),
    "usage_rollup_timings",
    "usage_rollup_periods",
    "retention_jobs",
    "retention_job_results",
    "legal_holds",
)
MARK_HOUR: Final = """
INSERT INTO usage_rollup_periods (period, start_ms, status, changes,
    rolled_up_changes, calls, source_gone, sums_gone)
VALUES ('hour', ?, 'open', 1, 0, 0, FALSE, FALSE)
ON CONFLICT (period, start_ms)
DO UPDATE SET changes = usage_rollup_periods.changes + 1
"""
"""Say that an hour has other rows now; in the transaction that adds them."""

HOUR_MS: Final = 3_600_000
_EARLIEST_MS: Final = -(1 << 63)


def hours_of(measures: Iterable[tuple[Any, ...]]) -> set[int]:
    """Return the numbers of the hours in which these calls began, from 1970 on."""
    return {row[1] // HOUR_MS for row in measures}


def marks_of(hours: Iterable[int]) -> list[tuple[int]]:
    """Return with what to mark these hours, in an order that all writers have."""
    return [(max(hour * HOUR_MS, _EARLIEST_MS),) for hour in sorted(hours)]
