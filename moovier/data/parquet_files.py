"""Data sets as Parquet: ``ratings.parquet`` in the place of ``ratings.csv``.

Columns userId and movieId (numbers or strings), rating and timestamp (seconds since 1970, or
moments, which count as UTC without a time zone); the other files are as in
:mod:`moovier.data.movielens`. The ratings are written once as ``ratings.csv`` to
``<home>/data/parquet/``, so that DVC, the merge of feedback and all later stages see one layout.
Row n of the file is row n + 1 of the CSV file in error messages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import EVENTS_MARK, LINKS, MOVIES, RATINGS, SYNTHETIC_MARK
from moovier.errors import InvalidData
from moovier.settings import Settings

PARQUET = "ratings.parquet"
#: Number of converted data sets that are kept.
KEPT = 3
_COLUMNS = ("userId", "movieId", "rating", "timestamp")
_COPIED = (MOVIES, LINKS, SYNTHETIC_MARK, EVENTS_MARK)


def has_parquet_only(folder: Path) -> bool:
    """Return whether a folder has ratings as Parquet instead of CSV."""
    return (folder / PARQUET).is_file() and not (folder / RATINGS).exists()


def ratings_of_parquet(folder: Path, settings: Settings) -> Path:
    """Convert a folder with ``ratings.parquet`` to one with ``ratings.csv``, unless it was.

    Raises:
        InvalidData: the file cannot be read, or a column is missing, empty in a row, or of another
            type.
    """
    home = settings.path("data", "parquet")
    home.mkdir(parents=True, exist_ok=True)
    read = (PARQUET, *_COPIED)
    # The name of the data set follows from that of the folder.
    target = home / directory_hash(folder, read).removesuffix(".dir") / folder.name
    if not target.is_dir():
        with tempfile.TemporaryDirectory(prefix=".converting-", dir=home) as scratch:
            fresh = Path(scratch) / "data"
            fresh.mkdir()
            _write_csv(folder / PARQUET, fresh / RATINGS)
            for name in _COPIED:
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, fresh / name)
            target.parent.mkdir(exist_ok=True)
            # Another process may have written the same content meanwhile.
            with contextlib.suppress(OSError):
                fresh.rename(target)
    os.utime(target.parent)
    _prune(home, target.parent)
    return target


def _write_csv(source: Path, target: Path) -> None:
    """Write the columns as CSV, block by block."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        with source.open("rb") as content:
            file = open_ratings(content)
            types = {name: _type_of(file.schema_arrow.field(name).type, name) for name in _COLUMNS}
            schema = pa.schema(list(types.items()))
            style = "needed" if pa.string() in types.values() else "none"
            options = csv.WriteOptions(quoting_style=style, quoting_header="none")
            with csv.CSVWriter(target, schema, write_options=options) as writer:
                for batch in file.iter_batches(columns=list(_COLUMNS)):
                    columns = [_cast(batch.column(name), name, types[name]) for name in _COLUMNS]
                    writer.write_batch(pa.record_batch(columns, schema=schema))
    except (OSError, pa.ArrowException) as error:
        raise _invalid(f"cannot be read: {error}") from error


def open_ratings(content: Any) -> Any:
    """Return the Parquet file in an open file; it has all columns of ratings.

    Raises:
        InvalidData: the file cannot be read, or lacks a column.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(content)
    except (OSError, pa.ArrowException) as error:
        raise _invalid(f"cannot be read: {error}") from error
    missing = sorted(set(_COLUMNS) - set(file.schema_arrow.names))
    if missing:
        raise _invalid(f"the column {missing[0]} is missing")
    return file


def read_row_group(file: Any, number: int) -> Any:
    """Return one row group of :func:`open_ratings` as a table of whole numbers and doubles.

    Raises:
        InvalidData: a value is missing or no number, or the row group cannot be read.
    """
    import pyarrow as pa

    try:
        table = file.read_row_group(number, columns=list(_COLUMNS))
        columns = {
            name: _cast(table.column(name), name, _number_type(table.column(name).type, name))
            for name in _COLUMNS
        }
    except (OSError, pa.ArrowException) as error:
        raise _invalid(f"cannot be read: {error}") from error
    return pa.table(columns)


def _type_of(found: Any, name: str) -> Any:
    """Return the type that a column has in the CSV file."""
    import pyarrow as pa

    if name in ("userId", "movieId"):
        values = found.value_type if pa.types.is_dictionary(found) else found
        if pa.types.is_string(values) or pa.types.is_large_string(values):
            return pa.string()
    return _number_type(found, name)


def _number_type(found: Any, name: str) -> Any:
    import pyarrow as pa

    is_moment = name == "timestamp" and pa.types.is_timestamp(found)
    if not (is_moment or pa.types.is_integer(found) or pa.types.is_floating(found)):
        raise _invalid(f"the column {name} has the type {found}, which is no number")
    return pa.float64() if name == "rating" else pa.int64()


def _cast(column: Any, name: str, kind: Any) -> Any:
    """Return a column as ``kind``."""
    import pyarrow as pa

    if column.null_count:
        raise _invalid(f"{column.null_count:,} rows have no {name}")
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s", column.type.tz), safe=False)
    return column.cast(kind)


def _invalid(problem: str) -> InvalidData:
    text = f"{PARQUET}: {problem}"
    return InvalidData(f"the data set is invalid: {text}", [text])


def _prune(home: Path, current: Path) -> None:
    others = [path for path in home.glob("[!.]*") if path != current]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
