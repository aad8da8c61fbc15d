"""Training of the denoising autoencoder: examples from histories, the Keras model, its loop.

:mod:`moovier.models.dae` says what the model is. Keras is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Floats, Histories, Ints, Ratings
from moovier.data.split import LEAST_BEFORE, PAUSE_S
from moovier.models import content_features, ease, training_loop
from moovier.models.dae_scoring import (
    CALM,
    GENRE_NEUTRAL,
    GENRE_UNIT,
    LIKES_GENRE,
    LOG_COUNT_UNIT,
    NEUTRAL,
    STAR_UNIT,
    DaeParams,
    DaeScorer,
)
from moovier.models.family import FitResult, OnEpoch, ValidationNdcg, as_float32

#: Epochs without improvement after which a training ends.
PATIENCE = 4
#: Batches of one epoch: an epoch is a fixed amount of training, however many people there are.
STEPS_PER_EPOCH = 20
#: Ratings that stay behind as targets when a part of a history is drawn, at least.
LEAST_TARGETS = 5
#: Largest part of a history that is drawn as input.
LARGEST_PART = 0.8
#: Next visits per person that serve as examples, the latest ones.
MOST_VISITS = 5
#: Stars from which on a rating is a target of full weight.
LIKED = 4.0
#: Epochs of a fine-tuning at most, and its learning rate as a share of training's.
FINE_TUNING_EPOCHS, FINE_TUNING_RATE = 10, 0.1


def fit(
    train: Ratings,
    params: DaeParams,
    *,
    catalogue: Catalogue,
    seed: int,
    validation_ndcg: ValidationNdcg | None,
    epochs: int | None,
    on_epoch: OnEpoch | None,
) -> FitResult:
    """Train on ``train``; see :meth:`moovier.models.family.Family.fit`."""
    training_loop.seeded(seed)
    histories = train.histories
    counts = histories.movie_counts()
    covered = ease.frequent_movies(counts, params.least)
    genres = content_features.genres(catalogue, 1.0).rows()[covered]
    fixed = Fixed(
        covered=covered,
        counts=counts,
        neighbours=_neighbours(histories, covered, params),
        genres=genres,
        mean_genres=as_float32(counts[covered] @ genres / max(int(counts[covered].sum()), 1)),
    )
    model = build(fixed, params)
    liked = np.bincount(histories.movies[histories.stars >= LIKED], minlength=train.n_movies)
    kernel, _ = model.get_layer("decode").get_weights()
    model.get_layer("decode").set_weights([kernel, np.log(liked[covered] + 0.3) - 5.0])
    watched = validation_ndcg is not None and epochs is None

    def validate(model: Any) -> dict[str, float]:
        assert validation_ndcg is not None
        return {"val_ndcg_at_10": validation_ndcg(DaeScorer(arrays_of(model, params, fixed)))}

    run = _train(
        model,
        Examples(histories, covered, params, seed),
        params,
        steps=params.epochs * STEPS_PER_EPOCH,
        epochs=epochs or params.epochs,
        validate=validate if watched else None,
        early_stop=training_loop.EarlyStop("val_ndcg_at_10", "max", PATIENCE) if watched else None,
        on_epoch=on_epoch,
    )
    return FitResult(stored_arrays(model, params, fixed), model, run.best_epoch, run.curves)


def fine_tune(
    parent: FitResult,
    params: DaeParams,
    *,
    batch: Ratings,
    merged: Ratings,
    validation_split: float,
    patience: int,
    seed: int,
    on_epoch: OnEpoch | None,
) -> FitResult:
    """Train further on the people of the batch; see :meth:`DaeFamily.fine_tune`."""
    training_loop.seeded(seed)
    model = parent.keras_model
    fixed = Fixed(
        covered=parent.arrays["covered"],
        counts=merged.histories.movie_counts(),
        neighbours=as_float32(parent.arrays["neighbours"]),
        genres=parent.arrays["genres"],
        mean_genres=parent.arrays["mean_genres"],
    )
    n_held = int(validation_split * len(batch))
    held = batch.take(np.arange(len(batch) - n_held, len(batch)))
    known = merged.take(np.isin(merged.users, batch.users))
    known = known.take(~known.isin(held))
    monitor = "val_loss" if n_held else "loss"

    def validate(model: Any) -> dict[str, float]:
        scorer = DaeScorer(arrays_of(model, params, fixed))
        return {"val_loss": _held_out_loss(scorer, known.histories, held, fixed.covered)}

    run = _train(
        model,
        Examples(known.histories, fixed.covered, params, seed, least_targets=1),
        params.model_copy(update={"learning_rate": params.learning_rate * FINE_TUNING_RATE}),
        steps=FINE_TUNING_EPOCHS * STEPS_PER_EPOCH,
        epochs=FINE_TUNING_EPOCHS,
        validate=validate if n_held else None,
        early_stop=training_loop.EarlyStop(monitor, "min", patience),
        on_epoch=on_epoch,
    )
    return FitResult(stored_arrays(model, params, fixed), model, run.best_epoch, run.curves)


@dataclass(frozen=True)
class Fixed:
    """What training does not change. Shapes as in :class:`DaeScorer`."""

    covered: Ints
    counts: Ints
    neighbours: Floats
    genres: Floats
    mean_genres: Floats


@dataclass(frozen=True)
class Batch:
    """Training examples as sparse rows.

    ``rows``, ``places``, ``weights``, ``stars``: (n,) ratings given, by example and covered
    movie. ``targets``: (n_examples, n_covered), rows that sum to 1.
    """

    rows: Ints
    places: Ints
    weights: Floats
    stars: Floats
    targets: Floats


class Examples:
    """Draws training examples from histories.

    An example of the first kind gives k ratings of one person, k log-uniform from 1 to
    ``LARGEST_PART`` of the history, and asks for the rest: a liked movie counts 1, another
    ``unliked_weight``. One of the second kind gives everything before a visit, weighted by age,
    and asks for all that was rated in that visit and later.
    """

    def __init__(
        self,
        histories: Histories,
        covered: Ints,
        params: DaeParams,
        seed: int,
        *,
        least_targets: int = LEAST_TARGETS,
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._params = params
        self._n_covered = covered.size
        position = np.full(histories.n_movies, -1, dtype=np.int64)
        position[covered] = np.arange(covered.size)
        self._places = position[histories.movies]
        self._stars = histories.stars
        self._timestamps = histories.timestamps
        self._offsets = histories.offsets
        counts = histories.counts()
        self._users = np.flatnonzero(counts > least_targets)
        self._largest = np.maximum(
            np.minimum(counts - least_targets, (LARGEST_PART * counts).astype(np.int64)), 1
        )
        self._visits = _visits(histories)

    def __bool__(self) -> bool:
        return bool(self._users.size)

    def draw(self, n: int) -> Batch:
        """Return ``n`` examples."""
        n_visits = round(n * self._params.visit_share) if len(self._visits) else 0
        n_parts = n - n_visits
        given, wanted = self._draw_parts(n_parts)
        before, after = self._draw_visits(n_visits, first_row=n_parts)
        rows, ratings, weights = _joined([given, before])
        inside = self._places[ratings] >= 0
        return Batch(
            rows[inside],
            self._places[ratings[inside]],
            weights[inside],
            self._stars[ratings[inside]],
            self._targets(_joined([wanted, after]), n),
        )

    def _draw_parts(self, n: int) -> _Drawn:
        """Return the given ratings and the wanted ones of ``n`` random parts of histories."""
        users = self._random.choice(self._users, n)
        counts = self._offsets[users + 1] - self._offsets[users]
        largest = self._largest[users]
        sizes = np.exp(self._random.uniform(0.0, np.log(largest + 1.0))).astype(np.int64)
        rows = np.repeat(np.arange(n), counts)
        starts = np.cumsum(counts) - counts
        ratings = np.arange(rows.size) - np.repeat(starts - self._offsets[users], counts)
        # A random order within each row: the first ``sizes`` of it are given.
        order = np.argsort(rows + self._random.random(rows.size))
        rank = np.arange(rows.size) - np.repeat(starts, counts)
        given = order[rank < np.repeat(sizes, counts)]
        wanted = order[rank >= np.repeat(sizes, counts)]
        liked = self._stars[ratings[wanted]] >= LIKED
        gains = np.where(liked, 1.0, self._params.unliked_weight).astype(np.float32)
        ones = np.ones(given.size, dtype=np.float32)
        return (rows[given], ratings[given], ones), (rows[wanted], ratings[wanted], gains)

    def _draw_visits(self, n: int, *, first_row: int) -> _Drawn:
        """Return the ratings before and from ``n`` random visits on, rows from ``first_row``."""
        chosen = self._random.choice(len(self._visits), n) if n else np.zeros(0, dtype=np.int64)
        before: list[tuple[Ints, Ints, Floats]] = []
        after: list[tuple[Ints, Ints, Floats]] = []
        for row, visit in enumerate(chosen.tolist(), start=first_row):
            start, cut, end = self._visits[visit].tolist()
            past, future = np.arange(start, cut), np.arange(cut, end)
            weights = self._params.recency.weights(self._timestamps[past])
            before.append((np.full(past.size, row), past, weights))
            after.append((np.full(future.size, row), future, np.ones(future.size, np.float32)))
        return _joined(before), _joined(after)

    def _targets(self, wanted: _Columns, n: int) -> Floats:
        """Return the wanted movies as rows that sum to 1, or to 0 where nothing is wanted."""
        rows, ratings, gains = wanted
        places = self._places[ratings]
        inside = places >= 0
        targets = np.zeros((n, self._n_covered), dtype=np.float32)
        targets[rows[inside], places[inside]] = gains[inside]
        sums = targets.sum(axis=1, keepdims=True)
        return as_float32(np.divide(targets, sums, out=targets, where=sums > 0))


#: Rows of examples, ratings, and their weights or gains.
_Columns = tuple[Ints, Ints, Floats]
#: What is given and what is asked for.
_Drawn = tuple[_Columns, _Columns]


def _joined(parts: Sequence[_Columns]) -> _Columns:
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, np.zeros(0, dtype=np.float32)
    rows, ratings, values = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(ratings), np.concatenate(values)


def _visits(histories: Histories) -> Ints:
    """Return (n, 3): where a history starts, where a later visit starts, where the history ends.

    The latest ``MOST_VISITS`` of each person that have ``LEAST_BEFORE`` ratings before them.
    """
    moments, offsets = histories.timestamps, histories.offsets
    pauses = np.flatnonzero(np.diff(moments) >= PAUSE_S) + 1
    users = np.searchsorted(offsets, pauses, side="right") - 1
    within = pauses - offsets[users] >= LEAST_BEFORE
    pauses, users = pauses[within], users[within]
    # Counted from each person's last pause backwards.
    _, first, counts = np.unique(users, return_index=True, return_counts=True)
    from_end = np.repeat(first + counts, counts) - np.arange(users.size)
    kept = from_end <= MOST_VISITS
    return np.stack([offsets[users], pauses, offsets[users + 1]], axis=1)[kept]


def build(fixed: Fixed, params: DaeParams) -> Any:
    """Return the Keras model as it is served.

    Inputs: ``stars`` (batch, n_covered), 0 where a movie is not rated, and ``weights`` (batch,
    n_covered), the age weight of each rating. Output: (batch, n_covered) logits. The layers of
    the neighbours and the genres are frozen.
    """
    import keras
    from keras import layers, ops

    n = fixed.covered.size
    stars = keras.Input((n,), name="stars")
    weights = keras.Input((n,), name="weights")
    rated = weights * ops.cast(stars > 0, "float32")
    length = ops.sqrt(ops.sum(rated * rated, axis=1, keepdims=True) + 1e-12)
    count = ops.sum(ops.cast(rated > 0, "float32"), axis=1, keepdims=True)
    count = ops.maximum(count, 1.0)
    centred = rated * (stars - NEUTRAL) / STAR_UNIT
    encoded = layers.Dense(params.size, name="encode_rated")(rated / length)
    encoded += layers.Dense(params.size, use_bias=False, name="encode_stars")(centred / length)
    log_count = ops.log(count) / LOG_COUNT_UNIT
    hidden = layers.Concatenate()([ops.tanh(encoded), log_count])
    logits = layers.Dense(n, name="decode")(hidden)
    powered = rated * ops.power(stars / 5.0, params.star_power)
    neighbours = layers.Dense(n, use_bias=False, trainable=False, name="neighbours")(powered)
    logits += params.neighbours * ops.power(count, params.neighbours_power) * neighbours
    of_movies = layers.Dense(fixed.genres.shape[1], use_bias=False, trainable=False, name="genres")
    ratings = ops.sum(rated, axis=1, keepdims=True) + CALM
    likes = rated * ops.cast(stars >= LIKES_GENRE, "float32")
    expected = ops.sum(likes, axis=1, keepdims=True) * fixed.mean_genres[None]
    affinity = params.affinity * (of_movies(likes) - expected) / ratings
    averse = of_movies(rated * (stars - GENRE_NEUTRAL) / GENRE_UNIT) / ratings
    points = affinity - params.aversion * ops.relu(-averse)
    logits += layers.Dense(n, use_bias=False, trainable=False, name="genre_movies")(points)
    model = keras.Model([stars, weights], logits, name="dae")
    model.get_layer("neighbours").set_weights([fixed.neighbours])
    model.get_layer("genres").set_weights([fixed.genres])
    model.get_layer("genre_movies").set_weights([fixed.genres.T])
    return model


def arrays_of(model: Any, params: DaeParams, fixed: Fixed) -> dict[str, Any]:
    """Return the arrays of :class:`DaeScorer`."""
    rated, bias = model.get_layer("encode_rated").get_weights()
    decode, decode_bias = model.get_layer("decode").get_weights()
    return {
        "encode_rated": rated,
        "encode_stars": model.get_layer("encode_stars").get_weights()[0],
        "encode_bias": bias,
        "decode": decode,
        "decode_bias": decode_bias,
        "neighbours": fixed.neighbours,
        "genres": fixed.genres,
        "mean_genres": fixed.mean_genres,
        "covered": fixed.covered,
        "counts": fixed.counts,
        "serving": np.array(
            [
                params.star_power,
                params.neighbours,
                params.neighbours_power,
                params.affinity,
                params.aversion,
                params.age_days,
                params.age_ratings,
                params.age_floor,
            ]
        ),
    }


def stored_arrays(model: Any, params: DaeParams, fixed: Fixed) -> dict[str, Any]:
    """Return :func:`arrays_of` as a bundle keeps them, the neighbours in half precision."""
    arrays = arrays_of(model, params, fixed)
    return {**arrays, "neighbours": fixed.neighbours.astype(np.float16)}


def _neighbours(histories: Histories, covered: Ints, params: DaeParams) -> Floats:
    """Return EASE's weights as they will be stored, (n_covered, n_covered)."""
    recipe = ease.EaseParams(
        size=params.least, lambda_=params.lambda_, star_power=params.star_power
    )
    return as_float32(ease.solve(histories, covered, recipe).astype(np.float16))


def _train(
    model: Any,
    examples: Examples,
    params: DaeParams,
    *,
    steps: int,
    epochs: int,
    validate: Callable[[Any], dict[str, float]] | None,
    early_stop: training_loop.EarlyStop | None,
    on_epoch: OnEpoch | None,
) -> training_loop.Run:
    """Train the autoencoder on drawn examples; the best epoch's weights are in ``model`` then.

    The neighbours and the genres take no part: in training they would have seen the very
    people whose ratings they are asked to predict, and would be trusted too much.
    """
    if not examples:
        # Nobody has enough ratings to ask for some of them: popularity and neighbours remain.
        return training_loop.Run(best_epoch=1, curves={"loss": [0.0]})
    step = _step(model, params, steps)

    def run_epoch() -> float:
        losses = [step(examples.draw(params.batch_size)) for _ in range(STEPS_PER_EPOCH)]
        return float(np.mean([float(loss) for loss in losses]))

    return training_loop.run(
        model,
        run_epoch,
        epochs=epochs,
        validate=validate,
        early_stop=early_stop,
        on_epoch=on_epoch,
    )


def _step(model: Any, params: DaeParams, steps: int) -> Callable[[Batch], Any]:
    """Return a function that takes one step of Adam on a batch and returns its mean loss.

    The graph of :func:`build` over sparse inputs: most of a dense input would be zeros.
    """
    import tensorflow as tf

    names = ("encode_rated", "encode_stars", "decode")
    weights = [v.value for name in names for v in model.get_layer(name).trainable_variables]
    rated_kernel, bias, stars_kernel, decode_kernel, decode_bias = weights
    adam = training_loop.adam(weights, training_loop.one_cycle(params.learning_rate, steps))
    kept = 1.0 - params.dropout
    n_covered = int(rated_kernel.shape[0])

    @tf.function(autograph=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(cells: Any, rated: Any, centred: Any, log_count: Any, targets: Any) -> Any:
        shape = (params.batch_size, n_covered)
        with tf.GradientTape() as tape:
            encoded = bias + sum(
                tf.sparse.sparse_dense_matmul(tf.SparseTensor(cells, values, shape), kernel)
                for values, kernel in ((rated, rated_kernel), (centred, stars_kernel))
            )
            hidden = tf.concat([tf.tanh(encoded), log_count], axis=1)
            hidden = tf.nn.dropout(hidden, params.dropout)
            logits = hidden @ decode_kernel + decode_bias
            likelihood = tf.reduce_sum(targets * tf.nn.log_softmax(logits), axis=1)
            asked = tf.reduce_sum(targets, axis=1)
            loss = -tf.reduce_sum(likelihood) / tf.maximum(tf.reduce_sum(asked), 1.0)
            penalty = sum(tf.nn.l2_loss(w) for w in (rated_kernel, stars_kernel, decode_kernel))
            total = loss + 2.0 * params.l2 * penalty
        adam(tape.gradient(total, weights))
        return loss

    random = np.random.default_rng(int(tf.random.uniform((), maxval=2**31 - 1, dtype=tf.int32)))

    def on_batch(batch: Batch) -> Any:
        lengths = np.sqrt(np.bincount(batch.rows, batch.weights**2, params.batch_size)) + 1e-6
        counts = np.bincount(batch.rows, minlength=params.batch_size)
        rated = batch.weights / lengths[batch.rows]
        centred = rated * (batch.stars - NEUTRAL) / STAR_UNIT
        order = np.lexsort((batch.places, batch.rows))
        # Each half of the input drops out by itself.
        noise = (random.random((2, rated.size)) < kept) / kept
        return step(
            np.stack([batch.rows, batch.places], axis=1)[order],
            (rated * noise[0])[order].astype(np.float32),
            (centred * noise[1])[order].astype(np.float32),
            (np.log(np.maximum(counts, 1)) / LOG_COUNT_UNIT).astype(np.float32)[:, None],
            batch.targets,
        )

    return on_batch


def _held_out_loss(scorer: DaeScorer, known: Histories, held: Ratings, covered: Ints) -> float:
    """Return the negative log-likelihood per held-out rating of a covered movie; 0 without any."""
    losses: list[float] = []
    wanted = held.histories
    for user in np.flatnonzero(wanted.counts()).tolist():
        movies = np.intersect1d(wanted[user].movies, covered)
        if movies.size:
            scores = scorer.fold_in(known[user]).astype(np.float64)
            inside = scores[covered]
            top = inside.max()
            normaliser = top + np.log(np.exp(inside - top).sum())
            losses.extend((normaliser - scores[movies]).tolist())
    return float(np.mean(losses)) if losses else 0.0
