"""Choose where large data are computed: on this machine, or on a Spark cluster.

The setting ``MOOVIER_ENGINE`` decides. :mod:`moovier.spark` is imported inside the functions, so
that nothing needs Spark unless the setting names it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from moovier.data import columns
from moovier.data.columns import Columns
from moovier.data.ratings import Floats, Histories, Index, Ints
from moovier.models.factorisation import Factorisation
from moovier.models.item_statistics import Doubles, Weighting
from moovier.settings import Settings
from moovier.training.cluster import Cluster


def uses_spark(settings: Settings) -> bool:
    """Return whether the settings name a cluster."""
    return settings.engine == "spark"


def parsed(
    folder: Path, hash_: str, settings: Settings, *, name: str, synthetic: bool
) -> tuple[Columns, Path]:
    """Return the columns of a data set and their folder; see :func:`moovier.data.columns.parsed`.

    Raises:
        InvalidData: the data is invalid; one problem per bad row.
        ClusterError: the cluster failed.
    """
    parse = partial(_parse_on_cluster, folder, hash_, settings) if uses_spark(settings) else None
    return columns.parsed(folder, hash_, settings, name=name, synthetic=synthetic, parse=parse)


def _parse_on_cluster(folder: Path, hash_: str, settings: Settings) -> Columns:
    from moovier.spark import histories, history_parts
    from moovier.spark.session import cluster
    from moovier.spark.shared_folder import SharedFolder

    share = settings.bad_rows_share
    return histories.parse(
        partial(cluster, settings, "moovier histories"),
        str(folder),
        history_parts.folder_of(SharedFolder.of(settings), hash_, share),
        bad_rows_share=share,
    )


def sum_on_cluster(
    index: Index, histories: Histories, hash_: str, covered: Ints, settings: Settings
) -> Callable[[Weighting], Doubles] | None:
    """Return the function that sums X'X of a data set on the cluster; None without a cluster.

    ``hash_``: of the data set. ``covered``: (n_covered,) movie rows of X. The function raises
    ``ClusterError``.
    """
    if not uses_spark(settings):
        return None

    def gram(weighting: Weighting) -> Doubles:
        from moovier.spark import statistics
        from moovier.spark.session import cluster

        parts = _parts(index, histories, hash_, settings)
        with cluster(settings, "moovier statistics") as spark:
            return statistics.gram(spark, parts, index.movies, covered, weighting)

    return gram


def training_cluster(index: Index, histories: Histories, hash_: str, settings: Settings) -> Cluster:
    """Return what the cluster computes for the trainings and tests of a data set.

    ``hash_``: of the data set. The functions raise ``ClusterError``.
    """
    from moovier.spark import evaluation
    from moovier.spark.session import cluster
    from moovier.spark.shared_folder import SharedFolder

    def factorise(part: Histories, covered: Ints, options: Factorisation) -> Floats:
        from moovier.spark import factors

        counts = factors.first_counts(histories, part)
        parts = _parts(index, histories, hash_, settings)
        scratch = SharedFolder.of(settings).folder("trainings", uuid.uuid4().hex)
        with cluster(settings, "moovier als") as spark:
            return factors.factorise(spark, parts, index, counts, covered, options, scratch)

    scorer_of = partial(
        evaluation.scorer_of,
        open_cluster=partial(cluster, settings, "moovier tests"),
        folder=SharedFolder.of(settings).folder("tests"),
        threads=settings.threads,
    )
    return Cluster(factorise, scorer_of)


def _parts(index: Index, histories: Histories, hash_: str, settings: Settings) -> Any:
    """Return the files of the sorted histories of a data set."""
    from moovier.spark import history_parts
    from moovier.spark.shared_folder import SharedFolder

    shared = SharedFolder.of(settings)
    folder = history_parts.folder_of(shared, hash_, settings.bad_rows_share)
    # They are missing if this machine parsed the data before the cluster was used.
    return history_parts.store(folder, index, histories)


def run_shards(
    function: Callable[[int], dict[str, Any]], count: int, settings: Settings
) -> Iterator[dict[str, Any]]:
    """Yield ``function(shard)`` for each shard below ``count``, computed on the cluster.

    ``function``: picklable; a second run of a shard has the same effect as one.

    Raises:
        ClusterError: the cluster failed, or a shard failed for good.
    """
    from moovier.spark import tasks
    from moovier.spark.session import cluster

    with cluster(settings, "moovier lists") as spark:
        yield from tasks.run(spark, function, count)


def write_result(name: str, result: Any, settings: Settings) -> None:
    """Write the result of a stage, as JSON, where all machines read it."""
    from moovier.spark.shared_folder import SharedFolder

    with SharedFolder.of(settings).folder("results").writing(f"{name}.json") as file:
        file.write(orjson.dumps(result))


def read_result(name: str, settings: Settings) -> Any:
    """Return the result that :func:`write_result` wrote, or None if there is none."""
    from moovier.spark.shared_folder import SharedFolder

    try:
        return orjson.loads(SharedFolder.of(settings).folder("results").read(f"{name}.json"))
    except FileNotFoundError:
        return None
