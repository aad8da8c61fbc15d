"""Merge the users' feedback into a data set.

The result is a new data set in ``<home>/data/merged/<md5>/``; the original files do not change. The
same files and the same feedback give the same bytes, and so the same hash.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from moovier.data import dvc_remote
from moovier.data.dvc_hash import directory_hash
from moovier.data.sources import DataRef
from moovier.errors import DataUnavailable, InvalidData
from moovier.feedback.database import exists
from moovier.feedback.ratings import Feedback, StoredRating
from moovier.feedback.store import FeedbackStore
from moovier.settings import Settings

RATINGS, MOVIES = "ratings.csv", "movies.csv"
SUFFIX = "+feedback"
#: Number of merged data sets that are kept: running jobs may still read an older one.
KEPT = 3
_ABANDONED_S = 24 * 3600
_COLUMNS = ("userId", "movieId", "rating", "timestamp")


@dataclass(frozen=True)
class Merge:
    """The number of ratings by what the merge did with them.

    ``added``: the files have no rating of this user and movie. ``replaced``: the files have an
    older rating. ``deleted``: deleted from the files. ``unknown``: left out, because movies.csv
    does not have the movie. ``outdated``: left out, because the files have a newer rating or the
    same one.
    """

    added: int = 0
    replaced: int = 0
    deleted: int = 0
    unknown: int = 0
    outdated: int = 0

    @property
    def changes(self) -> bool:
        """Whether the merged ratings differ from those in the files."""
        return bool(self.added or self.replaced or self.deleted)

    def __str__(self) -> str:
        text = f"feedback: {self.added:,} ratings added, {self.replaced:,} replaced, "
        text += f"{self.deleted:,} deleted"
        if self.unknown:
            text += f", {self.unknown:,} left out (their movies are not in {MOVIES})"
        if self.outdated:
            text += f", {self.outdated:,} left out (the files have the same or newer ratings)"
        return text


def merge_feedback(ref: DataRef, settings: Settings) -> tuple[DataRef, Merge | None]:
    """Return ``ref`` merged with the feedback, or ``ref`` and None without any.

    Broken files (a column is missing, there is no rating, the last line is incomplete) are not
    merged; validation reports what is wrong with them.

    Raises:
        FeedbackUnavailable: the database does not answer.
        InvalidData: ratings.csv is not a CSV file.
    """
    if not exists(settings.database):
        return ref, None
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        feedback = store.everything()
    if not feedback or not _can_be_merged(ref.folder):
        return ref, None
    merged_folder = settings.path("data", "merged")
    merged_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".merging-", dir=merged_folder) as scratch:
        fresh = Path(scratch) / "data"
        fresh.mkdir()
        try:
            merge = _write_ratings(ref.folder, fresh, feedback)
        except csv.Error as error:
            raise InvalidData(f"{RATINGS} cannot be merged with feedback: {error}") from error
        if not merge.changes:
            return replace(ref, note=_joined(ref.note, str(merge))), merge
        _link_other_files(ref.folder, fresh)
        hash_ = directory_hash(fresh)
        folder = merged_folder / hash_.removesuffix(".dir")
        _put(fresh, folder, Path(scratch))
    os.utime(folder)
    _prune(merged_folder, folder)
    note = _joined(ref.note, str(merge), _upload(folder, hash_, settings))
    return replace(ref, name=ref.name + SUFFIX, folder=folder, hash=hash_, note=note), merge


def fetch_merged(hash_: str, settings: Settings) -> Path:
    """Fetch a data set that another machine merged from the DVC remote.

    Raises:
        DataError: the remote does not have it, or its files do not have this hash.
    """
    merged_folder = settings.path("data", "merged")
    folder = merged_folder / hash_.removesuffix(".dir")
    if not folder.is_dir() or directory_hash(folder) != hash_:
        dvc_remote.download(hash_, folder, settings)
    os.utime(folder)
    _prune(merged_folder, folder)
    return folder


def _can_be_merged(folder: Path) -> bool:
    """Return whether the files have their columns, rows and a final line end.

    Without the last check, rows appended to a truncated file would hide the truncation.
    """
    for name, columns in ((RATINGS, _COLUMNS), (MOVIES, ("movieId",))):
        path = folder / name
        if not path.is_file() or not set(columns) <= set(_header(path)):
            return False
    with (folder / RATINGS).open("rb") as file:
        if not file.readline() or not file.readline():
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error):
        return []


def _write_ratings(source: Path, target: Path, feedback: Feedback) -> Merge:
    """Write ``ratings.csv`` without removed rows, then the feedback."""
    known_movies = _movie_ids(source / MOVIES)
    new_ratings = {
        (rating.user_id, rating.movie_id): rating
        for rating in feedback.ratings
        if rating.movie_id in known_movies
    }
    changed_users = (
        {user for user, _ in new_ratings}
        | {user for user, _ in feedback.deleted}
        | set(feedback.deleted_users)
    )
    outdated: set[tuple[int, int]] = set()
    removed: set[tuple[int, int]] = set()
    replaced = deleted = 0
    # Bytes that are not UTF-8 stay as they are, so that validation can refuse them.
    file_options = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    with (
        (source / RATINGS).open(**file_options) as old_file,  # type: ignore[call-overload]
        (target / RATINGS).open("w", **file_options) as new_file,  # type: ignore[call-overload]
    ):
        rows = _rows(old_file)
        header, line = next(rows)
        new_file.write(line)
        line_end = "\r\n" if line.endswith("\r\n") else "\n"
        layout = _Layout.of(header)
        for fields, line in rows:
            # Most rows take only this path, which must be fast for large data sets.
            row = layout.row(fields) if layout.user_id(fields) in changed_users else None
            if row is None:
                new_file.write(line)
                continue
            pair = (row.user_id, row.movie_id)
            new_rating = new_ratings.get(pair)
            if _is_deleted(row, feedback):
                deleted += new_rating is None
                replaced += new_rating is not None
                removed.add(pair)
            elif new_rating is None:
                new_file.write(line)
            elif row.timestamp > new_rating.timestamp or (
                (row.timestamp, row.stars) == (new_rating.timestamp, new_rating.stars)
            ):
                outdated.add(pair)
                new_file.write(line)
            else:
                replaced += 1
                removed.add(pair)
        appended = [rating for pair, rating in new_ratings.items() if pair not in outdated]
        for rating in appended:
            new_file.write(layout.line(rating) + line_end)
    return Merge(
        added=sum((rating.user_id, rating.movie_id) not in removed for rating in appended),
        replaced=replaced,
        deleted=deleted,
        unknown=len(feedback.ratings) - len(new_ratings),
        outdated=len(outdated),
    )


@dataclass(frozen=True)
class _Layout:
    """The column positions of a ratings.csv, which may have extra columns."""

    positions: Mapping[str, int]
    width: int

    @classmethod
    def of(cls, header: list[str]) -> _Layout:
        """Return the layout of a header row."""
        names = [name.removeprefix("\ufeff") for name in header]
        return cls({name: names.index(name) for name in _COLUMNS}, len(names))

    def user_id(self, fields: list[str]) -> int | None:
        """Return the user id of a row, or None if it is not a number."""
        try:
            return int(fields[self.positions["userId"]])
        except (IndexError, ValueError):
            return None

    def row(self, fields: list[str]) -> StoredRating | None:
        """Return a parsed row, or None for an invalid one, which validation reports."""
        try:
            user, movie, stars, timestamp = (fields[self.positions[name]] for name in _COLUMNS)
            return StoredRating(int(user), int(movie), float(stars), int(timestamp), None)
        except (IndexError, ValueError):
            return None

    def line(self, rating: StoredRating) -> str:
        """Return a rating as a line, without the line end."""
        fields = [""] * self.width
        values = (rating.user_id, rating.movie_id, f"{rating.stars:.1f}", rating.timestamp)
        for name, value in zip(_COLUMNS, values, strict=True):
            fields[self.positions[name]] = str(value)
        return ",".join(fields)


def _rows(lines: Iterator[str]) -> Iterator[tuple[list[str], str]]:
    """Yield each row's fields and its text, line end included."""
    text: list[str] = []

    def read() -> Iterator[str]:
        for line in lines:
            text.append(line)
            yield line

    for fields in csv.reader(read()):
        yield fields, "".join(text)
        text.clear()


def _is_deleted(row: StoredRating, feedback: Feedback) -> bool:
    """Return whether the user deleted this rating, or all, after rating."""
    deletion_times = (
        feedback.deleted.get((row.user_id, row.movie_id)),
        feedback.deleted_users.get(row.user_id),
    )
    return any(time_s is not None and row.timestamp <= time_s for time_s in deletion_times)


def _movie_ids(path: Path) -> set[int]:
    ids = set()
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for row in csv.DictReader(file):
            with contextlib.suppress(ValueError, TypeError):
                ids.add(int(row["movieId"]))
    return ids


def _link_other_files(source: Path, target: Path) -> None:
    """Link or copy all files except ratings.csv; the layout has no subfolders."""
    for path in source.iterdir():
        if path.name != RATINGS and path.is_file():
            try:
                os.link(path.resolve(), target / path.name)
            except OSError:  # the target is on another file system, or on one without links
                shutil.copyfile(path, target / path.name)


def _put(fresh: Path, folder: Path, scratch: Path) -> None:
    """Move ``fresh`` to ``folder``, unless that already has the same content."""
    if folder.is_dir():
        if directory_hash(folder).removesuffix(".dir") == folder.name:
            return
        folder.rename(scratch / "damaged")
    try:
        fresh.rename(folder)
    except OSError:
        # Another process moved the same content there first.
        if not folder.is_dir():
            raise


def _upload(folder: Path, hash_: str, settings: Settings) -> str:
    """Upload the merged data set to the DVC remote; return a note on it."""
    try:
        dvc_remote.upload(folder, hash_, settings)
    except DataUnavailable as error:
        return f"not kept in the DVC remote: {error}"
    return "kept in the DVC remote"


def _prune(merged_folder: Path, current: Path) -> None:
    """Delete old merged data sets and the leftovers of killed processes."""

    def age_s(path: Path) -> float:
        with contextlib.suppress(FileNotFoundError):
            return time.time() - path.stat().st_mtime
        return 0.0

    merged = [path for path in merged_folder.iterdir() if re.fullmatch("[0-9a-f]{32}", path.name)]
    older = sorted((path for path in merged if path != current), key=age_s)
    abandoned = [path for path in merged_folder.glob(".merging-*") if age_s(path) > _ABANDONED_S]
    for path in older[KEPT - 1 :] + abandoned:
        shutil.rmtree(path, ignore_errors=True)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
