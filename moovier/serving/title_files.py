"""The index of a large catalogue's titles in a file beside its bundle.

Indexing 60,000 titles takes seconds and 200 MB, and memory stays in pieces afterwards. So one
process of its own does it once, and all processes of the service map the file into memory.
``python -m moovier.serving.title_files FOLDER`` writes the file of the bundle in ``FOLDER``.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from moovier.data import catalogue as catalogue_module
from moovier.data import compact_movies
from moovier.data.array_files import read_arrays, unpack_catalogue, write_arrays
from moovier.models import bundle
from moovier.models.bundle import Bundle
from moovier.serving import sorted_texts, title_search
from moovier.serving.sorted_texts import SortedTexts

logger = logging.getLogger(__name__)

NAME = "titles.npz"
_KEY, _PARTS = "key", ("titles", "words")
#: Seconds that indexing may take.
_TIMEOUT_S = 600.0
_NICENESS = 5

Indexed = tuple[SortedTexts, SortedTexts]


def indexed_titles(model: Bundle) -> Indexed | None:
    """Return the whole titles and the words of a model's catalogue from its file.

    The file is written first if it is missing or was made of other titles or by another version of
    the code. Returns None for a small catalogue, and where the file cannot be written.
    """
    folder = model.folder
    if folder is None or len(model.catalogue) < compact_movies.LARGE:
        return None
    try:
        # Only one process indexes; the others wait and then read its file.
        with FileLock(folder / ".titles.lock"):
            return _read(folder) or _written(folder)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        logger.warning("the index of the titles cannot be stored: %r", error)
        return None


def _written(folder: Path) -> Indexed | None:
    """Write the file in a process of its own, and return its content."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(
        [sys.executable, "-m", __name__, str(folder.absolute())],
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
        check=True,
    )
    return _read(folder)


def _read(folder: Path) -> Indexed | None:
    """Return the content of the file; None if it is missing, damaged or outdated."""
    try:
        arrays = read_arrays(folder / NAME, mapped=True)
        if arrays[_KEY].tobytes() != _key(folder):
            return None
        titles, words = (SortedTexts.from_arrays(_part(arrays, name)) for name in _PARTS)
        return titles, words
    except (OSError, KeyError, ValueError):
        return None


def _part(arrays: dict[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    prefix = f"{name}_"
    return {
        key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)
    }


def write(folder: Path) -> None:
    """Write the file of the bundle in ``folder``, atomically.

    Raises:
        OSError: the catalogue cannot be read, or the file cannot be written.
    """
    catalogue = unpack_catalogue((folder / bundle.CATALOGUE).read_bytes())
    parts = title_search.index_titles(catalogue, range(len(catalogue)))
    arrays: dict[str, NDArray[Any]] = {_KEY: np.frombuffer(_key(folder), dtype=np.uint8)}
    for name, texts in zip(_PARTS, parts, strict=True):
        arrays |= {f"{name}_{key}": array for key, array in texts.to_arrays().items()}
    for leftover in folder.glob(f".{NAME}.*"):  # of killed processes
        leftover.unlink(missing_ok=True)
    number, temporary = tempfile.mkstemp(dir=folder, prefix=f".{NAME}.")
    os.close(number)
    try:
        write_arrays(Path(temporary), arrays)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / NAME)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _key(folder: Path) -> bytes:
    """Return 32 bytes that change with the titles and with the code that indexes them."""
    key = hashlib.sha256(bundle.read_hashes(folder)[bundle.CATALOGUE].encode())
    for module in (catalogue_module, sorted_texts, title_search):
        key.update(Path(str(module.__file__)).read_bytes())
    return key.digest()


if __name__ == "__main__":
    os.nice(_NICENESS)
    write(Path(sys.argv[1]))
