"""Create ratings, tombstones, answers to idempotency keys, and API keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables and indexes."""
    op.create_table(
        "feedback_ratings",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("movie_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("stars", sa.Float, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.Text),
    )
    op.create_table(
        "feedback_deleted_ratings",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("movie_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "feedback_deleted_users",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "feedback_answers",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key_hash", sa.String(64), primary_key=True),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("stored", sa.Integer, nullable=False),
        sa.Column("ignored", sa.Integer, nullable=False),
        sa.Column("answered_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_feedback_answers_answered_at", "feedback_answers", ["answered_at"])
    op.create_table(
        "api_keys",
        sa.Column("key_hash", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    live = sa.text("revoked_at IS NULL")
    op.create_index(
        "ix_api_keys_live_name",
        "api_keys",
        ["name"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )


def downgrade() -> None:
    """Drop the tables with their indexes."""
    for table in (
        "api_keys",
        "feedback_answers",
        "feedback_deleted_users",
        "feedback_deleted_ratings",
        "feedback_ratings",
    ):
        op.drop_table(table)
