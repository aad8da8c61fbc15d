"""Ratings and catalogues are read from files as they were written, without pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data.array_files import (
    pack_catalogue,
    read_arrays,
    read_ratings,
    unpack_catalogue,
    write_arrays,
    write_ratings,
)
from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Index, Ratings


def test_arrays_keep_values_and_types(tmp_path: Path) -> None:
    arrays = {"half": np.array([0.5, 3], np.float16), "ids": np.array([[2**60, -1]])}
    write_arrays(tmp_path / "some.npz", arrays)
    read = read_arrays(tmp_path / "some.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_python_objects_are_refused(tmp_path: Path) -> None:
    file, objects = tmp_path / "some.npz", np.array([{}], dtype=object)
    np.savez(file, allow_pickle=True, objects=objects)
    with pytest.raises(ValueError, match="pickle"):
        read_arrays(file)
    with pytest.raises(ValueError, match="pickle"):
        write_arrays(file, {"objects": objects})


def test_a_cut_off_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "some.npz"
    write_arrays(file, {"ids": np.arange(1000)})
    file.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(ValueError, match="zip file"):
        read_arrays(file)


def test_ratings_and_index_are_read_unchanged(tmp_path: Path) -> None:
    index = Index(np.array([7, 3]), np.array([1, 50, 47]))
    ratings = Ratings(
        np.array([1, 0, 1]), np.array([2, 2, 0]), np.array([4.5, 1, 3], np.float32),
        np.array([30, 10, 20]), 2, 3,
    )  # fmt: skip
    write_ratings(tmp_path / "people.npz", index, ratings.histories)
    read_index, histories = read_ratings(tmp_path / "people.npz")
    assert (read_index.users.tolist(), read_index.movies.tolist()) == ([7, 3], [1, 50, 47])
    assert (histories.n_users, histories.n_movies) == (2, 3)
    second = histories[1]
    assert (second.movies.tolist(), second.stars.tolist()) == ([0, 2], [3.0, 4.5])
    write_arrays(tmp_path / "users.npz", {"users": index.users})
    with pytest.raises(KeyError):
        read_ratings(tmp_path / "users.npz")


def test_catalogue_is_read_unchanged() -> None:
    catalogue = Catalogue.of(
        [
            Movie(5, "Amélie", 2001, ("Comedy", "Romance"), "0211915", 194),
            Movie(2, "Untitled", None, (), None, None),
        ]
    )
    read = unpack_catalogue(pack_catalogue(catalogue))
    assert list(read) == list(catalogue)
    with pytest.raises(ValueError, match="unpack"):
        unpack_catalogue(b'[[1, "only two fields"]]')
