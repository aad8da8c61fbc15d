"""Movies of other services are found in the catalogue; unsure matches are left to the person."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.rating_files import Entry
from moovier.serving.title_matching import SURE, TitleMatcher
from tests.unit.serving.title_variations import VARIATIONS, varied_titles

#: The test set: titles, and the seed that draws them.
TITLES, SEED = 500, 7
MOVIES: tuple[tuple[str, int | None, str | None, int | None, int], ...] = (
    # Title, year, IMDb id, TMDB id, ratings.
    ("Heat", 1995, "tt0113277", 949, 50),
    ("Matrix, The", 1999, "tt0133093", 603, 90),
    ("War of the Worlds", 2005, "tt0407304", 74, 40),
    ("War of the Worlds", 2005, None, None, 5),
    ("Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb", 1964, None, None, 30),
    ("City of God (Cidade de Deus)", 2002, None, None, 20),
    ("Her", 2013, None, None, 20),
    ("Hercules", 2013, None, None, 10),
    ("Sweeney Todd", 2006, None, None, 3),
    ("Sweeney Todd: The Demon Barber of Fleet Street", 2007, None, None, 30),
    ("Nameless", None, None, None, 1),
)
CATALOGUE = Catalogue.of(
    Movie(i, title, year, (), imdb_id, tmdb_id)
    for i, (title, year, imdb_id, tmdb_id, _) in enumerate(MOVIES, start=1)
)
MATCHER = TitleMatcher(CATALOGUE, np.array([movie[4] for movie in MOVIES]))


def matched(
    title: str, year: int | None = None, imdb_id: str | None = None, tmdb_id: int | None = None
) -> tuple[str | None, float]:
    """Return the title of the match and its confidence."""
    match = MATCHER.match(Entry(1, title, year, 4.0, None, imdb_id, tmdb_id))
    return None if match.row is None else MOVIES[match.row][0], match.confidence


def test_id_decides_whatever_the_title() -> None:
    assert matched("Fuego contra fuego", 1995, "tt0113277") == ("Heat", 1.0)
    assert matched("Fuego contra fuego", 1995, None, 949) == ("Heat", 1.0)
    entry = Entry(1, "", None, 4.0, movielens_id=2)
    assert MATCHER.match(entry).row == 1


def test_id_that_the_catalogue_lacks_needs_the_same_title_and_year() -> None:
    assert matched("Her", 2013, "tt1798709")[1] >= SURE
    assert matched("Her", 2014, "tt9999999")[1] < SURE


@pytest.mark.parametrize(
    ("title", "year", "expected"),
    [
        ("The Matrix", 1999, "Matrix, The"),
        ("Matrix", 2000, "Matrix, The"),
        ("Cidade de Deus", 2002, "City of God (Cidade de Deus)"),
        ("Dr. Strangelove", 1964, MOVIES[4][0]),
        ("Hraet", 1995, None),
        ("Matrxi", 1999, "Matrix, The"),
        ("Heat", None, "Heat"),
        ("Nameless", 2001, "Nameless"),
    ],
)
def test_title_and_year_decide_without_an_id(
    title: str, year: int | None, expected: str | None
) -> None:
    found, confidence = matched(title, year)
    assert (found if confidence >= SURE else None) == expected


@pytest.mark.parametrize(
    ("title", "year"),
    [
        # Another movie of the same name, two that fit, and a title that only begins alike.
        ("Heat", 1972),
        ("War of the Worlds", 2005),
        ("Sweeney Todd", 2007),
        ("Herc", 2013),
        ("Nothing Like It", 1995),
    ],
)
def test_doubtful_titles_are_not_imported_by_themselves(title: str, year: int) -> None:
    assert matched(title, year)[1] < SURE


def test_other_movies_are_suggested() -> None:
    match = MATCHER.match(Entry(1, "War of the Worlds", 2005, 4.0))
    assert (match.row, match.others) == (2, (3,))


def shares(data: Path) -> tuple[Counter[str], Counter[str]]:
    """Return the numbers of right, wrong and unsure matches, and of sure ones of removed movies."""
    _, ratings, catalogue = to_arrays(read_movielens(data))
    popularity = np.bincount(ratings.movies, minlength=len(catalogue))
    matcher = TitleMatcher(catalogue, popularity)
    kept = np.arange(len(catalogue)) % 10 != 0
    without = TitleMatcher(
        Catalogue(tuple(movie for movie, keep in zip(catalogue, kept, strict=True) if keep)),
        popularity[kept],
    )
    results: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    for _, entry, row in varied_titles(catalogue, TITLES, SEED):
        match = matcher.match(entry)
        is_right = match.row == row
        results["unsure" if not match.is_sure else "right" if is_right else "wrong"] += 1
        if not kept[row]:
            removed["sure" if without.match(entry).is_sure else "unsure"] += 1
    return results, removed


def check(data: Path) -> None:
    results, removed = shares(data)
    assert results.total() == TITLES
    assert results["right"] >= 0.98 * TITLES, results
    assert results["wrong"] <= 0.005 * TITLES, results
    # A movie that the catalogue lacks must not become another one.
    assert removed["sure"] <= 0.05 * removed.total(), removed


def test_varied_titles_of_the_sample_are_found(sample_data: Path) -> None:
    assert len(VARIATIONS) == 9
    check(sample_data)


@pytest.mark.real_data
def test_varied_titles_of_movielens_are_found(real_data: Path) -> None:
    check(real_data)
