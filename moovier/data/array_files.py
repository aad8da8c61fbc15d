"""Ratings and catalogues as file contents: NumPy archives and JSON, no pickle."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Histories, Index


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as the content of an ``.npz`` file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file's content.

    Raises:
        ValueError: the content is not such a file, or holds Python objects.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def pack_ratings(index: Index, histories: Histories) -> bytes:
    """Return the ratings and their index as the content of an ``.npz`` file."""
    return pack_arrays(
        {
            "users": index.users,
            "movies": index.movies,
            "offsets": histories.offsets,
            "rated": histories.movies,
            "stars": histories.stars,
            "timestamps": histories.timestamps,
        }
    )


def unpack_ratings(content: bytes) -> tuple[Index, Histories]:
    """Return what :func:`pack_ratings` packed.

    Raises:
        KeyError, ValueError: the content is not such a file.
    """
    arrays = unpack_arrays(content)
    index = Index(arrays["users"], arrays["movies"])
    histories = Histories(
        arrays["offsets"],
        arrays["rated"],
        arrays["stars"],
        arrays["timestamps"],
        n_movies=index.movies.size,
    )
    return index, histories


def pack_catalogue(catalogue: Catalogue) -> bytes:
    """Return the catalogue as JSON: one [id, title, year, genres, imdb_id, tmdb_id] per movie."""
    return orjson.dumps(
        [[m.id, m.title, m.year, m.genres, m.imdb_id, m.tmdb_id] for m in catalogue]
    )


def unpack_catalogue(content: bytes) -> Catalogue:
    """Return what :func:`pack_catalogue` packed.

    Raises:
        TypeError, ValueError: the content is not such JSON.
    """
    return Catalogue(
        tuple(
            Movie(movie_id, title, year, tuple(genres), imdb_id, tmdb_id)
            for movie_id, title, year, genres, imdb_id, tmdb_id in orjson.loads(content)
        )
    )
