"""What can be derived of calls, as SQLite is told: see `stores.sqlite_schema`.

These views hold nothing of their own. They stand on tables, not on other views, and
are written so that every kind of database understands them.
"""

from typing import Final

_ERRORS: Final = """
CREATE VIEW request_errors AS SELECT
    request_id, ts_ms, status, error_code, error_class, upstream_status, refused_by,
    attempts, resolved_group, target_provider, target_model, target_dialect, latency_us
FROM request_measures
JOIN request_labels ON request_labels.id = request_measures.labels_id
WHERE error_code IS NOT NULL
"""
# Of a call whose attempts are not kept, the target that answered is known all the same.
_TRACE: Final = """
CREATE VIEW request_trace_events AS
SELECT request_id, ts_ms, 0 AS seq, 'received' AS event, 0 AS at_us,
    CAST(NULL AS BIGINT) AS duration_us, CAST(NULL AS BIGINT) AS attempt_index,
    CAST(NULL AS VARCHAR) AS target, CAST(NULL AS BIGINT) AS status,
    CAST(NULL AS VARCHAR) AS error_class
FROM request_measures
UNION ALL SELECT request_id, ts_ms, 1, 'queued', NULL, queued_us, NULL, NULL, NULL, NULL
FROM request_measures WHERE queued_us IS NOT NULL
UNION ALL SELECT request_id, ts_ms, 2 + 4 * attempt_index, 'attempt-began', began_us,
    NULL, attempt_index, target, NULL, NULL
FROM request_attempts
UNION ALL SELECT request_id, ts_ms, 3 + 4 * attempt_index, 'first-byte',
    began_us + first_byte_us, NULL, attempt_index, target, upstream_status, NULL
FROM request_attempts WHERE first_byte_us IS NOT NULL
UNION ALL SELECT request_id, ts_ms, 4 + 4 * attempt_index, 'first-event',
    began_us + first_event_us, NULL, attempt_index, target, upstream_status, NULL
FROM request_attempts WHERE first_event_us IS NOT NULL
UNION ALL SELECT request_id, ts_ms, 5 + 4 * attempt_index, 'attempt-ended',
    began_us + duration_us, duration_us, attempt_index, target, upstream_status,
    error_class
FROM request_attempts
UNION ALL SELECT request_id, ts_ms, 4 * attempts - 1, 'first-byte', ttfb_us, NULL,
    attempts - 1, target_provider || '/' || target_model, upstream_status, NULL
FROM request_measures AS calls
JOIN request_labels ON request_labels.id = calls.labels_id
WHERE ttfb_us IS NOT NULL AND NOT EXISTS (SELECT 1 FROM request_attempts AS kept
    WHERE kept.ts_ms = calls.ts_ms AND kept.request_id = calls.request_id)
UNION ALL SELECT request_id, ts_ms, 4 * attempts, 'first-event', ttft_us, NULL,
    attempts - 1, target_provider || '/' || target_model, upstream_status, NULL
FROM request_measures AS calls
JOIN request_labels ON request_labels.id = calls.labels_id
WHERE ttft_us IS NOT NULL AND NOT EXISTS (SELECT 1 FROM request_attempts AS kept
    WHERE kept.ts_ms = calls.ts_ms AND kept.request_id = calls.request_id)
UNION ALL SELECT request_id, ts_ms, 2 + 4 * attempts, 'ended', latency_us, latency_us,
    NULL, NULL, status, error_class
FROM request_measures
JOIN request_labels ON request_labels.id = request_measures.labels_id
"""
_SHAPING: Final = """
CREATE VIEW request_traffic_shape_events AS SELECT
    request_id, ts_ms, CASE WHEN refused_by LIKE '%_per_second' THEN 'refused'
        WHEN error_code IS NULL THEN 'passed' ELSE 'ended' END AS outcome,
    refused_by, queued_us, error_code, caller_id, resolved_group
FROM request_measures
JOIN request_labels ON request_labels.id = request_measures.labels_id
WHERE queued_us IS NOT NULL OR refused_by LIKE '%_per_second'
"""
_ESTIMATES: Final = """
CREATE VIEW request_token_estimates AS SELECT
    calls.request_id, calls.ts_ms, request_labels.inbound_dialect,
    request_labels.resolved_group, estimated_input_tokens, input_tokens,
    output_cap_tokens, output_tokens, charged_tokens, usage_estimated, request_bytes
FROM request_decisions AS decided
JOIN request_measures AS calls ON calls.ts_ms = decided.ts_ms
    AND calls.request_id = decided.request_id
JOIN request_labels ON request_labels.id = calls.labels_id
WHERE estimated_input_tokens IS NOT NULL
"""
_SHAPES: Final = """
CREATE VIEW request_shapes AS SELECT
    request_id, ts_ms, inbound_dialect, resolved_group, stream, tool_count,
    forced_tool_choice, parallel_tools, output_format, reasoning, reasoning_level,
    image_urls + image_data + image_files AS image_count, documents, audio, goes_on,
    CASE WHEN request_bytes <= 0 THEN 'none'
        WHEN request_bytes <= 1024 THEN '1b-1kb'
        WHEN request_bytes <= 16384 THEN '1kb-16kb'
        WHEN request_bytes <= 65536 THEN '16kb-64kb'
        WHEN request_bytes <= 262144 THEN '64kb-256kb'
        WHEN request_bytes <= 1048576 THEN '256kb-1mb'
        ELSE 'gt-1mb' END AS request_bytes_bucket,
    CASE WHEN tool_schema_bytes <= 0 THEN 'none'
        WHEN tool_schema_bytes <= 1024 THEN '1b-1kb'
        WHEN tool_schema_bytes <= 16384 THEN '1kb-16kb'
        WHEN tool_schema_bytes <= 65536 THEN '16kb-64kb'
        WHEN tool_schema_bytes <= 262144 THEN '64kb-256kb'
        WHEN tool_schema_bytes <= 1048576 THEN '256kb-1mb'
        ELSE 'gt-1mb' END AS tool_schema_bytes_bucket,
    CASE WHEN estimated_input_tokens <= 1024 THEN 'le-1k'
        WHEN estimated_input_tokens <= 4096 THEN '1k-4k'
        WHEN estimated_input_tokens <= 16384 THEN '4k-16k'
        WHEN estimated_input_tokens <= 65536 THEN '16k-64k'
        WHEN estimated_input_tokens <= 262144 THEN '64k-256k'
        WHEN estimated_input_tokens IS NOT NULL THEN 'gt-256k'
        END AS estimated_input_tokens_bucket,
    CASE WHEN output_cap_tokens IS NULL THEN 'omitted'
        WHEN output_cap_tokens <= 1024 THEN 'le-1k'
        WHEN output_cap_tokens <= 4096 THEN '1k-4k'
        WHEN output_cap_tokens <= 16384 THEN '4k-16k'
        WHEN output_cap_tokens <= 65536 THEN '16k-64k'
        WHEN output_cap_tokens <= 262144 THEN '64k-256k'
        ELSE 'gt-256k' END AS output_cap_bucket,
    CASE WHEN reasoning_budget_tokens IS NULL THEN 'none'
        WHEN reasoning_budget_tokens <= 1024 THEN 'tiny'
        WHEN reasoning_budget_tokens <= 4096 THEN 'small'
        WHEN reasoning_budget_tokens <= 16384 THEN 'medium'
        WHEN reasoning_budget_tokens <= 32768 THEN 'large'
        ELSE 'xlarge' END AS reasoning_budget_bucket
FROM request_decisions JOIN decision_kinds ON decision_kinds.id = kind_id
"""
DIAGNOSTICS_SCHEMA: Final = (_ERRORS, _TRACE, _SHAPING, _ESTIMATES, _SHAPES)
"""The statements that make the views."""

DIAGNOSTICS_RELATIONS: Final = (
    "request_errors",
    "request_trace_events",
    "request_traffic_shape_events",
    "request_token_estimates",
    "request_shapes",
)
