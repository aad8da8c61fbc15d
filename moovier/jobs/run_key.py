"""Turn the id of a run, which a person may have typed, into a key for folders and MLflow."""

from __future__ import annotations

import hashlib
import re

#: Characters of a key that come from the id, and characters of the hash.
_READABLE, _HASH = 80, 12
_UNCHANGED = re.compile(rf"[a-z0-9_][a-z0-9_-]{{0,{_READABLE - 1}}}")
_HASHED = re.compile(rf"-[0-9a-f]{{{_HASH}}}$")


def run_key(run_id: str) -> str:
    """Return a folder name for a run; different ids have different names.

    Short ids of lower-case letters, digits, ``_`` and ``-`` are kept. Any other id gets a hash,
    since characters are replaced, the name is cut, or a disk may ignore the case.
    """
    if _UNCHANGED.fullmatch(run_id) and not _HASHED.search(run_id):
        return run_id
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", run_id).strip("-")[:_READABLE].rstrip("-")
    digest = hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{readable or 'run'}-{digest}"
