"""Compute DVC's directory hash, which identifies a data set everywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

#: Files that file managers leave in a folder that is looked at; they belong to no data set.
_LEFT_BY_FILE_MANAGERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory"})


def directory_hash(folder: Path, names: Iterable[str] | None = None) -> str:
    """Return the hash that DVC gives the folder: ``<md5>.dir``.

    ``names``: the names of the files that count, as if the folder had no others. None: all files,
    except what file managers leave.

    It is the MD5 of the JSON list of ``{"md5", "relpath"}`` of every file, sorted by path
    (https://dvc.org/doc/user-guide/project-structure/internal-files, structure of the cache).
    """
    paths = folder.rglob("*") if names is None else (folder / name for name in names)
    files = sorted(path for path in paths if not _is_left_over(path) and path.is_file())
    entries = [
        {"md5": _md5(path), "relpath": path.relative_to(folder).as_posix()} for path in files
    ]
    entries.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _is_left_over(path: Path) -> bool:
    return path.name in _LEFT_BY_FILE_MANAGERS or path.name.startswith("._")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
