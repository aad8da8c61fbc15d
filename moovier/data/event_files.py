"""Data sets without stars: ``events.csv`` becomes ratings that the ranking families learn from.

Layout: ``events.csv`` (userId, movieId, event, timestamp) in the place of ``ratings.csv``; the
other files are as in :mod:`moovier.data.movielens`. Each user and movie gives one rating, by the
strongest event (:mod:`moovier.event_weights`). The ratings are written to ``<home>/data/events/``,
with a mark that they are no stars, so that all later stages read them like any other folder.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moovier.data import schema
from moovier.data.csv_tables import Tables
from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import (
    EVENTS_MARK,
    LINKS,
    MOVIES,
    RATINGS,
    SYNTHETIC_MARK,
    read_movie_ids,
)
from moovier.data.text_columns import TextColumns
from moovier.errors import InvalidData
from moovier.event_weights import parse_event_weights, stars_of_weight
from moovier.settings import Settings

EVENTS = "events.csv"
#: Number of converted data sets that are kept.
KEPT = 3
_COPIED = (MOVIES, LINKS, SYNTHETIC_MARK)


def has_events_only(folder: Path) -> bool:
    """Return whether a folder has events instead of ratings."""
    return (folder / EVENTS).is_file() and not (folder / RATINGS).exists()


@dataclass(frozen=True)
class Events:
    """The valid rows of ``events.csv``.

    ``table``: columns userId, movieId (both numbers), event, timestamp (Unix seconds). ``texts``:
    the ids that are texts in the file. ``set_aside``: bad rows that were left out.
    """

    table: pd.DataFrame
    texts: TextColumns
    set_aside: tuple[str, ...]


def read_events(folder: Path, settings: Settings) -> Events:
    """Read ``events.csv``.

    Raises:
        InvalidData: a file is invalid, with each bad row.
    """
    tables = Tables(folder, settings.bad_rows_share)
    texts = TextColumns.of(folder / EVENTS, folder / MOVIES)
    movies = read_movie_ids(folder, settings.bad_rows_share, texts)
    ids = pd.Series(sorted(movies), dtype=np.int64)
    columns = texts.within(schema.EVENT_COLUMNS)
    table = tables.read_valid_rows(EVENTS, columns, schema.events_schema(ids))
    return Events(table, texts, tuple(tables.set_aside))


def ratings_of_events(folder: Path, settings: Settings) -> tuple[Path, str]:
    """Convert a folder of events to a folder of ratings; return it with a note.

    Raises:
        InvalidData: a file is invalid, with each bad row; or no event counts.
    """
    events = read_events(folder, settings)
    ratings = to_ratings(events.table, parse_event_weights(settings.event_weights))
    for name, column in events.texts.by_name.items():
        ratings[name] = ratings[name].map(column.by_number())
    if not len(ratings):
        raise InvalidData(
            f"{EVENTS}: no event counts as a rating; MOOVIER_EVENT_WEIGHTS is "
            f"{settings.event_weights!r}"
        )
    note = f"{len(events.table):,} events count as {len(ratings):,} ratings; there are no stars"
    if events.set_aside:
        note += f"; {len(events.set_aside):,} bad rows set aside, such as {events.set_aside[0]}"
    return _written(folder, ratings, settings), note


def to_ratings(events: pd.DataFrame, event_weights: Mapping[str, float]) -> pd.DataFrame:
    """Return one rating per user and movie, in the order of users, times and movies.

    ``events``: see :attr:`Events.table`. The result has the columns userId, movieId, rating (stars)
    and timestamp.
    """
    weights = events["event"].map(event_weights).to_numpy(np.float64)
    counted = events[weights != 0].assign(weight=weights[weights != 0])
    counted["strength"] = counted["weight"].abs()
    order = ["userId", "movieId", "strength", "timestamp", "event"]
    strongest = counted.sort_values(order).drop_duplicates(["userId", "movieId"], keep="last")
    stars = strongest["weight"].map(stars_of_weight)
    columns = ["userId", "movieId", "rating", "timestamp"]
    order = ["userId", "timestamp", "movieId"]
    return pd.DataFrame(strongest.assign(rating=stars).sort_values(order)[columns])


def _written(source: Path, ratings: pd.DataFrame, settings: Settings) -> Path:
    """Write the ratings beside the other files; the folder's name is the hash of its content."""
    home = settings.path("data", "events")
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".converting-", dir=home) as scratch:
        fresh = Path(scratch) / "data"
        fresh.mkdir()
        ratings.to_csv(fresh / RATINGS, index=False, lineterminator="\n")
        (fresh / EVENTS_MARK).write_text(f"The ratings were made from {EVENTS}.\n")
        for name in _COPIED:
            if (source / name).is_file():
                shutil.copyfile(source / name, fresh / name)
        # The name of the data set follows from that of the folder.
        target = home / directory_hash(fresh).removesuffix(".dir") / source.name
        if not target.is_dir():
            target.parent.mkdir(exist_ok=True)
            # Another process may have written the same content meanwhile.
            with contextlib.suppress(OSError):
                fresh.rename(target)
    _prune(home, target.parent)
    return target


def _prune(home: Path, current: Path) -> None:
    others = [path for path in home.glob("[!.]*") if path != current]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
