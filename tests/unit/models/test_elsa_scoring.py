"""ELSA's scorer against a naive computation of x (A A' - I)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.data.ratings import Histories, History
from moovier.data.split import PAUSE_S
from moovier.models.elsa_scoring import ElsaScorer
from tests.contracts import toy

N_MOVIES = 8
COVERED = np.array([1, 2, 4, 5, 7])
COUNTS = np.array([3, 9, 5, 1, 8, 7, 6, 2])


def arrays() -> dict[str, NDArray[Any]]:
    """Return vectors of movies 1, 2, 4, 5 and 7 of eight, and the asking parameters."""
    vectors = np.random.default_rng(4).normal(size=(COVERED.size, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {
        "vectors": vectors.astype(np.float32),
        "covered": COVERED,
        "counts": COUNTS,
        "asking": np.array([2.0, 3.0]),
    }


def history() -> History:
    """Return four ratings, of which movie 3 has no vector; the last one is of a later visit."""
    return History(
        np.array([7, 2, 3, 5]),
        np.array([5.0, 2.5, 4.0, 4.0], np.float32),
        np.array([0, 60, 90, 9 * PAUSE_S]),
    )


def naive_scores() -> NDArray[np.float64]:
    """Return the scores of the covered movies for :func:`history`, by loops."""
    vectors = arrays()["vectors"].astype(float)
    # Stars to the power 2; the last visit has one rating, so the first visit halves by 2^(-1/3).
    rated = {7: 1.0 * 0.5 ** (1 / 3), 2: 0.25 * 0.5 ** (1 / 3), 5: 0.64}
    scores = np.zeros(COVERED.size)
    for place, movie in enumerate(COVERED.tolist()):
        for other, weight in rated.items():
            cosine = float(vectors[place] @ vectors[COVERED.tolist().index(other)])
            scores[place] += weight * (cosine - (movie == other))
    return scores


def test_scores_equal_a_naive_computation() -> None:
    scores = ElsaScorer(arrays()).fold_in(history())
    np.testing.assert_allclose(scores[COVERED], naive_scores(), rtol=1e-4, atol=1e-6)


def test_scores_of_several_histories_equal_a_naive_computation() -> None:
    one = history()
    histories = Histories(
        np.array([0, 4, 4, 8]),
        np.tile(one.movies, 2).astype(np.int32),
        np.tile(one.stars, 2),
        np.tile(one.timestamps, 2),
        N_MOVIES,
    )
    scores = ElsaScorer(arrays()).fold_in_covered(histories)
    expected = [naive_scores(), np.zeros(COVERED.size), naive_scores()]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


def test_a_rated_movie_does_not_predict_itself() -> None:
    scorer = ElsaScorer(arrays())
    for movie in COVERED.tolist():
        assert scorer.fold_in(toy.history(movie))[movie] == pytest.approx(0.0, abs=1e-6)
        parts = scorer.explain(toy.history(1, 2, 5), np.array([1, 2, 5]))
        np.testing.assert_allclose(np.diag(parts), 0.0, atol=1e-6)


def test_explanations_are_the_terms_of_the_score() -> None:
    scorer = ElsaScorer(arrays())
    movies = np.array([4, 0, 2, 7])
    parts = scorer.explain(history(), movies)
    scores = scorer.fold_in(history())
    np.testing.assert_allclose(parts[[0, 2, 3]].sum(axis=1), scores[[4, 2, 7]], atol=1e-5)
    # Movie 0 has no vector, and neither has movie 3, the third rating.
    assert not parts[1].any()
    assert not parts[:, 2].any()
    assert parts[0, [0, 1, 3]].all()


def test_movies_without_a_vector_rank_behind_by_popularity() -> None:
    scores = ElsaScorer(arrays()).fold_in(history())
    outside = np.setdiff1d(np.arange(N_MOVIES), COVERED)
    assert scores[outside].max() < scores[COVERED].min()
    by_count = outside[np.argsort(-COUNTS[outside], kind="stable")]
    assert (np.diff(scores[by_count]) < 0).all()


@pytest.mark.parametrize("rated", [(), (3,)], ids=["empty", "no vector"])
def test_a_history_without_vectors_gets_popular_movies(rated: tuple[int, ...]) -> None:
    scores = ElsaScorer(arrays()).fold_in(toy.history(*rated))
    assert np.argsort(-scores).tolist() == np.argsort(-COUNTS).tolist()


def test_another_number_of_vectors_is_an_error() -> None:
    with pytest.raises(ValueError, match="5 vectors, but 2 covered movies"):
        ElsaScorer(arrays() | {"covered": np.array([2, 4])})
