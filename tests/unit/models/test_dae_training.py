"""Training, fine-tuning and the losses of the autoencoder."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Histories, History, Ratings
from moovier.models import dae_training
from moovier.models.dae_examples import Batch
from moovier.models.dae_network import Constants, build
from moovier.models.dae_scoring import DaeParams, DaeScorer
from moovier.models.family import FineTuneRequest, FitContext, FitResult
from tests.contracts import toy
from tests.unit.models.random_arrays import N_COVERED, N_MOVIES, dae_arrays, random_ratings

DAY_S = 86_400
PARAMS = DaeParams(
    size=6, least=1, dropout=0.2, lambda_=2.0, batch_size=16, learning_rate=0.02, epochs=3
)


@cache
def fitted() -> FitResult:
    context = FitContext(toy.catalogue(), seed=1, epochs=3)
    return dae_training.fit(toy.ratings(), PARAMS, context)


def fine_tuned(split: float, patience: int) -> FitResult:
    import keras

    parent = fitted()
    model = keras.models.clone_model(parent.keras_model)
    model.set_weights(parent.keras_model.get_weights())
    rows = [(toy.N_USERS, movie, 5.0, 99_000 + movie) for movie in (8, 9, 10, 11, 12)]
    known = toy.ratings()
    old = np.column_stack([known.users, known.movies, known.stars, known.timestamps]).tolist()
    return dae_training.fine_tune(
        FitResult(parent.arrays, model),
        PARAMS,
        FineTuneRequest(
            catalogue=toy.catalogue(),
            old_n_users=toy.N_USERS,
            batch=toy.ratings_of(rows, toy.N_USERS + 1),
            merged=toy.ratings_of([*old, *rows], toy.N_USERS + 1),
            validation_split=split,
            patience=patience,
            seed=0,
        ),
    )


def test_fine_tuning_stops_by_the_validation_loss() -> None:
    result = fine_tuned(0.4, 2)
    losses = result.curves["val_loss"]
    assert result.epochs == int(np.argmin(losses)) + 1
    assert len(losses) <= result.epochs + 2


def test_fine_tuning_without_validation_changes_the_autoencoder_only() -> None:
    result = fine_tuned(0.0, 1)
    assert "val_loss" not in result.curves
    assert result.epochs == int(np.argmin(result.curves["loss"])) + 1
    parent, child = fitted().arrays, result.arrays
    for name in ("encode_rated", "decode", "decode_bias"):
        assert not np.array_equal(parent[name], child[name]), name
    for name in ("neighbours", "genres", "mean_genres", "covered", "serving"):
        np.testing.assert_array_equal(parent[name], child[name])
    # The counts, which rank the movies outside the model, include the batch.
    np.testing.assert_array_equal(
        child["counts"] - parent["counts"], np.isin(np.arange(toy.N_MOVIES), np.arange(8, 13))
    )


def test_early_stopping_keeps_the_epoch_of_the_best_validation() -> None:
    values = iter([0.1, 0.4, 0.3])
    context = FitContext(toy.catalogue(), seed=1, validation_ndcg=lambda _scorer: next(values))
    result = dae_training.fit(toy.ratings(), PARAMS, context)
    assert result.curves["val_ndcg_at_10"] == [0.1, 0.4, 0.3]
    assert result.epochs == 2


def test_users_with_too_few_ratings_for_examples_leave_popularity_and_neighbours() -> None:
    few = toy.ratings_of([(user, user % 3, 5.0, user) for user in range(9)], 9)
    result = dae_training.fit(few, PARAMS, FitContext(toy.catalogue(), seed=1))
    assert (result.epochs, dict(result.curves)) == (1, {"loss": [0.0]})
    rare = toy.ratings_of([(0, 4, 5.0, 0), (1, 4, 4.0, 0), (2, 9, 5.0, 0), (3, 4, 3.0, 0)], 4)
    arrays = dae_training.fit(rare, PARAMS, FitContext(toy.catalogue(), seed=1)).arrays
    assert arrays["covered"].tolist() == [4, 9]
    # Two of the three raters of movie 4 liked it, at four stars or more.
    np.testing.assert_allclose(arrays["decode_bias"], np.log([2.3, 1.3]) - 5.0, rtol=1e-5)


def with_recent_likes() -> Ratings:
    """Return ratings in which movie 3 is liked last, and movie 5 as often but long before."""
    users = np.repeat(np.arange(12), 6)
    movies = np.tile([3, 5, 7, 9, 11, 13], 12)
    moments = np.where(movies == 3, 1000 * DAY_S, np.where(movies == 5, 10, 500) * DAY_S)
    return Ratings(users, movies, np.full(users.size, 5.0, np.float32), moments, 12, toy.N_MOVIES)


def trend(ratings: Ratings, **changes: Any) -> Any:
    params = PARAMS.model_copy(update={"popular_days": 30, "popular_weight": 0.5, **changes})
    return dae_training._trend(ratings.histories, params)


def test_recently_liked_movies_gain_points() -> None:
    points = trend(with_recent_likes())
    # 12 of 12 likes of the last 30 days against the 2 expected of a sixth of all likes.
    assert points[3] == pytest.approx(0.5 * np.log(13 / 3), rel=1e-5)
    assert points[5] == points[7] == pytest.approx(0.5 * np.log(1 / 3), rel=1e-5)
    assert points[0] == 0.0, "nobody rated it"
    assert points.shape == (toy.N_MOVIES,)


@pytest.mark.parametrize("off", [{"popular_days": 0}, {"popular_weight": 0.0}])
def test_without_a_window_or_a_weight_no_movie_gains_points(off: dict[str, float]) -> None:
    assert not trend(with_recent_likes(), **off).any()


def test_without_ratings_or_likes_no_movie_gains_points() -> None:
    ratings = with_recent_likes()
    assert not trend(ratings.take(np.zeros(len(ratings), np.bool_))).any()
    assert not trend(replace(ratings, stars=np.full(len(ratings), 3.5, np.float32))).any()


def test_the_keras_model_has_the_points_of_recently_liked_movies() -> None:
    params = PARAMS.model_copy(update={"popular_days": 30, "popular_weight": 0.5})
    result = dae_training.fit(with_recent_likes(), params, FitContext(toy.catalogue(), 1, epochs=1))
    covered = result.arrays["covered"]
    gained = result.arrays["decode_bias"] - result.keras_model.get_layer("decode").get_weights()[1]
    np.testing.assert_allclose(gained, trend(with_recent_likes())[covered], atol=1e-5)
    stars = np.zeros((1, covered.size), dtype=np.float32)
    stars[0, 2] = 4.0
    logits = result.keras_model.predict_on_batch([stars, (stars > 0).astype(np.float32)])
    rated = History(covered[2:3], np.array([4.0], np.float32), np.array([5]))
    scores = DaeScorer(result.arrays).fold_in(rated)[covered]
    np.testing.assert_allclose(scores, np.asarray(logits)[0], rtol=1e-3, atol=2e-3)


def test_a_step_returns_the_multinomial_loss_and_lowers_it() -> None:
    random = np.random.default_rng(3)
    arrays = dae_arrays(random)
    constants = Constants(
        covered=arrays["covered"],
        counts=arrays["counts"],
        neighbours=np.zeros((N_COVERED, N_COVERED), np.float32),
        genres=arrays["genres"],
        mean_genres=arrays["mean_genres"],
        trend=np.zeros(N_COVERED, np.float32),
    )
    params = PARAMS.model_copy(
        update={
            "dropout": 0.0,
            "batch_size": 3,
            "neighbours": 0.0,
            "affinity": 0.0,
            "aversion": 0.0,
        }
    )
    model = build(constants, params)
    targets = np.zeros((3, N_COVERED), np.float32)
    # The third example has no covered target, so it does not count.
    targets[0, [2, 9]], targets[1, 4] = 0.5, 1.0
    batch = Batch(
        rows=np.array([0, 0, 1, 2]),
        places=np.array([1, 3, 1, 8]),
        weights=np.array([1.0, 0.5, 1.0, 1.0], np.float32),
        stars=np.array([5.0, 2.0, 0.5, 4.0], np.float32),
        targets=targets,
    )
    stars, weights = np.zeros((2, 3, N_COVERED), np.float32)
    stars[batch.rows, batch.places], weights[batch.rows, batch.places] = batch.stars, batch.weights
    logits = np.asarray(model.predict_on_batch([stars, weights]), dtype=np.float64)
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    step = dae_training._step(model, params, 50)
    losses = [float(step(batch)) for _ in range(20)]
    assert losses[0] == pytest.approx(-(targets * log_shares).sum() / 2, rel=1e-3)
    assert losses[-1] < 0.7 * losses[0]


def held_out_loss(scorer: DaeScorer, known: Histories, validation: Ratings) -> float:
    return dae_training._held_out_loss(scorer, known, validation, scorer.covered)


def test_the_held_out_loss_is_the_mean_over_ratings_of_covered_movies() -> None:
    arrays = dae_arrays(np.random.default_rng(4))
    scorer = DaeScorer(arrays, None)
    known = random_ratings(1, n_users=3, n_movies=N_MOVIES)
    outside = int(np.setdiff1d(np.arange(N_MOVIES), scorer.covered)[0])
    rows = [(2, scorer.covered[0]), (0, scorer.covered[5]), (2, scorer.covered[9]), (0, outside)]
    users, movies = np.array(rows).T
    validation = Ratings(users, movies, np.full(4, 5, np.float32), np.arange(4), 3, N_MOVIES)
    losses = []
    for user, movie in rows[:3]:
        scores = scorer.fold_in(known.histories[user]).astype(np.float64)
        shares = np.exp(scores[scorer.covered] - scores.max())
        losses.append(-np.log(np.exp(scores[movie] - scores.max()) / shares.sum()))
    expected = np.mean(losses)
    assert held_out_loss(scorer, known.histories, validation) == pytest.approx(expected, rel=1e-5)
    nothing = validation.take(np.array([3]))
    assert held_out_loss(scorer, known.histories, nothing) == 0.0
