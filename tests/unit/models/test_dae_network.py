"""The Keras model of the autoencoder equals the NumPy scorer on the arrays taken from it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from moovier.models import training_loop
from moovier.models.dae_network import Constants, arrays_of, build, stored_arrays
from moovier.models.dae_scoring import DaeParams, DaeScorer
from tests.unit.models.random_arrays import N_COVERED, N_GENRES, dae_arrays, random_history

PARAMS = DaeParams(
    size=6,
    star_power=1.5,
    neighbours=20.0,
    neighbours_power=0.4,
    affinity=7.0,
    aversion=9.0,
    age_days=90.0,
    age_ratings=5.0,
    age_floor=0.2,
)


@cache
def network() -> tuple[Any, Constants]:
    """Return a model with random weights and its constants."""
    random = np.random.default_rng(2)
    arrays = dae_arrays(random)
    constants = Constants(
        covered=arrays["covered"],
        counts=arrays["counts"],
        neighbours=arrays["neighbours"].astype(np.float32),
        genres=arrays["genres"],
        mean_genres=arrays["mean_genres"],
        trend=random.standard_normal(N_COVERED).astype(np.float32),
    )
    training_loop.set_seed(0)
    model = build(constants, PARAMS)
    for name in ("encode_rated", "encode_stars", "decode"):
        layer = model.get_layer(name)
        layer.set_weights([random.standard_normal(w.shape) for w in layer.get_weights()])
    return model, constants


@pytest.mark.parametrize("n_rated", [1, 2, 7, N_COVERED])
def test_keras_and_numpy_give_the_same_scores(n_rated: int) -> None:
    model, constants = network()
    rated = random_history(np.random.default_rng(n_rated), n_rated)
    place = np.searchsorted(constants.covered, rated.movies)
    inside = np.isin(rated.movies, constants.covered)
    stars, weights = np.zeros((2, 1, N_COVERED), dtype=np.float32)
    stars[0, place[inside]] = rated.stars[inside]
    weights[0, place[inside]] = PARAMS.recency.weights(rated.timestamps)[inside]
    logits = np.asarray(model.predict_on_batch([stars, weights]))[0]
    scorer = DaeScorer(arrays_of(model, PARAMS, constants), None)
    scores = scorer.fold_in(rated)[constants.covered]
    if inside.any():
        np.testing.assert_allclose(scores, logits, rtol=1e-3, atol=2e-3)


def test_each_row_of_a_batch_is_scored_alone() -> None:
    model, _ = network()
    stars = np.zeros((3, N_COVERED), dtype=np.float32)
    stars[0, 4], stars[2, [9, 30]] = 5.0, [1.0, 4.5]
    weights = (stars > 0).astype(np.float32)
    batch = np.asarray(model.predict_on_batch([stars, weights]))
    assert np.isfinite(batch).all(), "also without a rating"
    for row in range(3):
        alone = np.asarray(model.predict_on_batch([stars[row, None], weights[row, None]]))
        np.testing.assert_allclose(batch[row], alone[0], rtol=1e-4, atol=1e-4)


def test_only_the_autoencoder_can_be_trained() -> None:
    model, constants = network()
    shapes = {weight.path: tuple(weight.shape) for weight in model.trainable_weights}
    assert shapes == {
        "encode_rated/kernel": (N_COVERED, PARAMS.size),
        "encode_rated/bias": (PARAMS.size,),
        "encode_stars/kernel": (N_COVERED, PARAMS.size),
        "decode/kernel": (PARAMS.size + 1, N_COVERED),
        "decode/bias": (N_COVERED,),
    }
    np.testing.assert_array_equal(
        model.get_layer("neighbours").get_weights()[0], constants.neighbours
    )
    assert model.get_layer("genres").get_weights()[0].shape == (N_COVERED, N_GENRES)


def test_the_bias_of_the_arrays_includes_the_trend() -> None:
    model, constants = network()
    arrays = arrays_of(model, PARAMS, constants)
    bias = model.get_layer("decode").get_weights()[1]
    np.testing.assert_allclose(arrays["decode_bias"] - bias, constants.trend, atol=1e-5)


def test_a_bundle_has_the_neighbours_in_half_precision() -> None:
    model, constants = network()
    full, stored = (f(model, PARAMS, constants) for f in (arrays_of, stored_arrays))
    assert stored["neighbours"].dtype == np.float16
    assert full["neighbours"].dtype == np.float32
    # They were rounded before, so nothing is lost.
    np.testing.assert_array_equal(stored["neighbours"], full["neighbours"])
    for name in full.keys() - {"neighbours"}:
        np.testing.assert_array_equal(stored[name], full[name], err_msg=name)
