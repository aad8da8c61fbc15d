"""EASE: an autoencoder of one dense layer with a closed-form solution, for ranking.

A user is the weighted set of the rated movies, x. The scores are x B, where B minimises
||X - X B||² + lambda ||B||² over all users X with a diagonal of zero, so that no movie predicts
itself: with P = (X'X + lambda I)^-1, B = -P / diag(P) off the diagonal. Source: Steck 2019,
"Embarrassingly Shallow Autoencoders for Sparse Data", https://arxiv.org/abs/1905.03375, eq. 8.

The weight of a rating by stars and age (:mod:`moovier.models.rating_weights`) has parameters for
X, from which B is learnt, and other parameters for the x that is scored. The model has no
parameters per user, so fold-in serves a visitor like a known user.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.models import item_statistics, rating_weights
from moovier.models.family import (
    Arrays,
    FineTuneRequest,
    FitContext,
    FitResult,
    HyperParameters,
    Scorer,
    Trial,
    as_float32,
    fold_in_each,
)
from moovier.models.item_statistics import ItemStatistics, Weighting

NAME = "ease"
#: Most movies that B covers: it has as many columns and rows, in memory and in the file.
MOST_MOVIES = 6000
#: Longest half-life, in ratings: hardly any history is as long.
LONGEST_HALF_LIFE = 10_000.0
_LAYER = "weights"


class EaseParams(HyperParameters):
    """Hyper-parameters.

    ``size``: ratings that a movie needs to be covered by B; the other movies rank behind, by
    popularity. ``lambda_``: weight of the penalty. ``star_power``, ``half_life``: see
    :func:`moovier.models.rating_weights.weights`; for learning. ``asking_star_power``,
    ``asking_half_life``: the same for scoring.
    """

    size: PositiveInt = 3
    lambda_: PositiveFloat = 200.0
    star_power: NonNegativeFloat = 2.0
    half_life: PositiveFloat = Field(LONGEST_HALF_LIFE, description="In ratings.")
    asking_star_power: NonNegativeFloat = 2.0
    asking_half_life: PositiveFloat = Field(30.0, description="In ratings.")


class EaseScorer:
    """Scores by one product with B.

    ``weights``: B, (n_covered, n_covered) float16. ``covered``: (n_covered,) movie rows.
    ``counts``: (n_movies,) ratings, to rank the movies outside B. ``asking``: star power and
    half-life of the history that is scored.
    """

    def __init__(self, arrays: Arrays) -> None:
        # Half precision halves the file, but computing in it is slow.
        self._weights = as_float32(arrays["weights"])
        self.covered: Ints = arrays["covered"]
        counts = as_float32(arrays["counts"])
        if self._weights.shape != (self.covered.size, self.covered.size):
            raise ValueError(
                f"the shape of weights is {self._weights.shape}, but there are "
                f"{self.covered.size} covered movies"
            )
        self.n_movies = int(counts.size)
        self._position = np.full(self.n_movies, -1, dtype=np.int64)
        self._position[self.covered] = np.arange(self.covered.size)
        # Between -2 and -1, far below the scores from B.
        self._popularity = counts / max(float(counts.max(initial=1)), 1.0) - 2.0
        self._asking = (float(arrays["asking"][0]), float(arrays["asking"][1]))

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the scores of known users, (len(users), n_movies)."""
        return fold_in_each(self.fold_in, users, histories, self.n_movies)

    def fold_in(self, history: History) -> Floats:
        """Return the scores for a visitor, (n_movies,)."""
        weights, places = self._input(history)
        known = places >= 0
        if not known.any():
            # Without a covered rating all movies rank by popularity, the covered ones included.
            return self._popularity.copy()
        scores = self._popularity - 100.0
        scores[self.covered] = weights[known] @ self._weights[places[known]]
        return as_float32(scores)

    def fold_in_covered(self, histories: Histories) -> Floats:
        """Return the scores of the covered movies for each history, (n_users, n_covered)."""
        star_power, half_life = self._asking
        weighting = Weighting(star_power, half_life)
        matrix = item_statistics.weighted_matrix(histories, self.covered, weighting, np.float32)
        return as_float32(matrix @ self._weights)

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return each rating's term of the sum x B, (len(movies), len(history))."""
        weights, places = self._input(history)
        parts = np.zeros((len(movies), len(history)), dtype=np.float32)
        known, targets = places >= 0, self._position[movies]
        reached = targets >= 0
        shares = self._weights[np.ix_(places[known], targets[reached])]
        parts[np.ix_(reached, known)] = (weights[known, None] * shares).T
        return parts

    def _input(self, history: History) -> tuple[Floats, Ints]:
        """Return the weight of each rated movie and its place in B, -1 outside B."""
        star_power, half_life = self._asking
        weights = rating_weights.weights(history, star_power=star_power, half_life=half_life)
        return weights, self._position[history.movies]


class EaseFamily:
    """The family ``ease``; the module's docstring describes the model."""

    name = NAME
    objective: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = EaseParams
    fine_tunes_keras_model = False

    def search_space(self, trial: Trial) -> HyperParameters:
        """Draw hyper-parameters."""
        return EaseParams(
            size=trial.suggest_int("size", 2, 5),
            lambda_=trial.suggest_float("lambda_", 20.0, 1000.0, log=True),
            star_power=trial.suggest_float("star_power", 0.0, 3.0),
            half_life=trial.suggest_float("half_life", 30.0, LONGEST_HALF_LIFE, log=True),
            asking_star_power=trial.suggest_float("asking_star_power", 0.0, 3.0),
            asking_half_life=trial.suggest_float("asking_half_life", 3.0, 1000.0, log=True),
        )

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        """Solve for B: one epoch."""
        arrays = build_arrays(train, cast(EaseParams, params), context.statistics)
        metrics: dict[str, float] = {}
        if context.validation_ndcg is not None and context.epochs is None:
            metrics["val_ndcg_at_10"] = context.validation_ndcg(self.scorer(arrays))
        if context.on_epoch is not None:
            context.on_epoch(0, metrics)
        curves = {name: [value] for name, value in metrics.items()}
        return FitResult(arrays, _keras_model(arrays["weights"]), 1, curves)

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        """Solve again with all ratings, the batch included.

        A closed form has no weights to train further, and solving takes seconds.
        """
        context = FitContext(request.catalogue, request.seed, epochs=1, on_epoch=request.on_epoch)
        return self.fit(request.merged, params, context)

    def scorer(self, arrays: Arrays) -> Scorer:
        """Build the scorer."""
        return EaseScorer(arrays)


def build_arrays(
    train: Ratings, params: EaseParams, statistics: ItemStatistics | None = None
) -> dict[str, Any]:
    """Return the arrays of :class:`EaseScorer`; ``statistics``: see :class:`FitContext`."""
    histories = train.histories
    counts = histories.movie_counts()
    covered = covered_movies(counts, params.size, statistics)
    return {
        "weights": solve(histories, covered, params, statistics).astype(np.float16, copy=False),
        "covered": covered,
        "counts": counts,
        "asking": np.array([params.asking_star_power, params.asking_half_life]),
    }


def solve(
    histories: Histories,
    covered: Ints,
    params: EaseParams,
    statistics: ItemStatistics | None = None,
) -> NDArray[Any]:
    """Return B over the movies ``covered``, (n_covered, n_covered)."""
    weighting = Weighting(params.star_power, params.half_life)
    if statistics is not None:
        return statistics.weights(histories, lambda_=params.lambda_, weighting=weighting)
    matrix = item_statistics.weighted_matrix(histories, covered, weighting)
    return _solve_matrix(matrix, params.lambda_)


def covered_movies(counts: Ints, least: int, statistics: ItemStatistics | None) -> Ints:
    """Return the rows of the movies that B covers, ascending: the shared ones, if any."""
    return frequent_movies(counts, least) if statistics is None else statistics.covered


def _solve_matrix(matrix: Any, lambda_: float) -> NDArray[np.float64]:
    """Return B, (n_covered, n_covered), from the sparse X, (n_users, n_covered)."""
    import scipy.linalg

    n_users, n_covered = matrix.shape
    if n_users < n_covered:
        # The same P by a smaller inverse: lambda P = I - X' (X X' + lambda I)^-1 X (Woodbury).
        between = (matrix @ matrix.T).toarray() + lambda_ * np.eye(n_users)
        inverse = matrix.T @ scipy.linalg.solve(between, matrix.toarray(), assume_a="pos")
        np.negative(inverse, out=inverse)
        inverse[np.diag_indices(n_covered)] += 1.0
    else:
        return item_statistics.solve_gram((matrix.T @ matrix).toarray(), lambda_)
    inverse /= -np.diag(inverse).copy()
    np.fill_diagonal(inverse, 0.0)
    return np.asarray(inverse)


def frequent_movies(counts: Ints, least: int, most: int | None = None) -> Ints:
    """Return the rows of the movies with ``least`` ratings or more, ascending.

    If no movie has as many, all rated movies. At most the ``most`` most rated ones,
    by default :data:`MOST_MOVIES`.
    """
    most = most or MOST_MOVIES
    rows = np.flatnonzero(counts >= least)
    if rows.size == 0:
        rows = np.flatnonzero(counts)
    if rows.size > most:
        order = np.lexsort((rows, -counts[rows]))
        rows = np.sort(rows[order[:most]])
    return rows


def _keras_model(weights: Any) -> Any:
    """Return one dense layer that holds B, from and to (batch, n_covered)."""
    import keras

    n_covered = int(weights.shape[0])
    rated = keras.Input((n_covered,), name="rated")
    # Millions of random weights would be drawn for nothing.
    layer = keras.layers.Dense(n_covered, use_bias=False, kernel_initializer="zeros", name=_LAYER)
    model = keras.Model(rated, layer(rated), name=NAME)
    layer.set_weights([weights.astype(np.float32)])
    return model
