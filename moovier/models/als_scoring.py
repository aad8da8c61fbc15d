"""The NumPy scorer of ALS, its hyper-parameters, and the equation of one user's factor.

:mod:`moovier.models.als` describes the model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.models import rating_weights
from moovier.models.covered_movies import CoveredMovies
from moovier.models.family import Arrays, HyperParameters, as_float32, fold_in_each
from moovier.models.item_statistics import Doubles


class AlsParams(HyperParameters):
    """Hyper-parameters.

    ``size``: rank, the numbers of a movie's factor. ``least``: ratings that a movie needs to have a
    factor; the other movies rank behind, by popularity. ``alpha``: confidence of a rating of five
    stars beyond that of a movie without a rating, which is 1. ``reg``: penalty on a squared factor
    for each rating of the user or movie. ``star_power``: power of ``stars / 5`` that weighs the
    confidence, for learning; ``asking_star_power``: the same for scoring. ``asking_half_life``: see
    :func:`moovier.models.rating_weights.weights`; for scoring.
    """

    size: PositiveInt = 64
    least: PositiveInt = 3
    iterations: PositiveInt = 10
    alpha: PositiveFloat = 5.0
    reg: PositiveFloat = 0.15
    star_power: NonNegativeFloat = 2.0
    asking_star_power: NonNegativeFloat = 2.0
    asking_half_life: PositiveFloat = Field(30.0, description="In ratings.")


def normal_equations(
    rated: Doubles, gram: Doubles, strengths: NDArray[np.floating], ages: Floats | float, reg: float
) -> tuple[Doubles, Doubles]:
    """Return the left side, (size, size), and each rating's part of the right, (k, size).

    ``rated``: (k, size) factors of the rated movies. ``gram``: Y'Y of all movies. ``strengths``:
    (k,) confidence of each rating beyond 1. ``ages``: (k,) how often a rating counts, 0 to 1; with
    1 these are MLlib's equations: the preference of a rated movie is 1, and the penalty grows with
    the number of ratings.
    """
    times = np.broadcast_to(np.asarray(ages, dtype=np.float64), strengths.shape)
    confidence = strengths.astype(np.float64)
    left = gram + (rated.T * (times * confidence)) @ rated
    left[np.diag_indices(len(left))] += reg * max(float(times.sum()), 1.0)
    return left, (times * (1.0 + confidence))[:, None] * rated


def solved_factor(
    rated: Doubles,
    gram: Doubles,
    strengths: NDArray[np.floating],
    reg: float,
    ages: Floats | float = 1.0,
) -> Doubles:
    """Return the factor of a user with these ratings, (size,); see :func:`normal_equations`."""
    left, parts = normal_equations(rated, gram, strengths, ages, reg)
    return np.asarray(np.linalg.solve(left, parts.sum(axis=0)))


class AlsScorer:
    """Scores by solving for the user's factor, and one product with the movies' factors.

    ``factors``: Y, (n_covered, size) float32. ``gram``: Y'Y, (size, size). ``covered``:
    (n_covered,) movie rows. ``counts``: (n_movies,) ratings, to rank the movies without a factor.
    ``equation``: alpha and reg. ``asking``: star power and half-life of the history that is scored.
    """

    def __init__(self, arrays: Arrays) -> None:
        self._factors = as_float32(arrays["factors"])
        self._gram: Doubles = np.asarray(arrays["gram"], dtype=np.float64)
        self.covered: Ints = arrays["covered"]
        counts = as_float32(arrays["counts"])
        n_covered, size = self._factors.shape
        if n_covered != self.covered.size or self._gram.shape != (size, size):
            raise ValueError(
                f"the shapes of factors and gram are {self._factors.shape} and {self._gram.shape}, "
                f"but there are {self.covered.size} covered movies"
            )
        self.n_movies = int(counts.size)
        self._movies = CoveredMovies(self.covered, counts)
        self._alpha, self._reg = arrays["equation"].tolist()
        self._star_power, self._half_life = arrays["asking"].tolist()

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the scores of known users, (len(users), n_movies)."""
        return fold_in_each(self.fold_in, users, histories, self.n_movies)

    def user_factor(self, history: History) -> Doubles | None:
        """Return the factor of a user, (size,); None without a rating of a covered movie."""
        strengths, ages, places = self._input(history)
        known = places >= 0
        if not known.any():
            return None
        rated = self._factors[places[known]].astype(np.float64)
        return solved_factor(rated, self._gram, strengths[known], self._reg, ages[known])

    def fold_in(self, history: History) -> Floats:
        """Return the scores for a visitor, (n_movies,)."""
        factor = self.user_factor(history)
        if factor is None:
            # Without a covered rating all movies rank by popularity, the covered ones included.
            return self._movies.popularity.copy()
        covered = self._factors @ as_float32(factor)
        return self._movies.scores_of_all(covered)

    def fold_in_covered(self, histories: Histories) -> Floats:
        """Return the scores of the covered movies for each history, (n_users, n_covered)."""
        users = np.zeros((histories.n_users, self._factors.shape[1]), dtype=np.float32)
        for user in range(histories.n_users):
            factor = self.user_factor(histories[user])
            if factor is not None:
                users[user] = factor
        return as_float32(users @ self._factors.T)

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return each rating's term of the score, (len(movies), len(history)).

        The factor of a user is a sum over the ratings, and so is a score. Source: Hu, Koren,
        Volinsky 2008, section 5.
        """
        strengths, ages, places = self._input(history)
        parts = np.zeros((len(movies), len(history)), dtype=np.float32)
        known, targets = places >= 0, self._movies.place_of[movies]
        reached = targets >= 0
        if not known.any():
            return parts
        left, right = normal_equations(
            self._factors[places[known]].astype(np.float64),
            self._gram,
            strengths[known],
            ages[known],
            self._reg,
        )
        terms = self._factors[targets[reached]] @ np.linalg.solve(left, right.T)
        parts[np.ix_(reached, known)] = terms
        return parts

    def _input(self, history: History) -> tuple[Floats, Floats, Ints]:
        """Return each rating's strength and age, and the place of its factor, -1 without one."""
        strengths = self._alpha * (history.stars / 5.0) ** self._star_power
        ages = rating_weights.weights(history, star_power=0.0, half_life=self._half_life)
        return as_float32(strengths), ages, self._movies.place_of[history.movies]
