"""Training and fine-tuning of ELSA.

:mod:`moovier.models.elsa` describes the model. The loss of a user x with scores z is the squared
distance of both at length 1, which is 2 - 2 cos(x, z). A penalty is added on the weights between
movies, ||A A' - I||² / n_covered.

Neither needs the scores. With h = x A and the small matrix G = A' A::

    x . z = h . h - x . x
    z . z = h G h' - 2 h . h + x . x
    ||A A' - I||² = ||G||² - n_covered

So a step takes time by ``n_covered * size²`` and the ratings of its users, and memory by
``n_covered * size``: no array has a row for each user and a column for each movie.

Keras is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from moovier.data.ratings import Floats, Histories, Ints, Ratings
from moovier.models import ease, training_loop
from moovier.models.elsa_scoring import ElsaParams, ElsaScorer
from moovier.models.family import FineTuneRequest, FitContext, FitResult, OnEpoch, as_float32

#: Epochs without improvement after which a training ends.
PATIENCE = 4
#: Batches of one epoch: an epoch is a fixed amount of training for any number of users.
STEPS_PER_EPOCH = 20
#: Most epochs of a fine-tuning, and its learning rate as a share of the training's.
FINE_TUNING_EPOCHS, FINE_TUNING_RATE = 10, 0.1
#: Smallest product of squared lengths that a cosine divides by.
_EPSILON = 1e-12


@dataclass(frozen=True)
class Batch:
    """Users as sparse rows.

    ``cells``: (n, 2) row and covered movie of each rating, by row. ``weights``: (n,) of the
    ratings. ``squares``: (n_rows,) sum of the squared weights of each row.
    """

    cells: Ints
    weights: Floats
    squares: Floats


class Batches:
    """A random source of training batches: all users in turn, in a new order each time."""

    def __init__(self, histories: Histories, covered: Ints, params: ElsaParams, seed: int) -> None:
        self._histories = histories
        self._star_power = params.star_power
        self._position = np.full(histories.n_movies, -1, dtype=np.int64)
        self._position[covered] = np.arange(covered.size)
        # One rating says nothing about the weights between movies.
        self._users = np.flatnonzero(histories.counts() > 1)
        self.size = min(params.batch_size, self._users.size)
        self._random = np.random.default_rng(seed)
        self._queue: Ints = self._users[:0]

    def draw(self) -> Batch:
        """Return the next batch of ``size`` users."""
        while self._queue.size < self.size:
            again = self._random.permutation(self._users)
            self._queue = np.concatenate([self._queue, again])
        users, self._queue = self._queue[: self.size], self._queue[self.size :]
        return self.of(users)

    def of(self, users: Ints) -> Batch:
        """Return a batch of these users, (n_rows,)."""
        offsets = self._histories.offsets
        counts = offsets[users + 1] - offsets[users]
        rows = np.repeat(np.arange(users.size), counts)
        starts = np.cumsum(counts) - counts
        ratings = np.arange(rows.size) + np.repeat(offsets[users] - starts, counts)
        places = self._position[self._histories.movies[ratings]]
        inside = places >= 0
        rows, places = rows[inside], places[inside]
        weights = as_float32((self._histories.stars[ratings[inside]] / 5.0) ** self._star_power)
        squares = np.bincount(rows, weights**2, users.size)
        return Batch(np.stack([rows, places], axis=1), weights, as_float32(squares))


def fit(train: Ratings, params: ElsaParams, context: FitContext) -> FitResult:
    """Train on ``train``; see :meth:`moovier.models.family.Family.fit`."""
    training_loop.set_seed(context.seed)
    histories = train.histories
    counts = histories.movie_counts()
    covered = ease.frequent_movies(counts, params.least, most=max(counts.size, 1))
    encoder = make_encoder(covered.size, params.size)
    arrays = _Arrays(covered, counts, params)
    validation_ndcg = context.validation_ndcg
    stops_early = validation_ndcg is not None and context.epochs is None

    def validate(model: Any) -> dict[str, float]:
        assert validation_ndcg is not None
        return {"val_ndcg_at_10": validation_ndcg(ElsaScorer(arrays.of(model)))}

    run = _train(
        encoder,
        Batches(histories, covered, params, context.seed),
        params,
        steps=params.epochs * STEPS_PER_EPOCH,
        epochs=context.epochs or params.epochs,
        validate=validate if stops_early else None,
        early_stop=(
            training_loop.EarlyStop("val_ndcg_at_10", "max", PATIENCE) if stops_early else None
        ),
        on_epoch=context.on_epoch,
    )
    return _result(arrays.of(encoder), run)


def fine_tune(parent: FitResult, params: ElsaParams, request: FineTuneRequest) -> FitResult:
    """Train further on the batch's users; see :meth:`moovier.models.elsa.ElsaFamily.fine_tune`.

    The ratings outside the validation part of the batch are trained on.
    """
    training_loop.set_seed(request.seed)
    batch, merged = request.batch, request.merged
    covered: Ints = parent.arrays["covered"]
    vectors = as_float32(parent.arrays["vectors"])
    encoder = make_encoder(*vectors.shape)
    encoder.set_weights([vectors])
    arrays = _Arrays(covered, merged.histories.movie_counts(), params)
    _, validation = request.split_batch()
    known = merged.take(np.isin(merged.users, batch.users))
    known = known.take(~known.isin(validation))

    def validate(model: Any) -> dict[str, float]:
        scorer = ElsaScorer(arrays.of(model))
        return {"val_loss": held_out_loss(scorer, known.histories, validation)}

    monitor = "val_loss" if len(validation) else "loss"
    run = _train(
        encoder,
        Batches(known.histories, covered, params, request.seed),
        # Without the penalty: the ratings of all users had balanced it.
        params.model_copy(
            update={"learning_rate": params.learning_rate * FINE_TUNING_RATE, "lambda_": 0.0}
        ),
        steps=FINE_TUNING_EPOCHS * STEPS_PER_EPOCH,
        epochs=FINE_TUNING_EPOCHS,
        validate=validate if len(validation) else None,
        early_stop=training_loop.EarlyStop(monitor, "min", request.patience),
        on_epoch=request.on_epoch,
    )
    return _result(arrays.of(encoder), run)


@dataclass(frozen=True)
class _Arrays:
    """The arrays of :class:`ElsaScorer` that training does not change."""

    covered: Ints
    counts: Ints
    params: ElsaParams

    def of(self, encoder: Any) -> dict[str, Any]:
        """Return all arrays of the scorer, with the vectors that the encoder has now."""
        (kernel,) = encoder.get_weights()
        lengths = np.sqrt(np.einsum("ij,ij->i", kernel, kernel))[:, None]
        return {
            "vectors": as_float32(kernel / np.maximum(lengths, np.float32(1e-12))),
            "covered": self.covered,
            "counts": self.counts,
            "asking": np.array([self.params.asking_star_power, self.params.asking_half_life]),
        }


def make_encoder(n_covered: int, size: int) -> Any:
    """Return one dense layer from (batch, n_covered) to (batch, size).

    Its kernel is A; training changes the lengths of the rows, and only their directions count.
    """
    import keras

    rated = keras.Input((n_covered,), name="rated")
    start = keras.initializers.RandomNormal(stddev=size**-0.5)
    layer = keras.layers.Dense(size, use_bias=False, kernel_initializer=start, name="encode")
    return keras.Model(rated, layer(rated), name="elsa_encoder")


def _result(arrays: dict[str, Any], run: training_loop.Run) -> FitResult:
    return FitResult(arrays, keras_model(arrays["vectors"]), run.best_epoch, run.curves)


def keras_model(vectors: Floats) -> Any:
    """Return the model as it is served, from and to (batch, n_covered): x (A A' - I)."""
    import keras

    n_covered, size = vectors.shape
    rated = keras.Input((n_covered,), name="rated")
    # The weights are set below; drawing millions of random ones first would take a second.
    encode = keras.layers.Dense(size, use_bias=False, kernel_initializer="zeros", name="encode")
    decode = keras.layers.Dense(
        n_covered, use_bias=False, kernel_initializer="zeros", name="decode"
    )
    model = keras.Model(rated, decode(encode(rated)) - rated, name="elsa")
    encode.set_weights([vectors])
    decode.set_weights([vectors.T])
    return model


def _train(
    encoder: Any,
    batches: Batches,
    params: ElsaParams,
    *,
    steps: int,
    epochs: int,
    validate: Callable[[Any], dict[str, float]] | None,
    early_stop: training_loop.EarlyStop | None,
    on_epoch: OnEpoch | None,
) -> training_loop.Run:
    """Train the vectors on drawn batches; ``encoder`` gets the best epoch's weights."""
    if not batches.size:
        # No user has two ratings: the random vectors stay.
        return training_loop.Run(best_epoch=1, curves={"loss": [0.0]})
    step = step_function(encoder, params, steps)

    def run_epoch() -> float:
        losses = [step(batches.draw()) for _ in range(STEPS_PER_EPOCH)]
        return float(np.mean([float(loss) for loss in losses]))

    return training_loop.run(
        encoder,
        run_epoch,
        epochs=epochs,
        validate=validate,
        early_stop=early_stop,
        on_epoch=on_epoch,
    )


def step_function(encoder: Any, params: ElsaParams, steps: int) -> Callable[[Batch], Any]:
    """Return a function that takes one step of Adam on a batch and returns its mean loss."""
    import tensorflow as tf

    weights = [variable.value for variable in encoder.trainable_variables]
    (kernel,) = weights
    adam = training_loop.adam(weights, training_loop.one_cycle(params.learning_rate, steps))

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(cells: Any, values: Any, squares: Any) -> Any:
        with tf.GradientTape() as tape:
            loss, penalty = losses(kernel, cells, values, squares)
            total = loss + params.lambda_ * penalty
        adam(tape.gradient(total, weights))
        return loss

    return lambda batch: step(batch.cells, batch.weights, batch.squares)


def losses(kernel: Any, cells: Any, values: Any, squares: Any) -> tuple[Any, Any]:
    """Return the mean loss of a batch, 0 to 4, and the penalty, 0 or more.

    ``kernel``: (n_covered, size), vectors of any length. The others: see :class:`Batch`.
    """
    import tensorflow as tf

    vectors = tf.nn.l2_normalize(kernel, axis=1)
    n_covered = tf.shape(kernel, out_type=tf.int64)[0]
    shape = tf.stack([tf.shape(squares, out_type=tf.int64)[0], n_covered])
    hidden = tf.sparse.sparse_dense_matmul(tf.SparseTensor(cells, values, shape), vectors)
    small = tf.matmul(vectors, vectors, transpose_a=True)
    hidden_squares = tf.reduce_sum(hidden**2, axis=1)
    products = hidden_squares - squares
    score_squares = (
        tf.reduce_sum((hidden @ small) * hidden, axis=1) - 2.0 * hidden_squares + squares
    )
    cosines = products * tf.math.rsqrt(tf.maximum(squares * score_squares, _EPSILON))
    n = tf.cast(n_covered, kernel.dtype)
    return tf.reduce_mean(2.0 - 2.0 * cosines), tf.reduce_sum(small**2) / n - 1.0


def held_out_loss(scorer: ElsaScorer, known: Histories, validation: Ratings) -> float:
    """Return the mean over users of 2 - 2 cos(held-out movies, scores), 0 to 4; 0 without any.

    Only the movies that the user has not rated in ``known`` are compared.
    """
    values: list[float] = []
    held_out = validation.histories
    for user in np.flatnonzero(held_out.counts()).tolist():
        movies = np.intersect1d(held_out[user].movies, scorer.covered)
        if not movies.size:
            continue
        scores = scorer.fold_in(known[user]).astype(np.float64)
        unrated = np.setdiff1d(scorer.covered, known[user].movies)
        length = np.sqrt(movies.size * (scores[unrated] ** 2).sum())
        values.append(2.0 - 2.0 * float(scores[movies].sum()) / max(float(length), _EPSILON))
    return float(np.mean(values)) if values else 0.0
