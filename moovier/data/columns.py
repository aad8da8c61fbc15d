"""Keep a parsed data set as columns that processes map into memory.

A folder of columns::

    columns.json     format, bad rows that were set aside, and the SHA-256 of the other files
    users.npy        (n_users,) ids of users with ratings, ascending, 64 bits
    movies.npy       (n_movies,) ids of the catalogue, ascending, 64 bits
    offsets.npy      (n_users + 1,) where each user's ratings start, 64 bits
    rated.npy        (n,) movie rows by user, oldest first, 32 bits
    stars.npy        (n,) 32 bits
    timestamps.npy   (n,) Unix seconds, 32 bits until 2038
    catalogue.json   one [id, title, year, genres, imdb_id, tmdb_id] per movie
    ids.npz          the texts of ids that are text; missing where all are whole numbers

``<home>/data/columns/`` holds such a folder for each data set that was read lately. Its name is the
data set's hash, so that the CSV files of one version are parsed once, and processes that map it
share the memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from moovier.data import id_texts
from moovier.data.array_files import pack_catalogue, unpack_catalogue
from moovier.data.catalogue import Catalogue
from moovier.data.id_texts import IdTexts
from moovier.data.ratings import Histories, Index
from moovier.errors import BundleError
from moovier.json_files import write_json
from moovier.settings import Settings

FORMAT = 1
HEAD, CATALOGUE = "columns.json", "catalogue.json"
ARRAYS = ("users", "movies", "offsets", "rated", "stars", "timestamps")
#: Number of data sets that are kept.
KEPT = 3


@dataclass(frozen=True)
class Columns:
    """A valid data set over its index.

    ``set_aside``: bad rows that were left out, each "file, row N: reason". ``ids``: the texts of
    ids that are text; None where all are whole numbers.
    """

    index: Index
    histories: Histories
    catalogue: Catalogue
    set_aside: tuple[str, ...] = ()
    ids: IdTexts | None = None


def parsed(
    folder: Path,
    hash_: str,
    settings: Settings,
    *,
    name: str,
    synthetic: bool,
    parse: Callable[[], Columns] | None = None,
) -> tuple[Columns, Path]:
    """Return the columns of a data set and their folder; parse the CSV files if needed.

    ``folder``: the CSV files. ``hash_``: their hash. ``parse``: parses them elsewhere; None: on
    this machine.

    Raises:
        InvalidData: the data is invalid; one problem per bad row.
    """
    stored = settings.path("data", "columns")
    target = stored / f"{hash_.removesuffix('.dir')}-{settings.bad_rows_share:g}"
    with contextlib.suppress(BundleError):
        columns = read(target)
        os.utime(target)
        return columns, target
    if parse is not None:
        columns = parse()
    else:
        columns = _parse(folder, settings.bad_rows_share, name, synthetic)
    stored.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=stored) as scratch:
        fresh = Path(scratch) / "columns"
        write(fresh, columns)
        if target.exists():
            target.rename(Path(scratch) / "damaged")
        # Another process may have written the same content meanwhile.
        with contextlib.suppress(OSError):
            fresh.rename(target)
    _prune(stored)
    return read(target), target


def _parse(folder: Path, bad_rows_share: float, name: str, synthetic: bool) -> Columns:
    from moovier.data.movielens import read_movielens, to_arrays

    data = read_movielens(folder, bad_rows_share=bad_rows_share, name=name, synthetic=synthetic)
    index, ratings, catalogue = to_arrays(data)
    return Columns(index, ratings.histories, catalogue, data.set_aside, data.ids)


def write(folder: Path, columns: Columns) -> None:
    """Write columns into ``folder``, the head last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in _arrays(columns).items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / CATALOGUE).write_bytes(pack_catalogue(columns.catalogue))
    names = files()
    if columns.ids is not None:
        id_texts.write(folder / id_texts.FILE, columns.ids)
        names = (*names, id_texts.FILE)
    write_json(
        folder / HEAD,
        {
            "format": FORMAT,
            "set_aside": list(columns.set_aside),
            "sha256": {name: _sha256(folder / name) for name in names},
        },
    )


def files() -> tuple[str, ...]:
    """Return the names of all files but the head and the texts of ids, which may be missing."""
    return (*(f"{name}.npy" for name in ARRAYS), CATALOGUE)


def _arrays(columns: Columns) -> dict[str, NDArray[Any]]:
    index, histories = columns.index, columns.histories
    timestamps = histories.timestamps
    if not timestamps.size or -(2**31) <= timestamps.min() <= timestamps.max() < 2**31:
        timestamps = timestamps.astype(np.int32)  # type: ignore[assignment]
    return {
        "users": index.users.astype(np.int64),
        "movies": index.movies.astype(np.int64),
        "offsets": histories.offsets.astype(np.int64),
        "rated": histories.movies.astype(np.int32),
        "stars": histories.stars.astype(np.float32),
        "timestamps": timestamps,
    }


def read(folder: Path) -> Columns:
    """Map the columns in ``folder`` into memory, read-only.

    Raises:
        BundleError: a file is missing, altered, or of another format.
    """
    try:
        head = orjson.loads((folder / HEAD).read_bytes())
        if head["format"] != FORMAT:
            raise BundleError(f"columns format {head['format']}; this version reads {FORMAT}")
        has_texts = id_texts.FILE in head["sha256"]
        for name in (*files(), *([id_texts.FILE] if has_texts else [])):
            if _sha256(folder / name) != head["sha256"][name]:
                raise BundleError(f"{name} was altered: its SHA-256 is not the one in {HEAD}")
        users, movies, offsets, rated, stars, timestamps = (
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS
        )
        return Columns(
            Index(np.array(users), np.array(movies)),
            Histories(np.array(offsets), rated, stars, timestamps, n_movies=movies.size),
            unpack_catalogue((folder / CATALOGUE).read_bytes()),
            tuple(head["set_aside"]),
            id_texts.read(folder / id_texts.FILE) if has_texts else None,
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"no usable columns in {folder.name}: {error}") from error


def link(source: Path, target: Path) -> None:
    """Link or copy the files of columns into the folder ``target``."""
    target.mkdir(parents=True, exist_ok=True)
    has_texts = (source / id_texts.FILE).exists()
    for name in (*files(), *([id_texts.FILE] if has_texts else []), HEAD):
        try:
            os.link(source / name, target / name)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source / name, target / name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prune(stored: Path) -> None:
    """Delete the data sets that were not read for the longest time."""

    def used_at(path: Path) -> float:
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
        return 0.0

    for path in sorted(stored.glob("[!.]*"), key=used_at, reverse=True)[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
