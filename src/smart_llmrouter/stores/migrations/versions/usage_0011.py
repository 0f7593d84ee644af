"""Prices of long calls are rows of their own."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "usage_0011"
down_revision = "usage_0010"
branch_labels = None
depends_on = None

_NAMES: Final = ("fingerprint", "provider", "model")
_AMOUNTS: Final = (
    "input_nusd_per_million",
    "cached_input_nusd_per_million",
    "cache_write_nusd_per_million",
    "cache_write_1h_nusd_per_million",
    "output_nusd_per_million",
    "reasoning_nusd_per_million",
    "image_tokens_nusd_per_million",
    "image_nusd",
    "effective_from_ms",
)
_TEXTS: Final = ("source", "as_of")
_MOVE: Final = """
INSERT INTO price_versions SELECT
    fingerprint, provider, model, 0, ts_ms, input_nusd_per_million,
    cached_input_nusd_per_million, cache_write_nusd_per_million,
    cache_write_1h_nusd_per_million, output_nusd_per_million,
    reasoning_nusd_per_million, image_tokens_nusd_per_million, image_nusd,
    effective_from_ms, source, as_of
FROM price_versions_before
"""


def upgrade() -> None:
    """Make the table anew: what it is of long calls is a part of its key."""
    op.execute("CREATE TABLE price_versions_before AS SELECT * FROM price_versions")
    op.drop_table("price_versions")
    op.create_table(
        "price_versions",
        *(sa.Column(name, sa.String(), nullable=False) for name in _NAMES),
        sa.Column("above_tokens", sa.BigInteger(), nullable=False),
        sa.Column("ts_ms", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger()) for name in _AMOUNTS),
        *(sa.Column(name, sa.String()) for name in _TEXTS),
        sa.PrimaryKeyConstraint(*_NAMES, "above_tokens", name="pk_price_versions"),
        sqlite_with_rowid=False,
    )
    op.execute(_MOVE)
    op.drop_table("price_versions_before")


def downgrade() -> None:
    """Go nowhere: what the rows of long calls hold would be lost."""
    raise NotImplementedError("usage_0011 is forward only")
