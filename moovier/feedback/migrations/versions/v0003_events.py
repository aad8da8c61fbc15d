"""Create the events: what users did with movies besides rating them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "feedback_events",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("movie_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event", sa.String(16), primary_key=True),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.Text),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("feedback_events")
