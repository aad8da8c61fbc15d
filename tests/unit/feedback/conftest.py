"""Run each test of the store on SQLite and on Postgres, in a new database each time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from moovier.feedback.store import FeedbackStore
from tests.postgres import own_database


class Clock:
    """A clock that a test sets, in seconds since 1970."""

    now = 2_000_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with own_database() as url:
        yield url


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
