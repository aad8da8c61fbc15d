"""The scores of ALS against a dense solution of its equations."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.data.ratings import History
from moovier.models.als_scoring import AlsScorer
from moovier.models.family import Arrays
from tests.contracts import toy

N_MOVIES, SIZE = 9, 3
COVERED = np.array([1, 2, 4, 5, 7])
COUNTS = np.array([2, 9, 7, 1, 6, 5, 3, 8, 0])
ALPHA, REG, STAR_POWER, HALF_LIFE = 6.0, 0.3, 2.0, 3.0
DAY_S = 86_400
Doubles = NDArray[np.float64]


def arrays() -> Arrays:
    factors = np.random.default_rng(4).standard_normal((COVERED.size, SIZE)).astype(np.float32)
    return {
        "factors": factors,
        "gram": factors.T.astype(np.float64) @ factors,
        "covered": COVERED,
        "counts": COUNTS,
        "equation": np.array([ALPHA, REG]),
        "asking": np.array([STAR_POWER, HALF_LIFE]),
    }


def history() -> History:
    """Return three ratings of covered movies in two visits, and one of a movie without a factor."""
    return History(
        np.array([7, 3, 2, 5]),
        np.array([5.0, 4.0, 2.5, 4.0], dtype=np.float32),
        np.array([0, 10, 20, 5 * DAY_S]),
    )


def naive_factor() -> Doubles:
    """Return the user's factor by sums over all covered movies, rated or not."""
    y = np.asarray(arrays()["factors"], dtype=np.float64)
    # Place of the movie: stars, and how often the rating counts: one rating is newer.
    rated = {4: (5.0, 0.5 ** (1 / 3)), 1: (2.5, 0.5 ** (1 / 3)), 3: (4.0, 1.0)}
    left, right = np.zeros((SIZE, SIZE)), np.zeros(SIZE)
    for place, factor in enumerate(y):
        left += np.outer(factor, factor)
        if place in rated:
            stars, times = rated[place]
            strength = ALPHA * (stars / 5.0) ** STAR_POWER
            left += times * strength * np.outer(factor, factor)
            left += times * REG * np.eye(SIZE)
            right += times * (1.0 + strength) * factor
    return np.asarray(np.linalg.solve(left, right))


def test_scores_equal_a_naive_computation() -> None:
    scores = AlsScorer(arrays()).fold_in(history())
    expected = arrays()["factors"] @ naive_factor()
    np.testing.assert_allclose(scores[COVERED], expected, rtol=1e-4, atol=1e-6)


def test_explanations_are_the_terms_of_the_score() -> None:
    scorer = AlsScorer(arrays())
    movies = np.array([4, 0, 2, 7])
    parts = scorer.explain(history(), movies)
    scores = scorer.fold_in(history())
    np.testing.assert_allclose(parts[[0, 2, 3]].sum(axis=1), scores[[4, 2, 7]], atol=1e-5)
    # Movie 0 has no factor, and neither has movie 3, the second rating.
    assert not parts[1].any()
    assert not parts[:, 1].any()
    assert parts[0, [0, 2, 3]].all()


def test_a_rating_of_a_much_earlier_visit_counts_little() -> None:
    def scores(n_later: int, first: int) -> NDArray[np.float32]:
        later = np.array([2, 5, 7])[:n_later]
        rated = History(
            np.array([first, *later]),
            np.full(n_later + 1, 4.0, np.float32),
            np.array([0, *(5 * DAY_S + np.arange(n_later))]),
        )
        short = {**arrays(), "asking": np.array([STAR_POWER, 0.2])}
        return AlsScorer(short).fold_in(rated)

    np.testing.assert_allclose(scores(3, 1), scores(3, 4), atol=0.01)
    assert np.abs(scores(0, 1) - scores(0, 4)).max() > 0.1


def test_movies_without_a_factor_rank_behind_by_popularity() -> None:
    scores = AlsScorer(arrays()).fold_in(history())
    outside = np.setdiff1d(np.arange(N_MOVIES), COVERED)
    assert scores[outside].max() < scores[COVERED].min()
    by_count = outside[np.argsort(-COUNTS[outside], kind="stable")]
    assert (np.diff(scores[by_count]) < 0).all()


@pytest.mark.parametrize("rated", [(), (3,)], ids=["empty", "no factor"])
def test_a_history_without_factors_gets_popular_movies(rated: tuple[int, ...]) -> None:
    scorer = AlsScorer(arrays())
    scores = scorer.fold_in(toy.history(*rated))
    assert np.argsort(-scores).tolist() == np.argsort(-COUNTS).tolist()
    assert not scorer.explain(toy.history(*rated), np.array([1, 2])).any()


def test_another_number_of_factors_is_an_error() -> None:
    with pytest.raises(ValueError, match="but there are 2 covered movies"):
        AlsScorer({**arrays(), "covered": np.array([2, 4])})
