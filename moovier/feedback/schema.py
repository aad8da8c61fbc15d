"""The tables of feedback and keys, as they are after the newest migration.

All moments are whole seconds since 1970 (UTC). A test compares this page with what the migrations
make.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

#: The newest migration. A database that says this needs no Alembic, whose import takes time.
HEAD = "0002"
#: A name of our own: MLflow or Airflow may keep their `alembic_version` in the same database.
VERSION_TABLE = "moovier_schema"

metadata = MetaData()

#: One row a person and movie: the newest rating.
ratings = Table(
    "feedback_ratings",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("movie_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stars", Float, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("request_id", Text),
)

#: Tombstones: this person's ratings of this movie up to ``deleted_at`` are gone, wherever they
#: stand.
deleted_ratings = Table(
    "feedback_deleted_ratings",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("movie_id", BigInteger, primary_key=True, autoincrement=False),
    Column("deleted_at", BigInteger, nullable=False),
)

#: Tombstones: all of this person's ratings up to ``deleted_at`` are gone, wherever they stand.
deleted_users = Table(
    "feedback_deleted_users",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("deleted_at", BigInteger, nullable=False),
)

#: Answers given to idempotency keys; keys and contents as SHA-256 in hexadecimal digits.
answers = Table(
    "feedback_answers",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key_hash", String(64), primary_key=True),
    Column("content_hash", String(64), nullable=False),
    Column("stored", Integer, nullable=False),
    Column("ignored", Integer, nullable=False),
    Column("answered_at", BigInteger, nullable=False, index=True),
)

#: Lists as they were served to people, for as long as settings say. ``arm``: see
#: `moovier.feedback.served_lists`; ``movie_ids``: MovieLens ids, best first, with a space between;
#: ``experiment``: what drew the arm, null where none ran.
lists = Table(
    "feedback_lists",
    metadata,
    Column("request_id", String(32), primary_key=True),
    Column("arm", String(16), primary_key=True),
    Column("served_at", BigInteger, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("user_id", BigInteger, index=True),
    Column("source", Text, nullable=False),
    Column("movie_ids", Text, nullable=False),
    Column("experiment", String(64)),
)

#: API keys; ``key_hash`` is the SHA-256 of the key, ``scopes`` names with a space between.
keys = Table(
    "api_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
# A revoked key's name may be given again: a key is replaced without a change of its name.
Index(
    "ix_api_keys_live_name",
    keys.c.name,
    unique=True,
    sqlite_where=keys.c.revoked_at.is_(None),
    postgresql_where=keys.c.revoked_at.is_(None),
)
