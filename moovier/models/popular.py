"""Most popular: the baseline that every model must beat, and what strangers are given.

A movie's score is the number of people who rated it. Nothing is learnt, so there is no Keras
model and nothing to fine-tune.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from moovier.data.arrays import Floats, Histories, History, Ints, Ratings
from moovier.data.catalogue import Catalogue
from moovier.errors import BadRequest
from moovier.models.family import (
    Arrays,
    Fitted,
    HyperParameters,
    OnEpoch,
    Scorer,
    Trial,
    ValidationNdcg,
    as_float32,
)

NAME = "popular"


class PopularParams(HyperParameters):
    """``size`` has no meaning here; it is 1."""

    size: int = 1


class PopularScorer:
    """The same order for everybody."""

    def __init__(self, counts: Ints) -> None:
        self._counts = as_float32(counts)
        self.n_movies = int(self._counts.size)

    def score(self, users: Ints, histories: Histories) -> Floats:
        return np.tile(self._counts, (len(users), 1))

    def fold_in(self, history: History) -> Floats:
        return self._counts.copy()

    def because(self, history: History, movies: Ints) -> Floats:
        return np.zeros((len(movies), len(history)), dtype=np.float32)


class PopularFamily:
    """See the module's text."""

    name = NAME
    learns: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = PopularParams

    def search_space(self, trial: Trial) -> HyperParameters:
        return PopularParams()

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
    ) -> Fitted:
        return Fitted(arrays={"counts": np.bincount(train.movies, minlength=train.n_movies)})

    def fine_tune(
        self,
        parent: Fitted,
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
    ) -> Fitted:
        raise BadRequest("a popularity model learns nothing, so it cannot be fine-tuned")

    def scorer(self, arrays: Arrays) -> Scorer:
        return PopularScorer(arrays["counts"])
