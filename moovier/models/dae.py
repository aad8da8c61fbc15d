"""The model ``dae``: a denoising autoencoder with item-item and genre terms, for ranking.

A user is a set of rated movies. Training draws small random parts of users' histories, from one
rating to most of them, and predicts the other liked movies. So the model serves a visitor with
one rating as well as a user with a hundred. The score of movie j is a sum of:

- *autoencoder*: a hidden layer of ``size`` tanh units over the rated movies and their stars, and
  a linear layer to one logit per movie. The loss is the multinomial likelihood (Liang et al.
  2018, https://arxiv.org/abs/1802.05814). The bias holds how many users liked a movie, so a user
  with few ratings gets widely liked movies, and taste takes over with more ratings.
- *neighbours*: EASE (:mod:`moovier.models.ease`) with stars as weights, times
  ``neighbours * k ** neighbours_power`` for k ratings: it counts more with more ratings.
- *genres*: movies of genres that the user liked more often than users do on average gain points
  (``affinity``); movies of genres that the user rated low lose points (``aversion``).

Ratings lose weight with age (:mod:`moovier.models.recency`). Ratings of one moment have one
weight, and the order of a history changes nothing. The model has no parameters per user, so
fold-in serves a visitor like a known user.

Scoring: :mod:`moovier.models.dae_scoring`. Training: :mod:`moovier.models.dae_training`.
"""

from __future__ import annotations

from typing import Literal, cast

from moovier.data.ratings import Ratings
from moovier.models import dae_training
from moovier.models.dae_scoring import DaeParams, DaeScorer
from moovier.models.family import (
    Arrays,
    FineTuneRequest,
    FitContext,
    FitResult,
    HyperParameters,
    Scorer,
    Trial,
)
from moovier.models.popular import WINDOWS

NAME = "dae"


class DaeFamily:
    """The family ``dae``; the module's docstring describes the model."""

    name = NAME
    objective: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = DaeParams
    fine_tunes_keras_model = True

    def search_space(self, trial: Trial) -> HyperParameters:
        """Draw hyper-parameters."""
        return DaeParams(
            size=trial.suggest_int("size", 64, 160, step=32),
            dropout=trial.suggest_float("dropout", 0.3, 0.7),
            learning_rate=trial.suggest_float("learning_rate", 0.001, 0.006, log=True),
            unliked_weight=trial.suggest_float("unliked_weight", 0.0, 0.5),
            visit_share=trial.suggest_float("visit_share", 0.0, 0.3),
            lambda_=trial.suggest_float("lambda_", 50.0, 400.0, log=True),
            star_power=trial.suggest_float("star_power", 1.0, 3.0),
            neighbours=trial.suggest_float("neighbours", 5.0, 60.0, log=True),
            affinity=trial.suggest_float("affinity", 2.0, 12.0),
            neighbours_power=trial.suggest_float("neighbours_power", 0.0, 0.6),
            age_days=trial.suggest_float("age_days", 100.0, 3000.0, log=True),
            age_ratings=trial.suggest_float("age_ratings", 15.0, 300.0, log=True),
            popular_days=trial.suggest_categorical("popular_days", WINDOWS),
            popular_weight=trial.suggest_float("popular_weight", 0.0, 1.5),
        )

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        """Train the autoencoder and solve for the neighbours."""
        return dae_training.fit(train, cast(DaeParams, params), context)

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        """Train the autoencoder further on the users of the batch.

        ``val_loss`` is the negative log-likelihood per held-out rating of the batch. The
        neighbours stay the parent's.
        """
        return dae_training.fine_tune(parent, cast(DaeParams, params), request)

    def scorer(self, arrays: Arrays) -> Scorer:
        """Build the scorer."""
        return DaeScorer(arrays)
