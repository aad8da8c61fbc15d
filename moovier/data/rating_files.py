"""Read one person's ratings from the files that other services export.

Letterboxd (`ratings.csv`, `watched.csv`, `diary.csv`, or the zip), IMDb, TMDB, Trakt (JSON or CSV),
MovieLens's personal export, and any CSV with a title and a rating. Columns are found by their
names, so that an added or moved column does no harm.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from moovier.data.catalogue import split_title
from moovier.errors import BadRequest
from moovier.timestamps import timestamp_problem

#: Bounds of a file, so that a small zip cannot fill the memory.
MAX_UNPACKED_BYTES, MAX_ENTRIES = 64 << 20, 20_000
#: Names of columns without case, spaces and punctuation; the first one that exists counts.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "title": ("title", "name", "movietitle", "movie", "film", "filmtitle", "primarytitle"),
    "year": ("year", "releaseyear", "movieyear", "releasedate", "released"),
    "rating": ("yourrating", "myrating", "rating", "rating10", "stars", "score", "userrating"),
    "date": (
        "watcheddate",
        "daterated",
        "ratedat",
        "lastwatchedat",
        "watchedat",
        "date",
        "timestamp",
        "rateddate",
    ),
    "imdb": ("const", "imdbid", "imdb", "tconst"),
    "tmdb": ("tmdbid", "tmdb"),
    "movielens": ("movieid", "movielensid"),
    "type": ("titletype", "type", "mediatype"),
}
#: Types of titles that are not movies, without case, spaces and punctuation.
_NO_MOVIES = re.compile(r"show|series|season|episode|game|music|podcast|^tv$")
_FRACTION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:/\s*([0-9]+)|(%))")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_STARS = re.compile(r"(★+)?(½)?")
#: Folders of Letterboxd's zip with what the person deleted, likes or wants to see.
_OTHER_FOLDERS = frozenset(("deleted", "orphaned", "likes", "lists", "__macosx"))
_OTHER_FILES = ("watchlist", "comments", "profile", "reviews", "lists", "collection", "tags")


@dataclass(frozen=True, slots=True)
class Entry:
    """A movie in a file.

    ``line``: its number in the file, from 1. ``stars``: 0.5 to 5, or None if the movie was watched
    and not rated. ``timestamp``: in seconds since 1970, or None without a date. ``imdb_id``: in the
    form ``tt0112573``.
    """

    line: int
    title: str
    year: int | None
    stars: float | None
    timestamp: int | None = None
    imdb_id: str | None = None
    tmdb_id: int | None = None
    movielens_id: int | None = None


@dataclass(frozen=True, slots=True)
class RatingFile:
    """The entries of a file, and where it comes from.

    ``skipped``: the number of entries that are not movies, or have neither title nor id.
    """

    source: str
    entries: tuple[Entry, ...]
    skipped: int


@dataclass(frozen=True, slots=True)
class _Source:
    """A known export: its columns, and the highest rating, or None where the file decides."""

    name: str
    columns: frozenset[str]
    scale: int | None


_SOURCES = (
    _Source("Letterboxd", frozenset({"letterboxduri"}), 5),
    _Source("TMDB", frozenset({"tmdbid", "yourrating"}), 10),
    _Source("IMDb", frozenset({"const"}), 10),
    _Source("MovieLens", frozenset({"movieid", "averagerating"}), 5),
    _Source("Trakt", frozenset({"traktid"}), 10),
    _Source("Trakt", frozenset({"traktratedat"}), 10),
)
_TRAKT, _CSV = "Trakt", "CSV"
_SCALES = (5, 10, 100)


def read_rating_file(content: bytes) -> RatingFile:
    """Read a file; its content decides how, not its name.

    Raises:
        BadRequest: the file is none of the known kinds, is damaged, or is too large.
    """
    if content[:4] == b"PK\x03\x04":
        return _read_zip(content)
    text = _decode(content)
    return _read_json(text) if text.lstrip()[:1] in ("[", "{") else _read_csv(text)


def _read_zip(content: bytes) -> RatingFile:
    files: list[RatingFile] = []
    problems: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [info for info in archive.infolist() if _is_wanted(info.filename)]
            if sum(info.file_size for info in members) > MAX_UNPACKED_BYTES:
                raise BadRequest(f"the zip unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")
            for info in members:
                try:
                    files.append(read_rating_file(archive.read(info)))
                except BadRequest as error:
                    problems.append(f"{info.filename}: {error}")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BadRequest(f"the zip file is damaged: {error}") from error
    if not files:
        raise BadRequest(
            "the zip has no ratings: expected ratings.csv, watched.csv or a JSON file of Trakt"
            + "".join(f"; {problem}" for problem in problems[:3])
        )
    entries = tuple(entry for file in files for entry in file.entries)
    return RatingFile(files[0].source, entries, sum(file.skipped for file in files))


def _is_wanted(name: str) -> bool:
    path = PurePosixPath(name.lower())
    return (
        path.suffix in (".csv", ".json")
        and not _OTHER_FOLDERS & set(path.parts)
        and not any(word in path.stem for word in _OTHER_FILES)
    )


def _decode(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _read_json(text: str) -> RatingFile:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the JSON file is damaged: {error}") from error
    items = content if isinstance(content, list) else content.get("movies", [])
    if not isinstance(items, list) or not items:
        raise BadRequest("the JSON file is not a list of ratings as exported by Trakt")
    rows = []
    for item in items[: MAX_ENTRIES + 1]:
        movie = item.get("movie") if isinstance(item, dict) else None
        if not isinstance(movie, dict):
            rows.append({"type": "show"})
            continue
        found = movie.get("ids")
        ids: dict[str, Any] = found if isinstance(found, dict) else {}
        date = item.get("rated_at") or item.get("last_watched_at") or item.get("watched_at")
        values = {
            "title": movie.get("title"),
            "year": movie.get("year"),
            "rating": item.get("rating"),
            "date": date,
            "imdb": ids.get("imdb"),
            "tmdb": ids.get("tmdb"),
        }
        rows.append({key: "" if value is None else str(value) for key, value in values.items()})
    if all("title" not in row for row in rows):
        raise BadRequest("the JSON file has no movies as Trakt exports them")
    return _to_file(_TRAKT, rows, 10, first_line=1)


def _read_csv(text: str) -> RatingFile:
    header_line = text.split("\n", 1)[0]
    separator = max(",;\t", key=header_line.count)
    try:
        table = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        header = [_key(name) for name in next(table, [])]
        rows = [row for _, row in zip(range(MAX_ENTRIES + 1), table, strict=False) if any(row)]
    except csv.Error as error:
        raise BadRequest(f"the CSV file is damaged: {error}") from error
    source = next((known for known in _SOURCES if known.columns <= set(header)), None)
    places = _places(header)
    has_movie = {"title", "imdb", "tmdb", "movielens"} & set(places)
    if not has_movie or (source is None and "rating" not in places):
        names = ", ".join(header_line.strip().split(separator))[:200]
        raise BadRequest(
            "the file is not a known export: send one of Letterboxd, IMDb, TMDB, Trakt or "
            "MovieLens, or a CSV file with the columns title, year and rating; its first line is "
            f"{names!r}"
        )
    values = [
        {field: row[place].strip() for field, place in places.items() if place < len(row)}
        for row in rows
    ]
    scale = source.scale if source else None
    if "rating10" in header and header[places["rating"]] == "rating10":
        scale = 10
    return _to_file(source.name if source else _CSV, values, scale, first_line=2)


def _places(header: Sequence[str]) -> dict[str, int]:
    """Return the place of each field's column; ids of other services' lists do not count."""
    places = {}
    for field, names in _COLUMNS.items():
        found = next((header.index(name) for name in names if name in header), None)
        if found is not None:
            places[field] = found
    if "averagerating" not in header:
        # Elsewhere `movieid` is another service's id, or the file has ratings of many people.
        places.pop("movielens", None)
    return places


def _to_file(
    source: str, rows: Sequence[Mapping[str, str]], scale: int | None, *, first_line: int
) -> RatingFile:
    if len(rows) > MAX_ENTRIES:
        raise BadRequest(f"the file has more than {MAX_ENTRIES:,} entries; send it in parts")
    scale = scale or _scale_of(rows)
    entries = tuple(_entries(source, rows, scale, first_line))
    return RatingFile(source, entries, len(rows) - len(entries))


def _entries(
    source: str, rows: Sequence[Mapping[str, str]], scale: int, first_line: int
) -> Iterator[Entry]:
    for line, row in enumerate(rows, start=first_line):
        if _NO_MOVIES.search(_key(row.get("type", ""))):
            continue
        title, year = row.get("title", ""), _year(row.get("year", ""))
        if year is None and title:
            title, year = split_title(title)
        imdb_id, tmdb_id = _imdb_id(row.get("imdb", "")), _positive(row.get("tmdb", ""))
        movielens_id = _positive(row.get("movielens", ""))
        if not (title or imdb_id or tmdb_id or movielens_id):
            continue
        try:
            stars = to_stars(row.get("rating", ""), scale)
        except BadRequest as error:
            raise BadRequest(f"line {line}: {error}") from error
        if stars is None and source not in ("Letterboxd", _TRAKT):
            # A list of IMDb or a table: without a rating it does not say that it was watched.
            continue
        timestamp = _timestamp(row.get("date", ""))
        yield Entry(line, title, year, stars, timestamp, imdb_id, tmdb_id, movielens_id)


def to_stars(text: str, scale: int) -> float | None:
    """Return a rating as stars, 0.5 to 5 in half steps; None where it is empty or 0.

    ``text``: "8", "7,5", "8/10", "80%" or "★★★½". ``scale``: the highest rating, for a number.

    Raises:
        BadRequest: the rating is not a number, or higher than the scale.
    """
    text = text.strip().replace(",", ".")
    if not text:
        return None
    if fraction := _FRACTION.fullmatch(text):
        value, scale = float(fraction[1]), 100 if fraction[3] else int(fraction[2])
    elif stars := _STARS.fullmatch(text):
        value, scale = len(stars[1] or "") + 0.5 * bool(stars[2]), 5
    elif _NUMBER.fullmatch(text):
        value = float(text)
    else:
        raise BadRequest(f"the rating {text[:40]!r} is not a number")
    if not 0 <= value <= scale or scale == 0:
        raise BadRequest(f"the rating {text[:40]} is not between 0 and {scale}")
    # Half up: Python's `round` would make 4 stars of 85 and 5 stars of 95 of 100.
    return max(int(value / scale * 10 + 0.5) / 2, 0.5) if value else None


def _scale_of(rows: Sequence[Mapping[str, str]]) -> int:
    """Return the lowest usual scale that holds all ratings which are plain numbers."""
    texts = (row.get("rating", "").strip().replace(",", ".") for row in rows)
    highest = max((float(text) for text in texts if _NUMBER.fullmatch(text)), default=0.0)
    scale = next((scale for scale in _SCALES if highest <= scale), None)
    if scale is None:
        raise BadRequest(f"the rating {highest:g} is above 100; scales end at 5, 10 or 100")
    return scale


def _key(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _year(text: str) -> int | None:
    match = re.match(r"(1[89]|2[01])[0-9]{2}(?![0-9])", text.strip())
    return int(match[0]) if match else None


def _imdb_id(text: str) -> str | None:
    match = re.search(r"(?:tt|^)([0-9]{1,10})(?![0-9])", text)
    return f"tt{int(match[1]):07d}" if match and int(match[1]) else None


def _positive(text: str) -> int | None:
    number = text.removesuffix(".0")
    is_number = number.isascii() and number.isdecimal()
    return int(number) if is_number and 0 < int(number) < 2**62 else None


def _timestamp(text: Any) -> int | None:
    """Return the seconds of a date or moment; a date counts as noon UTC. None if unreadable."""
    if re.fullmatch(r"[0-9]{9,10}", text):
        seconds = int(text)
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        if len(text) <= len("2020-01-31"):
            moment = moment.replace(hour=12)
        seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return None if timestamp_problem(seconds) else seconds
