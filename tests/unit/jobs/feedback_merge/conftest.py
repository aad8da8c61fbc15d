"""A data set, a feedback store and a DVC remote of its own for each test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from moovier.feedback.store import FeedbackStore
from moovier.jobs import ingest
from moovier.jobs.ingest import Pulled
from moovier.settings import Settings
from tests.dvc_checkout import new_project
from tests.postgres import own_database

#: The time of the store's clock, after every rating of `ORIGINAL`.
NOW = 1_800_000_000
ORIGINAL = """userId,movieId,rating,timestamp
1,10,4.0,1000
1,20,3.5,1001
2,10,5.0,1002
2,30,0.5,1003
3,20,2.0,1004
"""
MOVIES = """movieId,title,genres
10,"Ten, The (1995)",Drama
20,Twenty (1996),Comedy
30,Thirty (1997),Drama|Comedy
"""
LINKS = "movieId,imdbId,tmdbId\n10,0000010,10\n20,0000020,\n30,0000030,30\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        project=new_project(tmp_path / "project"),
        home=tmp_path / "home",
        dvc_remote=str(tmp_path / "remote"),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three movies, three users and five ratings."""
    folder = tmp_path / "movies"
    folder.mkdir()
    (folder / "ratings.csv").write_text(ORIGINAL)
    (folder / "movies.csv").write_text(MOVIES)
    (folder / "links.csv").write_text(LINKS)
    return folder


@pytest.fixture
def store(settings: Settings) -> Iterator[FeedbackStore]:
    with contextlib.closing(FeedbackStore.open(settings.database, clock=lambda: NOW)) as store:
        yield store


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with own_database() as url:
        yield url


def pull(folder: Path, settings: Settings) -> Pulled:
    return ingest.pull(str(folder), settings=settings)


def lines(pulled: Pulled) -> list[str]:
    return (Path(pulled["folder"]) / "ratings.csv").read_bytes().decode().splitlines(keepends=True)
