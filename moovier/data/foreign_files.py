"""Recognise files that are not a data set in MovieLens layout, and say what to do with them."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

LAYOUT = "ratings.csv (userId, movieId, rating, timestamp) and movies.csv (movieId, title, genres)"
_ONE_PERSON = (
    "One person's ratings cannot train a model by themselves: import them with `moovier ratings "
    "import FILE --user ID`, or name a folder with the ratings of many people, which has "
    f"{LAYOUT}"
)
#: The columns that only this export has, and what the file is. All are one person's.
_PERSONAL_EXPORTS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"letterboxd uri"}), "export from Letterboxd"),
    (frozenset({"your rating", "tmdb id"}), "export from TMDB"),
    (frozenset({"const", "your rating"}), "export from IMDb"),
    (frozenset({"movie_id", "average_rating"}), "export from movielens.org"),
    (frozenset({"rated_at", "trakt_id"}), "export from Trakt"),
    (frozenset({"trakt_rated_at"}), "export from Trakt"),
    (frozenset({"profile name", "title name", "thumbs value"}), "export from Netflix"),
)
#: Keys of the objects in a JSON file, and what the file is.
_PERSONAL_JSON = (
    (frozenset({"rated_at", "rating"}), "export from Trakt"),
    (frozenset({"watched_at", "action"}), "export from Trakt"),
    (frozenset({"last_watched_at", "plays"}), "export from Trakt"),
)
#: Files of known data sets, by their lower-case name, and what to do.
_DATA_SETS = {
    "ratings.dat": "MovieLens 1M or 10M; write its files as CSV with a header, or use a newer "
    "MovieLens data set such as ml-latest-small",
    "u.data": "MovieLens 100K; write its files as CSV with a header, or use a newer MovieLens data "
    "set such as ml-latest-small",
    "movies_metadata.csv": "Kaggle's The Movies Dataset; its movies have another layout, so use "
    "the MovieLens data set that it was made from (https://grouplens.org/datasets/movielens)",
    "tmdb_5000_movies.csv": "Kaggle's TMDB 5000 Movie Dataset; it has no ratings of users",
    "combined_data_1.txt": "the Netflix Prize; write its files as CSV in MovieLens layout",
}
_READ_BYTES = 1 << 16
_MOST_FILES = 200


def missing(path: Path) -> str:
    """Return the error about a missing file; it begins with what the folder has instead."""
    if found := describe_folder(path.parent):
        return f"{found} ({path.name} is missing from {path.parent})"
    return f"{path.name}: is missing from {path.parent}; a data set has {LAYOUT}"


def wrong_header(path: Path, header: Sequence[str], missing_columns: Sequence[str]) -> str:
    """Return the error about a header without the columns ``missing_columns``."""
    names = ", ".join(header)
    names = names if len(names) <= 300 else f"{names[:300]}..."
    problem = (
        f"{path.name}, row 1: column {', '.join(missing_columns)} is missing; the header has "
        f"{names}"
    )
    if found := _personal_export(path):
        return f"{problem}. {found}"
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            return f"{problem}. The columns are separated by {name}: use commas"
    renamed = [
        f"{column} instead of {other!r}"
        for column in missing_columns
        for other in header
        if _letters(other) == _letters(column)
    ]
    return f"{problem}. Write {', '.join(renamed)}" if renamed else problem


def describe_file(path: Path) -> str:
    """Return the error about a file that was given instead of a folder, with what to do."""
    if zipfile.is_zipfile(path) and path.suffix.lower() != ".xlsx":
        return f"{path} is a zip file: unpack it, and name the folder with {LAYOUT}"
    found = _personal_export(path)
    if found is None and (known := _DATA_SETS.get(path.name.lower())):
        found = f"{path.name} belongs to {known}"
    if found is not None:
        return f"{path} is a file, not a folder. {found}"
    if path.name.lower() in ("ratings.csv", "movies.csv", "links.csv"):
        return f"{path} is one file of a data set: name its folder, {path.parent}"
    return f"{path} is a file: name a folder with {LAYOUT}"


def describe_folder(folder: Path) -> str | None:
    """Return what kind of files a folder has, and what to do; None if none is recognised."""
    files = sorted(path for path in folder.iterdir() if path.is_file())[:_MOST_FILES]
    for path in files:
        if found := _personal_export(path):
            return found
    for path in files:
        if known := _DATA_SETS.get(path.name.lower()):
            return f"{path.name} belongs to {known}"
    if near := _near_misses(files):
        return near
    for path in files:
        if path.suffix.lower() in (".zip", ".gz", ".7z", ".rar"):
            return f"{path.name} is packed: unpack it, and name the folder with {LAYOUT}"
        if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
            return f"{path.name} is a spreadsheet: save each sheet as CSV (UTF-8)"
    inner = sorted(path.parent for path in folder.glob("*/ratings.csv"))
    return f"The data set is in a folder within it: name {inner[0]}" if inner else None


def _near_misses(files: Sequence[Path]) -> str | None:
    """Return which files have nearly the right names, and the right ones."""
    present = {path.name for path in files}
    wrong = [
        (path, right)
        for right in ("ratings.csv", "movies.csv", "links.csv")
        if right not in present
        for path in files
        if _stem(path.name) == right.removesuffix("s.csv")
    ]
    if not wrong:
        return None
    text = "Rename " + ", ".join(f"{path.name} to {right}" for path, right in wrong)
    if any(right == "ratings.csv" and _has_dates(path) for path, right in wrong):
        text += (
            "; its timestamps are dates, as in Kaggle's MovieLens 20M: write them as seconds "
            "since 1970"
        )
    return text


def _stem(name: str) -> str:
    """Return "rating" for ratings.csv, Ratings.CSV, rating.csv, ratings(1).csv, ratings.csv.txt."""
    stem = name.lower().removesuffix(".txt")
    if not stem.endswith(".csv"):
        return ""
    return _letters(stem.removesuffix(".csv")).removesuffix("copy").removesuffix("s")


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalpha())


def _has_dates(path: Path) -> bool:
    rows = _first_rows(path)
    if len(rows) < 2 or "timestamp" not in rows[0]:
        return False
    position = rows[0].index("timestamp")
    value = rows[1][position] if position < len(rows[1]) else ""
    return "-" in value[1:] or "/" in value


def _personal_export(path: Path) -> str | None:
    """Return what the file is and what to do, where it is one person's export."""
    if path.suffix.lower() == ".json":
        kind = _json_export(path)
    elif path.suffix.lower() in (".csv", ".txt"):
        rows = _first_rows(path)
        header = [name.strip().lower() for name in rows[0]] if rows else []
        kind = next((text for names, text in _PERSONAL_EXPORTS if names <= set(header)), None)
        if header == ["title", "date"]:
            kind = "viewing history from Netflix, without ratings"
    else:
        return None
    return f"{path.name} is one person's {kind}. {_ONE_PERSON}" if kind else None


def _json_export(path: Path) -> str | None:
    keys: set[str] = set()
    start = _start(path)
    # The whole file may be large or cut off; its first object is enough.
    try:
        first, _ = json.JSONDecoder().raw_decode(start, start.index("{"))
        keys = set(first)
    except (ValueError, RecursionError):
        return None
    return next((text for names, text in _PERSONAL_JSON if names <= keys), None)


def _first_rows(path: Path) -> list[list[str]]:
    """Return the first two lines of a CSV file, as far as they can be read."""
    try:
        return list(csv.reader(_start(path).splitlines()[:2]))
    except csv.Error:
        return []


def _start(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ_BYTES).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""
