"""How decisions are kept, as SQLite is told: see `stores.sqlite_schema`."""

from typing import Final

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
    score, observation_count
FROM request_decisions AS calls
JOIN decision_kind_candidates AS each ON each.kind_id = calls.kind_id
LEFT JOIN request_target_scores AS scored ON scored.ts_ms = calls.ts_ms
    AND scored.request_id = calls.request_id
    AND scored.candidate_index = each.candidate_index
"""
_SCORES: Final = """
CREATE TABLE request_target_scores (
    ts_ms BIGINT NOT NULL,
    request_id VARCHAR NOT NULL,
    candidate_index BIGINT NOT NULL,
    score DOUBLE,
    observation_count BIGINT,
    CONSTRAINT pk_request_target_scores
        PRIMARY KEY (ts_ms, request_id, candidate_index)
) WITHOUT ROWID
"""
_SCORE_TERMS: Final = """
CREATE TABLE request_dynamic_score_terms (
    ts_ms BIGINT NOT NULL,
    request_id VARCHAR NOT NULL,
    candidate_index BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    term_name VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    weight DOUBLE NOT NULL,
    contribution DOUBLE NOT NULL,
    observed DOUBLE,
    CONSTRAINT pk_request_dynamic_score_terms
        PRIMARY KEY (ts_ms, request_id, candidate_index, seq)
) WITHOUT ROWID
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
DECISION_SCHEMA: Final = (
    _DECISIONS,
    _ATTEMPTS,
    _POLICIES,
    _SCORES,
    _SCORE_TERMS,
    _KINDS,
    _TOOLS,
    _CANDIDATES,
    _REASONS,
    _ROUTING_DECISIONS,
    _TARGET_CANDIDATES,
    _FILTER_REASONS,
    _FALLBACK_TRANSITIONS,
)
"""The statements that make the tables and views of decisions."""

DECISION_RELATIONS: Final = (
    "request_decisions",
    "request_attempts",
    "request_policy_executions",
    "request_target_scores",
    "request_dynamic_score_terms",
    "decision_kinds",
    "decision_kind_tools",
    "decision_kind_candidates",
    "decision_kind_reasons",
    "request_routing_decisions",
    "request_target_candidates",
    "request_target_filter_reasons",
    "request_fallback_transitions",
)
