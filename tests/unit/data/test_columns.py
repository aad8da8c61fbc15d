"""A data set is parsed once and kept as columns that are mapped into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data import columns, movielens, sources
from moovier.data.columns import Columns
from moovier.data.movielens import read_movielens, to_arrays
from moovier.errors import InvalidData
from moovier.jobs import ingest
from moovier.jobs.dataset import parse_dataset
from moovier.settings import Settings
from tests.fixtures import toy_movielens


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return toy_movielens(tmp_path / "data")


def parsed(folder: Path, settings: Settings, hash_: str = "abc.dir") -> tuple[Columns, Path]:
    return columns.parsed(folder, hash_, settings, name="toy", synthetic=False)


def test_columns_hold_the_ratings_of_the_files(folder: Path, settings: Settings) -> None:
    data, _ = parsed(folder, settings)
    index, ratings, catalogue = to_arrays(read_movielens(folder))
    expected = ratings.histories
    np.testing.assert_array_equal(data.index.users, index.users)
    np.testing.assert_array_equal(data.index.movies, index.movies)
    assert data.catalogue == catalogue
    for name in ("offsets", "movies", "stars", "timestamps"):
        np.testing.assert_array_equal(getattr(data.histories, name), getattr(expected, name))
    assert isinstance(data.histories.movies, np.memmap)
    assert data.histories.ratings().order is None


def test_use_ingest_and_retraining_parse_the_files_once(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, ...]] = []

    def counted(*args: object, **options: object) -> movielens.MovieLens:
        calls.append(args)
        return read_movielens(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(movielens, "read_movielens", counted)
    sources.use(settings, str(folder))
    pulled = ingest.pull(settings=settings)
    report = ingest.validate(pulled, settings=settings)
    data = parse_dataset(pulled, settings)
    assert len(calls) == 1
    assert report["ratings"] == len(data.ratings) == data.facts.ratings


def test_damaged_columns_are_written_again(folder: Path, settings: Settings) -> None:
    data, stored = parsed(folder, settings)
    expected = data.histories.stars.copy()
    (stored / "stars.npy").unlink()
    (stored / "stars.npy").write_bytes(b"damaged")
    again, _ = parsed(folder, settings)
    np.testing.assert_array_equal(again.histories.stars, expected)


def test_invalid_files_leave_no_columns(folder: Path, settings: Settings) -> None:
    with (folder / "ratings.csv").open("a") as file:
        file.write("1,999999,4.0,100\n")
    with pytest.raises(InvalidData, match="is not in movies"):
        parsed(folder, settings)
    assert not list(settings.path().rglob("columns.json"))


def test_columns_of_old_data_are_deleted(folder: Path, settings: Settings) -> None:
    for number in range(columns.KEPT + 2):
        parsed(folder, settings, f"{number}.dir")
    names = {path.name for path in settings.path("data", "columns").iterdir()}
    assert len(names) == columns.KEPT
    assert f"{columns.KEPT + 1}-0" in names


def test_timestamps_beyond_2038_keep_64_bits(folder: Path, settings: Settings) -> None:
    file = folder / "ratings.csv"
    lines = file.read_text().splitlines(keepends=True)
    user, movie, stars, _ = lines[1].split(",")
    lines[1] = f"{user},{movie},{stars},3000000000\n"
    file.write_text("".join(lines))
    data, _ = parsed(folder, settings)
    assert int(data.histories.timestamps.max()) == 3_000_000_000
