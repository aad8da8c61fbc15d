"""Evaluate a finished recipe under each protocol (docs/metrics.md).

:func:`evaluate` runs once per recipe. It fits the recipe again on the training part of each
protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Ints, Ratings
from moovier.data.split import (
    SPLIT_SEED,
    development_split,
    hold_out_users_if_possible,
    random_split,
    split_at_time,
    split_both_tests,
    split_last_share,
    split_last_visit,
)
from moovier.evaluation import next_visit, order_audit, ranking, rating_metrics, visitor
from moovier.evaluation.order_audit import OrderAudit
from moovier.evaluation.ranking import RankingResult
from moovier.evaluation.rating_metrics import StarsResult
from moovier.evaluation.visitor import VisitorResult
from moovier.models.families import family
from moovier.models.family import FineTuneRequest, Scorer
from moovier.models.item_statistics import ItemStatistics
from moovier.training.cluster import Cluster
from moovier.training.fit import Trained, refit
from moovier.training.validation import newest

OnProgress = Callable[[str], None]

#: Ratings beyond which a recipe is fitted once for its test, and draws of its visitors there.
LARGE, LARGE_DRAWS = 400_000, 1
#: Validation split and patience of the measured fine-tuning: the defaults of ``/train``.
FINE_TUNING_SPLIT, FINE_TUNING_PATIENCE = 0.2, 10


@dataclass(frozen=True)
class Gap:
    """The difference between fine-tuning and a retraining on the same ratings.

    ``fine_tuned``: the development model, fine-tuned on its validation part. ``retrained``: the
    recipe fitted on all ratings before the test. Both are values of ``metric`` on the same users:
    ``next_visit_ndcg_at_10`` of a ranking family, ``mae`` (stars) of a rating family.
    """

    metric: str
    fine_tuned: float
    retrained: float


@dataclass(frozen=True)
class Evaluation:
    """A recipe's test results under each protocol; None where no user qualifies.

    ``visitor`` and ``next_visit`` decide. ``order_audit``, ``by_time`` (the last 20 % of each
    user's ratings) and ``global_time`` (all users' ratings after one moment) are reported.
    ``stars``: of rating families only. ``gap``: None of a family without fine-tuning.
    """

    visitor: VisitorResult | None = None
    next_visit: RankingResult | None = None
    order_audit: OrderAudit | None = None
    by_time: RankingResult | None = None
    global_time: RankingResult | None = None
    stars: StarsResult | None = None
    gap: Gap | None = None

    def metrics(self) -> dict[str, float]:
        """Return all metrics under their names in runs and reports.

        The split by time has the names without a prefix, such as ``ndcg_at_10``.
        """
        values: dict[str, float] = {}
        if self.visitor is not None:
            values |= self.visitor.metrics()
        if self.next_visit is not None:
            values |= next_visit.named_metrics(self.next_visit)
        if self.order_audit is not None:
            values |= self.order_audit.metrics()
        if self.by_time is not None:
            values |= self.by_time.metrics()
        if self.global_time is not None:
            global_time = self.global_time.metrics()
            values |= {f"global_time_{name}": value for name, value in global_time.items()}
        if self.stars is not None:
            values |= self.stars.metrics()
        if self.gap is not None:
            values[f"fine_tuned_{self.gap.metric}"] = self.gap.fine_tuned
            values[f"retrained_{self.gap.metric}"] = self.gap.retrained
        return values


def evaluate(
    trained: Trained,
    ratings: Ratings,
    *,
    catalogue: Catalogue,
    seed: int = SPLIT_SEED,
    reported: bool = True,
    on_progress: OnProgress | None = None,
    statistics: ItemStatistics | None = None,
    cluster: Cluster | None = None,
) -> Evaluation:
    """Evaluate the recipe of ``trained`` under each protocol.

    ``ratings``: the whole data set; ``trained`` comes from ``development_split(ratings, seed)``.
    Ranking families have every result but ``stars``; rating families have ``stars`` and ``gap``.
    ``reported``: include the results that decide nothing (order audit, global time, gap, and the
    split by time unless too few users take part in the deciding protocols). ``on_progress``:
    called with the name of each part when it starts. ``statistics``: sums that trainings share.
    ``cluster``: trains the families of a cluster.

    Beyond :data:`LARGE` ratings the deciding protocols share one fit, without the held-out users
    and without the next visits of the others, and nothing else is reported. The cluster, if there
    is one, makes their lists.
    """
    report_progress = on_progress or _ignore
    recipe = _Recipe(trained, catalogue, seed, statistics, cluster)
    is_large = len(ratings) > LARGE
    reported = reported and not is_large
    if family(trained.family).objective == "rating":
        return _evaluate_stars(recipe, ratings, report_progress, reported=reported)
    scorer: Scorer | None = None
    audit: OrderAudit | None = None
    if is_large:
        report_progress("visitor and next visit")
        visitor_result, next_result = _evaluate_together(recipe, ratings)
    else:
        report_progress("visitor")
        visitor_result, audit = _evaluate_visitors(recipe, ratings, audit=reported)
        report_progress("next visit")
        scorer, before, after = recipe.next_visit(ratings)
        next_result = (
            next_visit.evaluate(scorer, before.histories, after) if scorer is not None else None
        )
    few = next_result is None or next_result.users.size < visitor.LEAST_PEOPLE
    by_time = global_time = gap = None
    if reported or few:
        report_progress("split by time")
        by_time = recipe.ranked(*split_last_share(ratings))
    if reported:
        report_progress("global time")
        global_time = recipe.ranked(*split_at_time(ratings))
        if scorer is not None and next_result is not None:
            report_progress("fine-tuning")
            gap = _ranking_gap(recipe, ratings, after, next_result)
    return Evaluation(visitor_result, next_result, audit, by_time, global_time, None, gap)


def _evaluate_together(
    recipe: _Recipe, ratings: Ratings
) -> tuple[VisitorResult | None, RankingResult | None]:
    """Evaluate visitors and next visits of a large data set by one fit."""
    parts = split_both_tests(ratings, recipe.seed)
    visitors = visitor.draw_visitors(
        parts.held_out, moment=newest(ratings), seed=recipe.seed, draws=LARGE_DRAWS
    )
    scorer = recipe.fitted_on(parts.before, many_lists=True)
    known = parts.before.histories
    return (
        visitor.evaluate(scorer, visitors, known.movie_counts()),
        next_visit.evaluate(scorer, known, parts.after),
    )


def _evaluate_stars(
    recipe: _Recipe, ratings: Ratings, report_progress: OnProgress, *, reported: bool
) -> Evaluation:
    """Evaluate the predicted stars of a rating family, which never serves lists."""
    report_progress("stars")
    known, hidden = random_split(ratings, recipe.seed)
    if not len(hidden):
        return Evaluation()
    scorer = recipe.fitted_on(known, np.unique(hidden.users))
    result = rating_metrics.evaluate(scorer, known.histories, hidden)
    gap = None
    if reported:
        report_progress("fine-tuning")
        gap = _rating_gap(recipe, ratings, known, hidden, result)
    return Evaluation(stars=result, gap=gap)


@dataclass(frozen=True)
class _Recipe:
    """A trained recipe that can be fitted again on other ratings."""

    trained: Trained
    catalogue: Catalogue
    seed: int
    statistics: ItemStatistics | None = None
    cluster: Cluster | None = None

    def fitted_on(
        self, ratings: Ratings, users: Ints | None = None, *, many_lists: bool = False
    ) -> Scorer:
        """Return a scorer that is fitted on ``ratings`` for as many epochs as the training.

        ``users``: rows of the only users whose scores are wanted; None: all. ``many_lists``: the
        cluster, if there is one, makes the lists of many users.
        """
        trained = self.trained
        fitted = refit(
            ratings,
            trained.family,
            trained.params,
            catalogue=self.catalogue,
            epochs=trained.fitted.epochs,
            seed=trained.seed,
            threads=trained.threads,
            statistics=self.statistics,
            users=users,
            cluster=self.cluster,
        )
        if many_lists and self.cluster is not None:
            return self.cluster.scorer_of(trained.family, fitted.arrays)
        return family(trained.family).scorer(fitted.arrays)

    def ranked(self, known: Ratings, later: Ratings) -> RankingResult | None:
        """Rank for the users of ``later`` with known ratings; None without such users."""
        later = later.take(np.isin(later.users, known.users))
        if not len(later):
            return None
        return ranking.evaluate(self.fitted_on(known), known.histories, later)

    def next_visit(self, ratings: Ratings) -> tuple[Scorer | None, Ratings, Ratings]:
        """Return the scorer (None if no user has a next visit) and both parts."""
        before, after = split_last_visit(ratings)
        return (self.fitted_on(before) if len(after) else None), before, after

    def fine_tuned(self, known: Ratings, batch: Ratings, merged: Ratings) -> Scorer | None:
        """Fine-tune the development model, which was fitted on ``known``, on ``batch``."""
        trained, kind = self.trained, family(self.trained.family)
        if trained.fitted.keras_model is None or not len(batch):
            return None
        request = FineTuneRequest(
            catalogue=self.catalogue,
            old_n_users=known.n_users,
            batch=batch,
            merged=merged,
            validation_split=FINE_TUNING_SPLIT,
            patience=FINE_TUNING_PATIENCE,
            seed=trained.seed,
        )
        return kind.scorer(kind.fine_tune(trained.fitted, trained.params, request).arrays)


def _evaluate_visitors(
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
    """Compare on the next visits of the users whom the development model knows."""
    split = development_split(ratings, recipe.seed)
    known_after = after.take(np.isin(after.users, split.train.users))
    if not len(known_after):
        return None
    merged = concat(split.train, split.next_visit)
    scorer = recipe.fine_tuned(split.train, split.next_visit, merged)
    if scorer is None:
        return None
    fine_tuned = ranking.evaluate(scorer, merged.histories, known_after)
    same: Ints = np.flatnonzero(np.isin(retrained.users, fine_tuned.users))
    return Gap(
        "next_visit_ndcg_at_10",
        float(np.nanmean(fine_tuned.ndcg)),
        float(np.nanmean(retrained.ndcg[same])),
    )


def _rating_gap(
    recipe: _Recipe, ratings: Ratings, known: Ratings, hidden: Ratings, retrained: StarsResult
) -> Gap | None:
    split = development_split(ratings, recipe.seed)
    scorer = recipe.fine_tuned(split.stars_train, split.stars_validation, known)
    if scorer is None:
        return None
    fine_tuned = rating_metrics.evaluate(scorer, known.histories, hidden)
    return Gap("mae", fine_tuned.metrics()["mae"], retrained.metrics()["mae"])


def _ignore(_part: str) -> None:
    """Report no progress."""


def concat(first: Ratings, second: Ratings) -> Ratings:
    """Return the rows of two parts of the same ratings, over the same index."""
    return Ratings(
        np.concatenate([first.users, second.users]),
        np.concatenate([first.movies, second.movies]),
        np.concatenate([first.stars, second.stars]),
        np.concatenate([first.timestamps, second.timestamps]),
        first.n_users,
        first.n_movies,
    )
