"""MovieLens folders whose ids are texts: UUIDs of users, slugs of movies."""

from __future__ import annotations

import csv
import uuid
from pathlib import Path


def user_text(user: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"user {user}"))


def movie_text(movie: int) -> str:
    """Return a slug; one movie's is a number, and another's has marks that URLs and CSV escape."""
    return {1: "1917", 2: "what, now?/2"}.get(movie, f"movie-{movie}-1995")


def with_texts(folder: Path) -> Path:
    """Write texts in the place of all ids of a folder."""
    for name in ("ratings.csv", "movies.csv", "links.csv"):
        file = folder / name
        if not file.exists():
            continue
        with file.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        for row in rows:
            row["movieId"] = movie_text(int(row["movieId"]))
            if "userId" in row:
                row["userId"] = user_text(int(row["userId"]))
        with file.open("w", newline="") as target:
            writer = csv.DictWriter(target, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return folder
