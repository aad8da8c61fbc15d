"""Sums over all users on the cluster: X'X and the numbers of ratings.

Each task sums its parts of the histories with the function of the single machine
(:func:`moovier.models.item_statistics.gram`). A tree of further tasks adds the sums of the tasks,
block of rows by block of rows, so that no machine but the driver holds more than a few blocks of
the others' sums. Source of the tree: Spark's own ``RDD.treeReduce``, which Spark Connect lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from moovier.data.ratings import Histories, Ints
from moovier.models import item_statistics
from moovier.models.item_statistics import Doubles, Weighting
from moovier.spark import history_parts, tasks
from moovier.spark.history_parts import HistoryParts

#: Values of one block of rows: 4 MB.
_BLOCK_VALUES = 1 << 19
#: Blocks that the driver fetches at a time: an executor serializes them whole in its memory.
_FETCHED_BLOCKS = 8
#: Sums that one task of the tree adds.
_FAN_IN = 4
_TYPES = "node int, block int, total binary"
_SCHEMA = pa.schema([("node", pa.int32()), ("block", pa.int32()), ("total", pa.binary())])
#: Returns the sum of one part of the histories, in two dimensions.
SumOf = Callable[[Histories], NDArray[np.float64]]


def gram(
    spark: Any, parts: HistoryParts, movies: Ints, covered: Ints, weighting: Weighting
) -> Doubles:
    """Return X'X over the movies ``covered``, (n_covered, n_covered), of all users.

    ``movies``: (n_movies,) ids of the catalogue, ascending. ``covered``: rows of it.

    Raises:
        ClusterError: the cluster failed.
    """
    sum_of = partial(_gram, covered, weighting)
    return _sum(spark, parts, movies, sum_of, (covered.size, covered.size))


def movie_counts(spark: Any, parts: HistoryParts, movies: Ints) -> Ints:
    """Return the number of ratings of each movie, (n_movies,).

    Raises:
        ClusterError: the cluster failed.
    """
    return np.asarray(_sum(spark, parts, movies, _counts, (1, movies.size))[0], dtype=np.int64)


def _gram(covered: Ints, weighting: Weighting, histories: Histories) -> Doubles:
    return item_statistics.gram(histories, covered, weighting)


def _counts(histories: Histories) -> Doubles:
    return histories.movie_counts()[None].astype(np.float64)


@dataclass(frozen=True)
class _Work:
    """What the tasks sum: the parts ``number``, ``number + n_tasks``, … of each."""

    parts: HistoryParts
    movies: Ints
    sum_of: SumOf
    n_tasks: int
    block_rows: int


def _sum(
    spark: Any, parts: HistoryParts, movies: Ints, sum_of: SumOf, shape: tuple[int, int]
) -> Doubles:
    """Return the sum of ``sum_of`` over all parts, of the given shape."""
    total = np.zeros(shape)
    if not parts.numbers or not total.size:
        return total
    n_tasks = min(len(parts.numbers), tasks.parallelism(spark))
    block_rows = max(1, _BLOCK_VALUES // shape[1])
    work = _Work(parts, movies, sum_of, n_tasks, block_rows)
    frame = tasks.numbers(spark, n_tasks).mapInArrow(partial(_sum_parts, work), _TYPES)
    while n_tasks > 1:
        grouped = frame.selectExpr(f"int(node / {_FAN_IN}) as node", "block", "total")
        frame = grouped.groupBy("node", "block").applyInArrow(_add, _TYPES)
        n_tasks = -(-n_tasks // _FAN_IN)
    n_blocks = -(-shape[0] // block_rows)
    for row in frame.repartition(-(-n_blocks // _FETCHED_BLOCKS), "block").toLocalIterator():
        first = row.block * block_rows
        block = np.frombuffer(row.total).reshape(-1, shape[1])
        total[first : first + len(block)] = block
    return total


def _sum_parts(work: _Work, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the sum of a task's parts, one block of rows at a time."""
    for node in tasks.numbers_of(batches):
        total: Any = 0.0
        for number in work.parts.numbers[node :: work.n_tasks]:
            _, histories = history_parts.read_part(work.parts.folder, number, work.movies)
            total = total + work.sum_of(histories)
        for block, first in enumerate(range(0, len(total), work.block_rows)):
            yield _row(node, block, total[first : first + work.block_rows])


def _add(table: pa.Table) -> pa.Table:
    """Return the sum of the rows of one block."""
    total = sum(np.frombuffer(value.as_buffer()) for value in table["total"])
    batch = _row(table["node"][0].as_py(), table["block"][0].as_py(), np.asarray(total))
    return pa.Table.from_batches([batch])


def _row(node: int, block: int, total: Doubles) -> pa.RecordBatch:
    content = np.ascontiguousarray(total, dtype=np.float64).tobytes()
    return pa.RecordBatch.from_pydict(
        {"node": [node], "block": [block], "total": [content]}, schema=_SCHEMA
    )
