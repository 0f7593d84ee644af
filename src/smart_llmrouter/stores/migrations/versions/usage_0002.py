"""Labels once, measures in the order of time, and a view that shows both as before."""

import sqlite3
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from alembic import op

from smart_llmrouter.stores.usage_store import labels_digest

revision = "usage_0002"
down_revision = "usage_0001"
branch_labels = None
depends_on = None

_MEASURES: Final = (
    ("request_id", sa.String, False),
    ("ts_ms", sa.BigInteger, False),
    ("latency_us", sa.BigInteger, False),
    ("ttfb_us", sa.BigInteger, True),
    ("ttft_us", sa.BigInteger, True),
    ("input_tokens", sa.BigInteger, True),
    ("cached_input_tokens", sa.BigInteger, True),
    ("output_tokens", sa.BigInteger, True),
    ("reasoning_tokens", sa.BigInteger, True),
    ("input_cost_nusd", sa.BigInteger, True),
    ("cached_input_cost_nusd", sa.BigInteger, True),
    ("output_cost_nusd", sa.BigInteger, True),
    ("total_cost_nusd", sa.BigInteger, True),
    ("upstream_reported_cost_nusd", sa.BigInteger, True),
)
_LABELS: Final = (
    ("caller_id", sa.String, False),
    ("caller_user", sa.String, False),
    ("caller_project", sa.String, False),
    ("caller_environment", sa.String, False),
    ("token_id", sa.String, False),
    ("client", sa.String, False),
    ("inbound_dialect", sa.String, False),
    ("status", sa.BigInteger, False),
    ("attempts", sa.BigInteger, False),
    ("config_fingerprint", sa.String, False),
    ("router_version", sa.String, False),
    ("requested_model", sa.String, True),
    ("resolved_group", sa.String, True),
    ("strategy", sa.String, True),
    ("target_provider", sa.String, True),
    ("target_model", sa.String, True),
    ("target_dialect", sa.String, True),
    ("stream", sa.Boolean, False),
    ("error_code", sa.String, True),
    ("error_class", sa.String, True),
    ("upstream_status", sa.BigInteger, True),
    ("price_fingerprint", sa.String, True),
)
_MEASURE_NAMES: Final = ", ".join(name for name, _, _ in _MEASURES)
_LABEL_NAMES: Final = ", ".join(name for name, _, _ in _LABELS)
_STREAM: Final = [name for name, _, _ in _LABELS].index("stream")


def upgrade() -> None:
    """Move every row; the old table goes when all of it has been moved."""
    op.rename_table("request_usage", "request_usage_before")
    op.create_table(
        "request_measures",
        *_columns(_MEASURES),
        sa.Column("labels_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ts_ms", "request_id", name="pk_request_measures"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "request_labels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        *_columns(_LABELS),
        sa.PrimaryKeyConstraint("id", name="pk_request_labels"),
        sa.UniqueConstraint("digest", name="uq_request_labels_digest"),
    )
    _move_rows()
    op.drop_table("request_usage_before")
    op.execute(
        f"CREATE VIEW request_usage AS SELECT {_MEASURE_NAMES}, {_LABEL_NAMES} "  # noqa: S608 - constants
        "FROM request_measures "
        "LEFT JOIN request_labels ON request_labels.id = labels_id"
    )


def _columns(
    described: tuple[tuple[str, type[sa.types.TypeEngine[Any]], bool], ...],
) -> list[sa.Column[Any]]:
    return [sa.Column(name, of(), nullable=empty) for name, of, empty in described]


def _move_rows() -> None:
    raw = op.get_bind().connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - for the types
    raw.create_function("labels_digest", len(_LABELS), _digest, deterministic=True)
    op.execute(
        f"INSERT INTO request_labels (digest, {_LABEL_NAMES}) "  # noqa: S608 - constants
        f"SELECT labels_digest({_LABEL_NAMES}), {_LABEL_NAMES} "
        f"FROM request_usage_before GROUP BY {_LABEL_NAMES}"
    )
    of_old = ", ".join(f"old.{name}" for name, _, _ in _LABELS)
    op.execute(
        f"INSERT INTO request_measures SELECT {_MEASURE_NAMES}, "  # noqa: S608 - constants
        f"(SELECT id FROM request_labels WHERE digest = labels_digest({of_old})) "
        "FROM request_usage_before AS old ORDER BY ts_ms, request_id"
    )


def _digest(*labels: object) -> str:
    """Return the digest of labels as the journal has them: with a true boolean."""
    values = list(labels)
    values[_STREAM] = bool(values[_STREAM])
    return labels_digest(msgspec.json.encode(values)[1:])


def downgrade() -> None:
    """Make the old table again, with every row."""
    op.execute("CREATE TABLE request_usage_all AS SELECT * FROM request_usage")
    op.execute("DROP VIEW request_usage")
    op.drop_table("request_measures")
    op.drop_table("request_labels")
    op.create_table(
        "request_usage",
        *_columns(_MEASURES),
        *_columns(_LABELS),
        sa.PrimaryKeyConstraint("request_id", name="pk_request_usage"),
    )
    op.create_index("ix_request_usage_ts_ms", "request_usage", ["ts_ms"])
    op.execute("INSERT OR IGNORE INTO request_usage SELECT * FROM request_usage_all")
    op.drop_table("request_usage_all")
