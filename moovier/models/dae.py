"""A denoising autoencoder over sets of ratings, with an item-item part beside it.

A person is a set of rated movies. The model is trained on small random parts of people's
histories, from one rating to most of them, to predict what else they liked, so that it serves
somebody with one rating as well as somebody with a hundred. The score of movie j is a sum of:

- *autoencoder*: a hidden layer of ``size`` tanh units over the rated movies and their stars, and
  a linear layer to one logit per movie. Trained by gradient on the multinomial likelihood (Liang
  et al. 2018, https://arxiv.org/abs/1802.05814). Its bias holds how many people liked a movie, so
  a person with few ratings gets what is widely liked, and taste takes over as ratings come in.
- *neighbours*: EASE (:mod:`moovier.models.ease`) with stars as weights, times
  ``neighbours * k ** neighbours_power`` for k ratings: the more ratings, the more it counts.
- *genres*: movies of genres that the person liked more often than people do on average gain
  points (``affinity``), movies of genres that the person rated low lose points (``aversion``).

Ratings fade with age (:mod:`moovier.models.recency`). Ratings of one moment have one weight, and
the order of a history changes nothing. Nothing belongs to a user, so a person whom the model
never saw is served like a known one. Training: :mod:`moovier.models.dae_training`.
"""

from __future__ import annotations

from typing import Literal, cast

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Ratings
from moovier.models import dae_training
from moovier.models.dae_scoring import DaeParams, DaeScorer
from moovier.models.family import (
    Arrays,
    FitResult,
    HyperParameters,
    OnEpoch,
    Scorer,
    Trial,
    ValidationNdcg,
)

NAME = "dae"


class DaeFamily:
    """See the module's text."""

    name = NAME
    objective: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = DaeParams

    def search_space(self, trial: Trial) -> HyperParameters:
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
        )

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
        return dae_training.fit(
            train,
            cast(DaeParams, params),
            catalogue=catalogue,
            seed=seed,
            validation_ndcg=validation_ndcg,
            epochs=epochs,
            on_epoch=on_epoch,
        )

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
        """Train the autoencoder further on the people of the batch.

        ``val_loss`` is the negative log-likelihood per held-out rating of the batch. The
        neighbours stay the parent's. New people need no parameters of their own.
        """
        return dae_training.fine_tune(
            parent,
            cast(DaeParams, params),
            batch=batch,
            merged=merged,
            validation_split=validation_split,
            patience=patience,
            seed=seed,
            on_epoch=on_epoch,
        )

    def scorer(self, arrays: Arrays) -> Scorer:
        return DaeScorer(arrays)
