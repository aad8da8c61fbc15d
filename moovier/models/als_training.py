"""Training and fine-tuning of ALS.

:mod:`moovier.models.als` describes the model. :func:`factorise` trains on this machine, by the same
steps as MLlib, which :mod:`moovier.spark.factors` calls on a cluster.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Floats, Histories, Ints, Ratings
from moovier.models import ease, item_statistics
from moovier.models.als_scoring import AlsParams, AlsScorer, solved_factor
from moovier.models.factorisation import Factorisation
from moovier.models.family import FineTuneRequest, FitContext, FitResult, as_float32
from moovier.models.item_statistics import Weighting

_LAYER = "decode"


def fit(train: Ratings, params: AlsParams, context: FitContext) -> FitResult:
    """Train on ``train``; see :meth:`moovier.models.family.Family.fit`.

    The iterations belong to the recipe, so the training is one epoch.
    """
    histories = train.histories
    counts = histories.movie_counts()
    covered = ease.frequent_movies(counts, params.least, most=max(counts.size, 1))
    compute = context.factorise or factorise
    factors = compute(histories, covered, options_of(params, context.seed))
    arrays = arrays_of(factors, covered, counts, params)
    metrics: dict[str, float] = {}
    if context.validation_ndcg is not None and context.epochs is None:
        metrics["val_ndcg_at_10"] = context.validation_ndcg(AlsScorer(arrays))
    if context.on_epoch is not None:
        context.on_epoch(0, metrics)
    curves = {name: [value] for name, value in metrics.items()}
    return FitResult(arrays, keras_model(factors), 1, curves)


def fine_tune(parent: FitResult, params: AlsParams, request: FineTuneRequest) -> FitResult:
    """Solve for the factors of the batch's movies again, with all ratings.

    The factors of all users follow from the parent's factors of the movies.
    """
    covered: Ints = parent.arrays["covered"]
    factors = as_float32(parent.arrays["factors"]).copy()
    histories = request.merged.histories
    options = options_of(params, request.seed)
    strengths = _strengths(histories, covered, options)
    users = _solved(strengths, factors, options.reg)
    rated = np.flatnonzero(np.isin(covered, request.batch.movies))
    factors[rated] = _solved(strengths.T.tocsr()[rated], users, options.reg)
    if request.on_epoch is not None:
        request.on_epoch(0, {})
    arrays = arrays_of(factors, covered, histories.movie_counts(), params)
    return FitResult(arrays, keras_model(factors), 1, {})


def options_of(params: AlsParams, seed: int) -> Factorisation:
    """Return the options of the training."""
    return Factorisation(
        size=params.size,
        iterations=params.iterations,
        alpha=params.alpha,
        reg=params.reg,
        star_power=params.star_power,
        seed=seed,
    )


def factorise(histories: Histories, covered: Ints, options: Factorisation) -> Floats:
    """Return the factors of the movies ``covered``, (n_covered, size).

    As in MLlib, users start with random factors of length 1, and each iteration solves for the
    factors of the movies, then for those of the users.
    """
    by_user = _strengths(histories, covered, options)
    by_user = by_user[np.flatnonzero(np.diff(by_user.indptr))]
    by_movie = by_user.T.tocsr()
    start = np.random.default_rng(options.seed).standard_normal((by_user.shape[0], options.size))
    users = as_float32(start / np.linalg.norm(start, axis=1, keepdims=True))
    movies = np.zeros((covered.size, options.size), dtype=np.float32)
    for _ in range(options.iterations):
        movies = _solved(by_movie, users, options.reg)
        users = _solved(by_user, movies, options.reg)
    return movies


def _strengths(histories: Histories, covered: Ints, options: Factorisation) -> Any:
    """Return the confidence of each rating beyond 1 as a sparse matrix, (n_users, n_covered)."""
    weighting = Weighting(options.star_power, math.inf)
    matrix = item_statistics.weighted_matrix(histories, covered, weighting, np.float32)
    matrix.data *= options.alpha
    return matrix


def _solved(strengths: Any, others: NDArray[np.floating], reg: float) -> Floats:
    """Return the factor of each row of ``strengths``, (n_rows, size); zeros for an empty row.

    ``others``: (n_columns, size) factors of its columns.
    """
    factors = others.astype(np.float64)
    gram = factors.T @ factors
    ends, columns, values = strengths.indptr, strengths.indices, strengths.data
    solved = np.zeros((strengths.shape[0], factors.shape[1]), dtype=np.float32)
    for row in np.flatnonzero(np.diff(ends)):
        span = slice(ends[row], ends[row + 1])
        solved[row] = solved_factor(factors[columns[span]], gram, values[span], reg)
    return solved


def arrays_of(factors: Floats, covered: Ints, counts: Ints, params: AlsParams) -> dict[str, Any]:
    """Return the arrays of :class:`AlsScorer`."""
    exact = factors.astype(np.float64)
    return {
        "factors": as_float32(factors),
        "gram": exact.T @ exact,
        "covered": covered,
        "counts": counts,
        "equation": np.array([params.alpha, params.reg]),
        "asking": np.array([params.asking_star_power, params.asking_half_life]),
    }


def keras_model(factors: Floats) -> Any:
    """Return the model from a user's factor, (batch, size), to the scores, (batch, n_covered)."""
    import keras

    n_covered, size = factors.shape
    user = keras.Input((size,), name="user")
    # The weights are set below; drawing millions of random ones first would take a second.
    layer = keras.layers.Dense(n_covered, use_bias=False, kernel_initializer="zeros", name=_LAYER)
    model = keras.Model(user, layer(user), name="als")
    layer.set_weights([factors.T])
    return model
