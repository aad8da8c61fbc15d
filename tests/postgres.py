"""Temporary databases on the machine's Postgres."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator

import psycopg
import pytest

SERVER = "postgresql://postgres@127.0.0.1:5432"


@contextlib.contextmanager
def own_database() -> Iterator[str]:
    """Yield the URL of an empty database, and drop the database afterwards.

    Skips the test when no Postgres answers; in CI a missing Postgres is an error.
    """
    try:
        server = psycopg.connect(f"{SERVER}/postgres", connect_timeout=3)
    except psycopg.OperationalError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"no Postgres at {SERVER}: {error}")
    name = f"moovier_test_{uuid.uuid4().hex[:12]}"
    server.autocommit = True
    with contextlib.closing(server), server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{SERVER}/{name}"
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
