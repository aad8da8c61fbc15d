"""ELSA's loss, gradient and step against naive computations over dense matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.data.ratings import Ratings
from moovier.models import elsa_training, training_loop
from moovier.models.elsa import ElsaFamily
from moovier.models.elsa_scoring import ElsaParams, ElsaScorer
from moovier.models.elsa_training import Batch, Batches
from moovier.models.family import FineTuneRequest, FitContext
from tests.contracts import toy

COVERED = np.array([0, 2, 3, 5, 6, 8])
Doubles = NDArray[np.float64]


def random_ratings(n_users: int = 9, n_movies: int = 10) -> Ratings:
    """Return users with 0 to 6 ratings of any stars; the rows are shuffled."""
    random = np.random.default_rng(2)
    movies = [random.permutation(n_movies)[: n % 7] for n in range(n_users)]
    users = np.repeat(np.arange(n_users), [len(row) for row in movies])
    order = random.permutation(users.size)
    stars = (random.integers(1, 11, users.size) / 2).astype(np.float32)
    return Ratings(
        users[order], np.concatenate(movies)[order], stars, np.arange(users.size), n_users, n_movies
    )


def dense(ratings: Ratings, users: NDArray[np.int64], star_power: float) -> Doubles:
    """Return the weights of the covered movies for each user, (len(users), n_covered)."""
    x = np.zeros((ratings.n_users, ratings.n_movies))
    x[ratings.users, ratings.movies] = (ratings.stars / 5.0) ** star_power
    return x[users][:, COVERED]


def naive_losses(kernel: Doubles, x: Doubles) -> tuple[float, float]:
    """Return loss and penalty by the full matrix of weights."""
    a = kernel / np.linalg.norm(kernel, axis=1, keepdims=True)
    b = a @ a.T - np.eye(len(a))
    total = 0.0
    for row in x:
        z = row @ b
        lengths = np.linalg.norm(row), np.linalg.norm(z)
        if min(lengths) < 1e-6:
            total += 2.0
        else:
            total += float(((row / lengths[0] - z / lengths[1]) ** 2).sum())
    return total / len(x), float((b**2).sum()) / len(a)


def naive_gradient(kernel: Doubles, x: Doubles, lambda_: float) -> Doubles:
    """Return the gradient of loss + lambda penalty, by central differences."""

    def total(values: Doubles) -> float:
        loss, penalty = naive_losses(values, x)
        return loss + lambda_ * penalty

    gradient = np.zeros_like(kernel)
    for cell in np.ndindex(*kernel.shape):
        step = np.zeros_like(kernel)
        step[cell] = 1e-5
        gradient[cell] = (total(kernel + step) - total(kernel - step)) / 2e-5
    return gradient


def case() -> tuple[Batch, Doubles, Doubles]:
    """Return a batch, the same users as a dense matrix, and vectors of any length."""
    ratings = random_ratings()
    users = np.array([6, 2, 4, 5])
    params = ElsaParams(star_power=1.5)
    batch = Batches(ratings.histories, COVERED, params, seed=0).of(users)
    kernel = np.random.default_rng(1).normal(size=(COVERED.size, 3)) * 1.7
    return batch, dense(ratings, users, 1.5), kernel


def test_a_batch_holds_the_weights_of_the_covered_movies() -> None:
    batch, x, _ = case()
    found = np.zeros_like(x)
    found[batch.cells[:, 0], batch.cells[:, 1]] = batch.weights
    np.testing.assert_allclose(found, x, rtol=1e-6)
    np.testing.assert_allclose(batch.squares, (x**2).sum(axis=1), rtol=1e-6)
    assert (np.diff(batch.cells[:, 0]) >= 0).all()


def test_losses_equal_a_naive_computation() -> None:
    batch, x, kernel = case()
    found = elsa_training.losses(
        kernel.astype(np.float32), batch.cells, batch.weights, batch.squares
    )
    np.testing.assert_allclose(
        [float(value) for value in found], naive_losses(kernel, x), rtol=1e-4
    )


def test_a_user_without_covered_movies_has_no_gradient() -> None:
    import tensorflow as tf

    kernel = tf.Variable(np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss, _ = elsa_training.losses(
            kernel, np.zeros((0, 2), np.int64), np.zeros(0, np.float32), np.zeros(2, np.float32)
        )
    assert float(loss) == 2.0
    np.testing.assert_array_equal(tape.gradient(loss, kernel), 0.0)


@pytest.mark.parametrize("lambda_", [0.0, 0.7])
def test_one_step_follows_the_naive_gradient(lambda_: float) -> None:
    batch, x, kernel = case()
    params = ElsaParams(size=3, learning_rate=0.5, lambda_=lambda_)
    encoder = elsa_training.make_encoder(*kernel.shape)
    encoder.set_weights([kernel.astype(np.float32)])
    loss = elsa_training.step_function(encoder, params, steps=100)(batch)
    gradient = naive_gradient(kernel, x, lambda_)
    assert np.abs(gradient).min() > 1e-4, "no sign may hang on rounding"
    # Adam's first step is the learning rate in the direction of each number's gradient.
    rate = training_loop.one_cycle(0.5, 100)[0]
    (moved,) = encoder.get_weights()
    np.testing.assert_allclose(moved - kernel, -rate * np.sign(gradient), rtol=1e-2)
    assert float(loss) == pytest.approx(naive_losses(kernel, x)[0], rel=1e-4)


def test_the_gradient_equals_central_differences() -> None:
    import tensorflow as tf

    batch, x, kernel = case()
    variable = tf.Variable(kernel.astype(np.float32))
    with tf.GradientTape() as tape:
        loss, penalty = elsa_training.losses(variable, batch.cells, batch.weights, batch.squares)
        total = loss + 0.3 * penalty
    found = np.asarray(tape.gradient(total, variable))
    np.testing.assert_allclose(found, naive_gradient(kernel, x, 0.3), rtol=2e-3, atol=1e-5)


def test_every_user_with_two_ratings_is_drawn_equally_often() -> None:
    ratings = random_ratings()
    enough = np.flatnonzero(ratings.histories.counts() > 1)
    batches = Batches(ratings.histories, np.arange(10), ElsaParams(batch_size=4), seed=0)
    assert batches.size == 4
    squares = [square for _ in range(enough.size) for square in batches.draw().squares.tolist()]
    x = np.zeros((ratings.n_users, 10))
    x[ratings.users, ratings.movies] = (ratings.stars / 5.0) ** 2.0
    expected = np.repeat((x[enough] ** 2).sum(axis=1), 4)
    np.testing.assert_allclose(sorted(squares), sorted(expected), rtol=1e-5)


def test_training_lowers_the_loss() -> None:
    params = ElsaParams(size=4, least=1, epochs=6)
    fitted = ElsaFamily().fit(toy.ratings(), params, FitContext(toy.catalogue(), seed=0))
    losses = fitted.curves["loss"]
    assert len(losses) == 6
    assert losses[-1] < 0.7 * losses[0]


def test_ratings_of_one_movie_each_train_nothing() -> None:
    rows = [(user, user % 3, 4.0, user) for user in range(6)]
    ratings = toy.ratings_of(rows, 6)
    fitted = ElsaFamily().fit(
        ratings, ElsaParams(size=2, least=1), FitContext(toy.catalogue(), seed=0)
    )
    assert fitted.arrays["vectors"].shape == (3, 2)
    assert np.isfinite(fitted.arrays["vectors"]).all()


def test_the_held_out_loss_compares_unrated_movies() -> None:
    fitted = ElsaFamily().fit(
        toy.ratings(),
        ElsaParams(size=4, least=1),
        FitContext(toy.catalogue(), seed=0, epochs=3),
    )
    scorer = ElsaScorer(fitted.arrays)
    known = toy.ratings_of([(0, 1, 5.0, 0), (0, 2, 4.0, 1), (1, 9, 5.0, 0)], 2)
    # Movie 16 has no vector, so it is left out.
    validation = toy.ratings_of([(0, 5, 5.0, 2), (0, 16, 5.0, 3), (1, 3, 5.0, 2)], 2)
    scores = scorer.score(np.arange(2), known.histories).astype(float)
    expected = []
    for user, rated, hidden in ((0, [1, 2], 5), (1, [9], 3)):
        others = np.setdiff1d(np.arange(16), rated)
        expected.append(2 - 2 * scores[user, hidden] / np.linalg.norm(scores[user, others]))
    found = elsa_training.held_out_loss(scorer, known.histories, validation)
    assert found == pytest.approx(np.mean(expected), rel=1e-5)
    assert elsa_training.held_out_loss(scorer, known.histories, known.take(np.arange(0))) == 0.0


def test_fine_tuning_monitors_the_held_out_ratings() -> None:
    ratings = toy.ratings()
    params = ElsaParams(size=4, least=1, epochs=3)
    parent = ElsaFamily().fit(ratings, params, FitContext(toy.catalogue(), seed=0))
    epochs: list[Mapping[str, float]] = []
    batch = ratings.take(ratings.users < 2)

    def request(share: float) -> FineTuneRequest:
        return FineTuneRequest(
            toy.catalogue(), 12, batch, ratings, share, 2, 0, lambda _, found: epochs.append(found)
        )

    tuned = ElsaFamily().fine_tune(parent, params, request(0.3))
    assert all({"loss", "val_loss"} == set(metrics) for metrics in epochs)
    assert tuned.curves.keys() == {"loss", "val_loss"}
    vectors: Any = tuned.arrays["vectors"]
    assert not np.array_equal(vectors, parent.arrays["vectors"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    assert ElsaFamily().fine_tune(parent, params, request(0.0)).curves.keys() == {"loss"}


def test_the_keras_model_computes_the_scores() -> None:
    kind = ElsaFamily()
    params = kind.hyper_parameters.model_validate({"size": 4, "least": 1})
    fitted = kind.fit(toy.ratings(), params, FitContext(toy.catalogue(), seed=0, epochs=1))
    vectors = fitted.arrays["vectors"].astype(float)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    inputs = np.random.default_rng(0).random((3, len(vectors))).astype(np.float32)
    expected = inputs @ (vectors @ vectors.T - np.eye(len(vectors)))
    outputs = np.asarray(fitted.keras_model.predict_on_batch(inputs))
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-5)
