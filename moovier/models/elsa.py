"""ELSA: item-item weights of low rank, for catalogues that a dense matrix cannot cover.

A user is the weighted set of the rated movies, x. Movie j has a vector a_j of length 1 with
``size`` numbers, and the scores are x (A A' - I), where the rows of A are the vectors. So the
weight between two movies is the cosine of their vectors, and no movie predicts itself, because the
diagonal of A A' is 1. EASE (:mod:`moovier.models.ease`) learns a free matrix instead, which takes
memory by the square of the movies; this model takes ``size`` numbers a movie. Source: Vančura,
Alves, Kasalický, Kordík 2022, "Scalable Linear Shallow Autoencoder for Collaborative Filtering",
https://doi.org/10.1145/3523227.3551482.

The model has no parameters per user, so fold-in serves a visitor like a known user. Scoring:
:mod:`moovier.models.elsa_scoring`. Training: :mod:`moovier.models.elsa_training`.
"""

from __future__ import annotations

from typing import Literal, cast

from moovier.data.ratings import Ratings
from moovier.models import elsa_training
from moovier.models.elsa_scoring import EPOCHS, RANKS, ElsaParams, ElsaScorer
from moovier.models.family import (
    Arrays,
    FineTuneRequest,
    FitContext,
    FitResult,
    HyperParameters,
    Scorer,
    Trial,
)

NAME = "elsa"


class ElsaFamily:
    """The family ``elsa``; the module's docstring describes the model."""

    name = NAME
    objective: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = ElsaParams
    # The bundle holds the vectors in full precision.
    fine_tunes_keras_model = False

    def search_space(self, trial: Trial) -> HyperParameters:
        """Draw hyper-parameters."""
        return ElsaParams(
            size=trial.suggest_int("size", RANKS[0], RANKS[-1], step=RANKS.step),
            learning_rate=trial.suggest_float("learning_rate", 0.005, 0.1, log=True),
            epochs=trial.suggest_int("epochs", EPOCHS[0], EPOCHS[-1], step=EPOCHS.step),
            lambda_=trial.suggest_float("lambda_", 1e-4, 1.0, log=True),
            star_power=trial.suggest_float("star_power", 0.0, 3.0),
            asking_star_power=trial.suggest_float("asking_star_power", 0.0, 3.0),
            asking_half_life=trial.suggest_float("asking_half_life", 3.0, 1000.0, log=True),
        )

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        """Train the vectors."""
        return elsa_training.fit(train, cast(ElsaParams, params), context)

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        """Train the vectors further on the users of the batch.

        ``val_loss`` is the normalised squared error on the held-out ratings of the batch, 0 to 4.
        """
        return elsa_training.fine_tune(parent, cast(ElsaParams, params), request)

    def scorer(self, arrays: Arrays) -> Scorer:
        """Build the scorer."""
        return ElsaScorer(arrays)
