"""Ratings that the cluster reads, checks and sorts equal those of the single machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from moovier.data import columns
from moovier.data.columns import Columns
from moovier.errors import InvalidData
from moovier.settings import Settings
from moovier.spark import histories, history_parts, rating_blocks
from moovier.spark.shared_folder import SharedFolder
from tests.fixtures import toy_movielens

pytestmark = pytest.mark.spark


@pytest.fixture(autouse=True)
def _several_blocks_and_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rating_blocks, "BLOCK_BYTES", 5000)
    monkeypatch.setattr(history_parts, "PART_RATINGS", 400)


def local(folder: Path, home: Path, share: float) -> Columns:
    settings = Settings(home=home, bad_rows_share=share)
    return columns.parsed(folder, "abc.dir", settings, name="toy", synthetic=False)[0]


def on_cluster(open_session: Callable[[], Any], folder: Path, home: Path, share: float) -> Columns:
    target = SharedFolder(str(home / "shared"))
    return histories.parse(open_session, str(folder), target, bad_rows_share=share)


def check_equal(actual: Columns, expected: Columns) -> None:
    np.testing.assert_array_equal(actual.index.users, expected.index.users)
    np.testing.assert_array_equal(actual.index.movies, expected.index.movies)
    for name in ("offsets", "movies", "stars", "timestamps"):
        np.testing.assert_array_equal(
            getattr(actual.histories, name), getattr(expected.histories, name)
        )
    assert actual.catalogue == expected.catalogue
    assert actual.set_aside == expected.set_aside


def append(folder: Path, *lines: str) -> None:
    with (folder / "ratings.csv").open("a", newline="") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_sorted_histories_equal_those_of_one_machine(
    open_session: Callable[[], Any], tmp_path: Path
) -> None:
    folder = toy_movielens(tmp_path / "data", users=90)
    actual = on_cluster(open_session, folder, tmp_path, 0.0)
    check_equal(actual, local(folder, tmp_path, 0.0))
    shared = SharedFolder(str(tmp_path / "shared"))
    parts = history_parts.find(shared)
    assert parts is not None
    assert len(parts.numbers) > 2
    assert not shared.folder("_staging").exists("block-00000.parquet")

    def fail() -> Any:
        raise AssertionError("the parts exist, so no cluster is needed")

    check_equal(on_cluster(fail, folder, tmp_path, 0.0), actual)


BAD_LINES = (
    "7,1,4.0",
    "",
    "8,2,seven,1000\r",
    "9,3,4.0,99999999999999",
    "-3,3,4.0,1000000",
    '"10",4,3.5,1000001\r',
    "11,5,3.7,1000000",
    "12,999,3.5,1000000",
    "13,5,4.5,1000005",
    "13,5,2.5,1000005",
    "13,5,1.5,1000004",
)


def test_bad_rows_are_set_aside_with_the_same_reasons(
    open_session: Callable[[], Any], tmp_path: Path
) -> None:
    folder = toy_movielens(tmp_path / "data")
    append(folder, *BAD_LINES)
    expected = local(folder, tmp_path, 0.5)
    assert len(expected.set_aside) >= 8
    check_equal(on_cluster(open_session, folder, tmp_path, 0.5), expected)


@pytest.mark.parametrize(
    "lines",
    [
        BAD_LINES,
        ("1,1,4.5,1000000", *(f"1,{movie},9.5,1000000" for movie in range(1, 30)), "x"),
        tuple(f"{user},2,4.0,1000000" for user in (1, 3) for _ in range(15)),
        ("1,1,4.0,1000000", "\N{LATIN SMALL LETTER E WITH ACUTE},1,4.0,1000000"),
    ],
    ids=["of each kind", "many", "repeated", "letters"],
)
def test_invalid_data_have_the_same_message(
    open_session: Callable[[], Any], tmp_path: Path, lines: tuple[str, ...]
) -> None:
    folder = toy_movielens(tmp_path / "data")
    append(folder, *lines)
    check_same_error(open_session, folder, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"movieId", b"movie"),
        lambda content: content.splitlines(keepends=True)[0],
        lambda _: b"",
        lambda content: content.removesuffix(b"\n"),
        lambda content: content + b"1,\xe9,4.0,1000000\n",
        lambda content: content.decode().encode("utf-16"),
        lambda content: content.replace(b"\n", b"\r"),
    ],
    ids=["header", "no rows", "empty", "cut off", "latin-1", "utf-16", "old Mac"],
)
def test_unusable_file_has_the_same_message(
    open_session: Callable[[], Any], tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    folder = toy_movielens(tmp_path / "data")
    file = folder / "ratings.csv"
    file.write_bytes(change(file.read_bytes()))
    check_same_error(open_session, folder, tmp_path)


def check_same_error(open_session: Callable[[], Any], folder: Path, home: Path) -> None:
    with pytest.raises(InvalidData) as expected:
        local(folder, home, 0.0)
    with pytest.raises(InvalidData) as actual:
        on_cluster(open_session, folder, home, 0.0)
    assert str(actual.value) == str(expected.value)
    assert actual.value.problems == expected.value.problems


def test_windows_line_ends_and_byte_order_mark_are_read(
    open_session: Callable[[], Any], tmp_path: Path
) -> None:
    folder = toy_movielens(tmp_path / "data")
    file = folder / "ratings.csv"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    expected = local(folder, tmp_path, 0.0)
    check_equal(on_cluster(open_session, folder, tmp_path, 0.0), expected)


def test_parquet_equals_csv(open_session: Callable[[], Any], tmp_path: Path) -> None:
    folder = toy_movielens(tmp_path / "data", users=80)
    expected = local(folder, tmp_path, 0.0)
    table = arrow_csv.read_csv(folder / "ratings.csv")
    pq.write_table(table, folder / "ratings.parquet", row_group_size=300)
    (folder / "ratings.csv").unlink()
    check_equal(on_cluster(open_session, folder, tmp_path, 0.0), expected)


@pytest.mark.parametrize("is_uploaded", [True, False])
def test_ratings_in_a_bucket_equal_those_of_a_folder(
    open_session: Callable[[], Any], buckets: Path, tmp_path: Path, is_uploaded: bool
) -> None:
    folder = toy_movielens(tmp_path / "data", users=80)
    expected = local(folder, tmp_path, 0.0)
    name = f"bucket-{is_uploaded}".lower()
    source = str(folder)
    if not is_uploaded:
        toy_movielens(buckets / name / "toy", users=80)
        source = f"s3a://{name}/toy"
    target = SharedFolder(f"s3a://{name}/spark")
    actual = histories.parse(open_session, source, target, bad_rows_share=0.0)
    check_equal(actual, expected)
    stored = {path.name for path in (buckets / name / "spark").rglob("*") if path.is_file()}
    assert history_parts.MANIFEST in stored
    assert not any(file.startswith(("block", "ratings")) for file in stored)
