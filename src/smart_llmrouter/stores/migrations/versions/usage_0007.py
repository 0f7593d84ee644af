"""Roll-ups by hour, day and month, retention jobs, and legal holds."""

from typing import Final

from alembic import op

revision = "usage_0007"
down_revision = "usage_0006"
branch_labels = None
depends_on = None

_SUMMED: Final = (
    "latency_max_us",
    "calls",
    "latency_us",
    "charged_tokens",
    "charged_cost_nusd",
    "paced_tokens",
    "paced_us",
    "input_tokens",
    "input_tokens_known",
    "cached_input_tokens",
    "cached_input_tokens_known",
    "cache_write_5m_tokens",
    "cache_write_5m_tokens_known",
    "cache_write_1h_tokens",
    "cache_write_1h_tokens_known",
    "output_tokens",
    "output_tokens_known",
    "reasoning_tokens",
    "reasoning_tokens_known",
    "input_cost_nusd",
    "input_cost_nusd_known",
    "cached_input_cost_nusd",
    "cached_input_cost_nusd_known",
    "cache_write_cost_nusd",
    "cache_write_cost_nusd_known",
    "output_cost_nusd",
    "output_cost_nusd_known",
    "reasoning_cost_nusd",
    "reasoning_cost_nusd_known",
    "image_cost_nusd",
    "image_cost_nusd_known",
    "failed_attempts_cost_nusd",
    "failed_attempts_cost_nusd_known",
    "total_cost_nusd",
    "total_cost_nusd_known",
    "upstream_reported_cost_nusd",
    "upstream_reported_cost_nusd_known",
    "queued_us",
    "queued_us_known",
    "ttfb_us",
    "ttfb_us_known",
    "ttft_us",
    "ttft_us_known",
)
_COLUMNS: Final = ",\n    ".join(f"{name} BIGINT NOT NULL" for name in _SUMMED)
_TABLES: Final = tuple(
    f"""
CREATE TABLE {table} (
    start_ms BIGINT NOT NULL,
    part BIGINT NOT NULL,
    labels_id BIGINT NOT NULL,
    {_COLUMNS},
    CONSTRAINT pk_{table} PRIMARY KEY (part, start_ms, labels_id)
) WITHOUT ROWID
"""
    for table in ("usage_rollup_hourly", "usage_rollup_daily", "usage_rollup_monthly")
)
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
_KIND_REMOVALS: Final = """
CREATE TABLE kind_removals (
    id INTEGER NOT NULL,
    ts_ms BIGINT NOT NULL,
    kinds BIGINT NOT NULL,
    CONSTRAINT pk_kind_removals PRIMARY KEY (id)
)
"""
# What was there before is rolled up by and by.
_MARK: Final = """
INSERT INTO usage_rollup_periods (period, start_ms, status, changes,
    rolled_up_changes, calls, source_gone, sums_gone)
SELECT DISTINCT 'hour', ts_ms - ts_ms % 3600000, 'open', 1, 0, 0, FALSE, FALSE
FROM request_measures WHERE ts_ms >= 0
"""


def upgrade() -> None:
    """Add tables, and name the hours that are to be rolled up; no row is moved."""
    for statement in (
        *_TABLES,
        _TIMINGS,
        _PERIODS,
        _JOBS,
        _RESULTS,
        _HOLDS,
        _KIND_REMOVALS,
        _MARK,
    ):
        op.execute(statement)


def downgrade() -> None:
    """Go nowhere: what is rolled up of calls that are gone would be lost."""
    raise NotImplementedError("usage_0007 is forward only")
