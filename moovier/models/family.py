"""What a model family must offer. Adding a family is adding one file and one table entry.

A family has two halves. The *training* half uses Keras, imported inside its functions. The
*scoring* half is NumPy alone, because the process that answers requests never imports
TensorFlow. What passes from one to the other is a dictionary of arrays (:attr:`FitResult.arrays`),
which is also what a saved bundle holds.
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

Arrays = Mapping[str, NDArray[Any]]

#: NDCG@10 of a scorer on the validation part, 0 to 1. Handed to :meth:`Family.fit`, because a
#: loss does not say which epoch ranks best.
ValidationNdcg = Callable[["Scorer"], float]

#: Called after each epoch with its number (from 0) and its figures, e.g. ``{"val_loss": 0.67}``.
#: It may raise to end the training (a pruned trial does).
OnEpoch = Callable[[int, Mapping[str, float]], None]


class HyperParameters(BaseModel):
    """Base of each family's hyper-parameters; unknown names are refused.

    ``size`` is the number that stands in a model's name: embedding size or latent factors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: PositiveInt


class Trial(Protocol):
    """The part of ``optuna.trial.Trial`` that a search space needs."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int: ...

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class FitResult:
    """A trained model.

    ``arrays``: what :meth:`Family.scorer` needs, no object dtypes. ``keras_model``: for fine-tuning
    and the registry; None for a family that learns nothing. ``epochs``: the epoch whose weights
    were kept, counted from 1. ``curves``: per figure, one value an epoch.
    """

    arrays: Arrays
    keras_model: Any = None
    epochs: int = 0
    curves: Mapping[str, list[float]] = field(default_factory=dict)


@runtime_checkable
class Scorer(Protocol):
    """Scores the whole catalogue; NumPy alone, one thread, safe to share between threads.

    Scores order movies for one person: higher is better. They are comparable within a row only.
    """

    n_movies: int

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Scores of known users, (len(users), n_movies).

        ``users``: rows of the index that the model was trained on. ``histories``: what to take
        as their past, over the same index: autoencoders read it, models with a learnt user
        embedding don't have to.
        """

    def fold_in(self, history: History) -> Floats:
        """Scores for a person the model never saw, (n_movies,); an empty history is allowed."""

    def explain(self, history: History, movies: Ints) -> Floats:
        """What each rated movie of a history adds to ``fold_in(history)[movies]``,
        (len(movies), len(history)).

        Greatest first, these are the reasons to show. Zeros where the model cannot tell.
        """


class Family(Protocol):
    """One way to build, train and score a model."""

    #: As it stands in a model's name, e.g. ``emb``.
    name: str
    #: ``ranking`` models may become champion for lists, ``rating`` models predict stars.
    objective: Literal["ranking", "rating"]
    #: Class of the hyper-parameters; its defaults are the family's defaults.
    hyper_parameters: type[HyperParameters]

    def search_space(self, trial: Trial) -> HyperParameters:
        """One draw from the family's search space."""

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
        """Train on ``train``. Row i of ``catalogue`` is movie i: title, year and genres.

        With ``validation`` (for a ranking model also ``validation_ndcg``) it stops early and keeps
        the best epoch; with ``epochs`` it trains exactly that long (a refit on all ratings after
        the right length is known). The same seed, data and machine give the same model with one
        thread.
        """

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
        """Train ``parent`` further on ``batch``: its Keras model, which may be altered, and the
        arrays of its bundle.

        ``merged`` holds every rating known now, the batch included, over the old index with new
        users appended: rows below ``old_n_users`` mean the same users as before, the rest get
        parameters of their own. The movies are the same. Early stopping on ``val_loss`` over the
        last ``validation_split`` (0 up to, not including, 1) of the batch; with 0, on ``loss``.
        """

    def scorer(self, arrays: Arrays) -> Scorer:
        """The scoring half, from the arrays of :class:`FitResult`.

        Raises:
            KeyError: an array is missing.
            ValueError: shapes do not fit each other.
        """


def as_float32(values: NDArray[Any]) -> Floats:
    """Contiguous float32, without a copy where it already is."""
    return np.ascontiguousarray(values, dtype=np.float32)
