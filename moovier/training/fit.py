"""Train on one part, stop by the next, judge on the last.

Tuning calls :func:`train` alone, which never looks at the test part. :func:`judge` is called once
per finished recipe.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from moovier.data.arrays import Ratings
from moovier.data.catalogue import Catalogue
from moovier.data.split import Split, by_time, hold_out_users, random_split, time_split
from moovier.evaluation import ranking, stars
from moovier.evaluation.ranking import RankingResult
from moovier.evaluation.stars import StarsResult
from moovier.models.families import family
from moovier.models.family import Fitted, HyperParameters, OnEpoch, Scorer

#: How a fine-tuning is measured: as ``/train`` does it when nothing else is asked.
FINE_TUNING_SPLIT, FINE_TUNING_PATIENCE = 0.2, 10


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

    @property
    def validation_mae(self) -> float | None:
        """Mean absolute error there, in stars, of a family that rates."""
        curve = self.fitted.curves.get("val_loss")
        if family(self.family).learns != "rating" or not curve:
            return None
        return min(curve)


def train(
    split: Split,
    family_name: str,
    params: HyperParameters,
    *,
    catalogue: Catalogue,
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
        catalogue=catalogue,
        seed=seed,
        validation=split.validation,
        validation_ndcg=validation_ndcg,
        on_epoch=on_epoch,
    )
    fit_s = time.perf_counter() - started
    # A family that ranks has ranked the validation part already, the epoch that it kept included.
    judged = fitted.curves.get("val_ndcg_at_10", ())
    if len(judged) >= fitted.epochs > 0:
        ndcg = judged[fitted.epochs - 1]
    else:
        ndcg = validation_ndcg(kind.scorer(fitted.arrays))
    return Trained(family_name, params, seed, threads, fitted, ndcg, fit_s)


def refit(
    ratings: Ratings,
    family_name: str,
    params: HyperParameters,
    *,
    catalogue: Catalogue,
    epochs: int,
    seed: int,
    threads: int,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Fit on all of ``ratings`` for as many epochs as an earlier training found right."""
    limit_threads(threads)
    return family(family_name).fit(
        ratings,
        params,
        catalogue=catalogue,
        seed=seed,
        epochs=max(epochs, 1),
        on_epoch=on_epoch,
    )


@dataclass(frozen=True)
class Gap:
    """How far fine-tuning is from training again on the same ratings.

    A model of the training part is fine-tuned on the validation part, another is trained on both;
    ``fine_tuned`` and ``retrained`` are their ``figure`` on the test part: ``ndcg_at_10`` of a
    family that ranks, ``mae`` (stars) of one that rates.
    """

    figure: str
    fine_tuned: float
    retrained: float


@dataclass(frozen=True)
class Judged:
    """A recipe's results on what it was not chosen by.

    ``known``: users whose earlier ratings it was fitted on. ``new``: people it never saw, served by
    fold-in; None where there are too few to hold some out. ``stars``: of a rating family alone.
    ``gap``: None where nothing can be fine-tuned.
    """

    known: RankingResult
    new: RankingResult | None
    stars: StarsResult | None
    gap: Gap | None

    def metrics(self) -> dict[str, float]:
        """All figures under the names that runs and reports carry."""
        found = self.known.metrics()
        if self.new is not None:
            found |= {f"new_{name}": value for name, value in self.new.metrics().items()}
        if self.stars is not None:
            found |= self.stars.metrics()
        if self.gap is not None:
            found[f"fine_tuned_{self.gap.figure}"] = self.gap.fine_tuned
            found[f"retrained_{self.gap.figure}"] = self.gap.retrained
        return found


def judge(trained: Trained, ratings: Ratings, *, catalogue: Catalogue) -> Judged:
    """The recipe under each protocol of docs/metrics.md, fitted anew for each.

    ``ratings`` are all there are; ``trained`` comes from their time split.
    """
    rates = family(trained.family).learns == "rating"
    split = time_split(ratings)
    rest = both(split.train, split.validation)
    scorer = _refitted(trained, rest, catalogue)
    known = ranking.evaluate(scorer, rest.histories, split.test)
    if rates:
        retrained = stars.evaluate(scorer, rest.histories, split.test).metrics()["mae"]
    else:
        retrained = known.metrics()["ndcg_at_10"]
    return Judged(
        known=known,
        new=evaluate_new_people(trained, ratings, catalogue=catalogue),
        stars=evaluate_stars(trained, ratings, catalogue=catalogue) if rates else None,
        gap=_gap(trained, split, rest, retrained, catalogue),
    )


def _gap(
    trained: Trained, split: Split, rest: Ratings, retrained: float, catalogue: Catalogue
) -> Gap | None:
    kind = family(trained.family)
    if trained.fitted.keras_model is None or not len(split.validation):
        return None
    tuned = kind.fine_tune(
        trained.fitted,
        trained.params,
        catalogue=catalogue,
        old_n_users=split.train.n_users,
        batch=split.validation,
        merged=rest,
        validation_split=FINE_TUNING_SPLIT,
        patience=FINE_TUNING_PATIENCE,
        seed=trained.seed,
    )
    scorer = kind.scorer(tuned.arrays)
    if kind.learns == "rating":
        found = stars.evaluate(scorer, rest.histories, split.test).metrics()["mae"]
        return Gap("mae", found, retrained)
    found = ranking.evaluate(scorer, rest.histories, split.test).metrics()["ndcg_at_10"]
    return Gap("ndcg_at_10", found, retrained)


def evaluate(trained: Trained, split: Split, *, catalogue: Catalogue) -> RankingResult:
    """The recipe on the test part: fitted again on all that precedes it, then judged.

    What a recommender knows on the day it is asked includes the latest ratings, so the validation
    part must not be lost to it.
    """
    rest = both(split.train, split.validation)
    return ranking.evaluate(_refitted(trained, rest, catalogue), rest.histories, split.test)


def evaluate_new_people(
    trained: Trained, ratings: Ratings, *, catalogue: Catalogue, seed: int = 0
) -> RankingResult | None:
    """The recipe on people it never saw: fitted on four fifths of the users, it is shown the first
    80 % of each other user's ratings, and judged on the rest. None where nobody can be held out."""
    if np.unique(ratings.users).size < 2:
        return None
    kept, held_out = hold_out_users(ratings, seed)
    shown, test = by_time(held_out)
    if not len(test):
        return None
    scorer = _refitted(trained, kept, catalogue)
    return ranking.evaluate(scorer, shown.histories, test, fold_in=True)


def evaluate_stars(
    trained: Trained, ratings: Ratings, *, catalogue: Catalogue, seed: int = 0
) -> StarsResult:
    """The recipe of a rating family on a tenth of the rows, drawn at random."""
    train, test = random_split(ratings, seed)
    return stars.evaluate(_refitted(trained, train, catalogue), train.histories, test)


def _refitted(trained: Trained, ratings: Ratings, catalogue: Catalogue) -> Scorer:
    fitted = refit(
        ratings,
        trained.family,
        trained.params,
        catalogue=catalogue,
        epochs=trained.fitted.epochs,
        seed=trained.seed,
        threads=trained.threads,
    )
    return family(trained.family).scorer(fitted.arrays)


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
    """Let TensorFlow and NumPy's linear algebra use ``threads`` threads.

    Trainings that run side by side with more threads than cores wait for each other in busy loops,
    and take several times as long. Of TensorFlow's threads only the first call of a process has a
    say, since it sets up its pools once.
    """
    import scipy.linalg  # noqa: F401  # brings a pool of its own, which must be there to be limited
    import tensorflow as tf
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return
