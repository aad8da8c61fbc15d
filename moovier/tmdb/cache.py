"""TMDB's answers on disk, so that a restart does not ask again.

One SQLite file with one table. JSON text and nothing that is executed when read.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path

#: SQLite's bound on the parameters of one statement is 999 in old builds.
_MOST_AT_ONCE = 500


class Cache:
    """Texts by TMDB id, each valid for ``ttl_s`` seconds. Safe to share between threads.

    An empty text remembers that TMDB has no such movie. A file that cannot be used is no error:
    the cache is then in memory alone.
    """

    def __init__(self, file: Path, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._lock = threading.Lock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._db = _opened(str(file))
        except (OSError, sqlite3.DatabaseError):
            self._db = _opened(":memory:")

    def get(self, ids: Iterable[int]) -> dict[int, str]:
        """The valid texts among ``ids``; none of them where the file cannot be read."""
        wanted = list(ids)
        since = time.time() - self._ttl_s
        found: dict[int, str] = {}
        with self._lock, contextlib.suppress(sqlite3.DatabaseError):
            for start in range(0, len(wanted), _MOST_AT_ONCE):
                part = wanted[start : start + _MOST_AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = self._db.execute(
                    f"SELECT id, text FROM details WHERE at >= ? AND id IN ({marks})",
                    (since, *part),
                )
                found.update(rows)
        return found

    def put(self, texts: dict[int, str]) -> None:
        """Keep ``texts`` from now on; a full or read-only disk is not an error."""
        now = time.time()
        # As a context manager a connection commits, or rolls back when it raises.
        with self._lock, contextlib.suppress(sqlite3.DatabaseError), self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO details (id, text, at) VALUES (?, ?, ?)",
                [(id_, text, now) for id_, text in texts.items()],
            )

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _opened(name: str) -> sqlite3.Connection:
    db = sqlite3.connect(name, check_same_thread=False, timeout=1.0)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("CREATE TABLE IF NOT EXISTS details (id INTEGER PRIMARY KEY, text TEXT, at REAL)")
    return db
