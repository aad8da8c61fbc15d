"""The NumPy scorer of ELSA, and its hyper-parameters.

:mod:`moovier.models.elsa` describes the model.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.models import item_statistics, rating_weights
from moovier.models.covered_movies import CoveredMovies
from moovier.models.family import Arrays, HyperParameters, as_float32, fold_in_each
from moovier.models.item_statistics import Weighting

#: The ranks and epochs that a search draws from.
RANKS, EPOCHS = range(32, 257, 32), range(10, 41, 5)


class ElsaParams(HyperParameters):
    """Hyper-parameters.

    ``size``: rank, the numbers of a movie's vector. ``least``: ratings that a movie needs to have a
    vector; the other movies rank behind, by popularity. ``lambda_``: weight of the penalty on the
    squared weights between movies. ``batch_size``: users of a training step. ``star_power``: power
    of ``stars / 5`` that weighs a rating, for learning. ``asking_star_power`` and
    ``asking_half_life``: see :func:`moovier.models.rating_weights.weights`; for scoring.
    """

    size: PositiveInt = 128
    least: PositiveInt = 3
    learning_rate: PositiveFloat = 0.02
    epochs: PositiveInt = 20
    batch_size: PositiveInt = 512
    lambda_: NonNegativeFloat = 0.01
    star_power: NonNegativeFloat = 2.0
    asking_star_power: NonNegativeFloat = 2.0
    asking_half_life: PositiveFloat = Field(30.0, description="In ratings.")


class ElsaScorer:
    """Scores by two products with A.

    ``vectors``: A, (n_covered, size) float32, rows of length 1. ``covered``: (n_covered,) movie
    rows. ``counts``: (n_movies,) ratings, to rank the movies without a vector. ``asking``: star
    power and half-life of the history that is scored.
    """

    def __init__(self, arrays: Arrays) -> None:
        self._vectors = as_float32(arrays["vectors"])
        self.covered: Ints = arrays["covered"]
        counts = as_float32(arrays["counts"])
        if len(self._vectors) != self.covered.size:
            raise ValueError(
                f"there are {len(self._vectors)} vectors, but {self.covered.size} covered movies"
            )
        self.n_movies = int(counts.size)
        self._movies = CoveredMovies(self.covered, counts)
        self._asking = Weighting(*arrays["asking"].tolist())

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the scores of known users, (len(users), n_movies)."""
        return fold_in_each(self.fold_in, users, histories, self.n_movies)

    def fold_in(self, history: History) -> Floats:
        """Return the scores for a visitor, (n_movies,)."""
        weights, places = self._input(history)
        known = places >= 0
        if not known.any():
            # Without a covered rating all movies rank by popularity, the covered ones included.
            return self._movies.popularity.copy()
        weights, places = weights[known], places[known]
        covered = self._vectors @ (weights @ self._vectors[places])
        covered[places] -= weights
        return self._movies.scores_of_all(covered)

    def fold_in_covered(self, histories: Histories) -> Floats:
        """Return the scores of the covered movies for each history, (n_users, n_covered)."""
        matrix = item_statistics.weighted_matrix(histories, self.covered, self._asking, np.float32)
        scores = (matrix @ self._vectors) @ self._vectors.T
        rows = np.repeat(np.arange(histories.n_users), np.diff(matrix.indptr))
        scores[rows, matrix.indices] -= matrix.data
        return as_float32(scores)

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return each rating's term of the sum x (A A' - I), (len(movies), len(history))."""
        weights, places = self._input(history)
        parts = np.zeros((len(movies), len(history)), dtype=np.float32)
        known, targets = places >= 0, self._movies.place_of[movies]
        reached = targets >= 0
        cosines = self._vectors[targets[reached]] @ self._vectors[places[known]].T
        cosines -= targets[reached, None] == places[None, known]
        parts[np.ix_(reached, known)] = weights[known] * cosines
        return parts

    def _input(self, history: History) -> tuple[Floats, Ints]:
        """Return the weight of each rated movie and its place in A, -1 without a vector."""
        weights = rating_weights.weights(
            history, star_power=self._asking.star_power, half_life=self._asking.half_life
        )
        return weights, self._movies.place_of[history.movies]
