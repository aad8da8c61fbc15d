"""Ratings and catalogues are unpacked from files as they were packed, without pickle."""

from __future__ import annotations

import io

import numpy as np
import pytest

from moovier.data.array_files import (
    pack_arrays,
    pack_catalogue,
    pack_ratings,
    unpack_arrays,
    unpack_catalogue,
    unpack_ratings,
)
from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Index, Ratings


def test_arrays_keep_values_and_types() -> None:
    arrays = {"half": np.array([0.5, 3], np.float16), "ids": np.array([[2**60, -1]])}
    unpacked = unpack_arrays(pack_arrays(arrays))
    assert unpacked.keys() == arrays.keys()
    for name, array in arrays.items():
        assert unpacked[name].dtype == array.dtype
        np.testing.assert_array_equal(unpacked[name], array)


def test_python_objects_are_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, objects=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        unpack_arrays(buffer.getvalue())
    with pytest.raises(ValueError, match="pickle"):
        pack_arrays({"objects": np.array([{}], dtype=object)})


def test_ratings_and_index_are_read_unchanged() -> None:
    index = Index(np.array([7, 3]), np.array([1, 50, 47]))
    ratings = Ratings(
        np.array([1, 0, 1]), np.array([2, 2, 0]), np.array([4.5, 1, 3], np.float32),
        np.array([30, 10, 20]), 2, 3,
    )  # fmt: skip
    read_index, histories = unpack_ratings(pack_ratings(index, ratings.histories))
    assert (read_index.users.tolist(), read_index.movies.tolist()) == ([7, 3], [1, 50, 47])
    assert (histories.n_users, histories.n_movies) == (2, 3)
    second = histories[1]
    assert (second.movies.tolist(), second.stars.tolist()) == ([0, 2], [3.0, 4.5])
    with pytest.raises(KeyError):
        unpack_ratings(pack_arrays({"users": index.users}))


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
