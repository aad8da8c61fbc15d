"""Ratings and catalogues are read from files as they were written, without pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

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


def test_large_arrays_are_mapped_read_only_and_aligned(tmp_path: Path) -> None:
    file, rng = tmp_path / "some.npz", np.random.default_rng(0)
    arrays: dict[str, NDArray[Any]] = {
        "small": np.arange(3),
        "half": rng.random((70, 1000)).astype(np.float16),
        "columns": np.asfortranarray(rng.random((300, 200))),
        "empty": np.zeros((0, 5), np.float32),
        "ids": np.arange(50_000),
    }
    write_arrays(file, arrays)
    read = read_arrays(file, mapped=True)
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read[name], array)
        is_mapped = isinstance(read[name].base, np.memmap)
        assert is_mapped == (name in ("half", "columns", "ids")), name
        assert not is_mapped or read[name].ctypes.data % 64 == 0
        assert read[name].flags.writeable != is_mapped
    assert read["columns"].flags.f_contiguous
    # NumPy reads the file as one of its own.
    with np.load(file, allow_pickle=False) as archive:
        assert archive.zip.testzip() is None
        np.testing.assert_array_equal(archive["half"], arrays["half"])


def test_files_of_numpy_are_read_without_a_map(tmp_path: Path) -> None:
    ids = np.arange(50_000)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "some.npz", x=np.arange(3), ids=ids)
        read = read_arrays(tmp_path / "some.npz", mapped=True)
        np.testing.assert_array_equal(read["ids"], ids)
    objects = np.array([{}] * 20_000, dtype=object)
    np.savez(tmp_path / "objects.npz", allow_pickle=True, objects=objects)
    with pytest.raises(ValueError, match="pickle"):
        read_arrays(tmp_path / "objects.npz", mapped=True)


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
