"""Most popular: the baseline that every model must beat, and what unknown users get.

A movie's score is the number of people who rated it, of all time or in the last days before the
newest rating. Nothing is learnt, so there is no Keras model and nothing to fine-tune.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.errors import BadRequest
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

NAME = "popular"
#: Windows that are tried, in days; 0 is all time.
WINDOWS = (0, 365, 90, 30, 7)
#: Array of any family's bundle: the window, in days, that was best on validation; 0 is all time.
POPULAR_DAYS = "popular_days"
_DAY_S = 86_400


class PopularParams(HyperParameters):
    """``size`` has no meaning here; it is 1. ``days``: ratings of this many days before the newest
    one count, 0 for all."""

    size: int = 1
    days: NonNegativeInt = 0


class PopularScorer:
    """The same order for everybody. ``counts``: (n_movies,) ratings of each movie."""

    def __init__(self, counts: NDArray[Any]) -> None:
        self._counts = as_float32(counts)
        self.n_movies = int(self._counts.size)

    def score(self, users: Ints, histories: Histories) -> Floats:
        return np.tile(self._counts, (len(users), 1))

    def fold_in(self, history: History) -> Floats:
        return self._counts.copy()

    def explain(self, history: History, movies: Ints) -> Floats:
        return np.zeros((len(movies), len(history)), dtype=np.float32)


class PopularFamily:
    """See the module's text."""

    name = NAME
    objective: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = PopularParams

    def search_space(self, trial: Trial) -> HyperParameters:
        return PopularParams(days=trial.suggest_categorical("days", WINDOWS))

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
        return FitResult(arrays={"counts": counts_within(train, cast(PopularParams, params).days)})

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
        raise BadRequest("a popularity model learns nothing, so it cannot be fine-tuned")

    def scorer(self, arrays: Arrays) -> Scorer:
        return PopularScorer(arrays["counts"])


def counts_within(rated: Ratings | Histories, days: int) -> NDArray[Any]:
    """Return the ratings of each movie in the last ``days`` before the newest, (n_movies,).

    0 days mean all time. Movies with equal counts in the window are told apart by the counts of
    all time, which add less than 1.
    """
    total = np.bincount(rated.movies, minlength=rated.n_movies)
    if days == 0 or not rated.movies.size:
        return total
    recent = rated.timestamps > rated.timestamps.max() - days * _DAY_S
    counts = np.bincount(rated.movies[recent], minlength=rated.n_movies)
    found: NDArray[Any] = counts + total / (total.max() + 1)
    return found
