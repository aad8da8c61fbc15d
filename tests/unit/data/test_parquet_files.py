"""A folder with ratings as Parquet is read like one with ratings.csv."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from moovier.data import columns, sources
from moovier.errors import InvalidData
from moovier.settings import Settings

TABLE: dict[str, Any] = {
    "userId": np.array([7, 7, 9], np.int32),
    "movieId": np.array([1, 3, 1], np.int64),
    "rating": np.array([4.5, 3, 0.5], np.float32),
    "timestamp": np.array([1_700_000_000, 1_700_000_001, 1_700_000_002]),
    "note": ["not read", "x", "y"],
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "my-movies"
    path.mkdir()
    (path / "movies.csv").write_text("movieId,title,genres\n1,One (1990),Drama\n3,Three,Comedy\n")
    parquet.write_table(pa.table(TABLE), path / "ratings.parquet")
    return path


def read(settings: Settings) -> columns.Columns:
    reference = sources.fetch(settings)
    return columns.parsed(
        reference.folder, reference.hash, settings, name=reference.name, synthetic=False
    )[0]


def test_parquet_is_used_like_csv(settings: Settings, folder: Path) -> None:
    assert sources.use(settings, str(folder)) == str(folder)
    reference = sources.fetch(settings)
    assert reference.name == "my-movies"
    assert (reference.folder / "ratings.csv").read_text() == (
        "userId,movieId,rating,timestamp\n7,1,4.5,1700000000\n7,3,3,1700000001\n"
        "9,1,0.5,1700000002\n"
    )
    found = read(settings)
    assert found.index.users.tolist() == [7, 9]
    assert found.histories[0].stars.tolist() == [4.5, 3.0]
    assert found.histories[1].timestamps.tolist() == [1_700_000_002]


def test_changed_parquet_is_another_data_set(settings: Settings, folder: Path) -> None:
    sources.use(settings, str(folder))
    first = sources.fetch(settings)
    again = sources.fetch(settings)
    assert (again.folder, again.hash) == (first.folder, first.hash)
    changed = {**TABLE, "rating": np.array([4.5, 3, 5.0])}
    parquet.write_table(pa.table(changed), folder / "ratings.parquet")
    os.utime(folder / "ratings.parquet", (1, 1))
    assert sources.fetch(settings).hash != first.hash
    assert read(settings).histories[1].stars.tolist() == [5.0]


def test_moments_count_as_seconds(settings: Settings, folder: Path) -> None:
    moments = [datetime.fromtimestamp(second, UTC) for second in TABLE["timestamp"]]
    table = pa.table({**TABLE, "timestamp": pa.array(moments, pa.timestamp("ms", "UTC"))})
    parquet.write_table(table, folder / "ratings.parquet")
    sources.use(settings, str(folder))
    assert read(settings).histories[0].timestamps.tolist() == [1_700_000_000, 1_700_000_001]


def test_strings_are_text_ids(settings: Settings, folder: Path) -> None:
    users = pa.array(["anna", "anna", "b,c"]).dictionary_encode()
    parquet.write_table(pa.table({**TABLE, "userId": users}), folder / "ratings.parquet")
    sources.use(settings, str(folder))
    found = read(settings)
    assert found.ids is not None
    texts = [found.ids.text("user", number) for number in found.index.users.tolist()]
    assert sorted(map(str, texts)) == ["anna", "b,c"]
    assert not found.ids.is_text("movie")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("timestamp", None, r"ratings\.parquet: the column timestamp is missing"),
        ("movieId", [1, None, 1], r"ratings\.parquet: 1 rows have no movieId"),
        ("userId", [True, False, True], "the column userId has the type bool"),
        ("timestamp", ["a", "b", "c"], "the column timestamp has the type string"),
        ("rating", [4.5, 3.0, 7.0], r"ratings\.csv, row 4: rating 7"),
    ],
    ids=["missing", "empty", "flags", "text", "stars"],
)
def test_invalid_parquet_is_refused(
    settings: Settings, folder: Path, column: str, values: list[object] | None, message: str
) -> None:
    table = {name: value for name, value in TABLE.items() if name != column}
    if values is not None:
        table[column] = values
    parquet.write_table(pa.table(table), folder / "ratings.parquet")
    with pytest.raises(InvalidData, match=message):
        sources.use(settings, str(folder))


def test_file_that_is_no_parquet_is_refused(settings: Settings, folder: Path) -> None:
    (folder / "ratings.parquet").write_text("userId,movieId\n")
    with pytest.raises(InvalidData, match=r"ratings\.parquet: cannot be read"):
        sources.use(settings, str(folder))
