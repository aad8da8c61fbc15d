"""The training loop: Adam against its formula, early stopping, schedules, repetition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.models import training_loop
from moovier.models.training_loop import EarlyStop


class Weights:
    """A model whose weights are the number of trained epochs."""

    def __init__(self) -> None:
        self.epochs = 0

    def train(self) -> float:
        self.epochs += 1
        return 1.0 / self.epochs

    def get_weights(self) -> list[NDArray[Any]]:
        return [np.array(self.epochs)]

    def set_weights(self, weights: list[NDArray[Any]]) -> None:
        self.epochs = int(weights[0])


def run(
    losses: list[float], patience: int | None, mode: Any = "min"
) -> tuple[training_loop.Run, Weights, list[tuple[int, Mapping[str, float]]]]:
    """Run at most as many epochs as there are ``losses``, the metric ``val``."""
    model = Weights()
    reports: list[tuple[int, Mapping[str, float]]] = []
    result = training_loop.run(
        model,
        model.train,
        epochs=len(losses),
        validate=lambda _model: {"val": losses[model.epochs - 1]},
        early_stop=None if patience is None else EarlyStop("val", mode, patience),
        on_epoch=lambda epoch, metrics: reports.append((epoch, dict(metrics))),
    )
    return result, model, reports


def test_training_stops_after_the_patience_and_keeps_the_best_epoch() -> None:
    result, model, reports = run([5.0, 3.0, 4.0, 3.0, 2.0, 9.0], patience=2)
    assert result.best_epoch == model.epochs == 2
    assert result.curves == {"loss": [1.0, 1 / 2, 1 / 3, 1 / 4], "val": [5.0, 3.0, 4.0, 3.0]}
    assert reports[0] == (0, {"loss": 1.0, "val": 5.0})
    assert [epoch for epoch, _ in reports] == [0, 1, 2, 3]


def test_a_metric_to_maximise_keeps_its_highest_epoch() -> None:
    result, model, _ = run([0.1, 0.3, 0.2, 0.4, 0.0], patience=3, mode="max")
    assert result.best_epoch == model.epochs == 4


def test_without_early_stop_the_last_epoch_stays() -> None:
    result, model, _ = run([1.0, 2.0, 3.0], patience=None)
    assert result.best_epoch == model.epochs == 3


def test_an_epoch_that_is_not_finite_is_never_the_best() -> None:
    result, model, _ = run([np.nan, 7.0, np.nan, np.inf], patience=4)
    assert result.best_epoch == model.epochs == 2
    result, _, _ = run([np.nan, np.nan, 1.0], patience=2)
    assert result.best_epoch == 3, "stopped before the first finite epoch: all epochs count"


def test_the_callback_may_end_the_training() -> None:
    model = Weights()

    def stop(_epoch: int, _metrics: Mapping[str, float]) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        training_loop.run(model, model.train, epochs=5, on_epoch=stop)
    assert model.epochs == 1


def naive_adam(
    start: NDArray[np.float64], gradients: list[NDArray[np.float64]], rates: list[float]
) -> NDArray[np.float64]:
    """Return the weights after Adam's steps, by the paper's algorithm 1."""
    weights, m, v = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        # TensorFlow adds epsilon before it corrects the bias of v.
        rate = rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weights -= rate * m / (np.sqrt(v) + 1e-7)
    return weights


def test_adam_follows_its_formula_and_the_last_rate_holds() -> None:
    import tensorflow as tf

    random = np.random.default_rng(0)
    start = random.normal(size=(3, 2))
    gradients = [random.normal(size=(3, 2)) for _ in range(4)]
    weights = tf.Variable(start, dtype=tf.float32)
    step = training_loop.adam([weights], np.array([0.1, 0.02], dtype=np.float32))
    for gradient in gradients:
        step([tf.constant(gradient, tf.float32)])
    expected = naive_adam(start, gradients, [0.1, 0.02, 0.02, 0.02])
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-4)


def linear_fit(seed: int, *, epochs: int = 40) -> tuple[training_loop.Run, Any]:
    """Fit stars = 2 a - b + 1 from two inputs of 50 rows, batches of 8."""
    import keras

    training_loop.set_seed(0)
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 50)).astype(np.float32)
    inputs = [keras.Input((), name="a"), keras.Input((), name="b")]
    columns = [keras.ops.expand_dims(tensor, -1) for tensor in inputs]
    output = keras.layers.Dense(1, name="out")(keras.layers.Concatenate()(columns))
    model = keras.Model(inputs, output)
    result = training_loop.fit(
        model,
        [a, b],
        2 * a - b + 1,
        loss="mean_squared_error",
        learning_rates=np.array([0.1], dtype=np.float32),
        batch_size=8,
        epochs=epochs,
        seed=seed,
    )
    return result, model


def test_fit_learns_from_all_rows_of_an_unfull_last_batch() -> None:
    result, model = linear_fit(0)
    kernel, bias = model.get_layer("out").get_weights()
    np.testing.assert_allclose(kernel[:, 0], [2.0, -1.0], atol=0.02)
    np.testing.assert_allclose(bias, [1.0], atol=0.02)
    assert result.best_epoch == len(result.curves["loss"]) == 40
    assert result.curves["loss"][-1] < 0.01 * result.curves["loss"][0]


def test_a_fit_repeats_with_its_seed() -> None:
    losses = [linear_fit(seed, epochs=3)[0].curves["loss"] for seed in (4, 4, 5)]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize("steps", [2, 10, 95])
def test_the_learning_rate_rises_to_its_peak_and_falls_to_its_end(steps: int) -> None:
    rates = training_loop.one_cycle(0.5, steps)
    assert rates.shape == (steps,)
    assert rates.dtype == np.float32
    peak = int(rates.argmax())
    assert peak == max(steps // 10, 1)
    assert rates[peak] == pytest.approx(0.5)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) <= 0).all()
    assert rates.min() == pytest.approx(0.5 * training_loop.FLOOR)
