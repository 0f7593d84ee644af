"""How events are kept, as SQLite is told: see `stores.sqlite_schema`."""

from typing import Final

_ACCESSES: Final = """
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
) WITHOUT ROWID
"""
_CONFIGURATIONS: Final = """
CREATE TABLE config_versions (
    fingerprint VARCHAR NOT NULL,
    ts_ms BIGINT NOT NULL,
    router_version VARCHAR NOT NULL,
    cause VARCHAR NOT NULL,
    CONSTRAINT pk_config_versions PRIMARY KEY (fingerprint)
) WITHOUT ROWID
"""
_PRICES: Final = """
CREATE TABLE price_versions (
    fingerprint VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    above_tokens BIGINT NOT NULL,
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
    CONSTRAINT pk_price_versions
        PRIMARY KEY (fingerprint, provider, model, above_tokens)
) WITHOUT ROWID
"""
EVENT_SCHEMA: Final = (_ACCESSES, _CONFIGURATIONS, _PRICES)
"""The statements that make the tables of events."""

EVENT_RELATIONS: Final = (
    "security_access_events",
    "config_versions",
    "price_versions",
)
