"""Every test of the store runs on SQLite and on Postgres, each time in a database of its own."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from moovier.feedback.store import FeedbackStore

SERVER = "postgresql://postgres@127.0.0.1:5432"


class Clock:
    """A clock that a test sets."""

    now = 2_000_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def postgres_url() -> Iterator[str]:
    try:
        server = psycopg2.connect(f"{SERVER}/postgres", connect_timeout=3)
    except psycopg2.OperationalError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"no Postgres at {SERVER}: {error}")
    name = f"moovier_feedback_{uuid.uuid4().hex[:12]}"
    server.autocommit = True
    with contextlib.closing(server), server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{SERVER}/{name}"
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'home' / 'moovier.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[FeedbackStore]:
    with contextlib.closing(FeedbackStore.open(url, clock=clock)) as opened:
        yield opened
