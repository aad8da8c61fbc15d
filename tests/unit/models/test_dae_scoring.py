"""The scorer of the autoencoder against its definition, computed rating by rating."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.data.ratings import Histories, History
from moovier.models.dae_scoring import DaeParams, DaeScorer
from moovier.models.family import Arrays
from moovier.models.recency import Recency
from tests.unit.models.random_arrays import (
    N_COVERED,
    N_MOVIES,
    dae_arrays,
    random_history,
    random_ratings,
)

DAY_S = 86_400
#: The compiled functions, where they were built, and NumPy.
BOTH: tuple[Literal["built"] | None, ...] = ("built", None)


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return dae_arrays(np.random.default_rng(5))


def covered_history(arrays: Arrays, n: int, seed: int = 0) -> History:
    """Return ratings of ``n`` covered movies, in visits up to a year apart."""
    random = np.random.default_rng(seed)
    movies = random.choice(arrays["covered"], n, replace=False)
    stars = (random.integers(1, 11, n) / 2).astype(np.float32)
    return History(movies, stars, np.sort(random.integers(0, 365 * DAY_S, n)))


def logits_by_definition(
    arrays: Arrays, history: History, weights: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the scores of the covered movies, a sum over the ratings with their weights."""
    star_power, scale, power, affinity, aversion = arrays["serving"][:5]
    place_of = {int(movie): place for place, movie in enumerate(arrays["covered"])}
    rated = [
        (place_of[int(movie)], float(stars), float(weight))
        for movie, stars, weight in zip(history.movies, history.stars, weights, strict=True)
        if int(movie) in place_of
    ]
    length = np.sqrt(sum(weight**2 for _, _, weight in rated))
    encoded = arrays["encode_bias"].astype(float)
    neighbours, liking, likes = np.zeros(N_COVERED), 0.0, 0.0
    for place, stars, weight in rated:
        encoded = encoded + weight / length * arrays["encode_rated"][place]
        encoded = encoded + weight / length * (stars - 3.5) / 1.5 * arrays["encode_stars"][place]
        neighbours += weight * (stars / 5) ** star_power * arrays["neighbours"][place]
        liking = liking + weight * (stars - 3) / 2 * arrays["genres"][place]
        if stars >= 3.5:
            likes = likes + weight * (arrays["genres"][place] - arrays["mean_genres"])
    hidden = np.append(np.tanh(encoded), np.log(max(len(rated), 1)) / 3)
    total = 8.0 + sum(weight for _, _, weight in rated)
    points = affinity * likes / total - aversion * np.maximum(-liking / total, 0.0)
    logits = hidden @ arrays["decode"] + arrays["decode_bias"] + arrays["genres"] @ points
    return np.asarray(logits + scale * len(rated) ** power * neighbours)


@pytest.mark.parametrize("compiled", BOTH)
@pytest.mark.parametrize("n", [1, 2, 9, N_COVERED])
def test_scores_follow_the_definition(
    arrays: Arrays, n: int, compiled: Literal["built"] | None
) -> None:
    history = covered_history(arrays, n)
    weights = Recency(*arrays["serving"][5:].tolist()).weights(history.timestamps)
    expected = logits_by_definition(arrays, history, weights)
    scores = DaeScorer(arrays, compiled).fold_in(history)
    np.testing.assert_allclose(scores[arrays["covered"]], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("compiled", BOTH)
def test_reasons_are_the_scores_with_a_rating_less_the_scores_without_it(
    arrays: Arrays, compiled: Literal["built"] | None
) -> None:
    history = covered_history(arrays, 6)
    weights = Recency(*arrays["serving"][5:].tolist()).weights(history.timestamps)
    everything = logits_by_definition(arrays, history, weights)
    targets = np.array([8, 0, N_COVERED - 1])
    parts = DaeScorer(arrays, compiled).explain(history, arrays["covered"][targets])
    assert parts.shape == (3, 6)
    for rating in range(6):
        rest = np.arange(6) != rating
        without = History(history.movies[rest], history.stars[rest], history.timestamps[rest])
        # The other ratings keep their age, also without the newest one.
        expected = everything - logits_by_definition(arrays, without, weights[rest])
        np.testing.assert_allclose(parts[:, rating], expected[targets], rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("compiled", BOTH)
def test_movies_outside_the_model_give_and_get_no_reasons(
    arrays: Arrays, compiled: Literal["built"] | None
) -> None:
    outside = np.setdiff1d(np.arange(N_MOVIES), arrays["covered"])
    inside = arrays["covered"]
    history = History(
        np.array([inside[3], outside[0], inside[7]]),
        np.array([4.0, 5.0, 1.0], np.float32),
        np.array([0, 5, 9]),
    )
    scorer = DaeScorer(arrays, compiled)
    parts = scorer.explain(history, np.array([inside[1], outside[2]]))
    assert (parts[0] != 0).tolist() == [True, False, True]
    assert parts[1].tolist() == [0.0, 0.0, 0.0]
    assert not scorer.explain(history, outside).any()
    only_outside = History(outside[:2], np.full(2, 5, np.float32), np.arange(2))
    assert scorer.explain(only_outside, inside).tolist() == [[0.0, 0.0]] * N_COVERED


@pytest.mark.parametrize("compiled", BOTH)
def test_visitors_without_a_covered_rating_get_the_popular_movies(
    arrays: Arrays, compiled: Literal["built"] | None
) -> None:
    scorer = DaeScorer(arrays, compiled)
    outside = np.setdiff1d(np.arange(N_MOVIES), arrays["covered"])
    expected = arrays["counts"] / arrays["counts"].max()
    for movies in (outside[:0], outside[:3]):
        n = movies.size
        scores = scorer.fold_in(History(movies, np.full(n, 5, np.float32), np.arange(n)))
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
        # Callers may overwrite what they get.
        scores[:] = -np.inf


@pytest.mark.parametrize("compiled", BOTH)
def test_movies_outside_the_model_rank_behind_by_popularity(
    arrays: Arrays, compiled: Literal["built"] | None
) -> None:
    scores = DaeScorer(arrays, compiled).fold_in(covered_history(arrays, 4))
    rest = np.setdiff1d(np.arange(N_MOVIES), arrays["covered"])
    assert scores[rest].max() < scores[arrays["covered"]].min()
    by_count = rest[np.argsort(-arrays["counts"][rest], kind="stable")]
    assert (np.diff(scores[by_count]) <= 0).all()


def test_any_order_of_a_history_gives_the_same_bytes(arrays: Arrays) -> None:
    random = np.random.default_rng(0)
    history, scorer = covered_history(arrays, 9), DaeScorer(arrays)
    expected = scorer.fold_in(history).tobytes()
    for _ in range(20):
        order = random.permutation(9)
        shuffled = History(history.movies[order], history.stars[order], history.timestamps[order])
        assert scorer.fold_in(shuffled).tobytes() == expected


@pytest.mark.parametrize("compiled", BOTH)
def test_many_histories_score_like_each(arrays: Arrays, compiled: Literal["built"] | None) -> None:
    ratings = random_ratings(4, n_users=30, n_movies=N_MOVIES)
    uncovered = np.setdiff1d(np.arange(N_MOVIES), arrays["covered"])
    # The first user has no covered movie, the second one no rating.
    kept = (ratings.users > 1) | ((ratings.users == 0) & np.isin(ratings.movies, uncovered))
    histories = ratings.take(kept).histories
    scorer = DaeScorer({**arrays, "serving": np.array([2, 1, 0.3, 8, 11, 20, 9, 0.1])}, compiled)
    scores = scorer.fold_in_covered(histories)
    assert scores.shape == (30, N_COVERED)
    assert np.isfinite(scores).all()
    for user in range(2, 30):
        each = scorer.fold_in(histories[user])[scorer.covered]
        np.testing.assert_allclose(scores[user], each, rtol=1e-4, atol=1e-4)


def test_no_histories_give_no_scores(arrays: Arrays) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    none = Histories(np.zeros(1, np.int64), nothing.astype(np.int32), nothing.astype(np.float32),
                     nothing, N_MOVIES)  # fmt: skip
    assert DaeScorer(arrays).fold_in_covered(none).shape == (0, N_COVERED)
    assert DaeScorer(arrays).score(nothing, none).shape == (0, N_MOVIES)


def test_scores_of_known_users_are_those_of_their_histories(arrays: Arrays) -> None:
    scorer, histories = DaeScorer(arrays), random_ratings(1, n_movies=N_MOVIES).histories
    scores = scorer.score(np.array([4, 0, 4]), histories)
    for row, user in enumerate((4, 0, 4)):
        np.testing.assert_array_equal(scores[row], scorer.fold_in(histories[user]))


def test_reasons_are_those_of_the_history_that_they_are_asked_for(arrays: Arrays) -> None:
    """The inputs of the last history are kept; another one must not get its reasons."""
    rng = np.random.default_rng(1)
    first, second = random_history(rng, 8), random_history(rng, 8)
    scorer, movies = DaeScorer(arrays), arrays["covered"][:5]
    expected = DaeScorer(arrays).explain(second, movies)
    scorer.fold_in(first)
    np.testing.assert_array_equal(scorer.explain(second, movies), expected)


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("encode_rated", lambda a: {"encode_rated": a["encode_rated"][1:]}),
        ("decode", lambda a: {"decode": a["decode"][:, 1:]}),
        ("neighbours", lambda a: {"neighbours": a["neighbours"][:, 1:]}),
        ("genres", lambda a: {"genres": a["genres"][1:]}),
        ("covered", lambda a: {"covered": a["covered"][1:]}),
    ],
)
def test_arrays_of_other_models_are_refused(arrays: Arrays, name: str, cut: Any) -> None:
    with pytest.raises(ValueError, match=r"disagree.*37|disagree.*36"):
        DaeScorer({**arrays, **cut(arrays)})


def test_the_recency_has_the_hyper_parameters_of_age() -> None:
    params = DaeParams(age_days=7.0, age_ratings=3.0, age_floor=0.5)
    assert params.recency == Recency(days=7.0, ratings=3.0, floor=0.5)


@pytest.mark.parametrize(
    "wrong", [{"dropout": 1.0}, {"unliked_weight": 1.5}, {"visit_share": -0.1}, {"lambda_": 0.0}]
)
def test_hyper_parameters_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DaeParams.model_validate(wrong)
