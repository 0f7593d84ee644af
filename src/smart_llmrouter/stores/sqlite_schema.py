"""The usage database as SQLite is told to build it: the schema of this version.

A new database is made from these statements, so that neither a first start nor the
ingester loads what only migrations and reports need. Tests hold them against
`stores.tables` and against what the migrations make of an older database.
"""

from typing import Final

from smart_llmrouter.stores.decision_schema import DECISION_RELATIONS, DECISION_SCHEMA
from smart_llmrouter.stores.diagnostics_schema import (
    DIAGNOSTICS_RELATIONS,
    DIAGNOSTICS_SCHEMA,
)
from smart_llmrouter.stores.event_schema import EVENT_RELATIONS, EVENT_SCHEMA
from smart_llmrouter.stores.rollup_schema import ROLLUP_RELATIONS, ROLLUP_SCHEMA

_HEAD: Final = 12
HEAD_REVISION: Final = f"usage_{_HEAD:04d}"
OLDER_REVISIONS: Final = frozenset(f"usage_{each:04d}" for each in range(1, _HEAD))
"""What `smart-llmrouter db upgrade` can bring to the head."""

_MEASURES: Final = """
CREATE TABLE request_measures (
    request_id VARCHAR NOT NULL,
    ts_ms BIGINT NOT NULL,
    latency_us BIGINT NOT NULL,
    ttfb_us BIGINT,
    ttft_us BIGINT,
    input_tokens BIGINT,
    cached_input_tokens BIGINT,
    output_tokens BIGINT,
    reasoning_tokens BIGINT,
    input_cost_nusd BIGINT,
    cached_input_cost_nusd BIGINT,
    output_cost_nusd BIGINT,
    total_cost_nusd BIGINT,
    upstream_reported_cost_nusd BIGINT,
    labels_id BIGINT NOT NULL,
    cache_write_5m_tokens BIGINT,
    cache_write_1h_tokens BIGINT,
    cache_write_cost_nusd BIGINT,
    charged_tokens BIGINT,
    charged_cost_nusd BIGINT,
    queued_us BIGINT,
    reasoning_cost_nusd BIGINT,
    image_cost_nusd BIGINT,
    failed_attempts_cost_nusd BIGINT,
    CONSTRAINT pk_request_measures PRIMARY KEY (ts_ms, request_id)
) WITHOUT ROWID
"""
_LABELS: Final = """
CREATE TABLE request_labels (
    id INTEGER NOT NULL,
    digest VARCHAR NOT NULL,
    caller_id VARCHAR NOT NULL,
    caller_user VARCHAR NOT NULL,
    caller_project VARCHAR NOT NULL,
    caller_environment VARCHAR NOT NULL,
    token_id VARCHAR NOT NULL,
    client VARCHAR NOT NULL,
    inbound_dialect VARCHAR NOT NULL,
    status BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    config_fingerprint VARCHAR NOT NULL,
    router_version VARCHAR NOT NULL,
    requested_model VARCHAR,
    resolved_group VARCHAR,
    strategy VARCHAR,
    target_provider VARCHAR,
    target_model VARCHAR,
    target_dialect VARCHAR,
    stream BOOLEAN NOT NULL,
    error_code VARCHAR,
    error_class VARCHAR,
    upstream_status BIGINT,
    price_fingerprint VARCHAR,
    lane VARCHAR DEFAULT 'relay' NOT NULL,
    usage_estimated BOOLEAN DEFAULT 0 NOT NULL,
    notes_count BIGINT DEFAULT 0 NOT NULL,
    fallback_used BOOLEAN DEFAULT 0 NOT NULL,
    disconnect VARCHAR,
    refused_by VARCHAR,
    budget_warning VARCHAR,
    cache VARCHAR,
    cache_reason VARCHAR,
    CONSTRAINT pk_request_labels PRIMARY KEY (id),
    CONSTRAINT uq_request_labels_digest UNIQUE (digest)
)
"""
_NOTES: Final = """
CREATE TABLE label_notes (
    labels_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    field_name VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    CONSTRAINT pk_label_notes PRIMARY KEY (labels_id, seq)
) WITHOUT ROWID
"""
# The outer join keeps a row whatever the labels say, and is left out of the plan by
# SQLite where a query needs none of them, such as a count.
_USAGE: Final = """
CREATE VIEW request_usage AS SELECT
    request_id, ts_ms, latency_us, ttfb_us, ttft_us,
    input_tokens, cached_input_tokens, output_tokens, reasoning_tokens,
    input_cost_nusd, cached_input_cost_nusd, output_cost_nusd, total_cost_nusd,
    upstream_reported_cost_nusd,
    cache_write_5m_tokens, cache_write_1h_tokens, cache_write_cost_nusd,
    charged_tokens, charged_cost_nusd, queued_us,
    reasoning_cost_nusd, image_cost_nusd, failed_attempts_cost_nusd,
    caller_id, caller_user, caller_project, caller_environment, token_id, client,
    inbound_dialect, status, attempts, config_fingerprint, router_version,
    requested_model, resolved_group, strategy, target_provider, target_model,
    target_dialect, stream, error_code, error_class, upstream_status,
    price_fingerprint,
    CASE WHEN target_dialect IS NOT NULL THEN lane END AS lane,
    usage_estimated, notes_count, fallback_used, disconnect,
    refused_by, budget_warning, cache, cache_reason
FROM request_measures LEFT JOIN request_labels ON request_labels.id = labels_id
"""
_FIELD_EVENTS: Final = """
CREATE VIEW request_translation_field_events AS SELECT
    request_id, ts_ms, attempts - 1 AS attempt_index, seq, field_name, action, reason
FROM request_measures
JOIN request_labels ON request_labels.id = request_measures.labels_id
JOIN label_notes ON label_notes.labels_id = request_measures.labels_id
"""
_POSITIONS: Final = """
CREATE TABLE journal_positions (
    segment VARCHAR NOT NULL,
    end_offset BIGINT NOT NULL,
    decided_offset BIGINT DEFAULT 0 NOT NULL,
    owner VARCHAR DEFAULT '' NOT NULL,
    CONSTRAINT pk_journal_positions PRIMARY KEY (segment)
)
"""
_BUDGET_EVENTS: Final = """
CREATE TABLE budget_events (
    id INTEGER NOT NULL,
    ts_ms BIGINT NOT NULL,
    kind VARCHAR NOT NULL,
    scope_kind VARCHAR NOT NULL,
    scope_name VARCHAR NOT NULL,
    period VARCHAR NOT NULL,
    at_ms BIGINT NOT NULL,
    actor VARCHAR NOT NULL,
    used_requests BIGINT NOT NULL,
    used_tokens BIGINT NOT NULL,
    used_nusd BIGINT NOT NULL,
    CONSTRAINT pk_budget_events PRIMARY KEY (id)
)
"""
_REVISION: Final = """
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""
SCHEMA: Final = (
    _MEASURES,
    _LABELS,
    _NOTES,
    _USAGE,
    _FIELD_EVENTS,
    *DECISION_SCHEMA,
    *DIAGNOSTICS_SCHEMA,
    *EVENT_SCHEMA,
    _POSITIONS,
    _BUDGET_EVENTS,
    *ROLLUP_SCHEMA,
    _REVISION,
)
"""The statements that make an empty database ours, but for its revision."""

RELATIONS: Final = (
    "request_measures",
    "request_labels",
    "label_notes",
    "request_usage",
    "request_translation_field_events",
    *DECISION_RELATIONS,
    *DIAGNOSTICS_RELATIONS,
    *EVENT_RELATIONS,
    "journal_positions",
    "budget_events",
    *ROLLUP_RELATIONS,
)
