"""The training loop of the Keras models, with early stopping and progress.

``keras.Model.fit`` costs more than the arithmetic of models as small as these: a thread that
feeds batches, a second traced function for validation, callbacks at each batch, an optimizer with
a dozen operations per weight. Here the rows are tensors in memory, one call of a ``tf.function``
runs all batches of an epoch, Adam is one TensorFlow operation, and the family's NumPy scorer does
the validation (measured in docs/decisions/fast-training.md).

Keras is imported inside the functions, because the import takes seconds and hundreds of
megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Floats
from moovier.models.family import OnEpoch

#: Share of the schedule in which the learning rate rises, and the lowest rate as a share of the
#: highest.
WARM_UP, FLOOR = 0.1, 0.01
#: Keras's defaults for Adam.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


@dataclass(frozen=True)
class EarlyStop:
    """The rule of early stopping; the training then restores the best epoch's weights.

    ``monitor``: name of a metric. ``mode``: whether lower or higher is better. ``patience``:
    epochs without improvement after which the training stops.
    """

    monitor: str
    mode: Literal["min", "max"]
    patience: int


@dataclass
class Run:
    """The course of a training.

    ``best_epoch``: counted from 1. ``curves``: one value an epoch for each metric.
    """

    best_epoch: int = 0
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class _Best:
    """The best epoch so far; an epoch whose metric is not finite is never the best."""

    rule: EarlyStop
    epoch: int = 0
    value: float = np.nan
    weights: Sequence[NDArray[Any]] | None = None

    def record(self, epoch: int, value: float, model: Any) -> bool:
        """Record an epoch, counted from 1, and return whether the training should stop."""
        gain = value - self.value if self.rule.mode == "max" else self.value - value
        if np.isfinite(value) and (self.weights is None or gain > 0):
            self.epoch, self.value, self.weights = epoch, value, model.get_weights()
        return epoch - self.epoch >= self.rule.patience


def fit(
    model: Any,
    inputs: Sequence[NDArray[Any]],
    targets: NDArray[Any],
    *,
    loss: str,
    learning_rates: Floats,
    batch_size: int,
    epochs: int,
    seed: int,
    validate: Callable[[Any], Mapping[str, float]] | None = None,
    early_stop: EarlyStop | None = None,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Train ``model`` by Adam and keep its best epoch (without ``early_stop``: its last).

    ``inputs``: one array of n rows per input of the model. ``targets``: (n,), for an output of
    (batch, 1). ``loss``: a Keras loss by name, reported per epoch as ``loss``.
    ``learning_rates``: one per batch; the last one serves all further batches. ``seed``: decides
    the order of the rows, which changes with each epoch. ``validate``: called with the model
    after each epoch; returns further metrics.
    """
    train_epoch = _epoch_function(model, inputs, targets, loss, learning_rates, batch_size)
    generator = np.random.default_rng(seed)
    return run(
        model,
        lambda: float(train_epoch(generator.permutation(len(targets)).astype(np.int32))),
        epochs=epochs,
        validate=validate,
        early_stop=early_stop,
        on_epoch=on_epoch,
    )


def run(
    model: Any,
    run_epoch: Callable[[], float],
    *,
    epochs: int,
    validate: Callable[[Any], Mapping[str, float]] | None = None,
    early_stop: EarlyStop | None = None,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Train epoch by epoch, then restore the best epoch's weights.

    ``run_epoch`` trains ``model`` for one epoch and returns its mean loss. It is called
    ``epochs`` times, or less often with ``early_stop``.
    """
    run = Run()
    best = None if early_stop is None else _Best(early_stop)
    for epoch in range(epochs):
        metrics = {"loss": run_epoch()}
        if validate is not None:
            metrics |= validate(model)
        for name, value in metrics.items():
            run.curves.setdefault(name, []).append(value)
        stop = best is not None and best.record(epoch + 1, metrics[best.rule.monitor], model)
        if on_epoch is not None:
            on_epoch(epoch, metrics)
        if stop:
            break
    if best is None or best.weights is None:
        run.best_epoch = epochs
    else:
        run.best_epoch = best.epoch
        model.set_weights(best.weights)
    return run


def _epoch_function(
    model: Any,
    inputs: Sequence[NDArray[Any]],
    targets: NDArray[Any],
    loss: str,
    learning_rates: Floats,
    batch_size: int,
) -> Callable[[NDArray[np.int32]], Any]:
    """Return a function that trains on all rows in a given order and returns the mean loss."""
    import keras
    import tensorflow as tf

    weights = [variable.value for variable in model.trainable_variables]
    step_adam = adam(weights, learning_rates)
    loss_function = keras.losses.get(loss)
    columns = [tf.constant(column) for column in inputs]
    target_column = tf.constant(targets)
    n_rows = len(targets)
    n_batches = -(-n_rows // batch_size)

    # Autograph would only cost time: the function has no Python control flow.
    @tf.function(autograph=False, jit_compile=False)  # type: ignore[untyped-decorator]
    def run_epoch(order: Any) -> Any:
        shuffled = [tf.gather(column, order) for column in columns]
        shuffled_targets = tf.gather(target_column, order)

        def step(number: Any, total: Any) -> Any:
            start = number * batch_size
            end = tf.minimum(start + batch_size, n_rows)
            with tf.GradientTape() as tape:
                predicted = model([column[start:end] for column in shuffled], training=True)
                losses = loss_function(shuffled_targets[start:end, None], predicted)
                mean = tf.reduce_mean(losses)
            step_adam(tape.gradient(mean, weights))
            return number + 1, total + tf.reduce_sum(losses)

        _, total = tf.while_loop(lambda number, _: number < n_batches, step, (0, 0.0))
        return total / n_rows

    # Traced here, once: TensorFlow warns of a function that is traced again for each model.
    return run_epoch.get_concrete_function(  # type: ignore[no-any-return]
        tf.TensorSpec((n_rows,), tf.int32)
    )


def adam(weights: Sequence[Any], learning_rates: Floats) -> Callable[[Sequence[Any]], None]:
    """Return a function that takes one step of Adam for the given gradients, one per weight.

    Keras's Adam uses a dozen operations per weight for the same formula; tracing those took
    longer than an epoch of training. Source: Kingma & Ba 2015,
    https://arxiv.org/abs/1412.6980, as in TensorFlow's ``ResourceApplyAdam``.
    """
    import tensorflow as tf

    means = [tf.Variable(tf.zeros_like(weight)) for weight in weights]
    variances = [tf.Variable(tf.zeros_like(weight)) for weight in weights]
    rates = tf.constant(learning_rates, tf.float32)
    steps = tf.Variable(0)

    def apply(gradients: Sequence[Any]) -> None:
        rate = rates[tf.minimum(steps, len(learning_rates) - 1)]
        step = tf.cast(steps.assign_add(1), tf.float32)
        for weight, mean, variance, gradient in zip(
            weights, means, variances, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=mean.handle,
                v=variance.handle,
                beta1_power=tf.pow(BETA_1, step),
                beta2_power=tf.pow(BETA_2, step),
                lr=rate,
                beta1=BETA_1,
                beta2=BETA_2,
                epsilon=EPSILON,
                # The gradient of an embedding is sparse: the rows of the batch.
                grad=tf.convert_to_tensor(gradient),
            )

    return apply


def one_cycle(peak: float, steps: int) -> Floats:
    """Return the learning rate of each of ``steps`` batches, (steps,) float32.

    It rises linearly to ``peak``, then falls along half a cosine. Large batches need the high
    peak, and a good last epoch needs the low end. Source: Smith & Topin 2018,
    https://arxiv.org/abs/1708.07120.
    """
    warm_up = max(int(WARM_UP * steps), 1)
    rising = np.linspace(FLOOR, 1.0, warm_up, endpoint=False)
    falling = (1 + np.cos(np.linspace(0.0, np.pi, max(steps - warm_up, 1)))) / 2
    shares = np.concatenate([rising, np.maximum(falling, FLOOR)])
    return np.asarray(peak * shares, dtype=np.float32)


def set_seed(seed: int) -> None:
    """Drop earlier models and make initial weights depend on ``seed`` alone."""
    import keras

    # Python frees the old models when it needs the memory; freeing them here would double the time
    # of a small training.
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
