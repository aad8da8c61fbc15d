"""Compute DVC's directory hash, which identifies a data set everywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path


def directory_hash(folder: Path, names: Collection[str] | None = None) -> str:
    """Return the hash that DVC gives the folder: ``<md5>.dir``.

    ``names``: the relative paths that count, as if the folder had no others; None: all files.

    It is the MD5 of the JSON list of ``{"md5", "relpath"}`` of every file, sorted by path
    (https://dvc.org/doc/user-guide/project-structure/internal-files, structure of the cache).
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    paths = {path.relative_to(folder).as_posix(): path for path in files}
    entries = [
        {"md5": _md5(path), "relpath": name}
        for name, path in paths.items()
        if names is None or name in names
    ]
    entries.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
