"""The data set that was pulled and what people said since, made one.

A new data set in ``<home>/data/merged/<md5>/``; the files it was made from stay as they are. The
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
from moovier.feedback.store import Feedback, FeedbackStore, StoredRating
from moovier.settings import Settings

RATINGS, MOVIES = "ratings.csv", "movies.csv"
SUFFIX = "+feedback"
#: Merged data sets that are kept: what runs at the moment may still read an older one.
KEPT = 3
_ABANDONED_S = 24 * 3600
_COLUMNS = ("userId", "movieId", "rating", "timestamp")


@dataclass(frozen=True)
class Merge:
    """What became of the feedback, in ratings.

    ``added``: of movies that the person had not rated in the files; ``replaced``: rows of the
    files with an older rating; ``deleted``: rows of the files; ``unknown``: left out, since
    movies.csv does not have the movie; ``outdated``: left out, since the files' rating is newer
    or the very same.
    """

    added: int = 0
    replaced: int = 0
    deleted: int = 0
    unknown: int = 0
    outdated: int = 0

    @property
    def changes(self) -> bool:
        """Whether the merged ratings differ from the files'."""
        return bool(self.added or self.replaced or self.deleted)

    def __str__(self) -> str:
        said = f"feedback: {self.added:,} ratings added, {self.replaced:,} replaced, "
        said += f"{self.deleted:,} deleted"
        if self.unknown:
            said += f", {self.unknown:,} left out (their movies are not in {MOVIES})"
        if self.outdated:
            said += f", {self.outdated:,} left out (the files know these or newer ones)"
        return said


def merge_feedback(ref: DataRef, settings: Settings) -> tuple[DataRef, Merge | None]:
    """``ref`` merged with the feedback there is; ``ref`` itself and None where there is none.

    Files that cannot be merged with (a column is missing, there is no rating, the last line is cut
    off) are handed on as they are: validation says what is wrong with them.

    Raises:
        FeedbackUnavailable: the database does not answer.
        InvalidData: ratings.csv is no CSV.
    """
    if not exists(settings.database):
        return ref, None
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        feedback = store.everything()
    if not feedback or not _can_be_merged(ref.folder):
        return ref, None
    place = settings.path("data", "merged")
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".merging-", dir=place) as scratch:
        fresh = Path(scratch) / "data"
        fresh.mkdir()
        try:
            merge = _write_ratings(ref.folder, fresh, feedback)
        except csv.Error as error:
            raise InvalidData(f"{RATINGS} cannot be merged with feedback: {error}") from error
        if not merge.changes:
            return replace(ref, note=_joined(ref.note, str(merge))), merge
        _take_other_files(ref.folder, fresh)
        hash_ = directory_hash(fresh)
        folder = place / hash_.removesuffix(".dir")
        _put(fresh, folder, Path(scratch))
    os.utime(folder)
    _prune(place, folder)
    note = _joined(ref.note, str(merge), _shared(folder, hash_, settings))
    return replace(ref, name=ref.name + SUFFIX, folder=folder, hash=hash_, note=note), merge


def merged_elsewhere(hash_: str, settings: Settings) -> Path:
    """Folder of a data set that another machine merged and kept in the DVC remote.

    Raises:
        DataError: the remote does not have it, or has other bytes under its hash.
    """
    place = settings.path("data", "merged")
    folder = place / hash_.removesuffix(".dir")
    if not folder.is_dir() or directory_hash(folder) != hash_:
        dvc_remote.download(hash_, folder, settings)
    os.utime(folder)
    _prune(place, folder)
    return folder


def _can_be_merged(folder: Path) -> bool:
    """Whether both files have a header with what is needed, and ratings.csv has rows and ends with
    a line end: a row added to a file that was cut off would hide that it was."""
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
    """``ratings.csv`` without the rows that no longer hold, then the feedback."""
    known = _movie_ids(source / MOVIES)
    given = {(one.user_id, one.movie_id): one for one in feedback.ratings if one.movie_id in known}
    unknown = len(feedback.ratings) - len(given)
    concerned = ({user for user, _ in given} | {user for user, _ in feedback.deleted}) | set(
        feedback.deleted_users
    )
    settled: set[tuple[int, int]] = set()
    overridden: set[tuple[int, int]] = set()
    replaced = deleted = 0
    # Bytes that are not UTF-8 are handed on: it is validation that refuses them.
    reading = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    with (
        (source / RATINGS).open(**reading) as old,  # type: ignore[call-overload]
        (target / RATINGS).open("w", **reading) as new,  # type: ignore[call-overload]
    ):
        rows = _rows(old)
        header, line = next(rows)
        new.write(line)
        line_end = "\r\n" if line.endswith("\r\n") else "\n"
        layout = _Layout.of(header)
        for fields, line in rows:
            # Nearly all rows end here, millions in a large data set.
            row = layout.row(fields) if layout.user_id(fields) in concerned else None
            if row is None:
                new.write(line)
                continue
            pair = (row.user_id, row.movie_id)
            newer = given.get(pair)
            if _is_deleted(row, feedback):
                deleted += newer is None
                replaced += newer is not None
                overridden.add(pair)
            elif newer is None:
                new.write(line)
            elif (row.timestamp, row.stars) == (newer.timestamp, newer.stars) or (
                row.timestamp > newer.timestamp
            ):
                settled.add(pair)
                new.write(line)
            else:
                replaced += 1
                overridden.add(pair)
        appended = [one for pair, one in given.items() if pair not in settled]
        for one in appended:
            new.write(layout.line(one) + line_end)
    added = sum((one.user_id, one.movie_id) not in overridden for one in appended)
    return Merge(added, replaced, deleted, unknown, outdated=len(settled))


@dataclass(frozen=True)
class _Row:
    user_id: int
    movie_id: int
    stars: float
    timestamp: int


@dataclass(frozen=True)
class _Layout:
    """Where the columns of a ratings.csv are; it may have more than are needed."""

    places: Mapping[str, int]
    width: int

    @classmethod
    def of(cls, header: list[str]) -> _Layout:
        names = [name.removeprefix("\ufeff") for name in header]
        return cls({name: names.index(name) for name in _COLUMNS}, len(names))

    def user_id(self, fields: list[str]) -> int | None:
        try:
            return int(fields[self.places["userId"]])
        except (IndexError, ValueError):
            return None

    def row(self, fields: list[str]) -> _Row | None:
        """None for a line that does not parse, which validation will name."""
        try:
            user, movie, stars, timestamp = (fields[self.places[name]] for name in _COLUMNS)
            return _Row(int(user), int(movie), float(stars), int(timestamp))
        except (IndexError, ValueError):
            return None

    def line(self, one: StoredRating) -> str:
        fields = [""] * self.width
        values = (one.user_id, one.movie_id, f"{one.stars:.1f}", one.timestamp)
        for name, value in zip(_COLUMNS, values, strict=True):
            fields[self.places[name]] = str(value)
        return ",".join(fields)


def _rows(lines: Iterator[str]) -> Iterator[tuple[list[str], str]]:
    """Each row's fields, and the text that it stands in, line end included."""
    text: list[str] = []

    def read() -> Iterator[str]:
        for line in lines:
            text.append(line)
            yield line

    for fields in csv.reader(read()):
        yield fields, "".join(text)
        text.clear()


def _is_deleted(row: _Row, feedback: Feedback) -> bool:
    """Whether the person deleted this rating, or all there were, after it was given."""
    moments = (
        feedback.deleted.get((row.user_id, row.movie_id)),
        feedback.deleted_users.get(row.user_id),
    )
    return any(moment is not None and row.timestamp <= moment for moment in moments)


def _movie_ids(path: Path) -> set[int]:
    ids = set()
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for row in csv.DictReader(file):
            with contextlib.suppress(ValueError, TypeError):
                ids.add(int(row["movieId"]))
    return ids


def _take_other_files(source: Path, target: Path) -> None:
    """All files beside ratings.csv; the layout knows no folders."""
    for path in source.iterdir():
        if path.name != RATINGS and path.is_file():
            try:
                os.link(path.resolve(), target / path.name)
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, target / path.name)


def _put(fresh: Path, folder: Path, scratch: Path) -> None:
    """Move ``fresh`` to ``folder``, unless its very bytes are there already."""
    if folder.is_dir():
        if directory_hash(folder).removesuffix(".dir") == folder.name:
            return
        folder.rename(scratch / "damaged")
    try:
        fresh.rename(folder)
    except OSError:
        # Another process was quicker, with the same bytes.
        if not folder.is_dir():
            raise


def _shared(folder: Path, hash_: str, settings: Settings) -> str:
    """Keep the merged data set in the DVC remote; says so, also where that fails."""
    try:
        dvc_remote.upload(folder, hash_, settings)
    except DataUnavailable as error:
        return f"not kept in the DVC remote: {error}"
    return "kept in the DVC remote"


def _prune(place: Path, current: Path) -> None:
    """Delete all but the newest merged data sets, and what a killed process left behind."""

    def age(path: Path) -> float:
        with contextlib.suppress(FileNotFoundError):
            return time.time() - path.stat().st_mtime
        return 0.0

    merged = [path for path in place.iterdir() if re.fullmatch("[0-9a-f]{32}", path.name)]
    older = sorted((path for path in merged if path != current), key=age)
    left = [path for path in place.glob(".merging-*") if age(path) > _ABANDONED_S]
    for path in older[KEPT - 1 :] + left:
        shutil.rmtree(path, ignore_errors=True)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
