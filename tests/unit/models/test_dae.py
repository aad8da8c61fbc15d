"""The denoising autoencoder: scores, explanations, training examples, fine-tuning."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import History, Ratings
from moovier.data.split import PAUSE_S
from moovier.models.dae import DaeFamily
from moovier.models.dae_examples import LIKED, Examples
from moovier.models.dae_scoring import DaeParams, DaeScorer
from moovier.models.family import FineTuneRequest, FitContext, FitResult
from tests.contracts import toy

DAY = 86_400
PARAMS = DaeParams(
    size=6, least=1, dropout=0.2, lambda_=2.0, batch_size=16, learning_rate=0.02, epochs=6
)


@cache
def fitted() -> FitResult:
    return DaeFamily().fit(toy.ratings(), PARAMS, FitContext(toy.catalogue(), seed=1, epochs=6))


def scorer() -> DaeScorer:
    return DaeScorer(fitted().arrays)


def history(movies: list[int], stars: list[float], moments: list[int] | None = None) -> History:
    return History(
        np.array(movies, dtype=np.int64),
        np.array(stars, dtype=np.float32),
        np.array(moments or [5] * len(movies), dtype=np.int64),
    )


HISTORIES = [
    history([3], [0.5]),
    history([0, 9, 4], [5.0, 1.0, 3.5]),
    history([12, 1, 8, 2], [4.5, 2.0, 5.0, 3.0], [0, 60, 9 * DAY, 400 * DAY]),
]


@pytest.mark.parametrize("rated", HISTORIES)
def test_numpy_and_keras_give_the_same_scores(rated: History) -> None:
    covered = fitted().arrays["covered"]
    stars, weights = np.zeros((2, 1, toy.N_MOVIES), dtype=np.float32)
    stars[0, rated.movies] = rated.stars
    weights[0, rated.movies] = PARAMS.recency.weights(rated.timestamps)
    logits = fitted().keras_model.predict_on_batch([stars[:, covered], weights[:, covered]])
    scores = scorer().fold_in(rated)[covered]
    np.testing.assert_allclose(scores, np.asarray(logits)[0], rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("rated", HISTORIES[1:])
def test_explanations_are_leave_one_out_differences(rated: History) -> None:
    covered = fitted().arrays["covered"]
    parts = scorer().explain(rated, covered)
    scores = scorer().fold_in(rated)[covered]
    # Without an older rating, the ages of the other ratings would change.
    newest = np.flatnonzero(rated.timestamps == rated.timestamps.max())
    for place in newest if newest.size > 1 else []:
        rest = np.arange(len(rated)) != place
        without = History(rated.movies[rest], rated.stars[rest], rated.timestamps[rest])
        expected = scores - scorer().fold_in(without)[covered]
        np.testing.assert_allclose(parts[:, place], expected, rtol=1e-3, atol=1e-3)
    assert parts.shape == (covered.size, len(rated))
    assert np.isfinite(parts).all()
    assert parts.any()


def test_any_order_of_a_history_gives_the_same_bytes() -> None:
    random = np.random.default_rng(0)
    rated = history([12, 1, 8, 2, 5], [4.5, 2.0, 5.0, 3.0, 4.0])
    expected = scorer().fold_in(rated).tobytes()
    for _ in range(20):
        order = random.permutation(len(rated))
        shuffled = History(rated.movies[order], rated.stars[order], rated.timestamps[order])
        assert scorer().fold_in(shuffled).tobytes() == expected


def test_movies_outside_the_model_rank_behind_by_popularity() -> None:
    params = PARAMS.model_copy(update={"least": 6})
    context = FitContext(toy.catalogue(), seed=1, epochs=1)
    arrays = DaeFamily().fit(toy.ratings(), params, context).arrays
    rest = np.setdiff1d(np.arange(toy.N_MOVIES), arrays["covered"])
    assert rest.size > 1
    scores = DaeScorer(arrays).fold_in(toy.history(0, 1))
    assert scores[rest].max() < scores[arrays["covered"]].min()
    by_count = rest[np.argsort(-arrays["counts"][rest], kind="stable")]
    assert (np.diff(scores[by_count]) <= 0).all()


def random_ratings(seed: int, n_users: int = 9, n_movies: int = 40) -> Ratings:
    """Return users with 3 to 30 ratings in visits days apart."""
    random = np.random.default_rng(seed)
    rows: list[tuple[int, int, float, int]] = []
    for user in range(n_users):
        movies = random.permutation(n_movies)[: random.integers(3, 31)]
        moments = np.cumsum(random.choice([60, 3600, 3 * DAY], movies.size, p=[0.5, 0.3, 0.2]))
        stars = random.integers(1, 11, movies.size) / 2
        rows += zip(
            [user] * movies.size, movies.tolist(), stars.tolist(), moments.tolist(), strict=True
        )
    users, movies_, stars_, moments_ = (np.array(column) for column in zip(*rows, strict=True))
    return Ratings(users, movies_, stars_.astype(np.float32), moments_, n_users, n_movies)


@pytest.mark.parametrize("compiled", [None, "built"])
def test_many_histories_score_like_each(compiled: Any) -> None:
    """Histories with visits, with movies outside the model, and without a covered movie."""
    n_movies = 40
    ratings = random_ratings(4, n_users=30, n_movies=n_movies)
    params = PARAMS.model_copy(update={"least": 12, "age_days": 20.0, "age_ratings": 9.0})
    catalogue = Catalogue.of(
        Movie(i, f"Movie {i}", 1995, (("Drama", "War")[i % 2],), None, None)
        for i in range(n_movies)
    )
    arrays = DaeFamily().fit(ratings, params, FitContext(catalogue, seed=1, epochs=1)).arrays
    scorer = DaeScorer(arrays, compiled)
    assert 5 < scorer.covered.size < n_movies - 5
    histories = ratings.histories
    scores = scorer.fold_in_covered(histories)
    for user in range(histories.n_users):
        each = scorer.fold_in(histories[user])[scorer.covered]
        np.testing.assert_allclose(scores[user], each, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_examples_have_the_rest_of_a_history_as_targets(seed: int) -> None:
    ratings = random_ratings(seed)
    covered = np.arange(ratings.n_movies)
    params = PARAMS.model_copy(update={"visit_share": 0.0, "unliked_weight": 0.5})
    batch = Examples(ratings.histories, covered, params, seed).draw(64)
    histories = {
        frozenset(ratings.histories[user].movies.tolist()): ratings.histories[user]
        for user in range(ratings.n_users)
    }
    for row in range(64):
        inputs = set(batch.places[batch.rows == row].tolist())
        targets = set(np.flatnonzero(batch.targets[row]).tolist())
        assert inputs
        assert not inputs & targets
        example = histories[frozenset(inputs | targets)]
        stars = dict(zip(example.movies.tolist(), example.stars.tolist(), strict=True))
        assert len(targets) >= 5
        gains = np.array([1.0 if stars[movie] >= LIKED else 0.5 for movie in sorted(targets)])
        np.testing.assert_allclose(
            batch.targets[row][sorted(targets)], gains / gains.sum(), rtol=1e-5
        )
    np.testing.assert_array_equal(batch.weights, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_visit_examples_are_cut_at_pauses(seed: int) -> None:
    ratings = random_ratings(seed, n_users=30)
    covered = np.arange(ratings.n_movies)
    params = PARAMS.model_copy(update={"visit_share": 0.5})
    batch = Examples(ratings.histories, covered, params, seed).draw(64)
    histories = [ratings.histories[user] for user in range(30)]
    for row in range(32, 64):
        inputs = set(batch.places[batch.rows == row].tolist())
        targets = set(np.flatnonzero(batch.targets[row]).tolist())
        example = next(h for h in histories if set(h.movies.tolist()) == inputs | targets)
        cut = len(inputs)
        assert cut >= 10
        assert set(example.movies[:cut].tolist()) == inputs
        assert example.timestamps[cut] - example.timestamps[cut - 1] >= PAUSE_S


def test_draws_repeat_with_the_seed_and_differ_from_each_other() -> None:
    ratings = random_ratings(1)
    covered = np.arange(ratings.n_movies)

    def draws(seed: int) -> list[Any]:
        examples = Examples(ratings.histories, covered, PARAMS, seed)
        return [examples.draw(16).targets for _ in range(2)]

    first, again, other = draws(1), draws(1), draws(2)
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def fine_tuned(split: float, patience: int) -> FitResult:
    import keras

    parent = fitted()
    model = keras.models.clone_model(parent.keras_model)
    model.set_weights(parent.keras_model.get_weights())
    rows = [(toy.N_USERS, movie, 5.0, 99_000 + movie) for movie in (8, 9, 10, 11, 12)]
    known = toy.ratings()
    old = np.column_stack([known.users, known.movies, known.stars, known.timestamps]).tolist()
    return DaeFamily().fine_tune(
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


def test_fine_tuning_without_validation_stops_by_the_training_loss() -> None:
    result = fine_tuned(0.0, 1)
    assert "val_loss" not in result.curves
    assert result.epochs == int(np.argmin(result.curves["loss"])) + 1


def test_fine_tuning_changes_the_autoencoder_only() -> None:
    parent, child = fitted().arrays, fine_tuned(0.0, 3).arrays
    for name in ("encode_rated", "decode", "decode_bias"):
        assert not np.array_equal(parent[name], child[name]), name
    for name in ("neighbours", "genres", "covered", "serving"):
        np.testing.assert_array_equal(parent[name], child[name])


def test_disliked_movies_lower_similar_movies() -> None:
    liked = scorer().fold_in(toy.history(0, 1, 2))
    disliked = scorer().fold_in(history([0, 1, 2], [0.5, 0.5, 0.5]))
    same, other = slice(3, 8), slice(8, 16)
    assert (disliked[same].mean() - disliked[other].mean()) < (
        liked[same].mean() - liked[other].mean()
    )


def with_recent_likes() -> Ratings:
    """Return ratings in which movie 3 is liked last, and movie 5 as often but long before."""
    users = np.repeat(np.arange(12), 6)
    movies = np.tile([3, 5, 7, 9, 11, 13], 12)
    moments = np.where(movies == 3, 1000 * DAY, np.where(movies == 5, 10 * DAY, 500 * DAY))
    return Ratings(users, movies, np.full(users.size, 5.0, np.float32), moments, 12, toy.N_MOVIES)


def fitted_to_recent_likes(**changes: Any) -> FitResult:
    params = PARAMS.model_copy(update=changes)
    return DaeFamily().fit(with_recent_likes(), params, FitContext(toy.catalogue(), 1, epochs=1))


def test_recently_liked_movies_gain_points_for_everybody() -> None:
    plain = fitted_to_recent_likes().arrays
    trending = fitted_to_recent_likes(popular_days=30, popular_weight=0.5).arrays
    gain = dict(
        zip(
            plain["covered"].tolist(),
            (trending["decode_bias"] - plain["decode_bias"]).tolist(),
            strict=True,
        )
    )
    # 12 of 12 likes of the last 30 days against the 2 expected of a sixth of all likes.
    assert gain[3] == pytest.approx(0.5 * np.log(13 / 3), rel=1e-3)
    assert gain[5] == gain[7] == pytest.approx(0.5 * np.log(1 / 3), rel=1e-3)


def test_the_keras_model_has_the_points_of_recently_liked_movies() -> None:
    result = fitted_to_recent_likes(popular_days=30, popular_weight=0.5)
    covered = result.arrays["covered"]
    stars = np.zeros((1, covered.size), dtype=np.float32)
    stars[0, 2] = 4.0
    logits = result.keras_model.predict_on_batch([stars, (stars > 0).astype(np.float32)])
    scores = DaeScorer(result.arrays).fold_in(history([int(covered[2])], [4.0]))[covered]
    np.testing.assert_allclose(scores, np.asarray(logits)[0], rtol=1e-3, atol=2e-3)
