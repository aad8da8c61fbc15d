"""Reasons are the liked movies with the largest contributions."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.serving.reasons import strongest_reasons


class Explained:
    """A scorer with fixed contributions, (n_movies, length of the history)."""

    n_movies = 10

    def __init__(self, *contributions: list[float]) -> None:
        self._contributions = np.array(contributions, dtype=np.float32)

    def score(self, users: Ints, histories: Histories) -> Floats:
        raise NotImplementedError

    def fold_in(self, history: History) -> Floats:
        raise NotImplementedError

    def explain(self, history: History, movies: Ints) -> Floats:
        return self._contributions[: movies.size]


def reasons(stars: list[float], *contributions: list[float]) -> list[list[int]]:
    n = len(stars)
    history = History(np.arange(n), np.array(stars, dtype=np.float32), np.arange(n))
    return strongest_reasons(Explained(*contributions), history, np.arange(len(contributions)))


def test_at_most_three_reasons_in_descending_order() -> None:
    assert reasons([5, 5, 5, 5, 5], [3, 5, 4, 2, 1], [1, 2, 3, 4, 5]) == [[1, 2, 0], [4, 3, 2]]


def test_contributions_below_a_quarter_of_the_largest_are_left_out() -> None:
    assert reasons([5, 5, 5], [8.0, 2.0, 1.9]) == [[0, 1]]


def test_contribution_that_does_not_raise_the_score_is_no_reason() -> None:
    assert reasons([5, 5], [-1.0, 0.0]) == [[]]


@pytest.mark.parametrize(
    ("stars", "liked"),
    [
        ([3.5, 1, 1, 1, 1], [0]),
        ([3, 1, 1, 1, 1], [0]),
        ([3, 5, 5, 5, 5], [1, 2, 3]),
        ([2.5, 1, 1, 1, 1], []),
        ([3, 3, 3, 3, 3], []),
    ],
)
def test_liked_movies_have_many_stars_or_more_than_the_mean(
    stars: list[float], liked: list[int]
) -> None:
    assert reasons(stars, [9, 8, 7, 6, 5]) == [liked]


def test_no_ratings_give_no_reasons() -> None:
    assert reasons([1], [1.0], [2.0]) == [[], []]
