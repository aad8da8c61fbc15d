"""Compute DVC's directory hash, which identifies a data set everywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def directory_hash(folder: Path) -> str:
    """Return the hash that DVC gives the folder: ``<md5>.dir``.

    It is the MD5 of the JSON list of ``{"md5", "relpath"}`` of every file, sorted by path
    (https://dvc.org/doc/user-guide/project-structure/internal-files, structure of the cache).
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [
        {"md5": _md5(path), "relpath": path.relative_to(folder).as_posix()} for path in files
    ]
    entries.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
