"""ALS: factors of users and movies from implicit feedback, for large catalogues on a cluster.

User u has the factor x_u and movie i the factor y_i, of ``size`` numbers each; the score is their
product. Who rated a movie prefers it, p = 1, with the confidence c = 1 + alpha (stars / 5) **
star_power; for all other movies p = 0 with the confidence 1. The factors minimise::

    sum over u, i of c_ui (p_ui - x_u . y_i)² + reg (sum of n_u |x_u|² + sum of n_i |y_i|²)

where n is the number of ratings of the user or the movie. With fixed factors of the movies, the
best factor of each user is the solution of a small linear system, and the other way round; the
training alternates between both. Sources: Hu, Koren, Volinsky 2008, "Collaborative Filtering for
Implicit Feedback Datasets", https://doi.org/10.1109/ICDM.2008.22; the penalty by n: Zhou et al.
2008, "Large-Scale Parallel Collaborative Filtering for the Netflix Prize",
https://doi.org/10.1007/978-3-540-68880-8_32. Apache Spark's MLlib minimises the same sum.

The model keeps the factors of the movies only. A user's factor is solved from the history, for a
visitor as for a known user, with the same ``alpha`` and ``reg``; a rating of earlier visits counts
less than once. Scoring: :mod:`moovier.models.als_scoring`. Training:
:mod:`moovier.models.als_training`, and :mod:`moovier.spark.factors` on a cluster.
"""

from __future__ import annotations

from typing import Literal, cast

from moovier.data.ratings import Ratings
from moovier.models import als_training
from moovier.models.als_scoring import AlsParams, AlsScorer
from moovier.models.family import (
    Arrays,
    FineTuneRequest,
    FitContext,
    FitResult,
    HyperParameters,
    Scorer,
    Trial,
)

NAME = "als"


class AlsFamily:
    """The family ``als``; the module's docstring describes the model."""

    name = NAME
    objective: Literal["ranking", "rating"] = "ranking"
    hyper_parameters: type[HyperParameters] = AlsParams
    # The bundle holds the factors in full precision.
    fine_tunes_keras_model = False

    def search_space(self, trial: Trial) -> HyperParameters:
        """Draw hyper-parameters."""
        return AlsParams(
            size=trial.suggest_int("size", 32, 128, step=32),
            alpha=trial.suggest_float("alpha", 0.5, 50.0, log=True),
            reg=trial.suggest_float("reg", 0.01, 1.0, log=True),
            star_power=trial.suggest_float("star_power", 0.0, 3.0),
            asking_star_power=trial.suggest_float("asking_star_power", 0.0, 3.0),
            asking_half_life=trial.suggest_float("asking_half_life", 3.0, 1000.0, log=True),
        )

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        """Train the factors: one epoch."""
        return als_training.fit(train, cast(AlsParams, params), context)

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        """Solve for the factors of the movies of the batch again."""
        return als_training.fine_tune(parent, cast(AlsParams, params), request)

    def scorer(self, arrays: Arrays) -> Scorer:
        """Build the scorer."""
        return AlsScorer(arrays)
