"""Run migrations; Alembic executes this module.

`moovier.feedback.database` passes a locked connection within a transaction, so a migration is
applied as a whole or not at all.
"""

from __future__ import annotations

from alembic import context

from moovier.feedback.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
