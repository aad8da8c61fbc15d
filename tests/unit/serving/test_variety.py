"""Re-ranking for variety."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Ints
from moovier.serving.variety import Variety, VarietyIndex, series_key

TITLES = (
    ("Alien", 1979, ("Horror", "Sci-Fi")),
    ("Alien: Resurrection", 1997, ("Horror", "Sci-Fi")),
    ("Toy Story", 1995, ("Animation", "Comedy")),
    ("Toy Story 2", 1999, ("Animation", "Comedy")),
    ("Toy Story 3", 2010, ("Animation", "Comedy")),
    ("Casablanca", 1942, ("Drama", "Romance")),
    ("Untitled", None, ()),
)
COUNTS = np.array([90, 20, 100, 80, 60, 70, 1])


def index() -> VarietyIndex:
    catalogue = Catalogue.of(
        Movie(id_, title, year, genres, None, None)
        for id_, (title, year, genres) in enumerate(TITLES, start=1)
    )
    return VarietyIndex(catalogue, COUNTS)


def by_score(scores: np.ndarray) -> Ints:
    return np.argsort(-scores, kind="stable")


SCORES = np.array([5.0, 4.8, 4.6, 4.5, 4.4, 4.0, 1.0], dtype=np.float32)


def names(rows: Ints) -> list[str]:
    return [TITLES[row][0] for row in rows.tolist()]


def test_no_variety_keeps_the_order() -> None:
    rows = index().rerank(SCORES, by_score(SCORES), Variety(), 3)
    assert names(rows) == ["Alien", "Alien: Resurrection", "Toy Story"]


def test_diversity_puts_other_genres_before_more_of_the_same() -> None:
    rows = index().rerank(SCORES, by_score(SCORES), Variety(diversity=0.5), 3)
    assert names(rows) == ["Alien", "Toy Story", "Casablanca"]


def test_novelty_prefers_movies_with_few_ratings() -> None:
    rows = index().rerank(SCORES, by_score(SCORES), Variety(novelty=0.3), 2)
    assert names(rows)[0] == "Alien: Resurrection"
    only = index().rerank(SCORES, by_score(SCORES), Variety(novelty=1.0), 7)
    assert COUNTS[only].tolist() == sorted(COUNTS.tolist())


def test_series_limit_leaves_one_movie_of_each_series() -> None:
    rows = index().rerank(SCORES, by_score(SCORES), Variety(max_per_series=1), 4)
    assert names(rows) == ["Alien", "Toy Story", "Casablanca", "Untitled"]


def test_series_limit_is_exceeded_rather_than_leaving_the_page_short() -> None:
    rows = index().rerank(SCORES, by_score(SCORES), Variety(max_per_series=1), 6)
    assert names(rows)[:4] == ["Alien", "Toy Story", "Casablanca", "Untitled"]
    assert names(rows)[4:] == ["Alien: Resurrection", "Toy Story 2"]


@settings(max_examples=200, deadline=None)
@given(
    scores=st.lists(st.floats(-50, 50, width=32), min_size=7, max_size=7),
    variety=st.builds(Variety, st.floats(0, 1), st.floats(0, 1), st.none() | st.integers(1, 3)),
    top_k=st.integers(1, 9),
)
def test_rerank_returns_different_candidates(
    scores: list[float], variety: Variety, top_k: int
) -> None:
    values = np.array(scores, dtype=np.float32)
    rows = index().rerank(values, by_score(values), variety, top_k)
    assert rows.size == min(top_k, 7)
    assert len(set(rows.tolist())) == rows.size


def test_no_candidates_give_an_empty_list() -> None:
    assert index().rerank(SCORES, np.zeros(0, np.int64), Variety(diversity=1), 5).size == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Toy Story", "Toy Story 2"),
        ("Godfather, The", "Godfather: Part II, The"),
        ("Star Wars: Episode IV - A New Hope", "Star Wars: Episode V - The Empire Strikes Back"),
        (
            "Harry Potter and the Goblet of Fire",
            "Harry Potter and the Sorcerer's Stone (a.k.a. Philosopher's Stone)",
        ),
        ("Rocky", "Rocky III"),
        ("Kill Bill: Vol. 1", "Kill Bill: Vol. 2"),
        ("Back to the Future", "Back to the Future Part II"),
        ("Friday the 13th", "Friday the 13th Part VI: Jason Lives"),
    ],
)
def test_titles_of_one_series_share_a_key(first: str, second: str) -> None:
    assert series_key(first) == series_key(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("Seven", "Se7en"), ("10", "21"), ("Heat", "Heathers"), ("Big", "Big Fish"), ("1917", "300")],
)
def test_titles_of_different_movies_have_different_keys(first: str, second: str) -> None:
    assert series_key(first) != series_key(second)
