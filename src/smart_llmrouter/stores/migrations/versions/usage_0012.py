"""Without a table of which nothing ever had a row."""

from alembic import op

revision = "usage_0012"
down_revision = "usage_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop it; kinds of decisions are not removed."""
    op.drop_table("kind_removals")


def downgrade() -> None:
    """Go nowhere."""
    raise NotImplementedError("usage_0012 is forward only")
