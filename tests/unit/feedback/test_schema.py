"""The migrations lead to the tables of the schema, and can be undone."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, inspect

from moovier.feedback import schema
from moovier.feedback.database import Database
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore


def test_migrations_create_the_tables_of_the_schema(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    Database.open(url).close()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": schema.VERSION_TABLE, "compare_type": True},
        )
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.HEAD
        # This name belongs to MLflow or Airflow where they share the database.
        assert not inspect(connection).has_table("alembic_version")
    engine.dispose()


def test_head_is_the_last_migration_and_all_can_be_undone(sqlite_url: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import moovier.feedback.migrations as migrations

    config = Config()
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]
    Database.open(sqlite_url).close()
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == [schema.VERSION_TABLE]
    engine.dispose()
    store = FeedbackStore.open(sqlite_url)
    store.add(1, [NewRating(1, 1, 1)])
    store.close()
