"""Ratings and catalogues in files: NumPy archives and JSON, no pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Histories, Index


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays into an ``.npz`` file, one after the other, without a copy of all in memory."""
    np.savez(file, allow_pickle=False, **arrays)


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a file, or holds Python objects.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error


def write_ratings(file: Path, index: Index, histories: Histories) -> None:
    """Write the ratings and their index into an ``.npz`` file."""
    write_arrays(
        file,
        {
            "users": index.users,
            "movies": index.movies,
            "offsets": histories.offsets,
            "rated": histories.movies,
            "stars": histories.stars,
            "timestamps": histories.timestamps,
        },
    )


def read_ratings(file: Path) -> tuple[Index, Histories]:
    """Return what :func:`write_ratings` wrote.

    Raises:
        KeyError, OSError, ValueError: the file is missing or not such a file.
    """
    arrays = read_arrays(file)
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
