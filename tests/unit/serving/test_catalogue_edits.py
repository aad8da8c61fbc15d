"""Movies are added, changed and deleted beside the data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from moovier.errors import BadRequest, UnknownMovie
from moovier.feedback.errors import MovieConflict
from moovier.feedback.new_movies import NewMovie
from moovier.serving.catalogue_edits import delete_movie, put_movie
from moovier.serving.new_movies import NewMovies
from tests.contracts.toy import N_MOVIES
from tests.unit.serving.toy_context import Toy, champion
from tests.unit.serving.toy_users import MOVIES

NEW = NewMovie(5000, "New", 2020, ("Drama",))


@pytest.fixture
def toy(toy: Toy) -> Iterator[Toy]:
    """A service whose champion follows the new movies, as the model store's does."""

    def follow(movies: tuple[NewMovie, ...]) -> None:
        toy.models.champion = NewMovies(movies, share=0.1).added_to(champion())

    toy.feedback.on_new_movies = follow
    yield toy
    toy.feedback.on_new_movies = None
    for movie in toy.feedback.new_movies:
        toy.feedback.delete_movie(movie.id)


def put(toy: Toy, movie: NewMovie) -> tuple[bool, dict[str, Any], Any]:
    return toy.run(put_movie(toy.context, movie))


def test_a_movie_is_added_once_and_then_changed(toy: Toy) -> None:
    is_new, payload, model = put(toy, NEW)
    assert is_new
    assert (payload["movie_id"], payload["title"], payload["ratings"]) == (5000, "New", 0)
    assert model is toy.models.champion
    is_new, payload, _ = put(toy, replace(NEW, title="Newer"))
    assert not is_new
    assert payload["title"] == "Newer"


def test_an_id_of_a_rated_movie_is_refused(toy: Toy) -> None:
    with pytest.raises(MovieConflict, match=rf"id {MOVIES[0]} for 'Movie {MOVIES[0]}'"):
        put(toy, replace(NEW, id=MOVIES[0]))
    assert toy.feedback.new_movies == ()


def test_an_id_of_a_movie_without_ratings_is_free(toy: Toy) -> None:
    unrated = MOVIES[N_MOVIES - 1]
    assert put(toy, replace(NEW, id=unrated))[1]["movie_id"] == unrated


def test_a_field_out_of_range_is_refused(toy: Toy) -> None:
    with pytest.raises(BadRequest, match="year 1700"):
        put(toy, replace(NEW, year=1700))


def test_only_movies_that_were_added_can_be_deleted(toy: Toy) -> None:
    put(toy, NEW)
    toy.run(delete_movie(toy.context, NEW.id))
    assert toy.feedback.new_movies == ()
    for movie_id in (NEW.id, MOVIES[0]):
        with pytest.raises(UnknownMovie, match=f"no movie that was added has the id {movie_id}"):
            toy.run(delete_movie(toy.context, movie_id))
