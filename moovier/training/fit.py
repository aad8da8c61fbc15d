"""Train on one part, stop by the next, judge on the last.

Tuning calls :func:`train` alone, which never looks at the test part. :func:`evaluate` is called
once per finished recipe.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from moovier.data.arrays import Ratings
from moovier.data.split import Split
from moovier.evaluation import ranking
from moovier.evaluation.ranking import RankingResult
from moovier.models.families import family
from moovier.models.family import Fitted, HyperParameters, OnEpoch, Scorer


@dataclass(frozen=True)
class Trained:
    """A model that saw the training part, and was stopped by the validation part.

    ``validation_ndcg``: NDCG@10 there, 0 to 1. ``fit_s``: wall seconds.
    """

    family: str
    params: HyperParameters
    seed: int
    threads: int
    fitted: Fitted
    validation_ndcg: float
    fit_s: float


def train(
    split: Split,
    family_name: str,
    params: HyperParameters,
    *,
    seed: int,
    threads: int,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Fit on ``split.train``, keep the epoch that is best on ``split.validation``.

    ``split.test`` is not looked at. ``on_epoch`` may raise to end the training.
    """
    kind = family(family_name)
    known = split.train.histories

    def validation_ndcg(scorer: Scorer) -> float:
        return ranking.evaluate(scorer, known, split.validation).metrics()["ndcg_at_10"]

    limit_threads(threads)
    started = time.perf_counter()
    fitted = kind.fit(
        split.train,
        params,
        seed=seed,
        validation=split.validation,
        validation_ndcg=validation_ndcg,
        on_epoch=on_epoch,
    )
    fit_s = time.perf_counter() - started
    ndcg = validation_ndcg(kind.scorer(fitted.arrays))
    return Trained(family_name, params, seed, threads, fitted, ndcg, fit_s)


def refit(
    ratings: Ratings,
    family_name: str,
    params: HyperParameters,
    *,
    epochs: int,
    seed: int,
    threads: int,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Fit on all of ``ratings`` for as many epochs as an earlier training found right."""
    limit_threads(threads)
    return family(family_name).fit(
        ratings, params, seed=seed, epochs=max(epochs, 1), on_epoch=on_epoch
    )


def evaluate(trained: Trained, split: Split) -> RankingResult:
    """The recipe on the test part: fitted again on all that precedes it, then judged.

    What a recommender knows on the day it is asked includes the latest ratings, so the validation
    part must not be lost to it.
    """
    rest = both(split.train, split.validation)
    fitted = refit(
        rest,
        trained.family,
        trained.params,
        epochs=trained.fitted.epochs,
        seed=trained.seed,
        threads=trained.threads,
    )
    scorer = family(trained.family).scorer(fitted.arrays)
    return ranking.evaluate(scorer, rest.histories, split.test)


def both(first: Ratings, second: Ratings) -> Ratings:
    """The rows of two parts of the same ratings, over the same index."""
    return Ratings(
        np.concatenate([first.users, second.users]),
        np.concatenate([first.movies, second.movies]),
        np.concatenate([first.stars, second.stars]),
        np.concatenate([first.timestamps, second.timestamps]),
        first.n_users,
        first.n_movies,
    )


def limit_threads(threads: int) -> None:
    """Let TensorFlow use ``threads`` threads. Only the first call of a process has an effect,
    since TensorFlow sets up its pools once."""
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return
