"""New movies in a loaded model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue
from moovier.feedback.new_movies import NewMovie
from moovier.models.cold_start import ColdStartScorer
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.new_movies import NewMovies
from moovier.serving.recommender import Recommender
from tests.fixtures import MOVIE_IDS, toy_bundle

#: Movies 1, 2 and 47 of the toy bundle have ratings, 6 and 32 have none.
BELOW, ABOVE = NewMovie(5, "Five", 1995, ("Drama",)), NewMovie(900, "High", 1995, ("Drama",))


@pytest.fixture
def model() -> LoadedModel:
    return LoadedModel(3, "toy", "3-run", Recommender(toy_bundle()))


def ids(model: LoadedModel) -> list[int]:
    return [movie.id for movie in model.recommender.bundle.catalogue]


def test_movies_are_added_and_removed_without_a_trace(model: LoadedModel) -> None:
    extended = NewMovies((BELOW, ABOVE)).added_to(model)
    assert ids(extended) == sorted([*MOVIE_IDS, 5, 900])
    assert extended.recommender.bundle.index.movies.tolist() == ids(extended)
    other = NewMovies((ABOVE,)).added_to(extended)
    assert ids(other) == [*MOVIE_IDS, 900]
    assert NewMovies().added_to(other).recommender is model.recommender
    assert NewMovies().added_to(model) is model


def test_same_movies_leave_the_model_as_it_is(model: LoadedModel) -> None:
    movies = NewMovies((ABOVE,))
    extended = movies.added_to(model)
    assert movies.added_to(extended) is extended


def test_users_keep_their_histories_and_lists(model: LoadedModel) -> None:
    extended = NewMovies((BELOW,)).added_to(model).recommender
    plain = model.recommender
    for user in (0, 1, 2):
        known = plain.bundle.index.movies[plain.bundle.histories[user].movies]
        mapped = extended.bundle.index.movies[extended.bundle.histories[user].movies]
        assert mapped.tolist() == known.tolist()
    before, after = plain.recommend([7, 11, 13], 5), extended.recommend([7, 11, 13], 6)
    for old, new in zip(before, after, strict=True):
        assert [i.movie.id for i in new.items if i.movie.id != 5] == [i.movie.id for i in old.items]


def test_movie_of_the_data_set_is_new_only_without_ratings(model: LoadedModel) -> None:
    rated, unrated = NewMovie(2, "Two"), NewMovie(32, "Better Title", 2001, ("Comedy",))
    assert NewMovies((rated,)).added_to(model).recommender is model.recommender
    extended = NewMovies((rated, unrated)).added_to(model)
    assert ids(extended) == list(MOVIE_IDS)
    titles = {movie.id: movie.title for movie in extended.recommender.bundle.catalogue}
    assert (titles[2], titles[32]) == ("Movie 2", "Better Title")
    scores = extended.recommender.recommend([13], 5)[0].items
    # By its content it scores between the rated movies, and not 0 as by its ratings.
    assert next(item.score for item in scores if item.movie.id == 32) > 0


@pytest.mark.parametrize("alike", [1, 2])
def test_movie_with_the_same_words_is_the_nearest(alike: int) -> None:
    bundle = toy_bundle()
    catalogue = Catalogue.of([replace(movie, tmdb_id=10 * movie.id) for movie in bundle.catalogue])
    model = LoadedModel(3, "toy", "3-run", Recommender(replace(bundle, catalogue=catalogue)))

    def texts_of(tmdb_ids: Sequence[int]) -> dict[int, str]:
        texts = {77: "a heist in the desert", 10 * alike: "another desert heist"}
        return {id_: text for id_, text in texts.items() if id_ in tmdb_ids}

    movie = NewMovie(900, "High", tmdb_id=77)
    scorer = NewMovies((movie,), texts_of=texts_of).added_to(model).recommender.scorer
    assert isinstance(scorer, ColdStartScorer)
    (row, *_) = scorer._neighbours.rows[0].tolist()
    assert catalogue[row].id == alike


def test_titles_of_rated_movies_are_named_by_id(model: LoadedModel) -> None:
    recommender = NewMovies((ABOVE,)).added_to(model).recommender
    assert recommender.rated_titles([2, 32, 900, 47]) == {2: "Movie 2", 47: "Movie 47"}


def test_popularity_keeps_its_window(model: LoadedModel) -> None:
    extended = NewMovies((BELOW,)).added_to(model).recommender
    days = model.recommender.user_recommender.popularity.default_days
    assert extended.user_recommender.popularity.default_days == days
    counts = extended.user_recommender.counts
    assert counts.tolist() == [1, 2, 0, 0, 0, 1]
    assert np.isfinite(extended.user_recommender.popularity.default()).all()
