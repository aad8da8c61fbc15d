"""Cache TMDB's responses on disk, so that a restart does not fetch them again.

The cache is one SQLite table of JSON texts for each kind of response; reading it executes nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

#: Old builds of SQLite accept at most 999 parameters in one statement.
_IDS_AT_ONCE = 500
#: Kinds of responses, which are the names of the tables.
#: ``content``: what a movie is about, and its people. ``regions``: the providers of a country.
Kind = Literal["details", "providers", "content", "regions"]


class Cache:
    """Texts by number, mostly TMDB ids, each valid for ``ttl_s`` seconds. Safe between threads.

    An empty text records that TMDB does not have the movie. Where the file cannot be used, the
    cache is in memory only.
    """

    def __init__(self, file: Path, ttl_s: float, kind: Kind = "details") -> None:
        self._ttl_s, self._kind = ttl_s, kind
        self._lock = threading.Lock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = _connect(str(file), kind)
        except (OSError, sqlite3.DatabaseError):
            self._db = _connect(":memory:", kind)

    def get(self, ids: Iterable[int], *, any_age: bool = False) -> dict[int, str]:
        """Return the valid texts of ``ids``; none where the file cannot be read.

        With ``any_age`` expired texts are valid too.
        """
        all_ids = list(ids)
        since = 0.0 if any_age else time.time() - self._ttl_s
        texts: dict[int, str] = {}
        with self._lock, contextlib.suppress(sqlite3.DatabaseError):
            for start in range(0, len(all_ids), _IDS_AT_ONCE):
                part = all_ids[start : start + _IDS_AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = self._db.execute(
                    f"SELECT id, text FROM {self._kind} WHERE at >= ? AND id IN ({marks})",
                    (since, *part),
                )
                texts.update(rows)
        return texts

    def put(self, texts: dict[int, str]) -> None:
        """Store ``texts`` with the current time; ignore a full or read-only disk."""
        now = time.time()
        # As a context manager the connection commits, or rolls back on an error.
        with self._lock, contextlib.suppress(sqlite3.DatabaseError), self._db:
            self._db.executemany(
                f"INSERT OR REPLACE INTO {self._kind} (id, text, at) VALUES (?, ?, ?)",
                [(id_, text, now) for id_, text in texts.items()],
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def open_caches(file: Path, ttl_s: float) -> dict[Kind, Cache]:
    """Open the caches of all kinds of responses in one file."""
    return {kind: Cache(file, ttl_s, kind) for kind in get_args(Kind)}


def _connect(name: str, kind: Kind) -> sqlite3.Connection:
    db = sqlite3.connect(name, check_same_thread=False, timeout=1.0)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(f"CREATE TABLE IF NOT EXISTS {kind} (id INTEGER PRIMARY KEY, text TEXT, at REAL)")
    return db
