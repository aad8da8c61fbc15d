"""The rated movies most like a new movie."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Floats, Ints
from moovier.models.content_features import year_cosines, year_vectors
from moovier.models.content_neighbours import ContentIndex, Similarity


def movie(id_: int, year: int | None = 2000, *genres: str) -> Movie:
    return Movie(id_, f"Movie {id_}", year, genres, None, None)


RATED = Catalogue(
    (
        movie(1, 2000, "Drama"),
        movie(2, 2000, "Comedy"),
        movie(3, 1950, "Comedy"),
        movie(4, 2000, "Comedy"),
    )
)
COUNTS = np.array([9, 9, 9, 0])
TEXTS = ["a ship at sea", "two friends", "a dog", "two friends"]


def nearest(new: Movie, words: str = "", **change: float) -> list[int]:
    similarity = Similarity(neighbours=3, **change)  # type: ignore[arg-type]
    found = ContentIndex(RATED, TEXTS, COUNTS, similarity).find([new], [words])
    assert found.weights.sum() == pytest.approx(1.0)
    assert (np.diff(found.weights[0]) <= 0).all()
    return [RATED[row].id for row in found.rows[0].tolist()]


def test_nearest_movie_has_the_genre_the_year_or_the_words() -> None:
    assert nearest(movie(9, 2000, "Comedy"), text=0.0)[0] == 2
    assert nearest(movie(9, 1950, "Comedy"), text=0.0)[0] == 3
    assert nearest(movie(9, None), "The SHIP", genres=0.0)[0] == 1


def test_movie_without_ratings_is_no_neighbour() -> None:
    assert 4 not in nearest(movie(9, 2000, "Comedy"), "two friends")


def test_movie_without_any_content_gets_the_mean_of_the_rated_ones() -> None:
    found = ContentIndex(RATED, TEXTS, COUNTS).find([movie(9, None)], [""])
    assert sorted(found.rows[0].tolist()) == [0, 1, 2]
    assert found.weights[0] == pytest.approx([1 / 3] * 3)


def test_neighbours_do_not_depend_on_the_other_new_movies() -> None:
    movies = [movie(id_, 1950 + id_, "Comedy") for id_ in range(40)]
    texts = ["a ship", "two dogs"] * 20
    index = ContentIndex(RATED, TEXTS, COUNTS)
    index.find(movies, texts)
    changed = [*texts[:7], "two friends at sea", *texts[8:]]
    found = index.find(movies[::-1], changed[::-1])
    for place in (0, 7, 32, 39):
        alone = ContentIndex(RATED, TEXTS, COUNTS).find([movies[place]], [changed[place]])
        assert found.rows[39 - place].tolist() == alone.rows[0].tolist()
        assert found.weights[39 - place].tolist() == alone.weights[0].tolist()


def test_only_movies_that_changed_are_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    index = ContentIndex(RATED, TEXTS, COUNTS)
    movies = [movie(id_, 1990, "Comedy") for id_ in range(5)]
    index.find(movies, ["a", "b", "c", "d", "e"])
    compared: list[str] = []
    find_one = index._find_one

    def record(new: Movie, text: str) -> tuple[Ints, Floats]:
        compared.append(text)
        return find_one(new, text)

    monkeypatch.setattr(index, "_find_one", record)
    index.find(movies, ["a", "b", "x", "d", "e"])
    index.find(movies[1:4], ["b", "x", "d"])
    assert compared == ["x"]
    # A movie that was deleted is not kept.
    index.find(movies[:1], ["a"])
    assert compared == ["x", "a"]


def test_genre_that_no_rated_movie_has_does_not_count() -> None:
    plain = ContentIndex(RATED, TEXTS, COUNTS).find([movie(9, 2000, "Comedy")], [""])
    other = ContentIndex(RATED, TEXTS, COUNTS).find([movie(9, 2000, "Comedy", "Space")], [""])
    assert plain.weights.tolist() == other.weights.tolist()


def test_cosine_of_years_is_that_of_their_bumps() -> None:
    years = [1900, 1950, 1953, 1990, 2000, None]
    movies = Catalogue(tuple(movie(id_, year) for id_, year in enumerate(years)))
    vectors = year_vectors(movies)
    numbers = np.array([-1 if year is None else year for year in years])
    # The first and the last year have half a bump in the vectors.
    for place in (1, 2, 3):
        bumps = vectors @ vectors[place]
        assert year_cosines(numbers, years[place])[1:4] == pytest.approx(bumps[1:4], abs=1e-6)
    assert year_cosines(numbers, 1950)[-1] == 0
    assert not year_cosines(numbers, None).any()
