"""EASE: an autoencoder of one dense layer, solved in closed form, that ranks.

A person is the weighted set of movies they rated, x. The scores are x B, where B minimises
||X - X B||² + lambda ||B||² over all people X with a diagonal of zero, so that no movie explains
itself: with P = (X'X + lambda I)^-1, B = -P / diag(P) off the diagonal. Source: Steck 2019,
"Embarrassingly Shallow Autoencoders for Sparse Data", https://arxiv.org/abs/1905.03375, eq. 8.

How much a rating and its age count is chosen apart for X, from which B is learnt, and for the x
that asks (:mod:`moovier.models.rating_weights`). Nothing belongs to a user: a person the model
never saw is served as well as a known one.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.models import rating_weights
from moovier.models.family import (
    Arrays,
    FitResult,
    HyperParameters,
    OnEpoch,
    Scorer,
    Trial,
    ValidationNdcg,
    as_float32,
)

NAME = "ease"
#: Movies that B covers at most: it has that many columns and rows, in memory and in the file.
MOST_MOVIES = 6000
#: Longest half-life, in ratings: hardly any history is as long.
LONGEST_HALF_LIFE = 10_000.0
_LAYER = "weights"


class EaseParams(HyperParameters):
    """``size``: ratings that a movie needs to be covered by B; the others are ranked behind, by
    popularity. ``lambda_``: weight of the penalty. ``star_power``, ``half_life``: see
    :func:`inputs.weights`, first for learning, then for asking."""

    size: PositiveInt = 3
    lambda_: PositiveFloat = 200.0
    star_power: NonNegativeFloat = 2.0
    half_life: PositiveFloat = Field(LONGEST_HALF_LIFE, description="In ratings.")
    asking_star_power: NonNegativeFloat = 2.0
    asking_half_life: PositiveFloat = Field(30.0, description="In ratings.")


class EaseScorer:
    """``weights``: B, (n_covered, n_covered) float16. ``covered``: (n_covered,) movie rows.
    ``counts``: (n_movies,) ratings, to rank what B does not cover. ``asking``: star power and
    half-life of a person's own history."""

    def __init__(self, arrays: Arrays) -> None:
        # Half precision halves the file; computing in it is slow.
        self._weights = as_float32(arrays["weights"])
        self._covered: Ints = arrays["covered"]
        counts = as_float32(arrays["counts"])
        if self._weights.shape != (self._covered.size, self._covered.size):
            raise ValueError(f"{self._weights.shape} weights for {self._covered.size} movies")
        self.n_movies = int(counts.size)
        self._position = np.full(self.n_movies, -1, dtype=np.int64)
        self._position[self._covered] = np.arange(self._covered.size)
        # Between -2 and -1, far below what B gives.
        self._behind = counts / max(float(counts.max(initial=1)), 1.0) - 2.0
        self._asking = (float(arrays["asking"][0]), float(arrays["asking"][1]))

    def score(self, users: Ints, histories: Histories) -> Floats:
        scores = np.empty((len(users), self.n_movies), dtype=np.float32)
        for row, user in enumerate(users):
            scores[row] = self.fold_in(histories[int(user)])
        return scores

    def fold_in(self, history: History) -> Floats:
        weights, places = self._input(history)
        known = places >= 0
        if not known.any():
            # Nothing to go by: what is popular, the covered movies included.
            return self._behind.copy()
        scores = self._behind - 100.0
        scores[self._covered] = weights[known] @ self._weights[places[known]]
        return as_float32(scores)

    def explain(self, history: History, movies: Ints) -> Floats:
        weights, places = self._input(history)
        parts = np.zeros((len(movies), len(history)), dtype=np.float32)
        known, targets = places >= 0, self._position[movies]
        reached = targets >= 0
        shares = self._weights[np.ix_(places[known], targets[reached])]
        parts[np.ix_(reached, known)] = (weights[known, None] * shares).T
        return parts

    def _input(self, history: History) -> tuple[Floats, Ints]:
        """Each rated movie's weight, and its place in B, -1 where B does not cover it."""
        star_power, half_life = self._asking
        weights = rating_weights.weights(history, star_power=star_power, half_life=half_life)
        return weights, self._position[history.movies]


class EaseFamily:
    """See the module's text."""

    name = NAME
    objective: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = EaseParams

    def search_space(self, trial: Trial) -> HyperParameters:
        return EaseParams(
            size=trial.suggest_int("size", 2, 5),
            lambda_=trial.suggest_float("lambda_", 20.0, 1000.0, log=True),
            star_power=trial.suggest_float("star_power", 0.0, 3.0),
            half_life=trial.suggest_float("half_life", 30.0, LONGEST_HALF_LIFE, log=True),
            asking_star_power=trial.suggest_float("asking_star_power", 0.0, 3.0),
            asking_half_life=trial.suggest_float("asking_half_life", 3.0, 1000.0, log=True),
        )

    def fit(
        self,
        train: Ratings,
        params: HyperParameters,
        *,
        catalogue: Catalogue,
        seed: int,
        validation: Ratings | None = None,
        validation_ndcg: ValidationNdcg | None = None,
        epochs: int | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> FitResult:
        params = cast(EaseParams, params)
        arrays = build_arrays(train, params)
        figures: dict[str, float] = {}
        if validation_ndcg is not None and epochs is None:
            figures["val_ndcg_at_10"] = validation_ndcg(self.scorer(arrays))
        if on_epoch is not None:
            on_epoch(0, figures)
        curves = {name: [figure] for name, figure in figures.items()}
        return FitResult(arrays, _keras_model(arrays["weights"]), 1, curves)

    def fine_tune(
        self,
        parent: FitResult,
        params: HyperParameters,
        *,
        catalogue: Catalogue,
        old_n_users: int,
        batch: Ratings,
        merged: Ratings,
        validation_split: float,
        patience: int,
        seed: int,
        on_epoch: OnEpoch | None = None,
    ) -> FitResult:
        """Solve again with the batch in: a closed form has no weights to go on from, and takes
        seconds. New people need no parameters of their own."""
        return self.fit(merged, params, catalogue=catalogue, seed=seed, epochs=1, on_epoch=on_epoch)

    def scorer(self, arrays: Arrays) -> Scorer:
        return EaseScorer(arrays)


def build_arrays(train: Ratings, params: EaseParams) -> dict[str, Any]:
    """Return the arrays of :class:`EaseScorer`."""
    histories = train.histories
    counts = histories.movie_counts()
    within = frequent_movies(counts, params.size)
    return {
        "weights": solve(histories, within, params).astype(np.float16),
        "covered": within,
        "counts": counts,
        "asking": np.array([params.asking_star_power, params.asking_half_life]),
    }


def solve(histories: Histories, within: Ints, params: EaseParams) -> NDArray[np.float64]:
    """Return B over the movies ``within``, (len(within), len(within))."""
    import scipy.sparse

    position = np.full(histories.n_movies, -1, dtype=np.int64)
    position[within] = np.arange(within.size)
    weights = rating_weights.all_weights(
        histories, star_power=params.star_power, half_life=params.half_life
    )
    users = np.repeat(np.arange(histories.n_users), histories.counts())
    columns = position[histories.movies]
    inside = columns >= 0
    people = scipy.sparse.csr_matrix(
        (weights[inside].astype(np.float64), (users[inside], columns[inside])),
        shape=(histories.n_users, within.size),
    )
    return _solved(people, params.lambda_)


def _solved(people: Any, lambda_: float) -> NDArray[np.float64]:
    """B, (n_covered, n_covered), from ``people``, the sparse X (n_people, n_covered)."""
    import scipy.linalg

    n_people, n_covered = people.shape
    if n_people < n_covered:
        # The same P by a smaller inverse: lambda P = I - X' (X X' + lambda I)^-1 X (Woodbury).
        between = (people @ people.T).toarray() + lambda_ * np.eye(n_people)
        found = people.T @ scipy.linalg.solve(between, people.toarray(), assume_a="pos")
        np.negative(found, out=found)
        found[np.diag_indices(n_covered)] += 1.0
    else:
        gram = (people.T @ people).toarray()
        gram[np.diag_indices(n_covered)] += lambda_
        found = scipy.linalg.inv(gram, overwrite_a=True, check_finite=False)
    found /= -np.diag(found).copy()
    np.fill_diagonal(found, 0.0)
    return np.asarray(found)


def frequent_movies(counts: Ints, least: int) -> Ints:
    """Rows of the movies with ``least`` ratings, at most the ``MOST_MOVIES`` most rated; where
    none has as many, all that are rated."""
    often = np.flatnonzero(counts >= least)
    if often.size == 0:
        often = np.flatnonzero(counts)
    if often.size > MOST_MOVIES:
        order = np.lexsort((often, -counts[often]))
        often = np.sort(often[order[:MOST_MOVIES]])
    return often


def _keras_model(weights: Any) -> Any:
    """Input and output (batch, n_covered): one dense layer that holds B."""
    import keras

    n_covered = int(weights.shape[0])
    rated = keras.Input((n_covered,), name="rated")
    layer = keras.layers.Dense(n_covered, use_bias=False, name=_LAYER)
    model = keras.Model(rated, layer(rated), name=NAME)
    layer.set_weights([weights.astype(np.float32)])
    return model
