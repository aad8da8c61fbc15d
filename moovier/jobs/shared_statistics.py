"""What the trainings of one retraining share: the sums of large data, and the cluster."""

from __future__ import annotations

import os

import numpy as np

from moovier.data.ratings import Ints
from moovier.data.split import development_split
from moovier.jobs import engine
from moovier.jobs.dataset import Dataset
from moovier.jobs.retrain_plan import RetrainPlan
from moovier.models import ease
from moovier.models.dae_scoring import DaeParams
from moovier.models.item_statistics import ItemStatistics, Weighting
from moovier.settings import Settings
from moovier.training.cluster import Cluster
from moovier.training.fit import limit_threads

#: Families that use item-item weights.
_USERS = ("dae", "ease")


def prepare(plan: RetrainPlan, data: Dataset, settings: Settings) -> None:
    """Choose the covered movies, and sum and solve what every trial needs, on all cores.

    With ``MOOVIER_ENGINE=spark`` the cluster sums. Does nothing for small data. The covered movies
    are the most rated ones of the training part, so that the choice sees no test.
    """
    if plan.covered is None or not set(_USERS) & set(plan.families):
        return
    train = development_split(data.ratings).train.histories
    defaults = DaeParams()
    covered = ease.frequent_movies(train.movie_counts(), defaults.least, plan.covered)
    plan.covered_file.parent.mkdir(parents=True, exist_ok=True)
    np.save(plan.covered_file, covered, allow_pickle=False)
    # Nothing else runs before the trials.
    threads = os.cpu_count() or 1
    limit_threads(threads)
    statistics = _statistics(plan, data, settings, covered, threads)
    weighting = Weighting(defaults.star_power, ease.LONGEST_HALF_LIFE)
    statistics.weights(train, lambda_=defaults.lambda_, weighting=weighting)


def statistics_of(plan: RetrainPlan, data: Dataset, settings: Settings) -> ItemStatistics | None:
    """Return the shared sums; None for small data."""
    if not plan.covered_file.exists():
        return None
    covered = np.load(plan.covered_file, allow_pickle=False)
    return _statistics(plan, data, settings, covered, settings.threads)


def cluster_of(data: Dataset, settings: Settings) -> Cluster | None:
    """Return what the cluster computes for trainings; None without ``MOOVIER_ENGINE=spark``."""
    if not engine.uses_spark(settings):
        return None
    return engine.training_cluster(data.index, data.ratings.histories, data.facts.hash, settings)


def _statistics(
    plan: RetrainPlan, data: Dataset, settings: Settings, covered: Ints, threads: int
) -> ItemStatistics:
    histories = data.ratings.histories
    return ItemStatistics(
        plan.statistics_folder,
        histories,
        covered,
        threads,
        sum_whole=engine.sum_on_cluster(data.index, histories, data.facts.hash, covered, settings),
    )
