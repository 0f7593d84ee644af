"""Whose a journal position is, where several state directories share a database.

The chain up to here is SQLite's alone: a PostgreSQL database is made at this schema or
a later one.
"""

import sqlalchemy as sa
from alembic import op

revision = "usage_0009"
down_revision = "usage_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column: a file of SQLite belongs to one state directory, and needs no name.

    No row is moved.
    """
    op.add_column(
        "journal_positions",
        sa.Column("owner", sa.String(), server_default="", nullable=False),
    )


def downgrade() -> None:
    """Go nowhere: nobody would know any more whose a position is."""
    raise NotImplementedError("usage_0009 is forward only")
