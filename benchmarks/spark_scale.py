"""``python -m benchmarks.spark_scale --size N``: one process against a Spark cluster.

Reads, checks and sorts the generated ratings of ``make bench-scale``, sums X'X over them, trains
`als`, and makes the lists of the next-visit test, in this process and on a cluster. Prints the
seconds of both and the largest difference of the results: of `als`, of the NDCG@10; of the lists,
the share of movies that differ.
Without ``--master`` a master and two workers of one core and 1 GB each run on this machine, which
cannot be faster than one process: it shows what the cluster costs.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.table import Table

from benchmarks import report
from benchmarks.scale_data import write_ratings
from moovier.cli.console import plain_console
from moovier.data.columns import Columns
from moovier.data.split import split_last_visit
from moovier.evaluation import ranking
from moovier.jobs import engine
from moovier.models import als_training, ease, item_statistics
from moovier.models.als_scoring import AlsParams, AlsScorer
from moovier.models.item_statistics import Doubles, Weighting
from moovier.settings import Settings
from tests.spark.standalone import standalone

#: Movies of X'X, and the weights of the default `ease`.
COVERED, WEIGHTING = 2000, Weighting(2.0, ease.LONGEST_HALF_LIFE)
#: Hyper-parameters of the `als` that is measured.
PARAMS = AlsParams(size=32, iterations=5)
_T = TypeVar("_T")


def main() -> None:
    """Print the table and write ``benchmarks/out/spark_scale.json``."""
    parser = argparse.ArgumentParser(description="One process against a Spark cluster.")
    parser.add_argument("--size", type=int, default=1_000_000, help="number of ratings")
    parser.add_argument("--data", type=Path, help="folder to keep the generated data in")
    parser.add_argument("--master", help="URL of a master; otherwise one is started here")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="spark-scale-") as scratch,
        contextlib.ExitStack() as stack,
    ):
        folder = write_ratings(
            (options.data or Path(scratch)) / f"scale-{options.size}", options.size
        )
        master = options.master or stack.enter_context(_own_master(Path(scratch)))
        rows = measure(folder, Path(scratch), master)
    table = Table(title=f"{options.size:,} ratings")
    for column in ("stage", "one process, s", "Spark, s", "largest difference"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for row in rows:
        table.add_row(
            str(row["stage"]),
            f"{row['local_s']:.1f}",
            f"{row['spark_s']:.1f}",
            f"{row['difference']:.1e}",
        )
    plain_console(soft_wrap=False).print(table)
    report.write("spark_scale", {"ratings": options.size, "rows": rows})


@contextlib.contextmanager
def _own_master(scratch: Path) -> Iterator[str]:
    folder = scratch / "cluster"
    folder.mkdir()
    with standalone(folder) as cluster:
        yield cluster.url


def measure(folder: Path, scratch: Path, master: str) -> list[dict[str, float | str]]:
    """Return seconds and differences of each stage."""
    local = Settings(home=scratch / "local")
    spark = Settings(home=scratch / "spark-home", engine="spark", spark_master=master)
    parse = partial(engine.parsed, folder, "scale", name="scale", synthetic=True)
    (expected, _), local_s = _timed(lambda: parse(local))
    (actual, _), spark_s = _timed(lambda: parse(spark))
    difference = _difference(actual, expected)
    rows: list[dict[str, float | str]] = [
        {"stage": "ingest", "local_s": local_s, "spark_s": spark_s, "difference": difference}
    ]
    index, histories = expected.index, expected.histories
    covered = ease.frequent_movies(histories.movie_counts(), 1, COVERED)
    on_cluster = engine.sum_on_cluster(index, histories, "scale", covered, spark)
    assert on_cluster is not None
    gram, local_s = _timed(lambda: item_statistics.gram(histories, covered, WEIGHTING))
    sums, spark_s = _timed(lambda: on_cluster(WEIGHTING))
    rows.append(
        {
            "stage": f"X'X of {covered.size} movies",
            "local_s": local_s,
            "spark_s": spark_s,
            "difference": _relative(sums, gram),
        }
    )
    return [*rows, *_measure_als(expected, spark)]


def _measure_als(data: Columns, settings: Settings) -> list[dict[str, float | str]]:
    """Return the rows of one training and of the lists of its test."""
    before, after = split_last_visit(data.histories.ratings())
    known, users = before.histories, np.flatnonzero(after.histories.counts())
    counts = known.movie_counts()
    covered = ease.frequent_movies(counts, 3, counts.size)
    options = als_training.options_of(PARAMS, seed=0)
    cluster = engine.training_cluster(data.index, data.histories, "scale", settings)
    factors, local_s = _timed(lambda: als_training.factorise(known, covered, options))
    found, spark_s = _timed(lambda: cluster.factorise(known, covered, options))
    arrays = [als_training.arrays_of(each, covered, counts, PARAMS) for each in (factors, found)]
    one, other = (
        ranking.evaluate(AlsScorer(each), known, after).metrics()["ndcg_at_10"] for each in arrays
    )
    train = {"local_s": local_s, "spark_s": spark_s, "difference": abs(one - other)}
    scorer, spread = AlsScorer(arrays[0]), cluster.scorer_of("als", arrays[0])
    expected, local_s = _timed(lambda: ranking.top_lists(scorer, users, known, 10))
    lists, spark_s = _timed(lambda: ranking.top_lists(spread, users, known, 10))
    difference = float((lists != expected).mean())
    return [
        {"stage": f"als of {covered.size} movies (NDCG {one:.3f})", **train},
        {
            "stage": f"lists of {users.size} users",
            "local_s": local_s,
            "spark_s": spark_s,
            "difference": difference,
        },
    ]


def _timed(function: Callable[[], _T]) -> tuple[_T, float]:
    started = time.perf_counter()
    result = function()
    return result, time.perf_counter() - started


def _difference(actual: Columns, expected: Columns) -> float:
    """Return the largest difference of any value of the histories; infinite if sizes differ."""
    largest = 0.0
    for name in ("offsets", "movies", "stars", "timestamps"):
        one, other = getattr(actual.histories, name), getattr(expected.histories, name)
        if one.shape != other.shape:
            return float("inf")
        largest = max(largest, float(np.abs(one.astype(np.float64) - other).max(initial=0)))
    return largest


def _relative(actual: Doubles, expected: Doubles) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


if __name__ == "__main__":
    main()
