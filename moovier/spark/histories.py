"""Read, validate and sort ratings on the cluster.

The errors, the rows that are set aside and the sorted histories equal those of the single machine
(:mod:`moovier.data.movielens`), because each task checks its block of the file with the same
functions:

1. Each task reads a block of whole lines, or a row group of a Parquet file, checks each row, writes
   the valid ones to a staging file, and returns the problems and the number of its lines.
2. Spark moves the valid rows, so that each partition has all rows of a range of users. Its task
   drops the ratings that newer ones replace, sorts the others, and writes one part of
   :mod:`moovier.spark.history_parts`.

The driver reads the movies and puts the problems of all tasks in the order of the rows.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from moovier.data import schema
from moovier.data.columns import Columns
from moovier.data.csv_problems import SHOWN_PROBLEMS, Problems, replaced_reason
from moovier.data.csv_tables import Tables
from moovier.data.movielens import LINKS, MOVIES, RATINGS, catalogue, read_movies, tables_of
from moovier.data.parquet_files import PARQUET
from moovier.data.ratings import Ints
from moovier.data.text_columns import TextColumns
from moovier.errors import InvalidData
from moovier.spark import history_parts, tasks
from moovier.spark.history_parts import HistoryParts
from moovier.spark.rating_blocks import Block, CsvBlocks, ParquetBlocks
from moovier.spark.shared_folder import SharedFolder

#: Folder of the staging files, within that of the parts.
_STAGING = "_staging"
#: A row's block and its line in the block in one number, which ascends through the file.
_LINE_BITS = 32
_ROWS = "userId long, movieId long, rating float, timestamp long, position long"


def parse(
    open_cluster: Callable[[], Any], source: str, target: SharedFolder, *, bad_rows_share: float
) -> Columns:
    """Return the valid ratings of a folder as columns; sort them on the cluster if needed.

    ``open_cluster``: returns a context manager of a session. ``source``: path or URL of a folder in
    MovieLens layout; ``ratings.parquet`` may take the place of ``ratings.csv``. ``target``: folder
    of the parts, see :func:`history_parts.folder_of`. If it is a URL and the source is a folder of
    this machine, the ratings are uploaded first; otherwise all workers must reach the source.

    Raises:
        InvalidData: the data is invalid; one problem per bad row.
        ClusterError: the cluster failed.
    """
    with tempfile.TemporaryDirectory(prefix="moovier-") as scratch:
        tables = tables_of(_small_files(SharedFolder(source), Path(scratch)), bad_rows_share)
        if TextColumns.of(tables.folder / RATINGS, tables.folder / MOVIES):
            raise InvalidData(
                "user or movie ids are texts, and the cluster reads whole numbers only: set "
                "MOOVIER_ENGINE=local"
            )
        movies = read_movies(tables)
        ids = np.sort(movies["movieId"].to_numpy(np.int64))
        parts = history_parts.find(target)
        if parts is None:
            try:
                blocks = _blocks(_reachable(SharedFolder(source), target), tables, ids)
                with open_cluster() as spark:
                    parts = _sort(spark, blocks, target, tables)
            finally:
                target.folder(_STAGING).remove()
    index, histories = history_parts.read_all(parts, ids)
    return Columns(index, histories, catalogue(movies), parts.set_aside)


def _small_files(source: SharedFolder, scratch: Path) -> Path:
    """Return a local folder with the movies and the header of the ratings."""
    if not source.is_remote:
        return Path(source.url)
    for name in (MOVIES, LINKS):
        if source.exists(name):
            (scratch / name).write_bytes(source.read(name))
    if source.exists(RATINGS):
        with source.reading(RATINGS) as file:
            (scratch / RATINGS).write_bytes(file.readline())
    return scratch


def _reachable(source: SharedFolder, target: SharedFolder) -> SharedFolder:
    """Return a folder with the ratings that all workers reach."""
    if source.is_remote or not target.is_remote:
        return source
    uploaded = target.folder(_STAGING)
    for name in (RATINGS, PARQUET):
        if source.exists(name):
            with source.reading(name) as file, uploaded.writing(name) as copy:
                shutil.copyfileobj(file, copy, 1 << 22)
            break
    return uploaded


def _blocks(source: SharedFolder, tables: Tables, movies: Ints) -> CsvBlocks | ParquetBlocks:
    keep_all = tables.bad_rows_share > 0
    if not source.exists(RATINGS) and source.exists(PARQUET):
        return ParquetBlocks.of(source, movies, keep_all=keep_all)
    return CsvBlocks.of(source, tables.folder / RATINGS, movies, keep_all=keep_all)


def _sort(
    spark: Any, blocks: CsvBlocks | ParquetBlocks, target: SharedFolder, tables: Tables
) -> HistoryParts:
    """Check the blocks and write the parts."""
    staging = target.folder(_STAGING)
    checked = tasks.run(spark, partial(_check_block, blocks, staging), blocks.count)
    blocks.raise_unusable(checked)
    n_rows = sum(block["rows"] for block in checked)
    n_checked = sum(block["valid"] for block in checked)
    # Row 1 of the file is the header.
    first_rows = 2 + np.cumsum([0, *(block["lines"] for block in checked)])[:-1]
    problems = Problems(keep_all=blocks.keep_all)
    for stage in ("unreadable", "invalid"):
        for first_row, block in zip(first_rows.tolist(), checked, strict=True):
            found = block[stage]
            problems.extend(
                [(first_row + row, text) for row, text in found["rows"]], found["total"]
            )
    written: list[dict[str, Any]] = []
    if n_checked:
        rows = tasks.numbers(spark, blocks.count).mapInArrow(partial(_staged, staging), _ROWS)
        n_parts = -(-n_checked // history_parts.PART_RATINGS)
        written = tasks.results(
            rows.repartitionByRange(n_parts, "userId").mapInArrow(
                partial(_write_part, target, blocks.keep_all), tasks.RESULT
            )
        )

    def row_of(position: int) -> int:
        return int(first_rows[position >> _LINE_BITS]) + (position & (1 << _LINE_BITS) - 1)

    replaced = sorted(tuple(pair) for part in written for pair in part["replaced"])
    problems.extend(
        [(row_of(row), replaced_reason(row_of(other))) for row, other in replaced],
        sum(part["n_replaced"] for part in written),
    )
    n_ratings = sum(part["ratings"] for part in written)
    tables.accept(RATINGS, problems, n_rows, n_ratings)
    parts = HistoryParts(
        target,
        tuple(part["part"] for part in written),
        n_ratings,
        sum(part["users"] for part in written),
        tuple(tables.set_aside),
    )
    history_parts.complete(parts)
    return parts


def _check_block(blocks: CsvBlocks | ParquetBlocks, staging: SharedFolder, number: int) -> Any:
    """Check one block; write its valid rows; return its problems, as JSON."""
    block: Block = blocks.check(number)
    if block.checked is None:
        return {"lines": block.n_lines, "rows": 0, "valid": 0, "unusable": block.unusable}
    valid = block.checked.valid
    positions = (np.int64(number) << _LINE_BITS) + valid.index.to_numpy(np.int64)
    table = pa.Table.from_pandas(valid, preserve_index=False).append_column(
        "position", pa.array(positions)
    )
    with staging.writing(_name(number)) as file:
        pq.write_table(table, file, compression="zstd")
    stages = {"unreadable": block.checked.unreadable, "invalid": block.checked.invalid}
    return {
        "lines": block.n_lines,
        "rows": block.checked.n_rows,
        "valid": len(valid),
        "unusable": block.unusable,
        **{name: {"rows": stage.reasons, "total": stage.total} for name, stage in stages.items()},
    }


def _staged(staging: SharedFolder, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the valid rows of the blocks of a partition."""
    for number in tasks.numbers_of(batches):
        with staging.reading(_name(number)) as file:
            yield from pq.read_table(file).to_batches()


def _write_part(
    target: SharedFolder, keep_all: bool, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Write the histories of the users of a partition; yield a summary."""
    from pyspark import TaskContext

    held = [batch for batch in batches if batch.num_rows]
    if not held:
        return
    table = pa.Table.from_batches(held)
    # In the order of the file, on which the rules of repeated ratings depend.
    frame = table.sort_by("position").to_pandas()
    positions = frame["position"].to_numpy()
    older = schema.older_ratings(frame)
    keep = np.ones(len(frame), dtype=bool)
    keep[list(older)] = False
    kept = frame[keep]
    order = np.lexsort((kept["position"], kept["timestamp"], kept["userId"]))
    kept = kept.iloc[order]
    users, starts = np.unique(kept["userId"].to_numpy(), return_index=True)
    columns = {
        "movie_ids": kept["movieId"].to_numpy(),
        "stars": kept["rating"].to_numpy(),
        "timestamps": kept["timestamp"].to_numpy(),
    }
    number = TaskContext.get().partitionId()
    history_parts.write_part(target, number, users, np.append(starts, len(kept)), columns)
    replaced = [(int(positions[row]), int(positions[other])) for row, other in older.items()]
    yield tasks.result(
        number,
        {
            "part": number,
            "users": users.size,
            "ratings": len(kept),
            "replaced": replaced if keep_all else replaced[:SHOWN_PROBLEMS],
            "n_replaced": len(replaced),
        },
    )


def _name(number: int) -> str:
    return f"block-{number:05d}.parquet"
