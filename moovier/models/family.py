"""The interface of a model family: training with Keras, scoring with NumPy.

A family has two halves. The *training* half uses Keras and imports it inside its functions. The
*scoring* half uses NumPy alone, because the process that answers requests never imports
TensorFlow. A dictionary of arrays (:attr:`FitResult.arrays`) passes from the first half to the
second; a saved bundle holds the same arrays.

To add a family, add its file and its line in :mod:`moovier.models.families`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveInt

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.models.factorisation import FactorsOf
from moovier.models.item_statistics import ItemStatistics

Arrays = Mapping[str, NDArray[Any]]

#: Returns the NDCG@10 of a scorer on the validation part, 0 to 1. :meth:`Family.fit` gets it
#: because the loss does not say which epoch ranks best.
ValidationNdcg = Callable[["Scorer"], float]

#: Called after each epoch with its number (from 0) and its metrics, e.g. ``{"val_loss": 0.67}``.
#: It may raise to end the training, as a pruned trial does.
OnEpoch = Callable[[int, Mapping[str, float]], None]


class HyperParameters(BaseModel):
    """Base class of the families' hyper-parameters; unknown names are refused.

    ``size`` is the number in a model's name: the embedding size or the number of latent factors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: PositiveInt


class Trial(Protocol):
    """The part of ``optuna.trial.Trial`` that a search space needs."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number from ``low`` to ``high``, both included."""

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of ``choices``."""


@dataclass(frozen=True)
class FitContext:
    """The inputs of a fit besides the ratings and the hyper-parameters.

    ``catalogue``: its row i describes movie i. ``seed``: decides every random choice.
    ``validation``: ratings for early stopping. ``validation_ndcg``: the validation of a ranking
    family. ``epochs``: train for exactly this many epochs and do not stop early. ``on_epoch``:
    called after each epoch. ``statistics``: sums that the trainings of a retraining share; families
    without item-item weights ignore them. ``users``: rows of the only users whom the model has to
    know, which saves time with large data; None: all. ``factorise``: computes the factors of `als`
    elsewhere; None: this machine does.
    """

    catalogue: Catalogue
    seed: int
    validation: Ratings | None = None
    validation_ndcg: ValidationNdcg | None = None
    epochs: int | None = None
    on_epoch: OnEpoch | None = None
    statistics: ItemStatistics | None = None
    users: Ints | None = None
    factorise: FactorsOf | None = None


@dataclass(frozen=True)
class FineTuneRequest:
    """A batch of new ratings, and how to train a model further on it.

    ``batch``: the new ratings. ``merged``: all known ratings, the batch included, over the old
    index with new users appended. User rows below ``old_n_users`` mean the same users as before.
    The movies are the same. ``validation_split``: share of the batch, its last rows, that decides
    when to stop, 0 up to, not including, 1; with 0, the training loss decides. ``patience``:
    epochs without improvement after which the training stops, 1 or more.
    """

    catalogue: Catalogue
    old_n_users: int
    batch: Ratings
    merged: Ratings
    validation_split: float
    patience: int
    seed: int
    on_epoch: OnEpoch | None = None

    def split_batch(self) -> tuple[Ratings, Ratings]:
        """Return the batch as ``(train, validation)``, cut at ``validation_split``."""
        n_train = len(self.batch) - int(self.validation_split * len(self.batch))
        rows = np.arange(len(self.batch))
        return self.batch.take(rows[:n_train]), self.batch.take(rows[n_train:])


@dataclass(frozen=True)
class FitResult:
    """A trained model.

    ``arrays``: the input of :meth:`Family.scorer`, no object dtypes. ``keras_model``: for
    fine-tuning and the registry; None for a family without weights. ``epochs``: the epoch with
    the kept weights, counted from 1. ``curves``: one value an epoch for each metric.
    """

    arrays: Arrays
    keras_model: Any = None
    epochs: int = 0
    curves: Mapping[str, list[float]] = field(default_factory=dict)


@runtime_checkable
class Scorer(Protocol):
    """Scores of the whole catalogue, by NumPy in one thread; threads may share a scorer.

    Scores order the movies for one user: higher is better. They are comparable within a row only.
    """

    n_movies: int

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the scores of known users, (len(users), n_movies).

        ``users``: rows of the index that the model was trained on. ``histories``: the users'
        ratings, over the same index. Autoencoders read them; models with a learnt vector per user
        need not.
        """

    def fold_in(self, history: History) -> Floats:
        """Return the scores for a visitor, (n_movies,); an empty history is allowed."""

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return each rating's contribution to ``fold_in(history)[movies]``.

        Shape (len(movies), len(history)). The greatest contributions are the reasons to show.
        Zeros where the model cannot tell.
        """


@runtime_checkable
class PairScorer(Scorer, Protocol):
    """A scorer of stars that can score single pairs of user and movie."""

    def stars(self, users: Ints, movies: Ints) -> Floats:
        """Return ``score(users, …)[i, movies[i]]`` for each pair of rows, (n,), to 1e-5."""


@runtime_checkable
class CoveredScorer(Scorer, Protocol):
    """A scorer that scores many histories at once, for the movies that it covers.

    Movies outside ``covered``, (n_covered,) ascending rows, rank behind the covered ones. It has no
    parameters per user: ``score`` of a known user equals ``fold_in`` of the history.
    """

    covered: Ints

    def fold_in_covered(self, histories: Histories) -> Floats:
        """Return ``fold_in(history)[covered]`` for each history, (n_users, n_covered), to 1e-5.

        A history without a covered movie has a row without meaning.
        """


@runtime_checkable
class ListScorer(Protocol):
    """A scorer that makes the lists of many users itself, as on several machines."""

    def top_lists(self, users: Ints, known: Histories, k: int) -> Ints:
        """Return :func:`moovier.evaluation.ranking.top_lists` of this scorer, (len(users), k)."""


@runtime_checkable
class SharedOrderScorer(Protocol):
    """A scorer that ranks the movies in one order for everybody.

    ``shared_order``: (n,) movie rows with a finite score, best first, ties by row.
    """

    @property
    def shared_order(self) -> Ints:
        """See the class."""


@runtime_checkable
class RowScorer(Protocol):
    """A scorer that can score a few movies without the whole catalogue."""

    def fold_in_rows(self, history: History, movies: Ints) -> Floats:
        """Return ``fold_in(history)[movies]``, (len(movies),)."""


class Family(Protocol):
    """A kind of model: how to build, train and score it."""

    #: The name in a model's name, e.g. ``emb``.
    name: str
    #: ``ranking`` models may become champion for lists, ``rating`` models predict stars.
    objective: Literal["ranking", "rating"]
    #: Class of the hyper-parameters; its defaults are the family's defaults.
    hyper_parameters: type[HyperParameters]
    #: Whether :meth:`fine_tune` reads the parent's Keras model, or only its arrays.
    fine_tunes_keras_model: bool

    def search_space(self, trial: Trial) -> HyperParameters:
        """Draw hyper-parameters from the family's search space."""

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        """Train a model on ``train``.

        With ``context.validation`` (a ranking family: ``context.validation_ndcg``) the training
        stops early and keeps the best epoch. With ``context.epochs`` it lasts exactly that long:
        the refit on all ratings, once the right length is known. The same seed, data and machine
        give the same model with one thread.
        """

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        """Train ``parent`` further on the new ratings of ``request``.

        ``parent``: its Keras model, which may be altered, and the arrays of its bundle. Known
        users keep their parameters as a start; new users get parameters of their own.

        Raises:
            BadRequest: The family has no weights to train further.
        """

    def scorer(self, arrays: Arrays) -> Scorer:
        """Build the scorer from the arrays of a :class:`FitResult`.

        Raises:
            KeyError: An array is missing.
            ValueError: Shapes do not fit each other.
        """


def as_float32(values: NDArray[Any]) -> Floats:
    """Return contiguous float32 values; a copy only where needed."""
    return np.ascontiguousarray(values, dtype=np.float32)


def fold_in_each(
    fold_in: Callable[[History], Floats], users: Ints, histories: Histories, n_movies: int
) -> Floats:
    """Return the scores of known users, (len(users), n_movies), one history at a time."""
    scores = np.empty((len(users), n_movies), dtype=np.float32)
    for row, user in enumerate(users):
        scores[row] = fold_in(histories[int(user)])
    return scores
