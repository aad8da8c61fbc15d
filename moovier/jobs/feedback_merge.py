"""Merge the users' feedback and new movies into a data set.

The result is a new data set in ``<home>/data/merged/<md5>/``; the original files do not change. The
same files and the same feedback give the same bytes, and so the same hash.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from moovier.data import dvc_remote
from moovier.data.csv_blocks import Block, blocks
from moovier.data.csv_values import split_line
from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import EVENTS_MARK, FILES_READ, MOVIES, RATINGS, read_movie_ids
from moovier.data.sources import DataRef
from moovier.data.text_columns import TextColumns
from moovier.errors import DataUnavailable, InvalidData
from moovier.event_weights import parse_event_weights
from moovier.feedback.database import exists
from moovier.feedback.events import merge_events
from moovier.feedback.id_texts import IdTextStore
from moovier.feedback.new_movies import NewMovieStore
from moovier.feedback.ratings import Feedback, StoredRating
from moovier.feedback.store import FeedbackStore
from moovier.ids import MOVIE
from moovier.jobs.movie_merge import append_movies
from moovier.jobs.rating_lines import COLUMNS, FolderTexts, Layout
from moovier.settings import Settings

SUFFIX = "+feedback"
#: Number of merged data sets that are kept: running jobs may still read an older one.
KEPT = 3
_ABANDONED_S = 24 * 3600


@dataclass(frozen=True)
class Merge:
    """The number of ratings by what the merge did with them.

    ``added``: the files have no rating of this user and movie. ``replaced``: the files have an
    older rating. ``deleted``: deleted from the files. ``unknown``: left out, because movies.csv
    does not have the movie. ``outdated``: left out, because the files have a newer rating or the
    same one. ``unreadable``: left out, because the row in the database cannot be read.
    ``movies``: movies that were added, which movies.csv does not have.
    """

    added: int = 0
    replaced: int = 0
    deleted: int = 0
    unknown: int = 0
    outdated: int = 0
    unreadable: int = 0
    movies: int = 0

    @property
    def changes(self) -> bool:
        """Whether the merged data set differs from the files."""
        return bool(self.added or self.replaced or self.deleted or self.movies)

    def __str__(self) -> str:
        text = f"feedback: {self.added:,} ratings added, {self.replaced:,} replaced, "
        text += f"{self.deleted:,} deleted"
        if self.movies:
            text += f", {self.movies:,} movies added"
        if self.unknown:
            text += f", {self.unknown:,} left out (their movies are not in {MOVIES})"
        if self.outdated:
            text += f", {self.outdated:,} left out (the files have the same or newer ratings)"
        if self.unreadable:
            text += f", {self.unreadable:,} left out (their rows in the database cannot be read)"
        return text


def merge_feedback(ref: DataRef, settings: Settings) -> tuple[DataRef, Merge | None]:
    """Return ``ref`` merged with feedback and new movies, or ``ref`` and None without any.

    Broken files (a column is missing, there is no rating, the last line is incomplete) are not
    merged; validation reports what is wrong with them.

    Raises:
        FeedbackUnavailable: the database does not answer.
        InvalidData: a deletion in the database cannot be read; a row of the files cannot be read
            and bad rows are not allowed, since a deletion or a newer rating may belong to it; or
            too many rows of movies.csv are bad.
    """
    if not exists(settings.database):
        return ref, None
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        feedback = store.everything()
        new_movies = NewMovieStore(store.database).all()
        # Read last: the text of an id is stored before anything under its number.
        stored_texts = IdTextStore(store.database).all()
    _check_deletions(feedback)
    if (ref.folder / EVENTS_MARK).exists():
        feedback = merge_events(feedback, parse_event_weights(settings.event_weights))
    if not (feedback or new_movies) or not _can_be_merged(ref.folder):
        return ref, None
    columns = TextColumns.of(ref.folder / RATINGS, ref.folder / MOVIES)
    known = read_movie_ids(ref.folder, settings.bad_rows_share, columns)
    texts = FolderTexts.of(columns, stored_texts)
    movies = [movie for movie in new_movies if movie.id not in known and texts.has_movie(movie.id)]
    merged_folder = settings.path("data", "merged")
    merged_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".merging-", dir=merged_folder) as scratch:
        fresh = Path(scratch) / "data"
        fresh.mkdir()
        changes = _Changes.of(feedback, known | {movie.id for movie in movies}, texts)
        merge = _write_ratings(ref.folder, fresh, changes, settings.bad_rows_share)
        merge = replace(merge, movies=len(movies))
        if not merge.changes:
            return replace(ref, note=_joined(ref.note, str(merge))), merge
        if movies:
            append_movies(ref.folder, fresh, movies, texts.known[MOVIE])
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


def _check_deletions(feedback: Feedback) -> None:
    """Stop rather than train on ratings that somebody deleted.

    Raises:
        InvalidData: a deletion in the database cannot be read.
    """
    problems = feedback.unreadable_deletions
    if problems:
        raise InvalidData(
            f"{len(problems)} deletions in the feedback database cannot be read, such as "
            f"{problems[0]}; correct or delete the row",
            problems,
        )


def _can_be_merged(folder: Path) -> bool:
    """Return whether the files have their columns, rows and a final line end.

    Without the last check, rows appended to a truncated file would hide the truncation.
    """
    for name, columns in ((RATINGS, COLUMNS), (MOVIES, ("movieId",))):
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
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            return split_line(file.readline())
    except ValueError:  # also where the text is not UTF-8
        return []


def _write_ratings(source: Path, target: Path, changes: _Changes, bad_rows_share: float) -> Merge:
    """Write ``ratings.csv`` without removed rows, then the feedback."""
    with (source / RATINGS).open("rb") as old_file, (target / RATINGS).open("wb") as new_file:
        first = old_file.readline()
        new_file.write(first)
        header = split_line(_text(first))
        layout = Layout.of(header, changes.texts)
        names = [name.removeprefix("\ufeff") for name in header]
        user_column = "userId" if changes.texts.columns.users is None else None
        for block in blocks(old_file, names, user_column, changes.users):
            _write_block(block, new_file, layout, changes, bad_rows_share)
        line_end = "\r\n" if first.endswith(b"\r\n") else "\n"
        for added in changes.appended():
            new_file.write((layout.line(added) + line_end).encode())
    return changes.summary()


def _write_block(
    block: Block, new_file: BinaryIO, layout: Layout, changes: _Changes, bad_rows_share: float
) -> None:
    """Write the lines of a block that stay; only the chosen lines may change."""
    written = 0
    for position in block.chosen.tolist():
        start, end = block.line(position)
        line = _text(block.content[start:end])
        try:
            rating = layout.rating(line, changes.users)
        except ValueError as error:
            # Validation sets the row aside by the same rules, where that is allowed.
            if bad_rows_share == 0:
                problem = f"{RATINGS}, row {block.first_row + position}: {error}"
                raise InvalidData(
                    f"the feedback cannot be merged into an invalid row: {problem}", [problem]
                ) from error
            rating = None
        if rating is not None and not changes.keep(rating):
            new_file.write(block.content[written:start])
            written = end
    new_file.write(block.content[written:])


def _text(line: bytes) -> str:
    """Return a line as text; bytes that are not UTF-8 stay, so that validation can refuse them."""
    return line.decode("utf-8", "surrogateescape")


@dataclass
class _Changes:
    """What the feedback changes in a file of ratings, and what it has changed so far.

    ``new``: the ratings of known movies, by user and movie. ``users``: all users with feedback.
    ``texts``: the texts of ids.
    ``outdated``: pairs of which the file has a newer rating. ``removed``: pairs that left the file.
    """

    feedback: Feedback
    new: Mapping[tuple[int, int], StoredRating]
    users: frozenset[int]
    texts: FolderTexts
    outdated: set[tuple[int, int]] = field(default_factory=set)
    removed: set[tuple[int, int]] = field(default_factory=set)
    replaced: int = 0
    deleted: int = 0

    @classmethod
    def of(cls, feedback: Feedback, known_movies: Container[int], texts: FolderTexts) -> _Changes:
        """Return the changes by ``feedback`` to a data set with these movies."""
        new = {
            (rating.user_id, rating.movie_id): rating
            for rating in feedback.ratings
            if rating.movie_id in known_movies and texts.has(rating.user_id, rating.movie_id)
        }
        users = {user for user, _ in (*new, *feedback.deleted)} | set(feedback.deleted_users)
        return cls(feedback, new, frozenset(users), texts)

    def keep(self, row: StoredRating) -> bool:
        """Return whether a row of the file stays, and count it as kept, replaced or deleted."""
        pair = (row.user_id, row.movie_id)
        new_rating = self.new.get(pair)
        if _is_deleted(row, self.feedback):
            self.deleted += new_rating is None
            self.replaced += new_rating is not None
        elif new_rating is None:
            return True
        elif row.timestamp > new_rating.timestamp or (
            (row.timestamp, row.stars) == (new_rating.timestamp, new_rating.stars)
        ):
            self.outdated.add(pair)
            return True
        else:
            self.replaced += 1
        self.removed.add(pair)
        return False

    def appended(self) -> list[StoredRating]:
        """Return the ratings to append, after the last row of the file."""
        return [rating for pair, rating in self.new.items() if pair not in self.outdated]

    def summary(self) -> Merge:
        """Return the numbers, after the last row of the file."""
        appended = {(rating.user_id, rating.movie_id) for rating in self.appended()}
        return Merge(
            added=len(appended - self.removed),
            replaced=self.replaced,
            deleted=self.deleted,
            unknown=len(self.feedback.ratings) - len(self.new),
            outdated=len(self.outdated),
            unreadable=len(self.feedback.unreadable),
        )


def _is_deleted(row: StoredRating, feedback: Feedback) -> bool:
    """Return whether the user deleted this rating, or all, after rating."""
    deletion_times = (
        feedback.deleted.get((row.user_id, row.movie_id)),
        feedback.deleted_users.get(row.user_id),
    )
    return any(time_s is not None and row.timestamp <= time_s for time_s in deletion_times)


def _link_other_files(source: Path, target: Path) -> None:
    """Link or copy the files that are read and not written yet."""
    for name in FILES_READ:
        path = source / name
        if not (target / name).exists() and path.is_file():
            try:
                os.link(path.resolve(), target / name)
            except OSError:  # the target is on another file system, or on one without links
                shutil.copyfile(path, target / name)


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
