"""Train the factors of `als` on the cluster, by MLlib's alternating least squares.

The tasks read the Parquet files of the sorted histories. A training part holds the first ratings
of each user, so the driver writes each user's number of them, and no rating is uploaded again. Only
the factors of the movies come back: the factor of a user follows from them
(:mod:`moovier.models.als_scoring`). MLlib's equations are those of
:func:`moovier.models.als_scoring.normal_equations`; its random start depends on the number of
blocks, so the factors are those of one machine only in quality.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from moovier.data.ratings import Floats, Histories, Index, Ints
from moovier.errors import BundleError
from moovier.models.factorisation import Factorisation
from moovier.spark import history_parts, tasks
from moovier.spark.history_parts import HistoryParts
from moovier.spark.shared_folder import SharedFolder

_COUNTS = "counts.parquet"
#: Users of a row group of the counts: a task reads the groups of its users only.
_GROUP_USERS = 1 << 16
#: Rows of an Arrow batch that goes to Spark.
_BATCH_ROWS = 100_000
_TYPES = "user int, movie int, strength float"
_SCHEMA = pa.schema([("user", pa.int32()), ("movie", pa.int32()), ("strength", pa.float32())])


def factorise(
    spark: Any,
    parts: HistoryParts,
    index: Index,
    counts: Ints,
    covered: Ints,
    options: Factorisation,
    scratch: SharedFolder,
) -> Floats:
    """Return the factors of the movies ``covered``, (n_covered, size).

    ``counts``: (n_users,) first ratings of each user that are trained on, in the order of
    ``index``. ``covered``: (n_covered,) rows of movies with a rating among them. ``scratch``: a
    folder for this training, which is deleted.

    Raises:
        ClusterError: the cluster failed.
    """
    factors = np.zeros((covered.size, options.size), dtype=np.float32)
    if not covered.size:
        return factors
    work = _Work(parts, index.movies, covered, options.star_power, scratch)
    try:
        _write_counts(scratch, index, counts)
        numbers = tasks.numbers(spark, len(parts.numbers))
        ratings = numbers.mapInArrow(partial(_ratings, work), _TYPES)
        found = train(spark, ratings, options).itemFactors.select("id", "features").toArrow()
    finally:
        scratch.remove()
    rows = found["id"].to_numpy()
    factors[rows] = found["features"].combine_chunks().flatten().to_numpy().reshape(rows.size, -1)
    return factors


def first_counts(whole: Histories, part: Histories) -> Ints:
    """Return how many first ratings of each user ``part`` holds, (n_users,).

    Raises:
        ValueError: it holds other ratings than the first ones of ``whole``.
    """
    counts = part.counts()
    if counts.size == whole.n_users and (counts <= whole.counts()).all():
        shift = np.repeat(whole.offsets[:-1] - part.offsets[:-1], counts)
        if np.array_equal(whole.movies[np.arange(shift.size) + shift], part.movies):
            return counts
    raise ValueError("the training part does not hold the first ratings of each user")


def train(spark: Any, ratings: Any, options: Factorisation) -> Any:
    """Return MLlib's model of a data frame of users, movies and strengths."""
    from pyspark.ml.recommendation import ALS

    blocks = tasks.parallelism(spark)
    als = ALS(
        rank=options.size,
        maxIter=options.iterations,
        alpha=options.alpha,
        regParam=options.reg,
        seed=options.seed,
        implicitPrefs=True,
        userCol="user",
        itemCol="movie",
        ratingCol="strength",
        numUserBlocks=blocks,
        numItemBlocks=blocks,
    )
    return als.fit(ratings)


@dataclass(frozen=True)
class _Work:
    """What the tasks read; see :func:`factorise`."""

    parts: HistoryParts
    movies: Ints
    covered: Ints
    star_power: float
    scratch: SharedFolder


def _ratings(work: _Work, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the ratings of one part that are trained on: user, place in ``covered``, strength."""
    place = np.full(work.movies.size, -1, dtype=np.int32)
    place[work.covered] = np.arange(work.covered.size)
    for number in tasks.numbers_of(batches):
        users, histories = history_parts.read_part(
            work.parts.folder, work.parts.numbers[number], work.movies
        )
        rows, firsts = _read_counts(work.scratch, users)
        counts = histories.counts()
        ends = histories.offsets[:-1] + firsts
        columns = place[histories.movies]
        taken = (np.arange(columns.size) < np.repeat(ends, counts)) & (columns >= 0)
        table = pa.table(
            {
                "user": np.repeat(rows, counts)[taken].astype(np.int32),
                "movie": columns[taken],
                "strength": ((histories.stars[taken] / 5.0) ** work.star_power).astype(np.float32),
            },
            schema=_SCHEMA,
        )
        yield from table.to_batches(max_chunksize=_BATCH_ROWS)


def _write_counts(scratch: SharedFolder, index: Index, counts: Ints) -> None:
    """Write each user's row and number of ratings, by ascending id."""
    order = np.argsort(index.users, kind="stable")
    table = pa.table({"user_id": index.users[order], "row": order, "count": counts[order]})
    with scratch.writing(_COUNTS) as file:
        pq.write_table(table, file, row_group_size=_GROUP_USERS, compression="zstd")


def _read_counts(scratch: SharedFolder, users: Ints) -> tuple[Ints, Ints]:
    """Return the rows and the numbers of ratings of a part's users, (k,) each, ascending ids."""
    if not users.size:
        return users, users
    bounds = [("user_id", ">=", int(users[0])), ("user_id", "<=", int(users[-1]))]
    with scratch.reading(_COUNTS) as file:
        table = pq.read_table(file, filters=bounds)
    if not np.array_equal(table["user_id"].to_numpy(), users):
        raise BundleError(f"{scratch.url}/{_COUNTS} has other users than the histories")
    return table["row"].to_numpy(), table["count"].to_numpy()
