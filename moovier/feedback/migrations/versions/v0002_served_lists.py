"""Create the served lists, to which ratings are joined by request id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table and its indexes."""
    op.create_table(
        "feedback_lists",
        sa.Column("request_id", sa.String(32), primary_key=True),
        sa.Column("arm", sa.String(16), primary_key=True),
        sa.Column("served_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("user_id", sa.BigInteger),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("movie_ids", sa.Text, nullable=False),
        sa.Column("experiment", sa.String(64)),
    )
    op.create_index("ix_feedback_lists_served_at", "feedback_lists", ["served_at"])
    op.create_index("ix_feedback_lists_user_id", "feedback_lists", ["user_id"])


def downgrade() -> None:
    """Drop the table with its indexes."""
    op.drop_table("feedback_lists")
