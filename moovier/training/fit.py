"""Train a recipe on the development split, or fit it again on other ratings.

A recipe is a family with hyper-parameters. Tuning calls :func:`train` alone, which never reads a
test rating. :mod:`moovier.training.protocols` evaluates a finished recipe.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Ints, Ratings
from moovier.data.split import Development
from moovier.models.families import family
from moovier.models.family import FitContext, FitResult, HyperParameters, OnEpoch, Scorer
from moovier.models.item_statistics import ItemStatistics
from moovier.models.popular import NAME as POPULAR
from moovier.models.popular import WINDOWS
from moovier.training.cluster import Cluster, factorise_of
from moovier.training.validation import geometric_mean, ranking_parts, rating_parts


@dataclass(frozen=True)
class Trained:
    """A model that was fitted on the development split and stopped by its validation parts.

    ``validation_ndcg``: the tuning objective, 0 to 1: the geometric mean of the NDCG@10 of
    validation visitors and of next visits. ``validation``: both, as ``val_visitor_ndcg_at_10``
    and ``val_next_visit_ndcg_at_10``; a part without users is missing. ``fit_s``: wall seconds.
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
        """The mean absolute error in stars on the validation rows; None of a ranking family."""
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
    statistics: ItemStatistics | None = None,
    cluster: Cluster | None = None,
) -> Trained:
    """Fit on the training part of ``split`` and keep the epoch with the best validation.

    The validation of ranking families is :attr:`Trained.validation_ndcg`; without validation
    users, it uses the last share by time of the training part. Rating families use random rows
    for both parts. ``on_epoch`` may raise to end the training. ``statistics``: sums that trainings
    share. ``cluster``: trains the families of a cluster.
    """
    kind = family(family_name)
    parts = rating_parts(split) if kind.objective == "rating" else ranking_parts(split)
    epochs: list[dict[str, float]] = []

    def validation_ndcg(scorer: Scorer) -> float:
        epochs.append(parts.evaluate(scorer))
        return geometric_mean(epochs[-1])

    context = FitContext(
        catalogue,
        seed,
        validation=parts.validation,
        validation_ndcg=validation_ndcg,
        on_epoch=on_epoch,
        statistics=statistics,
        factorise=factorise_of(cluster),
    )
    limit_threads(threads)
    _free_memory(statistics)
    started = time.perf_counter()
    fitted = kind.fit(parts.train, params, context)
    fit_s = time.perf_counter() - started
    # A ranking family has already evaluated each epoch, the best one included.
    curve = fitted.curves.get("val_ndcg_at_10", ())
    if len(curve) == len(epochs) >= fitted.epochs > 0:
        metrics = epochs[fitted.epochs - 1]
    else:
        metrics = parts.evaluate(kind.scorer(fitted.arrays))
    ndcg = geometric_mean(metrics)
    return Trained(family_name, params, seed, threads, fitted, ndcg, fit_s, metrics)


def train_popularity(
    split: Development, *, catalogue: Catalogue, seed: int, threads: int
) -> Trained:
    """Return popularity with the window of days that is best on the validation parts."""
    space = family(POPULAR).hyper_parameters
    models = [
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
    return max(models, key=lambda model: model.validation_ndcg)


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
    statistics: ItemStatistics | None = None,
    users: Ints | None = None,
    cluster: Cluster | None = None,
) -> FitResult:
    """Fit on all of ``ratings`` for ``epochs`` epochs (at least one), without early stopping.

    ``users``: see :class:`moovier.models.family.FitContext`. ``cluster``: see :func:`train`.
    """
    limit_threads(threads)
    _free_memory(statistics)
    context = FitContext(
        catalogue,
        seed,
        epochs=max(epochs, 1),
        on_epoch=on_epoch,
        statistics=statistics,
        users=users,
        factorise=factorise_of(cluster),
    )
    return family(family_name).fit(ratings, params, context)


def _free_memory(statistics: ItemStatistics | None) -> None:
    """Free the earlier models of a process that trains with large data.

    They refer to each other in circles, and each may hold matrices of hundreds of MB. With small
    data this would take longer than it is worth.
    """
    if statistics is not None:
        gc.collect()


def limit_threads(threads: int) -> None:
    """Make TensorFlow and NumPy's linear algebra use ``threads`` threads.

    Parallel trainings with more threads than cores spend their time in busy loops and take
    several times as long. TensorFlow creates its pools once, so for it only the first call of a
    process has an effect.
    """
    import scipy.linalg  # noqa: F401  # it has a thread pool of its own, limited only once loaded
    import tensorflow as tf
    from threadpoolctl import threadpool_limits

    threadpool_limits(threads)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return
