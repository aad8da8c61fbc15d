"""Popularity: the baseline that every model must beat, and the list for unknown users.

A movie's score is its number of ratings, of all time or of the last days before the newest
rating. The model has no weights, so it has no Keras model and cannot be fine-tuned.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from moovier.data import mapped_arrays
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.errors import BadRequest
from moovier.models.family import (
    Arrays,
    FineTuneRequest,
    FitContext,
    FitResult,
    HyperParameters,
    Scorer,
    Trial,
    as_float32,
)
from moovier.models.top_k import top_rows
from moovier.timestamps import DAY_S

NAME = "popular"
#: Windows in the search space, in days; 0 is all time.
WINDOWS = (0, 365, 90, 30, 7)
#: Array of any family's bundle: the window, in days, that was best on validation; 0 is all time.
POPULAR_DAYS = "popular_days"
#: Fewest recent ratings of a movie that rises.
LEAST_RISING = 2


class PopularParams(HyperParameters):
    """Hyper-parameters.

    ``size``: without meaning here, always 1. ``days``: length of the window before the newest
    rating, 0 for all time. ``rising``: rank the movies first that rise against their own past in
    the window.
    """

    size: int = 1
    days: NonNegativeInt = 0
    rising: bool = False


class PopularScorer:
    """The same scores for every user. ``counts``: (n_movies,) ratings of each movie."""

    def __init__(self, counts: NDArray[Any]) -> None:
        self._counts = as_float32(counts)
        self.n_movies = int(self._counts.size)

    @cached_property
    def shared_order(self) -> Ints:
        """The movies by their counts, most first, (n_movies,)."""
        return top_rows(self._counts, self.n_movies)

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the counts for each user, (len(users), n_movies)."""
        return np.tile(self._counts, (len(users), 1))

    def fold_in(self, history: History) -> Floats:
        """Return the counts, (n_movies,)."""
        return self._counts.copy()

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return zeros, (len(movies), len(history)): a user's ratings change nothing."""
        return np.zeros((len(movies), len(history)), dtype=np.float32)


class PopularFamily:
    """The family ``popular``; the module's docstring describes the model."""

    name = NAME
    objective: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = PopularParams
    fine_tunes_keras_model = False

    def search_space(self, trial: Trial) -> HyperParameters:
        """Draw hyper-parameters."""
        return PopularParams(days=trial.suggest_categorical("days", WINDOWS))

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        """Count the ratings of the window."""
        popular = cast(PopularParams, params)
        count = rising_first if popular.rising else counts_within
        return FitResult(arrays={"counts": count(train, popular.days)})

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        """Refuse.

        Raises:
            BadRequest: Always.
        """
        raise BadRequest(
            "a popularity model has no weights, so it cannot be fine-tuned; choose a model of "
            "another family"
        )

    def scorer(self, arrays: Arrays) -> Scorer:
        """Build the scorer."""
        return PopularScorer(arrays["counts"])


def is_recent(timestamps: Ints, days: int) -> NDArray[np.bool_]:
    """Return which timestamps are less than ``days`` older than the newest, (n,), n > 0."""
    recent: NDArray[np.bool_] = timestamps > timestamps.max() - days * DAY_S
    return recent


def counts_within(rated: Ratings | Histories, days: int) -> NDArray[Any]:
    """Return the ratings of each movie in the last ``days`` before the newest, (n_movies,).

    0 days mean all time. Movies with equal counts in the window are ordered by their counts of
    all time, which add less than 1.
    """
    total = _total(rated)
    if days == 0 or not rated.movies.size:
        return total
    weighted: NDArray[Any] = _recent(rated, days) + total / (total.max() + 1)
    return weighted


def _total(rated: Ratings | Histories) -> Ints:
    """Return the ratings of each movie, (n_movies,)."""
    if isinstance(rated, Histories):
        return rated.movie_counts()
    return mapped_arrays.count(rated.movies, rated.n_movies)


def _recent(rated: Ratings | Histories, days: int) -> Ints:
    """Return the ratings of each movie in the last ``days`` before the newest, (n_movies,)."""
    first = int(rated.timestamps.max()) - days * DAY_S
    counts = np.zeros(rated.n_movies, dtype=np.int64)
    for block in mapped_arrays.blocks(rated.movies.size):
        recent = rated.movies[block][rated.timestamps[block] > first]
        counts += np.bincount(recent, minlength=rated.n_movies)
    mapped_arrays.release(rated.movies, rated.timestamps)
    return counts


def rising_within(rated: Ratings | Histories, days: int) -> Floats:
    """Return how clearly each movie rises against its own past, (n_movies,); -inf if it does not.

    ``(recent - expected) / sqrt(expected + 1)``: the distance in standard deviations of a Poisson
    count. ``recent`` counts the ratings of a movie in the last ``days`` before the newest rating;
    ``expected`` is its share of all earlier ratings times all recent ratings. Movies that do not
    exceed the expectation, or have fewer than :data:`LEAST_RISING` recent ratings, do not rise.
    """
    rises = np.full(rated.n_movies, -np.inf, dtype=np.float32)
    if not rated.movies.size:
        return rises
    recent = _recent(rated, days)
    earlier = _total(rated) - recent
    expected = earlier / max(int(earlier.sum()), 1) * recent.sum()
    score = (recent - expected) / np.sqrt(expected + 1.0)
    return np.where((score > 0) & (recent >= LEAST_RISING), score, rises).astype(np.float32)


def rising_first(rated: Ratings | Histories, days: int) -> Floats:
    """Return :func:`rising_within`, with all other movies behind by their ratings of all time.

    Shape (n_movies,); the others have 0 to 1, and a rising movie has more than 1.
    """
    total = _total(rated)
    rises = rising_within(rated, days)
    scores = np.where(np.isfinite(rises), 1.0 + rises, total / (total.max(initial=0) + 1.0))
    return scores.astype(np.float32)
