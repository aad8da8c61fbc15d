"""Train on the development split, then evaluate a finished recipe under every protocol.

Tuning calls :func:`train` alone, which never sees a test rating. :func:`evaluate` is called once
per finished recipe and fits it anew for each protocol's training part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Ints, Ratings
from moovier.data.split import (
    SPLIT_SEED,
    Development,
    development_split,
    hold_out_users_if_possible,
    random_split,
    split_at_time,
    split_last_share,
    split_last_visit,
)
from moovier.evaluation import next_visit, order_audit, ranking, rating_metrics, visitor
from moovier.evaluation.order_audit import OrderAudit
from moovier.evaluation.ranking import RankingResult
from moovier.evaluation.rating_metrics import StarsResult
from moovier.evaluation.visitor import VisitorResult
from moovier.models.families import family
from moovier.models.family import FitResult, HyperParameters, OnEpoch, Scorer
from moovier.models.popular import NAME as POPULAR
from moovier.models.popular import WINDOWS
from moovier.training.validation import geometric_mean, newest, ranking_parts, rating_parts

OnProgress = Callable[[str], None]

#: How a fine-tuning is measured: as ``/train`` does it when nothing else is asked.
FINE_TUNING_SPLIT, FINE_TUNING_PATIENCE = 0.2, 10


@dataclass(frozen=True)
class Trained:
    """A model that was fitted on the development split and stopped by its validation parts.

    ``validation_ndcg``: the tuning objective, 0 to 1: the geometric mean of the NDCG@10 of
    validation visitors and of their next visits. ``validation``: both parts, as
    ``val_visitor_ndcg_at_10`` and ``val_next_visit_ndcg_at_10``, as far as there are people for
    them. ``fit_s``: wall seconds.
    """

    family: str
    params: HyperParameters
    seed: int
    threads: int
    fitted: FitResult
    validation_ndcg: float
    fit_s: float
    validation: Mapping[str, float] = field(default_factory=dict)

    @property
    def validation_mae(self) -> float | None:
        """Mean absolute error in stars on the validation rows, of a rating family."""
        curve = self.fitted.curves.get("val_loss")
        if family(self.family).objective != "rating" or not curve:
            return None
        return min(curve)


def train(
    split: Development,
    family_name: str,
    params: HyperParameters,
    *,
    catalogue: Catalogue,
    seed: int,
    threads: int,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Fit on the training part of ``split`` and keep the epoch that validation finds best.

    Ranking families are validated by :attr:`Trained.validation_ndcg`, on the last share by time of
    the training part where nobody can be validated otherwise. Rating families are fitted and
    validated on random rows. ``on_epoch`` may raise to end the training.
    """
    kind = family(family_name)
    parts = rating_parts(split) if kind.objective == "rating" else ranking_parts(split)
    watched: list[dict[str, float]] = []

    def validation_ndcg(scorer: Scorer) -> float:
        watched.append(parts.figures(scorer))
        return geometric_mean(watched[-1])

    limit_threads(threads)
    started = time.perf_counter()
    fitted = kind.fit(
        parts.train,
        params,
        catalogue=catalogue,
        seed=seed,
        validation=parts.validation,
        validation_ndcg=validation_ndcg,
        on_epoch=on_epoch,
    )
    fit_s = time.perf_counter() - started
    # A ranking family has validated each epoch already, the one that it kept included.
    curve = fitted.curves.get("val_ndcg_at_10", ())
    if len(curve) == len(watched) >= fitted.epochs > 0:
        found = watched[fitted.epochs - 1]
    else:
        found = parts.figures(kind.scorer(fitted.arrays))
    ndcg = geometric_mean(found)
    return Trained(family_name, params, seed, threads, fitted, ndcg, fit_s, found)


def train_popularity(
    split: Development, *, catalogue: Catalogue, seed: int, threads: int
) -> Trained:
    """Return popularity with the window of days that is best on the validation parts."""
    space = family(POPULAR).hyper_parameters
    trained = [
        train(
            split,
            POPULAR,
            space.model_validate({"days": days}),
            catalogue=catalogue,
            seed=seed,
            threads=threads,
        )
        for days in WINDOWS
    ]
    return max(trained, key=lambda one: one.validation_ndcg)


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
) -> FitResult:
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

    ``fine_tuned`` is the development model, fine-tuned on its validation part; ``retrained`` is
    the recipe fitted on all ratings before the test. Both are ``figure`` on the same people:
    ``next_visit_ndcg_at_10`` of a ranking family, ``mae`` (stars) of a rating family.
    """

    figure: str
    fine_tuned: float
    retrained: float


@dataclass(frozen=True)
class Evaluation:
    """A recipe's test figures under each protocol; None where nobody qualifies.

    ``visitor`` and ``next_visit`` decide. ``order_audit``, ``by_time`` (the last 20 % of each
    user's ratings) and ``global_time`` (everybody's ratings after one moment) are reported.
    ``stars``: of rating families alone. ``gap``: None where nothing can be fine-tuned.
    """

    visitor: VisitorResult | None = None
    next_visit: RankingResult | None = None
    order_audit: OrderAudit | None = None
    by_time: RankingResult | None = None
    global_time: RankingResult | None = None
    stars: StarsResult | None = None
    gap: Gap | None = None

    def metrics(self) -> dict[str, float]:
        """Return all figures under the names that runs and reports carry.

        The split by time has the names without a prefix, such as ``ndcg_at_10``.
        """
        found: dict[str, float] = {}
        if self.visitor is not None:
            found |= self.visitor.metrics()
        if self.next_visit is not None:
            found |= next_visit.named_metrics(self.next_visit)
        if self.order_audit is not None:
            found |= self.order_audit.metrics()
        if self.by_time is not None:
            found |= self.by_time.metrics()
        if self.global_time is not None:
            values = self.global_time.metrics()
            found |= {f"global_time_{name}": value for name, value in values.items()}
        if self.stars is not None:
            found |= self.stars.metrics()
        if self.gap is not None:
            found[f"fine_tuned_{self.gap.figure}"] = self.gap.fine_tuned
            found[f"retrained_{self.gap.figure}"] = self.gap.retrained
        return found


def evaluate(
    trained: Trained,
    ratings: Ratings,
    *,
    catalogue: Catalogue,
    seed: int = SPLIT_SEED,
    reported: bool = True,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Evaluate the recipe under each protocol, fitted anew for each (docs/metrics.md).

    ``ratings`` are all there are; ``trained`` comes from ``development_split(ratings, seed)``.
    Ranking families have every part but ``stars``; rating families have ``stars`` and ``gap``.
    ``reported``: include what decides nothing (order audit, global time, gap, and the split by
    time unless too few people take part in the protocols that decide). ``on_progress`` gets the
    name of each part as it starts.
    """
    say = on_progress or _silent
    recipe = _Recipe(trained, catalogue, seed)
    if family(trained.family).objective == "rating":
        return _evaluate_stars(recipe, ratings, say, reported=reported)
    say("visitor")
    of_visitors, of_audit = _visitors(recipe, ratings, audit=reported)
    say("next visit")
    scorer, before, after = recipe.next_visit(ratings)
    of_next = next_visit.evaluate(scorer, before.histories, after) if scorer is not None else None
    few = of_next is None or of_next.users.size < visitor.LEAST_PEOPLE
    of_time = of_global = gap = None
    if reported or few:
        say("split by time")
        of_time = recipe.ranked(*split_last_share(ratings))
    if reported:
        say("global time")
        of_global = recipe.ranked(*split_at_time(ratings))
        if scorer is not None and of_next is not None:
            say("fine-tuning")
            gap = _ranking_gap(recipe, ratings, after, of_next)
    return Evaluation(of_visitors, of_next, of_audit, of_time, of_global, None, gap)


def _evaluate_stars(
    recipe: _Recipe, ratings: Ratings, say: OnProgress, *, reported: bool
) -> Evaluation:
    """Evaluate a rating family: its lists are never shown, so only its stars count."""
    say("stars")
    known, hidden = random_split(ratings, recipe.seed)
    if not len(hidden):
        return Evaluation()
    result = rating_metrics.evaluate(recipe.fitted_on(known), known.histories, hidden)
    gap = None
    if reported:
        say("fine-tuning")
        gap = _rating_gap(recipe, ratings, known, hidden, result)
    return Evaluation(stars=result, gap=gap)


@dataclass(frozen=True)
class _Recipe:
    """A trained recipe that is fitted anew on other ratings."""

    trained: Trained
    catalogue: Catalogue
    seed: int

    def fitted_on(self, ratings: Ratings) -> Scorer:
        trained = self.trained
        fitted = refit(
            ratings,
            trained.family,
            trained.params,
            catalogue=self.catalogue,
            epochs=trained.fitted.epochs,
            seed=trained.seed,
            threads=trained.threads,
        )
        return family(trained.family).scorer(fitted.arrays)

    def ranked(self, known: Ratings, later: Ratings) -> RankingResult | None:
        """Rank for the users of ``later`` who have known ratings; None where there are none."""
        later = later.take(np.isin(later.users, known.users))
        if not len(later):
            return None
        return ranking.evaluate(self.fitted_on(known), known.histories, later)

    def next_visit(self, ratings: Ratings) -> tuple[Scorer | None, Ratings, Ratings]:
        """Return the scorer (None where nobody has a next visit), and both parts."""
        before, after = split_last_visit(ratings)
        return (self.fitted_on(before) if len(after) else None), before, after

    def fine_tuned(self, known: Ratings, batch: Ratings, merged: Ratings) -> Scorer | None:
        """Fine-tune the development model, which was fitted on ``known``, on ``batch``."""
        trained, kind = self.trained, family(self.trained.family)
        if trained.fitted.keras_model is None or not len(batch):
            return None
        tuned = kind.fine_tune(
            trained.fitted,
            trained.params,
            catalogue=self.catalogue,
            old_n_users=known.n_users,
            batch=batch,
            merged=merged,
            validation_split=FINE_TUNING_SPLIT,
            patience=FINE_TUNING_PATIENCE,
            seed=trained.seed,
        )
        return kind.scorer(tuned.arrays)


def _visitors(
    recipe: _Recipe, ratings: Ratings, *, audit: bool
) -> tuple[VisitorResult | None, OrderAudit | None]:
    kept, held_out = hold_out_users_if_possible(ratings, recipe.seed)
    visitors = visitor.draw_visitors(held_out, moment=newest(ratings), seed=recipe.seed)
    if not len(held_out) or not (visitors.users.size or audit):
        return None, None
    scorer = recipe.fitted_on(kept)
    result = visitor.evaluate(scorer, visitors, kept.histories.movie_counts())
    return result, (order_audit.evaluate(scorer, held_out, seed=recipe.seed) if audit else None)


def _ranking_gap(
    recipe: _Recipe, ratings: Ratings, after: Ratings, retrained: RankingResult
) -> Gap | None:
    """Compare on the next visits of the people whom the development model knows."""
    split = development_split(ratings, recipe.seed)
    rows = after.take(np.isin(after.users, split.train.users))
    if not len(rows):
        return None
    merged = concat(split.train, split.next_visit)
    scorer = recipe.fine_tuned(split.train, split.next_visit, merged)
    if scorer is None:
        return None
    found = ranking.evaluate(scorer, merged.histories, rows)
    same: Ints = np.flatnonzero(np.isin(retrained.users, found.users))
    return Gap(
        "next_visit_ndcg_at_10",
        float(np.nanmean(found.ndcg)),
        float(np.nanmean(retrained.ndcg[same])),
    )


def _rating_gap(
    recipe: _Recipe, ratings: Ratings, known: Ratings, hidden: Ratings, retrained: StarsResult
) -> Gap | None:
    split = development_split(ratings, recipe.seed)
    scorer = recipe.fine_tuned(split.stars_train, split.stars_validation, known)
    if scorer is None:
        return None
    found = rating_metrics.evaluate(scorer, known.histories, hidden)
    return Gap("mae", found.metrics()["mae"], retrained.metrics()["mae"])


def _silent(_text: str) -> None:
    """Report no progress."""


def concat(first: Ratings, second: Ratings) -> Ratings:
    """Join the rows of two parts of the same ratings, over the same index."""
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
