"""Movies beside the data set, in both databases and between processes."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from sqlalchemy import update

from moovier.errors import BadRequest
from moovier.feedback import schema
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.database import Database
from moovier.feedback.new_movies import NewMovie, NewMovieStore, check
from moovier.feedback.ratings import NewRating
from tests.service.conftest import wait_for

FULL = NewMovie(9001, "Odyssey", 2026, ("Action", "Drama"), 77, ("A. Maker",), "Home.")
BARE = NewMovie(9000, "Bare")


def test_movies_are_stored_replaced_and_deleted(url: str) -> None:
    with contextlib.closing(Database.open(url)) as database:
        store = NewMovieStore(database)
        assert store.all() == ()
        assert store.put([FULL, BARE]) == 2
        assert store.all() == (BARE, FULL)
        assert store.put([replace(BARE, title="Other")]) == 0
        assert store.all()[0].title == "Other"
        assert store.delete(9000)
        assert not store.delete(9000)
        assert store.all() == (FULL,)


def test_other_process_hears_of_a_change(url: str) -> None:
    heard: list[tuple[NewMovie, ...]] = []
    cache = FeedbackCache(url)
    cache.on_new_movies = heard.append
    cache.reload()
    cache.follow()
    try:
        cache.add(1, [NewRating(1, 4, 10)], request_id=None, idempotency_key=None)
        with contextlib.closing(Database.open(url)) as other:
            NewMovieStore(other).put([FULL])
            wait_for(lambda: cache.new_movies == (FULL,), timeout_s=90)
            NewMovieStore(other).delete(FULL.id)
            wait_for(lambda: cache.new_movies == (), timeout_s=90)
        assert heard == [(FULL,), ()]
        assert cache.for_user(1) is not None
    finally:
        cache.close()


def test_damaged_row_is_left_out(sqlite_url: str) -> None:
    with contextlib.closing(Database.open(sqlite_url)) as database:
        NewMovieStore(database).put([FULL, BARE])
        with database.writing() as connection:
            table = schema.new_movies
            connection.execute(update(table).where(table.c.movie_id == 9000).values(title=" "))
        assert NewMovieStore(database).all() == (FULL,)


@pytest.mark.parametrize(
    ("movie", "reason"),
    [
        (replace(BARE, id=0), "movie id 0"),
        (replace(BARE, id=9_200_000_000_000_000_001), "movie id 92"),
        (replace(BARE, title=" "), "a title has"),
        (replace(BARE, title="a\nb"), "line break"),
        (replace(BARE, title="\ud800"), "not valid Unicode"),
        (replace(BARE, year=1700), "year 1700"),
        (replace(BARE, genres=("a|b",)), "genres has 'a"),
        (replace(BARE, genres=("a", "a")), "a repeated name"),
        (replace(BARE, genres=("(no genres listed)",)), "leave genres empty"),
        (replace(BARE, people=("x",) * 1 + (" y",)), "spaces around"),
        (replace(BARE, text="x" * 20_001), "more than 20,000"),
        (replace(BARE, tmdb_id=0), "TMDB id 0"),
    ],
)
def test_movie_that_the_files_cannot_hold_is_refused(movie: NewMovie, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason.replace("(", r"\(")):
        check(movie)
