"""Match a file of ratings from another service with the catalogue, and store the ratings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from anyio.to_thread import run_sync

from moovier.data.catalogue import Movie
from moovier.data.rating_files import Entry, read_rating_file
from moovier.feedback.ratings import NewRating, StoredRating
from moovier.feedback.store import Added
from moovier.ids import USER
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.model_resolution import assign_model
from moovier.serving.recommender import Recommender
from moovier.serving.text_ids import keep_texts
from moovier.serving.title_matching import Match

#: Called with the number of matched entries and of all entries.
OnProgress = Callable[[int, int], None]
_PROGRESS_STEP = 100


@dataclass(frozen=True, slots=True)
class MatchedEntry:
    """An entry of a file with its movie, or None, and other movies that it may be."""

    entry: Entry
    match: Match
    movie: Movie | None
    others: tuple[Movie, ...]


@dataclass(frozen=True, slots=True)
class MatchedFile:
    """A file whose entries were matched.

    ``skipped``: the number of entries that are not movies or have no rating. ``ratings``: of the
    sure matches, one per movie; a timestamp is None where the file has no date. ``seen``: ids of
    the movies of sure matches that were watched and not rated.
    """

    source: str
    skipped: int
    entries: tuple[MatchedEntry, ...]

    @property
    def ratings(self) -> dict[int, tuple[float, int | None]]:
        """Return movie id to stars and timestamp; the newest rating of a movie counts."""
        ratings: dict[int, tuple[float, int | None]] = {}
        for item in self.entries:
            entry = item.entry
            if item.movie is None or not item.match.is_sure or entry.stars is None:
                continue
            before = ratings.get(item.movie.id)
            if before is None or (entry.timestamp or 0) >= (before[1] or 0):
                ratings[item.movie.id] = (entry.stars, entry.timestamp)
        return ratings

    @property
    def seen(self) -> list[int]:
        """Return the ids of watched movies without a rating, in the order of the file."""
        rated = self.ratings
        sure = (
            item.movie.id for item in self.entries if item.movie is not None and item.match.is_sure
        )
        return [movie_id for movie_id in dict.fromkeys(sure) if movie_id not in rated]


@dataclass(frozen=True, slots=True)
class Imported:
    """A matched file, and the numbers of stored, unchanged and ignored ratings.

    ``unchanged``: stored before with the same stars. ``ignored``: older than the stored rating.
    """

    file: MatchedFile
    stored: int
    unchanged: int
    ignored: int


def match_file(
    recommender: Recommender, content: bytes, on_progress: OnProgress | None = None
) -> MatchedFile:
    """Read a file and match its entries with a model's catalogue.

    Raises:
        BadRequest: the file is of no known kind, or damaged.
    """
    file = read_rating_file(content)
    matcher = recommender.title_matcher
    catalogue = recommender.bundle.catalogue
    entries = []
    for number, entry in enumerate(file.entries, start=1):
        match = matcher.match(entry)
        movie = None if match.row is None else catalogue[match.row]
        others = tuple(catalogue[row] for row in match.others)
        entries.append(MatchedEntry(entry, match, movie, others))
        if on_progress is not None and number % _PROGRESS_STEP == 0:
            on_progress(number, len(file.entries))
    return MatchedFile(file.source, file.skipped, tuple(entries))


def new_ratings(
    file: MatchedFile, stored: Sequence[StoredRating], *, now: int
) -> tuple[list[NewRating], int]:
    """Return the ratings to store, and the number of those that are stored already.

    A second import of a file so changes nothing. ``now``: the timestamp of ratings without a date.
    """
    stars_of = {rating.movie_id: rating.stars for rating in stored}
    ratings = file.ratings
    new = [
        NewRating(movie_id, stars, now if timestamp is None else min(timestamp, now))
        for movie_id, (stars, timestamp) in ratings.items()
        if stars_of.get(movie_id) != stars
    ]
    return new, len(ratings) - len(new)


async def match(context: ServingContext, content: bytes) -> tuple[MatchedFile, LoadedModel]:
    """Match a file and store nothing.

    Raises:
        BadRequest: the file is of no known kind, or damaged.
        RegistryError: there is no model yet.
    """
    model = (await assign_model(context.model_store, None)).model
    return await run_sync(match_file, model.recommender, content), model


async def import_ratings(
    context: ServingContext, user_id: int, content: bytes
) -> tuple[Imported, LoadedModel]:
    """Match a file and store the ratings of its sure matches for a user.

    Raises:
        BadRequest: the file is of no known kind, or damaged.
        FeedbackUnavailable: the database does not answer.
        RegistryError: there is no model yet.
    """
    model = (await assign_model(context.model_store, None, [user_id])).model
    await keep_texts(context, USER, [user_id])

    def add() -> Imported:
        file = match_file(model.recommender, content)
        context.feedback.check()
        feedback = context.feedback.for_user(user_id)
        stored = () if feedback is None else feedback.ratings
        new, unchanged = new_ratings(file, stored, now=int(time.time()))
        added = Added(0, 0, replayed=False)
        if new:
            added = context.feedback.add(user_id, new, request_id=None, idempotency_key=None)
        return Imported(file, added.stored, unchanged, added.ignored)

    return await run_sync(add), model
