"""How calls were decided, whether they fell back, and what became of their targets."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "usage_0004"
down_revision = "usage_0003"
branch_labels = None
depends_on = None

_DECISIONS: Final = """
CREATE TABLE request_decisions (
    ts_ms BIGINT NOT NULL,
    request_id VARCHAR NOT NULL,
    kind_id BIGINT NOT NULL,
    tool_count BIGINT NOT NULL,
    tool_schema_bytes BIGINT NOT NULL,
    image_urls BIGINT NOT NULL,
    image_data BIGINT NOT NULL,
    image_files BIGINT NOT NULL,
    documents BIGINT NOT NULL,
    reasoning_budget_tokens BIGINT,
    output_cap_tokens BIGINT,
    estimated_input_tokens BIGINT,
    request_bytes BIGINT NOT NULL,
    scores VARCHAR,
    CONSTRAINT pk_request_decisions PRIMARY KEY (ts_ms, request_id)
) WITHOUT ROWID
"""
_ATTEMPTS: Final = """
CREATE TABLE request_attempts (
    ts_ms BIGINT NOT NULL,
    request_id VARCHAR NOT NULL,
    attempt_index BIGINT NOT NULL,
    target VARCHAR NOT NULL,
    lane VARCHAR NOT NULL,
    began_us BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    first_byte_us BIGINT,
    first_event_us BIGINT,
    upstream_status BIGINT,
    error_class VARCHAR,
    retry_after_s BIGINT,
    followed_by VARCHAR NOT NULL,
    CONSTRAINT pk_request_attempts
        PRIMARY KEY (ts_ms, request_id, attempt_index)
) WITHOUT ROWID
"""
_POLICIES: Final = """
CREATE TABLE request_policy_executions (
    ts_ms BIGINT NOT NULL,
    request_id VARCHAR NOT NULL,
    policy_kind VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    duration_us BIGINT NOT NULL,
    class_label VARCHAR,
    error_code VARCHAR,
    CONSTRAINT pk_request_policy_executions PRIMARY KEY (ts_ms, request_id)
) WITHOUT ROWID
"""
_KINDS: Final = """
CREATE TABLE decision_kinds (
    id INTEGER NOT NULL,
    digest VARCHAR NOT NULL,
    resolved_group VARCHAR NOT NULL,
    strategy VARCHAR NOT NULL,
    affinity VARCHAR NOT NULL,
    error_code VARCHAR,
    candidates_left_out BIGINT NOT NULL,
    reasons_left_out BIGINT NOT NULL,
    inbound_dialect VARCHAR NOT NULL,
    stream BOOLEAN NOT NULL,
    forced_tool_choice BOOLEAN NOT NULL,
    parallel_tools BOOLEAN NOT NULL,
    output_format VARCHAR,
    audio BOOLEAN NOT NULL,
    reasoning VARCHAR,
    reasoning_level VARCHAR,
    goes_on BOOLEAN NOT NULL,
    CONSTRAINT pk_decision_kinds PRIMARY KEY (id),
    CONSTRAINT uq_decision_kinds_digest UNIQUE (digest)
)
"""
_TOOLS: Final = """
CREATE TABLE decision_kind_tools (
    kind_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    tool VARCHAR NOT NULL,
    CONSTRAINT pk_decision_kind_tools PRIMARY KEY (kind_id, seq)
) WITHOUT ROWID
"""
_CANDIDATES: Final = """
CREATE TABLE decision_kind_candidates (
    kind_id BIGINT NOT NULL,
    candidate_index BIGINT NOT NULL,
    target VARCHAR NOT NULL,
    dialect VARCHAR NOT NULL,
    lane VARCHAR NOT NULL,
    weight BIGINT NOT NULL,
    rank BIGINT,
    CONSTRAINT pk_decision_kind_candidates
        PRIMARY KEY (kind_id, candidate_index)
) WITHOUT ROWID
"""
_REASONS: Final = """
CREATE TABLE decision_kind_reasons (
    kind_id BIGINT NOT NULL,
    candidate_index BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    CONSTRAINT pk_decision_kind_reasons
        PRIMARY KEY (kind_id, candidate_index, seq)
) WITHOUT ROWID
"""
_ROUTING_DECISIONS: Final = """
CREATE VIEW request_routing_decisions AS SELECT
    request_id, ts_ms, resolved_group, strategy, affinity, error_code,
    candidates_left_out, reasons_left_out, inbound_dialect, stream,
    forced_tool_choice, parallel_tools, output_format, audio, reasoning,
    reasoning_level, goes_on,
    (SELECT group_concat(tool, ' ') FROM decision_kind_tools AS needed
        WHERE needed.kind_id = kinds.id) AS tools,
    tool_count, tool_schema_bytes, image_urls, image_data, image_files, documents,
    reasoning_budget_tokens, output_cap_tokens, estimated_input_tokens, request_bytes
FROM request_decisions JOIN decision_kinds AS kinds ON kinds.id = kind_id
"""
_TARGET_CANDIDATES: Final = """
CREATE VIEW request_target_candidates AS SELECT
    calls.request_id, calls.ts_ms, each.candidate_index, target, dialect, lane, weight,
    rank,
    NOT EXISTS (SELECT 1 FROM decision_kind_reasons AS why
        WHERE why.kind_id = each.kind_id
        AND why.candidate_index = each.candidate_index) AS eligible,
    json_extract(scores, '$[' || each.candidate_index || '][0]') AS score,
    json_extract(scores, '$[' || each.candidate_index || '][1]') AS observation_count
FROM request_decisions AS calls
JOIN decision_kind_candidates AS each ON each.kind_id = calls.kind_id
"""
_SCORE_TERMS: Final = """
CREATE VIEW request_dynamic_score_terms AS SELECT
    request_id, ts_ms, of_target.key AS candidate_index, term.key AS seq,
    json_extract(term.value, '$[0]') AS term_name,
    json_extract(term.value, '$[1]') AS value,
    json_extract(term.value, '$[2]') AS weight,
    json_extract(term.value, '$[3]') AS contribution,
    json_extract(term.value, '$[4]') AS observed
FROM request_decisions
JOIN json_each(scores) AS of_target
JOIN json_each(of_target.value, '$[2]') AS term
"""
_FILTER_REASONS: Final = """
CREATE VIEW request_target_filter_reasons AS SELECT
    request_id, ts_ms, candidate_index, seq, reason
FROM request_decisions AS calls
JOIN decision_kind_reasons AS why ON why.kind_id = calls.kind_id
"""
_FALLBACK_TRANSITIONS: Final = """
CREATE VIEW request_fallback_transitions AS SELECT
    failed.request_id, failed.ts_ms, failed.attempt_index,
    failed.target AS failed_target, next.target AS fallback_target,
    failed.error_class, next.followed_by = 'answered' AS fallback_succeeded
FROM request_attempts AS failed
JOIN request_attempts AS next ON next.ts_ms = failed.ts_ms
    AND next.request_id = failed.request_id
    AND next.attempt_index = failed.attempt_index + 1
"""
_MADE: Final = (
    _DECISIONS,
    _ATTEMPTS,
    _POLICIES,
    _KINDS,
    _TOOLS,
    _CANDIDATES,
    _REASONS,
    _ROUTING_DECISIONS,
    _TARGET_CANDIDATES,
    _SCORE_TERMS,
    _FILTER_REASONS,
    _FALLBACK_TRANSITIONS,
)
_USAGE: Final = """
CREATE VIEW request_usage AS SELECT
    request_id, ts_ms, latency_us, ttfb_us, ttft_us,
    input_tokens, cached_input_tokens, output_tokens, reasoning_tokens,
    input_cost_nusd, cached_input_cost_nusd, output_cost_nusd, total_cost_nusd,
    upstream_reported_cost_nusd,
    cache_write_5m_tokens, cache_write_1h_tokens, cache_write_cost_nusd,
    caller_id, caller_user, caller_project, caller_environment, token_id, client,
    inbound_dialect, status, attempts, config_fingerprint, router_version,
    requested_model, resolved_group, strategy, target_provider, target_model,
    target_dialect, stream, error_code, error_class, upstream_status,
    price_fingerprint,
    CASE WHEN target_dialect IS NOT NULL THEN lane END AS lane,
    usage_estimated, notes_count, fallback_used, disconnect
FROM request_measures LEFT JOIN request_labels ON request_labels.id = labels_id
"""


def upgrade() -> None:
    """Add columns and tables, which moves no row.

    Until now no target was tried twice: more attempts than one were on several.
    """
    op.add_column(
        "request_labels",
        sa.Column(
            "fallback_used", sa.Boolean(), server_default=sa.text("0"), nullable=False
        ),
    )
    op.add_column("request_labels", sa.Column("disconnect", sa.String()))
    op.add_column(
        "journal_positions",
        sa.Column(
            "decided_offset",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
        ),
    )
    op.execute("UPDATE journal_positions SET decided_offset = end_offset")
    op.execute("UPDATE request_labels SET fallback_used = attempts > 1")
    op.execute("DROP VIEW request_usage")
    for statement in (_USAGE, *_MADE):
        op.execute(statement)


def downgrade() -> None:
    """Go nowhere: what the tables hold would be lost."""
    raise NotImplementedError("usage_0004 is forward only")
