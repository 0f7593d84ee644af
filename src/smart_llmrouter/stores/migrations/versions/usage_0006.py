"""What is rare among costs, and what the response cache did."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "usage_0006"
down_revision = "usage_0005"
branch_labels = None
depends_on = None

_COSTS: Final = (
    "reasoning_cost_nusd",
    "image_cost_nusd",
    "failed_attempts_cost_nusd",
)
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


def upgrade() -> None:
    """Add columns, which moves no row."""
    for name in _COSTS:
        op.add_column("request_measures", sa.Column(name, sa.BigInteger()))
    for name in ("cache", "cache_reason"):
        op.add_column("request_labels", sa.Column(name, sa.String()))
    op.execute("DROP VIEW request_usage")
    op.execute(_USAGE)


def downgrade() -> None:
    """Go nowhere: what the columns hold would be lost."""
    raise NotImplementedError("usage_0006 is forward only")
