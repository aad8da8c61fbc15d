"""The lists of a test's users, made by tasks on the cluster for batches of users.

The driver writes the model's arrays and the users' histories into the shared folder. Each task
makes the lists of some whole batches by the function of the single machine
(:func:`moovier.evaluation.ranking.top_lists`), which scores the same users together, with as many
threads. So the lists are the same. The driver computes the metrics from them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.evaluation import ranking
from moovier.models.families import family
from moovier.models.family import Arrays, CoveredScorer, Scorer
from moovier.models.item_statistics import select
from moovier.spark import tasks
from moovier.spark.shared_folder import SharedFolder

_MODEL, _HISTORIES = "model.npz", "histories.npz"
_COLUMNS = ("offsets", "movies", "stars", "timestamps")


class ClusterScorer:
    """A scorer whose lists of many users the cluster makes; the rest is computed here.

    ``open_cluster``: returns a context manager of a session. ``folder``: shared by all machines.
    ``threads``: of a task's linear algebra.
    """

    def __init__(
        self,
        name: str,
        arrays: Arrays,
        *,
        open_cluster: Callable[[], Any],
        folder: SharedFolder,
        threads: int,
    ) -> None:
        self._name, self._arrays = name, arrays
        self._scorer = family(name).scorer(arrays)
        self._open_cluster, self._folder, self._threads = open_cluster, folder, threads
        self.n_movies = self._scorer.n_movies

    def score(self, users: Ints, histories: Histories) -> Floats:
        """Return the scores of known users, (len(users), n_movies)."""
        return self._scorer.score(users, histories)

    def fold_in(self, history: History) -> Floats:
        """Return the scores for a visitor, (n_movies,)."""
        return self._scorer.fold_in(history)

    def explain(self, history: History, movies: Ints) -> Floats:
        """Return each rating's contribution, (len(movies), len(history))."""
        return self._scorer.explain(history, movies)

    def top_lists(self, users: Ints, known: Histories, k: int) -> Ints:
        """Return :func:`moovier.evaluation.ranking.top_lists` of the users, (len(users), k).

        Raises:
            ClusterError: the cluster failed.
        """
        if not users.size:
            return np.full((0, k), -1, dtype=np.int64)
        folder = self._folder.folder(uuid.uuid4().hex)
        histories = select(known, users)
        try:
            _write(folder, _MODEL, self._arrays)
            _write(folder, _HISTORIES, {name: getattr(histories, name) for name in _COLUMNS})
            with self._open_cluster() as spark:
                n_batches = -(-users.size // ranking.BATCH)
                n_tasks = min(n_batches, tasks.parallelism(spark))
                starts = np.arange(n_tasks + 1) * n_batches // n_tasks * ranking.BATCH
                ends = np.minimum(starts[1:], users.size)
                work = _Work(
                    folder,
                    self._name,
                    known.n_movies,
                    k,
                    self._threads,
                    tuple(zip(starts[:-1].tolist(), ends.tolist(), strict=True)),
                )
                lists = tasks.run(spark, partial(_lists, work), n_tasks)
        finally:
            folder.remove()
        return np.concatenate([np.array(part, dtype=np.int64).reshape(-1, k) for part in lists])


def scorer_of(
    name: str,
    arrays: Arrays,
    *,
    open_cluster: Callable[[], Any],
    folder: SharedFolder,
    threads: int,
) -> Scorer:
    """Return a scorer whose lists the cluster makes, if that is work for a cluster.

    Popularity, which has one list for everybody, and the families that need each user's row are
    scored on this machine. The arguments are those of :class:`ClusterScorer`.
    """
    scorer = family(name).scorer(arrays)
    if not isinstance(scorer, CoveredScorer):
        return scorer
    return ClusterScorer(name, arrays, open_cluster=open_cluster, folder=folder, threads=threads)


@dataclass(frozen=True)
class _Work:
    """What the tasks compute: the lists of the users ``spans[number]``, each (first, end)."""

    folder: SharedFolder
    family: str
    n_movies: int
    k: int
    threads: int
    spans: tuple[tuple[int, int], ...]


def _lists(work: _Work, number: int) -> NDArray[np.int64]:
    """Return the lists of one task's users, (n, k)."""
    histories = Histories(**_read(work.folder, _HISTORIES), n_movies=work.n_movies)
    scorer = family(work.family).scorer(_read(work.folder, _MODEL))
    first, end = work.spans[number]
    with threadpool_limits(work.threads):
        return ranking.top_lists(scorer, np.arange(first, end), histories, work.k)


def _write(folder: SharedFolder, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    with folder.writing(name) as file:
        np.savez(file, allow_pickle=False, **dict(arrays))


def _read(folder: SharedFolder, name: str) -> dict[str, NDArray[Any]]:
    with folder.reading(name) as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
