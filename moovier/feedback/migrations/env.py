"""Run by Alembic; `moovier.feedback.database` hands over the connection, locked and in a
transaction, so that a migration is there as a whole or not at all."""

from __future__ import annotations

from alembic import context

from moovier.feedback.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
