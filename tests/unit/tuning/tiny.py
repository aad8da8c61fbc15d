"""A family without training costs, for tests of studies without Keras.

A model is one number, ``lean``. Its error is the distance of ``lean`` from 0.7, and it falls with
the epochs.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.data.split import Development, development_split
from moovier.models.family import (
    Arrays,
    FineTuneRequest,
    FitContext,
    FitResult,
    HyperParameters,
    Scorer,
    Trial,
)

EPOCHS = 6
BEST = 0.7


class TinyParams(HyperParameters):
    size: int = 1
    lean: float = 0.5


class TinyScorer:
    def __init__(self, n_movies: int) -> None:
        self.n_movies = n_movies

    def score(self, users: Ints, histories: Histories) -> Floats:
        return np.zeros((len(users), self.n_movies), dtype=np.float32)

    def fold_in(self, history: History) -> Floats:
        return np.zeros(self.n_movies, dtype=np.float32)

    def explain(self, history: History, movies: Ints) -> Floats:
        return np.zeros((len(movies), len(history)), dtype=np.float32)


class TinyFamily:
    name = "tiny"
    objective: Literal["ranking", "rating"] = "rating"
    hyper_parameters: type[HyperParameters] = TinyParams
    fine_tunes_keras_model = False

    def __init__(self) -> None:
        self.fitted: list[HyperParameters] = []
        self.epochs_run: list[int] = []
        #: Called at the start of each fit; may raise.
        self.before_fit: Any = lambda params: None

    def search_space(self, trial: Trial) -> HyperParameters:
        return TinyParams(lean=trial.suggest_float("lean", 0.0, 1.0))

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        assert isinstance(params, TinyParams)
        self.before_fit(params)
        self.fitted.append(params)
        self.epochs_run.append(0)
        curve = []
        for epoch in range(EPOCHS):
            curve.append(abs(params.lean - BEST) + 1 / (1 + epoch))
            self.epochs_run[-1] += 1
            if context.on_epoch is not None:
                context.on_epoch(epoch, {"loss": 0.0, "val_loss": curve[-1]})
        return FitResult({"n_movies": np.array(train.n_movies)}, None, EPOCHS, {"val_loss": curve})

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        raise NotImplementedError

    def scorer(self, arrays: Arrays) -> Scorer:
        return TinyScorer(int(arrays["n_movies"]))


CATALOGUE = Catalogue.of(Movie(i, f"Movie {i}", 1995, (), None, None) for i in range(5))


def split() -> Development:
    """Return the development split of three users who rated five movies."""
    users = np.repeat(np.arange(3), 5)
    movies = np.tile(np.arange(5), 3)
    n = users.size
    return development_split(Ratings(users, movies, np.full(n, 3, np.float32), np.arange(n), 3, 5))
