from __future__ import annotations

import gc

import pytest

from moovier.data import compact_movies
from moovier.data.array_files import pack_catalogue, unpack_catalogue
from moovier.data.catalogue import Catalogue, Movie
from moovier.data.compact_movies import CompactMovies

MOVIES = (
    Movie(1, "Toy Story", 1995, ("Animation", "Comedy"), "tt0114709", 862),
    Movie(2, "", None, (), None, None),
    Movie(3, "Amélie 天", 2001, ("Comedy",), "tt0211915", 194),
    Movie(2**53 - 1, "Heat", 0, ("Animation", "Comedy"), None, 0),
)


def test_movies_come_back_as_they_were() -> None:
    movies = CompactMovies(MOVIES)
    assert tuple(movies) == MOVIES
    assert [movies[row] for row in range(-4, 4)] == [*MOVIES, *MOVIES]
    assert movies[1:3] == MOVIES[1:3]
    assert movies == MOVIES
    assert movies == CompactMovies(MOVIES)
    assert movies != MOVIES[:3]
    assert hash(movies) == hash(CompactMovies(MOVIES))
    assert repr(movies) == repr(MOVIES)
    with pytest.raises(IndexError):
        movies[4]


def test_a_movie_is_made_once_and_iterating_keeps_none() -> None:
    movies = CompactMovies(MOVIES)
    first = movies[0]
    for movie in movies:
        assert movie.id
    del movie
    gc.collect()
    assert movies[0] is first
    assert [movie is not None for movie in movies._made] == [True, False, False, False]


def test_a_large_catalogue_is_read_into_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    content = pack_catalogue(Catalogue(MOVIES))
    assert isinstance(unpack_catalogue(content).movies, tuple)
    monkeypatch.setattr(compact_movies, "LARGE", 4)
    catalogue = unpack_catalogue(content)
    assert isinstance(catalogue.movies, CompactMovies)
    assert catalogue == Catalogue(MOVIES)
    assert pack_catalogue(catalogue) == content


def test_numbers_beyond_64_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="int"):
        CompactMovies([Movie(2**64, "Heat", None, (), None, None)])
