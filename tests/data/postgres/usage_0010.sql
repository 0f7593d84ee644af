CREATE TABLE budget_events (
	id BIGSERIAL NOT NULL, 
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
);
CREATE TABLE config_versions (
	fingerprint VARCHAR NOT NULL, 
	ts_ms BIGINT NOT NULL, 
	router_version VARCHAR NOT NULL, 
	cause VARCHAR NOT NULL, 
	CONSTRAINT pk_config_versions PRIMARY KEY (fingerprint)
);
CREATE TABLE decision_kind_candidates (
	kind_id BIGINT NOT NULL, 
	candidate_index BIGINT NOT NULL, 
	target VARCHAR NOT NULL, 
	dialect VARCHAR NOT NULL, 
	lane VARCHAR NOT NULL, 
	weight BIGINT NOT NULL, 
	rank BIGINT, 
	CONSTRAINT pk_decision_kind_candidates PRIMARY KEY (kind_id, candidate_index)
);
CREATE TABLE decision_kind_reasons (
	kind_id BIGINT NOT NULL, 
	candidate_index BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	reason VARCHAR NOT NULL, 
	CONSTRAINT pk_decision_kind_reasons PRIMARY KEY (kind_id, candidate_index, seq)
);
CREATE TABLE decision_kind_tools (
	kind_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	tool VARCHAR NOT NULL, 
	CONSTRAINT pk_decision_kind_tools PRIMARY KEY (kind_id, seq)
);
CREATE TABLE decision_kinds (
	id BIGSERIAL NOT NULL, 
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
);
CREATE TABLE journal_positions (
	segment VARCHAR NOT NULL, 
	end_offset BIGINT NOT NULL, 
	decided_offset BIGINT NOT NULL, 
	owner VARCHAR NOT NULL, 
	CONSTRAINT pk_journal_positions PRIMARY KEY (segment)
);
CREATE TABLE kind_removals (
	id BIGSERIAL NOT NULL, 
	ts_ms BIGINT NOT NULL, 
	kinds BIGINT NOT NULL, 
	CONSTRAINT pk_kind_removals PRIMARY KEY (id)
);
CREATE TABLE label_notes (
	labels_id BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	field_name VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	CONSTRAINT pk_label_notes PRIMARY KEY (labels_id, seq)
);
CREATE TABLE legal_holds (
	id BIGSERIAL NOT NULL, 
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
);
CREATE TABLE price_versions (
	fingerprint VARCHAR NOT NULL, 
	provider VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	ts_ms BIGINT NOT NULL, 
	input_nusd_per_million BIGINT, 
	cached_input_nusd_per_million BIGINT, 
	cache_write_nusd_per_million BIGINT, 
	cache_write_1h_nusd_per_million BIGINT, 
	output_nusd_per_million BIGINT, 
	reasoning_nusd_per_million BIGINT, 
	image_tokens_nusd_per_million BIGINT, 
	image_nusd BIGINT, 
	effective_from_ms BIGINT, 
	source VARCHAR, 
	as_of VARCHAR, 
	CONSTRAINT pk_price_versions PRIMARY KEY (fingerprint, provider, model)
);
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
	CONSTRAINT pk_request_attempts PRIMARY KEY (ts_ms, request_id, attempt_index)
);
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
);
CREATE TABLE request_dynamic_score_terms (
	ts_ms BIGINT NOT NULL, 
	request_id VARCHAR NOT NULL, 
	candidate_index BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	term_name VARCHAR NOT NULL, 
	value DOUBLE PRECISION NOT NULL, 
	weight DOUBLE PRECISION NOT NULL, 
	contribution DOUBLE PRECISION NOT NULL, 
	observed DOUBLE PRECISION, 
	CONSTRAINT pk_request_dynamic_score_terms PRIMARY KEY (ts_ms, request_id, candidate_index, seq)
);
CREATE TABLE request_labels (
	id BIGSERIAL NOT NULL, 
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
	lane VARCHAR NOT NULL, 
	usage_estimated BOOLEAN NOT NULL, 
	notes_count BIGINT NOT NULL, 
	fallback_used BOOLEAN NOT NULL, 
	disconnect VARCHAR, 
	refused_by VARCHAR, 
	budget_warning VARCHAR, 
	cache VARCHAR, 
	cache_reason VARCHAR, 
	CONSTRAINT pk_request_labels PRIMARY KEY (id), 
	CONSTRAINT uq_request_labels_digest UNIQUE (digest)
);
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
)
 PARTITION BY RANGE (ts_ms);
CREATE TABLE request_policy_executions (
	ts_ms BIGINT NOT NULL, 
	request_id VARCHAR NOT NULL, 
	policy_kind VARCHAR NOT NULL, 
	outcome VARCHAR NOT NULL, 
	duration_us BIGINT NOT NULL, 
	class_label VARCHAR, 
	error_code VARCHAR, 
	CONSTRAINT pk_request_policy_executions PRIMARY KEY (ts_ms, request_id)
);
CREATE TABLE request_target_scores (
	ts_ms BIGINT NOT NULL, 
	request_id VARCHAR NOT NULL, 
	candidate_index BIGINT NOT NULL, 
	score DOUBLE PRECISION, 
	observation_count BIGINT, 
	CONSTRAINT pk_request_target_scores PRIMARY KEY (ts_ms, request_id, candidate_index)
);
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
);
CREATE TABLE retention_jobs (
	id BIGSERIAL NOT NULL, 
	started_ms BIGINT NOT NULL, 
	ended_ms BIGINT, 
	status VARCHAR NOT NULL, 
	dry_run BOOLEAN NOT NULL, 
	automatic BOOLEAN NOT NULL, 
	actor VARCHAR NOT NULL, 
	router_version VARCHAR NOT NULL, 
	CONSTRAINT pk_retention_jobs PRIMARY KEY (id)
);
CREATE TABLE security_access_events (
	event_id VARCHAR NOT NULL, 
	ts_ms BIGINT NOT NULL, 
	event_type VARCHAR NOT NULL, 
	outcome VARCHAR NOT NULL, 
	reason_code VARCHAR NOT NULL, 
	status BIGINT NOT NULL, 
	calls BIGINT NOT NULL, 
	request_id VARCHAR, 
	surface VARCHAR, 
	http_method VARCHAR, 
	path_template VARCHAR, 
	caller_id VARCHAR, 
	token_id VARCHAR, 
	client VARCHAR, 
	ip_address VARCHAR, 
	ip_version BIGINT, 
	ip_source VARCHAR, 
	CONSTRAINT pk_security_access_events PRIMARY KEY (ts_ms, event_id)
);
CREATE TABLE usage_rollup_daily (
	start_ms BIGINT NOT NULL, 
	part BIGINT NOT NULL, 
	labels_id BIGINT NOT NULL, 
	latency_max_us BIGINT NOT NULL, 
	calls BIGINT NOT NULL, 
	latency_us BIGINT NOT NULL, 
	charged_tokens BIGINT NOT NULL, 
	charged_cost_nusd BIGINT NOT NULL, 
	paced_tokens BIGINT NOT NULL, 
	paced_us BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	input_tokens_known BIGINT NOT NULL, 
	cached_input_tokens BIGINT NOT NULL, 
	cached_input_tokens_known BIGINT NOT NULL, 
	cache_write_5m_tokens BIGINT NOT NULL, 
	cache_write_5m_tokens_known BIGINT NOT NULL, 
	cache_write_1h_tokens BIGINT NOT NULL, 
	cache_write_1h_tokens_known BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	output_tokens_known BIGINT NOT NULL, 
	reasoning_tokens BIGINT NOT NULL, 
	reasoning_tokens_known BIGINT NOT NULL, 
	input_cost_nusd BIGINT NOT NULL, 
	input_cost_nusd_known BIGINT NOT NULL, 
	cached_input_cost_nusd BIGINT NOT NULL, 
	cached_input_cost_nusd_known BIGINT NOT NULL, 
	cache_write_cost_nusd BIGINT NOT NULL, 
	cache_write_cost_nusd_known BIGINT NOT NULL, 
	output_cost_nusd BIGINT NOT NULL, 
	output_cost_nusd_known BIGINT NOT NULL, 
	reasoning_cost_nusd BIGINT NOT NULL, 
	reasoning_cost_nusd_known BIGINT NOT NULL, 
	image_cost_nusd BIGINT NOT NULL, 
	image_cost_nusd_known BIGINT NOT NULL, 
	failed_attempts_cost_nusd BIGINT NOT NULL, 
	failed_attempts_cost_nusd_known BIGINT NOT NULL, 
	total_cost_nusd BIGINT NOT NULL, 
	total_cost_nusd_known BIGINT NOT NULL, 
	upstream_reported_cost_nusd BIGINT NOT NULL, 
	upstream_reported_cost_nusd_known BIGINT NOT NULL, 
	queued_us BIGINT NOT NULL, 
	queued_us_known BIGINT NOT NULL, 
	ttfb_us BIGINT NOT NULL, 
	ttfb_us_known BIGINT NOT NULL, 
	ttft_us BIGINT NOT NULL, 
	ttft_us_known BIGINT NOT NULL, 
	CONSTRAINT pk_usage_rollup_daily PRIMARY KEY (part, start_ms, labels_id)
);
CREATE TABLE usage_rollup_hourly (
	start_ms BIGINT NOT NULL, 
	part BIGINT NOT NULL, 
	labels_id BIGINT NOT NULL, 
	latency_max_us BIGINT NOT NULL, 
	calls BIGINT NOT NULL, 
	latency_us BIGINT NOT NULL, 
	charged_tokens BIGINT NOT NULL, 
	charged_cost_nusd BIGINT NOT NULL, 
	paced_tokens BIGINT NOT NULL, 
	paced_us BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	input_tokens_known BIGINT NOT NULL, 
	cached_input_tokens BIGINT NOT NULL, 
	cached_input_tokens_known BIGINT NOT NULL, 
	cache_write_5m_tokens BIGINT NOT NULL, 
	cache_write_5m_tokens_known BIGINT NOT NULL, 
	cache_write_1h_tokens BIGINT NOT NULL, 
	cache_write_1h_tokens_known BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	output_tokens_known BIGINT NOT NULL, 
	reasoning_tokens BIGINT NOT NULL, 
	reasoning_tokens_known BIGINT NOT NULL, 
	input_cost_nusd BIGINT NOT NULL, 
	input_cost_nusd_known BIGINT NOT NULL, 
	cached_input_cost_nusd BIGINT NOT NULL, 
	cached_input_cost_nusd_known BIGINT NOT NULL, 
	cache_write_cost_nusd BIGINT NOT NULL, 
	cache_write_cost_nusd_known BIGINT NOT NULL, 
	output_cost_nusd BIGINT NOT NULL, 
	output_cost_nusd_known BIGINT NOT NULL, 
	reasoning_cost_nusd BIGINT NOT NULL, 
	reasoning_cost_nusd_known BIGINT NOT NULL, 
	image_cost_nusd BIGINT NOT NULL, 
	image_cost_nusd_known BIGINT NOT NULL, 
	failed_attempts_cost_nusd BIGINT NOT NULL, 
	failed_attempts_cost_nusd_known BIGINT NOT NULL, 
	total_cost_nusd BIGINT NOT NULL, 
	total_cost_nusd_known BIGINT NOT NULL, 
	upstream_reported_cost_nusd BIGINT NOT NULL, 
	upstream_reported_cost_nusd_known BIGINT NOT NULL, 
	queued_us BIGINT NOT NULL, 
	queued_us_known BIGINT NOT NULL, 
	ttfb_us BIGINT NOT NULL, 
	ttfb_us_known BIGINT NOT NULL, 
	ttft_us BIGINT NOT NULL, 
	ttft_us_known BIGINT NOT NULL, 
	CONSTRAINT pk_usage_rollup_hourly PRIMARY KEY (part, start_ms, labels_id)
);
CREATE TABLE usage_rollup_monthly (
	start_ms BIGINT NOT NULL, 
	part BIGINT NOT NULL, 
	labels_id BIGINT NOT NULL, 
	latency_max_us BIGINT NOT NULL, 
	calls BIGINT NOT NULL, 
	latency_us BIGINT NOT NULL, 
	charged_tokens BIGINT NOT NULL, 
	charged_cost_nusd BIGINT NOT NULL, 
	paced_tokens BIGINT NOT NULL, 
	paced_us BIGINT NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	input_tokens_known BIGINT NOT NULL, 
	cached_input_tokens BIGINT NOT NULL, 
	cached_input_tokens_known BIGINT NOT NULL, 
	cache_write_5m_tokens BIGINT NOT NULL, 
	cache_write_5m_tokens_known BIGINT NOT NULL, 
	cache_write_1h_tokens BIGINT NOT NULL, 
	cache_write_1h_tokens_known BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	output_tokens_known BIGINT NOT NULL, 
	reasoning_tokens BIGINT NOT NULL, 
	reasoning_tokens_known BIGINT NOT NULL, 
	input_cost_nusd BIGINT NOT NULL, 
	input_cost_nusd_known BIGINT NOT NULL, 
	cached_input_cost_nusd BIGINT NOT NULL, 
	cached_input_cost_nusd_known BIGINT NOT NULL, 
	cache_write_cost_nusd BIGINT NOT NULL, 
	cache_write_cost_nusd_known BIGINT NOT NULL, 
	output_cost_nusd BIGINT NOT NULL, 
	output_cost_nusd_known BIGINT NOT NULL, 
	reasoning_cost_nusd BIGINT NOT NULL, 
	reasoning_cost_nusd_known BIGINT NOT NULL, 
	image_cost_nusd BIGINT NOT NULL, 
	image_cost_nusd_known BIGINT NOT NULL, 
	failed_attempts_cost_nusd BIGINT NOT NULL, 
	failed_attempts_cost_nusd_known BIGINT NOT NULL, 
	total_cost_nusd BIGINT NOT NULL, 
	total_cost_nusd_known BIGINT NOT NULL, 
	upstream_reported_cost_nusd BIGINT NOT NULL, 
	upstream_reported_cost_nusd_known BIGINT NOT NULL, 
	queued_us BIGINT NOT NULL, 
	queued_us_known BIGINT NOT NULL, 
	ttfb_us BIGINT NOT NULL, 
	ttfb_us_known BIGINT NOT NULL, 
	ttft_us BIGINT NOT NULL, 
	ttft_us_known BIGINT NOT NULL, 
	CONSTRAINT pk_usage_rollup_monthly PRIMARY KEY (part, start_ms, labels_id)
);
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
);
CREATE TABLE usage_rollup_timings (
	period VARCHAR NOT NULL, 
	start_ms BIGINT NOT NULL, 
	part BIGINT NOT NULL, 
	labels_id BIGINT NOT NULL, 
	measure VARCHAR NOT NULL, 
	bucket_us BIGINT NOT NULL, 
	calls BIGINT NOT NULL, 
	CONSTRAINT pk_usage_rollup_timings PRIMARY KEY (period, part, start_ms, labels_id, measure, bucket_us)
);
CREATE TABLE request_measures_before PARTITION OF request_measures
    FOR VALUES FROM (MINVALUE) TO (946684800000);
CREATE TABLE request_measures_after PARTITION OF request_measures
    FOR VALUES FROM (4102444800000) TO (MAXVALUE);
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
FROM request_measures LEFT JOIN request_labels ON request_labels.id = labels_id;
CREATE VIEW request_translation_field_events AS SELECT
    request_id, ts_ms, attempts - 1 AS attempt_index, seq, field_name, action, reason
FROM request_measures
JOIN request_labels ON request_labels.id = request_measures.labels_id
JOIN label_notes ON label_notes.labels_id = request_measures.labels_id;
CREATE VIEW request_routing_decisions AS SELECT
    request_id, ts_ms, resolved_group, strategy, affinity, error_code,
    candidates_left_out, reasons_left_out, inbound_dialect, stream,
    forced_tool_choice, parallel_tools, output_format, audio, reasoning,
    reasoning_level, goes_on,
    (SELECT string_agg(tool, ' ') FROM decision_kind_tools AS needed
        WHERE needed.kind_id = kinds.id) AS tools,
    tool_count, tool_schema_bytes, image_urls, image_data, image_files, documents,
    reasoning_budget_tokens, output_cap_tokens, estimated_input_tokens, request_bytes
FROM request_decisions JOIN decision_kinds AS kinds ON kinds.id = kind_id;
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
    AND scored.candidate_index = each.candidate_index;
CREATE VIEW request_target_filter_reasons AS SELECT
    request_id, ts_ms, candidate_index, seq, reason
FROM request_decisions AS calls
JOIN decision_kind_reasons AS why ON why.kind_id = calls.kind_id;
CREATE VIEW request_fallback_transitions AS SELECT
    failed.request_id, failed.ts_ms, failed.attempt_index,
    failed.target AS failed_target, next.target AS fallback_target,
    failed.error_class, next.followed_by = 'answered' AS fallback_succeeded
FROM request_attempts AS failed
JOIN request_attempts AS next ON next.ts_ms = failed.ts_ms
    AND next.request_id = failed.request_id
    AND next.attempt_index = failed.attempt_index + 1;
CREATE VIEW request_errors AS SELECT
    request_id, ts_ms, status, error_code, error_class, upstream_status, refused_by,
    attempts, resolved_group, target_provider, target_model, target_dialect, latency_us
FROM request_measures
JOIN request_labels ON request_labels.id = request_measures.labels_id
WHERE error_code IS NOT NULL;
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
JOIN request_labels ON request_labels.id = request_measures.labels_id;
CREATE VIEW request_traffic_shape_events AS SELECT
    request_id, ts_ms, CASE WHEN refused_by LIKE '%_per_second' THEN 'refused'
        WHEN error_code IS NULL THEN 'passed' ELSE 'ended' END AS outcome,
    refused_by, queued_us, error_code, caller_id, resolved_group
FROM request_measures
JOIN request_labels ON request_labels.id = request_measures.labels_id
WHERE queued_us IS NOT NULL OR refused_by LIKE '%_per_second';
CREATE VIEW request_token_estimates AS SELECT
    calls.request_id, calls.ts_ms, request_labels.inbound_dialect,
    request_labels.resolved_group, estimated_input_tokens, input_tokens,
    output_cap_tokens, output_tokens, charged_tokens, usage_estimated, request_bytes
FROM request_decisions AS decided
JOIN request_measures AS calls ON calls.ts_ms = decided.ts_ms
    AND calls.request_id = decided.request_id
JOIN request_labels ON request_labels.id = calls.labels_id
WHERE estimated_input_tokens IS NOT NULL;
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
FROM request_decisions JOIN decision_kinds ON decision_kinds.id = kind_id;
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
