"""The first schema: one row a call, and how far the journal is ingested."""

import sqlalchemy as sa
from alembic import op

revision = "usage_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables and the index by time."""
    op.create_table(
        "request_usage",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("ts_ms", sa.BigInteger(), nullable=False),
        sa.Column("caller_id", sa.String(), nullable=False),
        sa.Column("caller_user", sa.String(), nullable=False),
        sa.Column("caller_project", sa.String(), nullable=False),
        sa.Column("caller_environment", sa.String(), nullable=False),
        sa.Column("token_id", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("inbound_dialect", sa.String(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("latency_us", sa.BigInteger(), nullable=False),
        sa.Column("config_fingerprint", sa.String(), nullable=False),
        sa.Column("router_version", sa.String(), nullable=False),
        sa.Column("requested_model", sa.String()),
        sa.Column("resolved_group", sa.String()),
        sa.Column("strategy", sa.String()),
        sa.Column("target_provider", sa.String()),
        sa.Column("target_model", sa.String()),
        sa.Column("target_dialect", sa.String()),
        sa.Column("stream", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.String()),
        sa.Column("error_class", sa.String()),
        sa.Column("upstream_status", sa.BigInteger()),
        sa.Column("ttfb_us", sa.BigInteger()),
        sa.Column("ttft_us", sa.BigInteger()),
        sa.Column("input_tokens", sa.BigInteger()),
        sa.Column("cached_input_tokens", sa.BigInteger()),
        sa.Column("output_tokens", sa.BigInteger()),
        sa.Column("reasoning_tokens", sa.BigInteger()),
        sa.Column("input_cost_nusd", sa.BigInteger()),
        sa.Column("cached_input_cost_nusd", sa.BigInteger()),
        sa.Column("output_cost_nusd", sa.BigInteger()),
        sa.Column("total_cost_nusd", sa.BigInteger()),
        sa.Column("upstream_reported_cost_nusd", sa.BigInteger()),
        sa.Column("price_fingerprint", sa.String()),
        sa.PrimaryKeyConstraint("request_id", name="pk_request_usage"),
    )
    op.create_index("ix_request_usage_ts_ms", "request_usage", ["ts_ms"])
    op.create_table(
        "journal_positions",
        sa.Column("segment", sa.String(), nullable=False),
        sa.Column("end_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment", name="pk_journal_positions"),
    )


def downgrade() -> None:
    """Drop what `upgrade` made."""
    op.drop_table("journal_positions")
    op.drop_table("request_usage")
