"""Training and fine-tuning of the denoising autoencoder.

:mod:`moovier.models.dae` describes the model. Keras is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from moovier.data.ratings import Floats, Histories, Ints, Ratings
from moovier.models import content_features, ease, popular, training_loop
from moovier.models.dae_examples import LIKED, Batch, Examples
from moovier.models.dae_network import Constants, arrays_of, build, stored_arrays
from moovier.models.dae_scoring import LOG_COUNT_UNIT, NEUTRAL, STAR_UNIT, DaeParams, DaeScorer
from moovier.models.family import FineTuneRequest, FitContext, FitResult, OnEpoch, as_float32
from moovier.models.item_statistics import ItemStatistics

#: Epochs without improvement after which a training ends.
PATIENCE = 4
#: Batches of one epoch: an epoch is a fixed amount of training for any number of users.
STEPS_PER_EPOCH = 20
#: Most epochs of a fine-tuning, and its learning rate as a share of the training's.
FINE_TUNING_EPOCHS, FINE_TUNING_RATE = 10, 0.1


def fit(train: Ratings, params: DaeParams, context: FitContext) -> FitResult:
    """Train on ``train``; see :meth:`moovier.models.family.Family.fit`."""
    training_loop.set_seed(context.seed)
    histories = train.histories
    counts = histories.movie_counts()
    covered = ease.covered_movies(counts, params.least, context.statistics)
    genres = content_features.genres(context.catalogue, 1.0).rows()[covered]
    constants = Constants(
        covered=covered,
        counts=counts,
        neighbours=_neighbours(histories, covered, params, context.statistics),
        genres=genres,
        mean_genres=as_float32(counts[covered] @ genres / max(int(counts[covered].sum()), 1)),
        trend=_trend(histories, params)[covered],
    )
    model = build(constants, params)
    liked = np.bincount(histories.movies[histories.stars >= LIKED], minlength=train.n_movies)
    kernel, _ = model.get_layer("decode").get_weights()
    model.get_layer("decode").set_weights([kernel, np.log(liked[covered] + 0.3) - 5.0])
    validation_ndcg = context.validation_ndcg
    stops_early = validation_ndcg is not None and context.epochs is None

    def validate(model: Any) -> dict[str, float]:
        assert validation_ndcg is not None
        return {"val_ndcg_at_10": validation_ndcg(DaeScorer(arrays_of(model, params, constants)))}

    run = _train(
        model,
        Examples(histories, covered, params, context.seed),
        params,
        steps=params.epochs * STEPS_PER_EPOCH,
        epochs=context.epochs or params.epochs,
        validate=validate if stops_early else None,
        early_stop=(
            training_loop.EarlyStop("val_ndcg_at_10", "max", PATIENCE) if stops_early else None
        ),
        on_epoch=context.on_epoch,
    )
    return FitResult(stored_arrays(model, params, constants), model, run.best_epoch, run.curves)


def fine_tune(parent: FitResult, params: DaeParams, request: FineTuneRequest) -> FitResult:
    """Train further on the users of the batch; see :meth:`moovier.models.dae.DaeFamily.fine_tune`.

    The ratings outside the validation part of the batch are the input and the targets.
    """
    training_loop.set_seed(request.seed)
    model = parent.keras_model
    batch, merged = request.batch, request.merged
    constants = Constants(
        covered=parent.arrays["covered"],
        counts=merged.histories.movie_counts(),
        neighbours=as_float32(parent.arrays["neighbours"]),
        genres=parent.arrays["genres"],
        mean_genres=parent.arrays["mean_genres"],
        trend=as_float32(parent.arrays["decode_bias"] - model.get_layer("decode").get_weights()[1]),
    )
    _, validation = request.split_batch()
    known = merged.take(np.isin(merged.users, batch.users))
    known = known.take(~known.isin(validation))

    def validate(model: Any) -> dict[str, float]:
        scorer = DaeScorer(arrays_of(model, params, constants))
        return {"val_loss": _held_out_loss(scorer, known.histories, validation, constants.covered)}

    monitor = "val_loss" if len(validation) else "loss"
    run = _train(
        model,
        Examples(known.histories, constants.covered, params, request.seed, least_targets=1),
        params.model_copy(update={"learning_rate": params.learning_rate * FINE_TUNING_RATE}),
        steps=FINE_TUNING_EPOCHS * STEPS_PER_EPOCH,
        epochs=FINE_TUNING_EPOCHS,
        validate=validate if len(validation) else None,
        early_stop=training_loop.EarlyStop(monitor, "min", request.patience),
        on_epoch=request.on_epoch,
    )
    return FitResult(stored_arrays(model, params, constants), model, run.best_epoch, run.curves)


def _trend(histories: Histories, params: DaeParams) -> Floats:
    """Return points for movies that are liked more often recently than before, (n_movies,).

    The points are ``popular_weight * log((recent + 1) / (expected + 1))``. ``recent`` counts the
    likes of a movie in the last ``popular_days``; ``expected`` is its likes of all time times the
    share of all likes that fall into these days.
    """
    points = np.zeros(histories.n_movies, dtype=np.float32)
    if not (params.popular_days and params.popular_weight and histories.movies.size):
        return points
    liked = histories.stars >= LIKED
    recent = liked & popular.is_recent(histories.timestamps, params.popular_days)
    all_likes = np.bincount(histories.movies[liked], minlength=histories.n_movies)
    recent_likes = np.bincount(histories.movies[recent], minlength=histories.n_movies)
    expected = all_likes * (recent_likes.sum() / max(int(all_likes.sum()), 1))
    return as_float32(params.popular_weight * np.log((recent_likes + 1.0) / (expected + 1.0)))


def _neighbours(
    histories: Histories, covered: Ints, params: DaeParams, statistics: ItemStatistics | None
) -> Floats:
    """Return EASE's weights, rounded as in the bundle, (n_covered, n_covered)."""
    ease_params = ease.EaseParams(
        size=params.least, lambda_=params.lambda_, star_power=params.star_power
    )
    weights = ease.solve(histories, covered, ease_params, statistics)
    return as_float32(weights.astype(np.float16, copy=False))


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
    """Train the autoencoder on drawn examples; ``model`` gets the best epoch's weights.

    The neighbours and the genres take no part: they know the ratings of the users in training,
    so the autoencoder would learn to trust them too much.
    """
    if not examples:
        # No user has enough ratings for an example: popularity and neighbours remain.
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

    It computes the autoencoder of :func:`build` over sparse inputs, because most of a dense input
    would be zeros.
    """
    import tensorflow as tf

    names = ("encode_rated", "encode_stars", "decode")
    weights = [v.value for name in names for v in model.get_layer(name).trainable_variables]
    rated_kernel, bias, stars_kernel, decode_kernel, decode_bias = weights
    adam = training_loop.adam(weights, training_loop.one_cycle(params.learning_rate, steps))
    keep_share = 1.0 - params.dropout
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
            sums = tf.reduce_sum(targets, axis=1)
            loss = -tf.reduce_sum(likelihood) / tf.maximum(tf.reduce_sum(sums), 1.0)
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
        # The two halves of the input drop out independently.
        noise = (random.random((2, rated.size)) < keep_share) / keep_share
        return step(
            np.stack([batch.rows, batch.places], axis=1)[order],
            (rated * noise[0])[order].astype(np.float32),
            (centred * noise[1])[order].astype(np.float32),
            (np.log(np.maximum(counts, 1)) / LOG_COUNT_UNIT).astype(np.float32)[:, None],
            batch.targets,
        )

    return on_batch


def _held_out_loss(
    scorer: DaeScorer, known: Histories, validation: Ratings, covered: Ints
) -> float:
    """Return the negative log-likelihood per held-out rating of a covered movie; 0 without any."""
    losses: list[float] = []
    held_out = validation.histories
    for user in np.flatnonzero(held_out.counts()).tolist():
        movies = np.intersect1d(held_out[user].movies, covered)
        if movies.size:
            scores = scorer.fold_in(known[user]).astype(np.float64)
            inside = scores[covered]
            top = inside.max()
            normaliser = top + np.log(np.exp(inside - top).sum())
            losses.extend((normaliser - scores[movies]).tolist())
    return float(np.mean(losses)) if losses else 0.0
