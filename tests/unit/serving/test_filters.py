"""Filters by genre and year."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.data.catalogue import NO_GENRE, Catalogue, Movie
from moovier.errors import BadRequest
from moovier.serving.filters import Filter, FilterIndex

ROWS = (
    ("Toy Story", 1995, ("Adventure", "Comedy")),
    ("Heat", 1995, ("Action", "Crime")),
    ("Solaris", 1972, ("Drama", "Sci-Fi")),
    ("Babylon 5", None, ("Sci-Fi",)),
    ("Lost Tape", None, (NO_GENRE,)),
    ("Alien", 1979, ("Sci-Fi", "Horror")),
)
CATALOGUE = Catalogue.of(
    Movie(10 * i, title, year, genres, None, None)
    for i, (title, year, genres) in enumerate(ROWS, start=1)
)
INDEX = FilterIndex(CATALOGUE)


def titles(movie_filter: Filter) -> list[str]:
    return [
        movie.title for movie, ok in zip(CATALOGUE, INDEX.mask(movie_filter), strict=True) if ok
    ]


def test_any_of_the_genres_passes_in_any_case() -> None:
    assert titles(Filter(("sci-fi",))) == ["Solaris", "Babylon 5", "Alien"]
    assert titles(Filter(("HORROR", "Comedy"))) == ["Toy Story", "Alien"]


def test_years_are_inclusive_and_unknown_years_never_pass() -> None:
    assert titles(Filter(year_from=1979, year_to=1995)) == ["Toy Story", "Heat", "Alien"]
    assert titles(Filter(year_from=1995)) == ["Toy Story", "Heat"]
    assert titles(Filter(year_to=1972)) == ["Solaris"]
    assert titles(Filter(year_from=1980, year_to=1980)) == []


def test_genre_and_year_must_both_match() -> None:
    assert titles(Filter(("Sci-Fi",), 1975, None)) == ["Alien"]


def test_empty_filter_passes_all_movies() -> None:
    assert Filter().is_empty
    assert len(titles(Filter())) == len(ROWS)
    for movie_filter in (Filter(("Drama",)), Filter(year_from=1), Filter(year_to=1)):
        assert not movie_filter.is_empty


def test_unknown_genre_error_lists_the_genres() -> None:
    for name in ("Sci-Fy", NO_GENRE, ""):
        with pytest.raises(BadRequest, match="unknown genre") as caught:
            INDEX.mask(Filter(("Drama", name)))
        genres = "Action, Adventure, Comedy, Crime, Drama, Horror, Sci-Fi"
        assert str(caught.value).endswith(genres)
    with pytest.raises(BadRequest) as caught:
        INDEX.mask(Filter(("x" * 10_000,)))
    assert len(str(caught.value)) < 300


def test_year_from_after_year_to_is_refused() -> None:
    with pytest.raises(BadRequest, match="year_from 1996 is after year_to 1995"):
        INDEX.mask(Filter(year_from=1996, year_to=1995))


YEARS = st.none() | st.integers(1960, 2000)


@given(
    st.lists(st.sampled_from([*INDEX.genres, "drama", "SCI-FI"]), max_size=3).map(tuple),
    YEARS,
    YEARS,
)
def test_mask_matches_the_definition_of_the_filter(
    genres: tuple[str, ...], year_from: int | None, year_to: int | None
) -> None:
    movie_filter = Filter(genres, year_from, year_to)
    if year_from is not None and year_to is not None and year_from > year_to:
        with pytest.raises(BadRequest):
            INDEX.mask(movie_filter)
        return
    named = {name.casefold() for name in genres}
    expected = [
        (not named or bool(named & {name.casefold() for name in movie.genres}))
        and (year_from is None or (movie.year is not None and movie.year >= year_from))
        and (year_to is None or (movie.year is not None and movie.year <= year_to))
        for movie in CATALOGUE
    ]
    assert INDEX.mask(movie_filter).tolist() == expected
    # A mask is equal when it is computed again after it left the cache.
    for year in range(1, 200):
        INDEX.mask(Filter(year_from=year))
    assert INDEX.mask(movie_filter).tolist() == expected
    assert len(INDEX._cache) <= 128


@pytest.mark.parametrize("name", ["Science Fiction", "science fiction", "SCI-FI"])
def test_genre_has_the_names_of_movielens_and_of_tmdb(name: str) -> None:
    assert titles(Filter((name,))) == ["Solaris", "Babylon 5", "Alien"]


def test_genre_of_the_catalogue_wins_over_the_other_name_of_another_genre() -> None:
    catalogue = Catalogue.of(
        Movie(row, f"Movie {row}", 2000, (genre,), None, None)
        for row, genre in enumerate(("Musical", "Music"), start=1)
    )
    assert FilterIndex(catalogue).mask(Filter(("music",))).tolist() == [False, True]
