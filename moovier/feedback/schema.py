"""The tables of feedback, new movies and API keys after the newest migration.

All moments are whole seconds since 1970 (UTC). A test compares this module with the tables that
the migrations create.
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

#: The newest migration. A database at this version needs no Alembic, which takes long to import.
HEAD = "0005"
#: Not Alembic's default name: MLflow or Airflow may keep `alembic_version` in the same database.
VERSION_TABLE = "moovier_schema"

metadata = MetaData()

#: One row per user and movie: the newest rating.
ratings = Table(
    "feedback_ratings",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("movie_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stars", Float, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("request_id", Text),
)

#: One row per user, movie and kind of event: the newest. ``event``: see `moovier.event_weights`.
#: ``request_id``: the list in which it happened.
events = Table(
    "feedback_events",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("movie_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event", String(16), primary_key=True),
    Column("timestamp", BigInteger, nullable=False),
    Column("request_id", Text),
)

#: Tombstones: the user's ratings of the movie up to ``deleted_at`` are deleted, also those in the
#: data set's original files.
deleted_ratings = Table(
    "feedback_deleted_ratings",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("movie_id", BigInteger, primary_key=True, autoincrement=False),
    Column("deleted_at", BigInteger, nullable=False),
)

#: Tombstones: all ratings of the user up to ``deleted_at`` are deleted, in the same way.
deleted_users = Table(
    "feedback_deleted_users",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("deleted_at", BigInteger, nullable=False),
)

#: The first answers to idempotency keys. Keys and contents are stored as SHA-256 in hexadecimal.
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

#: Lists that were served to users; a setting limits how long they are kept. ``arm``: see
#: `moovier.feedback.served_lists`. ``movie_ids``: MovieLens ids, best first, separated by spaces.
#: ``experiment``: the experiment that assigned the arm, null where none ran.
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

#: Movies beside the data set. ``title``: without the year. ``genres`` and ``people``: names,
#: separated by ``|``.
new_movies = Table(
    "catalogue_new_movies",
    metadata,
    Column("movie_id", BigInteger, primary_key=True, autoincrement=False),
    Column("title", Text, nullable=False),
    Column("year", Integer),
    Column("genres", Text, nullable=False),
    Column("tmdb_id", Integer),
    Column("people", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
)

#: The texts of ids in the other tables, where the data set's ids are texts. ``kind``: ``user`` or
#: ``movie``.
id_texts = Table(
    "id_texts",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

#: API keys. ``key_hash``: SHA-256 of the key. ``scopes``: names, separated by spaces.
keys = Table(
    "api_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
# The name of a revoked key may be used again, so a key can be replaced under its name.
Index(
    "ix_api_keys_live_name",
    keys.c.name,
    unique=True,
    sqlite_where=keys.c.revoked_at.is_(None),
    postgresql_where=keys.c.revoked_at.is_(None),
)
