"""Ratings and catalogues in files: NumPy archives and JSON, no pickle."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from moovier.data import compact_movies
from moovier.data.catalogue import Catalogue, Movie
from moovier.data.compact_movies import CompactMovies
from moovier.data.ratings import Histories, Index

#: Bytes to which the arrays of a file are aligned: a cache line, and NumPy's own alignment.
_ALIGNMENT = 64
#: Smallest array in bytes that is mapped. Smaller ones would waste a part of a page each.
_MIN_MAPPED = 2**16
#: Bytes of a ZIP entry's header without name and extra fields, and of the field for large files.
_LOCAL_HEADER, _ZIP64_FIELD = 30, 20
#: An extra field: id, length of the rest, alignment.
_ALIGNMENT_FIELD, _ALIGNMENT_ID = struct.Struct("<HHH"), 0xD935


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays into an ``.npz`` file that :func:`read_arrays` can map into memory.

    The archive is not compressed, and each array starts at a multiple of ``_ALIGNMENT`` bytes.
    ``numpy.load`` reads it, too. The arrays are written one after the other, without a copy of all.

    Raises:
        ValueError: an array holds Python objects.
    """
    with file.open("wb") as output, zipfile.ZipFile(output, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.extra = _padding(output.tell() + len(entry.filename.encode()))
            with archive.open(entry, "w", force_zip64=True) as content:
                np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)


def _padding(end_of_name: int) -> bytes:
    """Return an extra field of a ZIP entry after which its content starts at ``_ALIGNMENT``.

    ``end_of_name``: the entry's offset plus the length of its name. The field has the id and the
    form of Android's zipalign: the alignment in two bytes, then zeros.
    """
    content = end_of_name + _LOCAL_HEADER + _ZIP64_FIELD + _ALIGNMENT_FIELD.size
    zeros = -content % _ALIGNMENT
    return _ALIGNMENT_FIELD.pack(_ALIGNMENT_ID, 2 + zeros, _ALIGNMENT) + bytes(zeros)


def read_arrays(file: Path, *, mapped: bool = False) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file.

    With ``mapped``, arrays of at least ``_MIN_MAPPED`` bytes are mapped read-only: processes share
    their memory, and pages that nobody reads take none. The checksums of the archive are not
    compared then, and the file's bytes must not change while the arrays are in use. An array that
    starts at an odd offset is read, as from files of NumPy.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a file, or holds Python objects.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            large = {
                entry.filename.removesuffix(".npy"): entry
                for entry in archive.zip.infolist()
                if mapped and entry.file_size >= _MIN_MAPPED
            }
            arrays = {}
            for name in archive.files:
                array = _map(file, large[name]) if name in large else None
                arrays[name] = archive[name] if array is None else array
            return arrays
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error


def _map(file: Path, entry: zipfile.ZipInfo) -> NDArray[Any] | None:
    """Return a mapped array; None if it is compressed or does not start at an even offset."""
    with file.open("rb") as content:
        content.seek(entry.header_offset)
        header = content.read(_LOCAL_HEADER)
        # The lengths of the name and the extra field; the central directory may have others.
        name, extra = struct.unpack("<HH", header[26:30])
        content.seek(entry.header_offset + _LOCAL_HEADER + name + extra)
        if entry.compress_type != zipfile.ZIP_STORED or content.tell() % _ALIGNMENT:
            return None
        version = np.lib.format.read_magic(content)
        if version != (1, 0):
            return None
        shape, is_fortran, kind = np.lib.format.read_array_header_1_0(content)
        if kind.hasobject:
            return None
        array = np.memmap(file, kind, "r", content.tell(), shape, order="F" if is_fortran else "C")
        return array.view(np.ndarray)


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


def read_ratings(file: Path, *, mapped: bool = False) -> tuple[Index, Histories]:
    """Return what :func:`write_ratings` wrote; ``mapped`` as for :func:`read_arrays`.

    Raises:
        KeyError, OSError, ValueError: the file is missing or not such a file.
    """
    arrays = read_arrays(file, mapped=mapped)
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
    packed = orjson.loads(content)
    movies = (
        Movie(movie_id, title, year, tuple(genres), imdb_id, tmdb_id)
        for movie_id, title, year, genres, imdb_id, tmdb_id in packed
    )
    large = len(packed) >= compact_movies.LARGE
    return Catalogue(CompactMovies(movies) if large else tuple(movies))
