"""The one training loop of the Keras models: an epoch in one graph call, early stopping, progress.

``keras.Model.fit`` costs more than the arithmetic on models as small as these: a thread that
feeds batches, a second traced function for validation, callbacks at each batch, an optimizer of a
dozen operations per weight. Here the rows lie in memory as tensors, one call of a ``tf.function``
runs all batches of an epoch, Adam is TensorFlow's one operation for it, and validation is the
family's own NumPy scoring (docs/decisions/fast-training.md has the figures).

Keras is imported inside the functions, since that takes seconds and hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Floats
from moovier.models.family import OnEpoch

#: Share of the schedule in which the learning rate rises, and the share of it that is left at
#: the end.
WARM_UP, FLOOR = 0.1, 0.01
#: Adam as Keras has it by default.
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


@dataclass(frozen=True)
class EarlyStop:
    """Stop after ``patience`` epochs in which ``monitor`` did not get better, and go back to the
    best epoch's weights."""

    monitor: str
    mode: Literal["min", "max"]
    patience: int


@dataclass
class Run:
    """What a training left behind. ``best_epoch`` counts from 1; ``curves`` hold every epoch."""

    best_epoch: int = 0
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class _Best:
    """The best epoch so far. An epoch whose figure is not finite is never the best."""

    stop: EarlyStop
    epoch: int = 0
    value: float = np.nan
    weights: Sequence[NDArray[Any]] | None = None

    def keep(self, epoch: int, value: float, model: Any) -> bool:
        """Note this epoch (from 1); whether training should stop."""
        gain = value - self.value if self.stop.mode == "max" else self.value - value
        if np.isfinite(value) and (self.weights is None or gain > 0):
            self.epoch, self.value, self.weights = epoch, value, model.get_weights()
        return epoch - self.epoch >= self.stop.patience


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
    (batch, 1). ``loss``: a loss of Keras by name, reported per epoch as ``loss``.
    ``learning_rates``: one a batch; the last holds from there on. ``seed`` decides the order of
    the rows, which is another in each epoch. ``validate`` is given the model after each epoch and
    returns further figures.
    """
    on_rows = _epoch_function(model, inputs, targets, loss, learning_rates, batch_size)
    generator = np.random.default_rng(seed)
    return run(
        model,
        lambda: float(on_rows(generator.permutation(len(targets)).astype(np.int32))),
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
    """Call ``run_epoch``, which trains ``model`` for an epoch and returns its mean loss, until
    ``epochs`` are over or ``early_stop`` has seen enough; the best epoch's weights stay."""
    run = Run()
    best = None if early_stop is None else _Best(early_stop)
    for epoch in range(epochs):
        figures = {"loss": run_epoch()}
        if validate is not None:
            figures |= validate(model)
        for name, value in figures.items():
            run.curves.setdefault(name, []).append(value)
        enough = best is not None and best.keep(epoch + 1, figures[best.stop.monitor], model)
        if on_epoch is not None:
            on_epoch(epoch, figures)
        if enough:
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
    """A function that trains on all rows in the given order and returns the mean loss."""
    import keras
    import tensorflow as tf

    weights = [variable.value for variable in model.trainable_variables]
    step_adam = adam(weights, learning_rates)
    loss_function = keras.losses.get(loss)
    columns = [tf.constant(column) for column in inputs]
    wanted = tf.constant(targets)
    n_rows = len(targets)
    n_batches = -(-n_rows // batch_size)

    # Autograph has nothing to rewrite here, and would take its time over it.
    @tf.function(autograph=False, jit_compile=False)  # type: ignore[untyped-decorator]
    def run_epoch(order: Any) -> Any:
        shuffled = [tf.gather(column, order) for column in columns]
        shuffled_wanted = tf.gather(wanted, order)

        def step(number: Any, total: Any) -> Any:
            start = number * batch_size
            end = tf.minimum(start + batch_size, n_rows)
            with tf.GradientTape() as tape:
                predicted = model([column[start:end] for column in shuffled], training=True)
                losses = loss_function(shuffled_wanted[start:end, None], predicted)
                mean = tf.reduce_mean(losses)
            step_adam(tape.gradient(mean, weights))
            return number + 1, total + tf.reduce_sum(losses)

        _, total = tf.while_loop(lambda number, _: number < n_batches, step, (0, 0.0))
        return total / n_rows

    # Traced here, once: TensorFlow would warn of a function that is traced anew for each model.
    return run_epoch.get_concrete_function(  # type: ignore[no-any-return]
        tf.TensorSpec((n_rows,), tf.int32)
    )


def adam(weights: Sequence[Any], learning_rates: Floats) -> Callable[[Sequence[Any]], None]:
    """A function that takes one step of Adam down the given gradients, one per weight.

    Keras's own Adam writes the same formula out in a dozen operations per weight: tracing those
    took longer than an epoch of training. Source: Kingma & Ba 2015,
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
                # An embedding's gradient comes as the rows that the batch touched.
                grad=tf.convert_to_tensor(gradient),
            )

    return apply


def one_cycle(peak: float, steps: int) -> Floats:
    """A learning rate for each of ``steps`` batches: rising to ``peak``, then falling along half a
    cosine. Big batches need the high peak, and a good last epoch the low end. Source: Smith &
    Topin 2018, https://arxiv.org/abs/1708.07120."""
    warm_up = max(int(WARM_UP * steps), 1)
    rising = np.linspace(FLOOR, 1.0, warm_up, endpoint=False)
    falling = (1 + np.cos(np.linspace(0.0, np.pi, max(steps - warm_up, 1)))) / 2
    shares = np.concatenate([rising, np.maximum(falling, FLOOR)])
    return np.asarray(peak * shares, dtype=np.float32)


def seeded(seed: int) -> None:
    """Forget earlier models and make initial weights depend on ``seed`` alone."""
    import keras

    # Python collects the old models when it needs the room: collecting now costs a training of its
    # size twice.
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
