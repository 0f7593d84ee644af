"""Cache writes, lanes, estimates, and what translations could not carry."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "usage_0003"
down_revision = "usage_0002"
branch_labels = None
depends_on = None

_MEASURES: Final = """
    request_id, ts_ms, latency_us, ttfb_us, ttft_us,
    input_tokens, cached_input_tokens, output_tokens, reasoning_tokens,
    input_cost_nusd, cached_input_cost_nusd, output_cost_nusd, total_cost_nusd,
    upstream_reported_cost_nusd,
    cache_write_5m_tokens, cache_write_1h_tokens, cache_write_cost_nusd"""
_LABELS: Final = """
    caller_id, caller_user, caller_project, caller_environment, token_id, client,
    inbound_dialect, status, attempts, config_fingerprint, router_version,
    requested_model, resolved_group, strategy, target_provider, target_model,
    target_dialect, stream, error_code, error_class, upstream_status,
    price_fingerprint,
    CASE WHEN target_dialect IS NOT NULL THEN lane END AS lane,
    usage_estimated, notes_count"""


def upgrade() -> None:
    """Add columns, which moves no row: each call of before was relayed, as it came."""
    for name in (
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "cache_write_cost_nusd",
    ):
        op.add_column("request_measures", sa.Column(name, sa.BigInteger()))
    for column in (
        sa.Column("lane", sa.String(), server_default="relay", nullable=False),
        sa.Column(
            "usage_estimated", sa.Boolean(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "notes_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
    ):
        op.add_column("request_labels", column)
    op.create_table(
        "label_notes",
        sa.Column("labels_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("field_name", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("labels_id", "seq", name="pk_label_notes"),
        sqlite_with_rowid=False,
    )
    _make_views()


def _make_views() -> None:
    op.execute("DROP VIEW request_usage")
    op.execute(
        f"CREATE VIEW request_usage AS SELECT {_MEASURES}, {_LABELS} "  # noqa: S608 - constants
        "FROM request_measures "
        "LEFT JOIN request_labels ON request_labels.id = labels_id"
    )
    op.execute(
        "CREATE VIEW request_translation_field_events AS SELECT "
        "request_id, ts_ms, attempts - 1 AS attempt_index, seq, field_name, action, "
        "reason FROM request_measures "
        "JOIN request_labels ON request_labels.id = request_measures.labels_id "
        "JOIN label_notes ON label_notes.labels_id = request_measures.labels_id"
    )


def downgrade() -> None:
    """Go nowhere: what the columns hold would be lost."""
    raise NotImplementedError("usage_0003 is forward only")
