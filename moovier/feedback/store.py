"""Store users' ratings durably: one per user and movie, the newest.

Deletions are stored as tombstones, which tell the next ingest which rows of the data set's
original files to leave out. This module runs in the service: it imports no pandas, TensorFlow or
MLflow.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from moovier.feedback import event_rows, schema, served_lists
from moovier.feedback.database import READ_ALL_TIMEOUT_S, Database
from moovier.feedback.errors import FeedbackUnavailable, IdempotencyConflict
from moovier.feedback.events import NewEvent, check_event
from moovier.feedback.ratings import (
    Feedback,
    NewRating,
    UserFeedback,
    check_ids,
    check_rating,
    check_request_id,
    is_id,
    user_feedback,
)
from moovier.feedback.served_lists import ServedList
from moovier.feedback.stored_rows import to_deleted_users, to_deletions, to_ratings
from moovier.feedback.upsert import insert_into, upsert_newer
from moovier.ids import USER

#: Columns that a newer rating of the same movie replaces.
_CHANGED = ("stars", "timestamp", "request_id")
#: The shortest time that an idempotency key is remembered.
KEY_LIFETIME_S = 48 * 3600
_SWEEP_EVERY_S = 3600


@dataclass(frozen=True, slots=True)
class Added:
    """The numbers of ratings ``stored``, and ``ignored`` because a newer one is stored already.

    ``replayed``: nothing was done now; this is the first answer to the idempotency key.
    """

    stored: int
    ignored: int
    replayed: bool


class FeedbackStore:
    """Ratings and deletions in one database. Safe to share between threads.

    Every method raises :class:`FeedbackUnavailable` when the database does not answer in time.
    ``add`` and ``delete`` can then be called again with the same arguments.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._next_sweep = 0.0

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], float] = time.time) -> FeedbackStore:
        """Open the database at a SQLAlchemy URL and bring its tables up to date.

        ``clock``: gives seconds since 1970.

        Raises:
            FeedbackUnavailable: the database does not answer.
            SettingsError: the URL names neither a SQLite file nor Postgres.
        """
        return cls(Database.open(url), clock=clock)

    def add(
        self,
        user_id: int,
        ratings: Sequence[NewRating],
        *,
        request_id: str | None = None,
        idempotency_key: str | None = None,
        content: bytes | None = None,
    ) -> Added:
        """Store ratings, all or none; they are on the disk when this returns.

        Of two ratings of one movie the one with the newer timestamp is kept; at equal timestamps
        the one given later. A rating after a deletion counts, whatever its timestamp.

        ``idempotency_key``: a key of the user, remembered for at least 24 h. A second call with
        the same key and content stores nothing and returns the first answer. ``content``: the
        bytes that define the same content; by default ``ratings`` and ``request_id``. Give the
        request's body where the timestamps come from the clock, which differ in a retry.

        Raises:
            IdempotencyConflict: the key was used before with other content.
            BadRequest: an id, the stars, a timestamp or the request id is out of range.
        """
        check_ids(user_id)
        for rating in ratings:
            check_rating(rating)
        check_request_id(request_id)
        rows = _to_rows(user_id, ratings, request_id)
        if idempotency_key is None:
            with self._database.writing(user_id) as connection:
                return _added(upsert_newer(connection, schema.ratings, rows, _CHANGED), ratings)
        key_hash = _sha256(idempotency_key.encode("utf-8", "surrogatepass"))
        content_hash = _sha256(content if content is not None else _to_bytes(ratings, request_id))
        with self._database.writing(user_id) as connection:
            earlier = _earlier_answer(connection, user_id, key_hash)
            if earlier is not None:
                first_content_hash, answer = earlier
                if first_content_hash != content_hash:
                    raise IdempotencyConflict(
                        "this idempotency key was used before with other content: use a new key "
                        "for a new request"
                    )
                return answer
            added = _added(upsert_newer(connection, schema.ratings, rows, _CHANGED), ratings)
            connection.execute(
                schema.answers.insert().values(
                    user_id=user_id,
                    key_hash=key_hash,
                    content_hash=content_hash,
                    stored=added.stored,
                    ignored=added.ignored,
                    answered_at=self._now(),
                )
            )
        self._delete_expired_keys()
        return added

    def add_events(
        self, user_id: int, events: Sequence[NewEvent], *, request_id: str | None = None
    ) -> Added:
        """Store events, all or none; they are on the disk when this returns.

        One event is kept of each movie and kind, the newest, so a second call with the same events
        changes nothing.

        Raises:
            BadRequest: an id, a kind, a timestamp or the request id is invalid.
        """
        check_ids(user_id)
        for event in events:
            check_event(event)
        check_request_id(request_id)
        with self._database.writing(user_id) as connection:
            stored = event_rows.upsert(connection, user_id, events, request_id)
        return Added(stored, len(events) - stored, replayed=False)

    def delete_events(
        self, user_id: int, movie_id: int | None = None, kind: str | None = None
    ) -> int:
        """Delete a user's events, of one movie or kind where given; return their number.

        Raises:
            BadRequest: an id is out of range.
        """
        check_ids(user_id, *([] if movie_id is None else [movie_id]))
        with self._database.writing(user_id) as connection:
            return event_rows.remove(connection, user_id, movie_id, kind)

    def of_user(self, user_id: int) -> UserFeedback:
        """Return one user's feedback, which is empty for an unknown user."""
        if not is_id(user_id):
            return UserFeedback((), frozenset())
        ratings, deleted, users = schema.ratings, schema.deleted_ratings, schema.deleted_users
        with self._database.reading() as connection:
            stored = connection.execute(select(ratings).where(ratings.c.user_id == user_id))
            good, _ = to_ratings(stored)
            rows = connection.execute(select(deleted).where(deleted.c.user_id == user_id))
            deletions, _ = to_deletions(rows)
            rows = connection.execute(select(users).where(users.c.user_id == user_id))
            moments, _ = to_deleted_users(rows)
            events, _ = event_rows.read(connection, user_id)
        return user_feedback(good, (movie for _, movie in deletions), moments.get(user_id), events)

    def delete(self, user_id: int, movie_id: int | None = None) -> int:
        """Delete a user's rating of one movie, or all ratings, and return how many were stored.

        With ``movie_id`` None the user's events and recorded lists are deleted too. The next ingest
        leaves the deleted ratings out of the data set's original files as well, so a rating that is
        not stored here can be deleted too.

        Raises:
            BadRequest: an id is out of range.
        """
        check_ids(user_id, *([] if movie_id is None else [movie_id]))
        table, row = schema.ratings, {"user_id": user_id, "deleted_at": self._now()}
        with self._database.writing(user_id) as connection:
            if movie_id is None:
                _tombstone(connection, schema.deleted_users, row)
                tombstones = schema.deleted_ratings
                connection.execute(
                    delete(tombstones).where(
                        tombstones.c.user_id == user_id,
                        tombstones.c.deleted_at <= row["deleted_at"],
                    )
                )
                served_lists.forget_user(connection, user_id)
                event_rows.remove(connection, user_id)
                # The tombstones need no text: the ingest compares numbers.
                texts = schema.id_texts
                connection.execute(delete(texts).where(texts.c.kind == USER, texts.c.id == user_id))
                statement = delete(table).where(table.c.user_id == user_id)
            else:
                _tombstone(connection, schema.deleted_ratings, {**row, "movie_id": movie_id})
                statement = delete(table).where(
                    table.c.user_id == user_id, table.c.movie_id == movie_id
                )
            return connection.execute(statement).rowcount

    def everything(self) -> Feedback:
        """Return all ratings, tombstones and events as they are at one moment.

        Rows that cannot be read are named and left out.
        """
        with self._database.reading(timeout_s=READ_ALL_TIMEOUT_S) as connection:
            ratings, unreadable = to_ratings(connection.execute(select(schema.ratings)))
            rows = connection.execute(select(schema.deleted_ratings))
            deleted, problems = to_deletions(rows)
            rows = connection.execute(select(schema.deleted_users))
            users, more_problems = to_deleted_users(rows)
            events, unreadable_events = event_rows.read(connection)
        return Feedback(
            ratings=ratings,
            deleted=deleted,
            deleted_users=users,
            events=events,
            unreadable=(*unreadable, *unreadable_events),
            unreadable_deletions=(*problems, *more_problems),
        )

    def record(self, served: Sequence[ServedList]) -> int:
        """Store served lists, all or none, and return how many are new.

        A list that is stored already stays as it is. A list that was served before its user
        deleted all ratings is left out.
        """
        users = {page.user_id for page in served if page.user_id is not None}
        with self._database.writing(beside=users) as connection:
            return served_lists.insert(connection, served)

    def lists(self, since: int, until: int) -> Iterator[ServedList]:
        """Yield the lists served from ``since`` to before ``until``, oldest first.

        Both are in seconds since 1970. The lists are read page by page, so those recorded
        meanwhile may or may not be included.
        """
        last: ServedList | None = None
        while True:
            with self._database.reading(timeout_s=READ_ALL_TIMEOUT_S) as connection:
                page = served_lists.read(connection, since, until, after=last)
            yield from page
            if len(page) < served_lists.PAGE:
                return
            last = page[-1]

    def forget_lists(self, before: int) -> int:
        """Delete the lists served before a moment (seconds since 1970); return their number."""
        deleted = 0
        while True:
            # In small transactions, so that users' writes do not wait long.
            with self._database.writing() as connection:
                count = served_lists.forget_some(connection, before)
            deleted += count
            if count < served_lists.PAGE:
                return deleted

    @property
    def database(self) -> Database:
        """The database behind the store."""
        return self._database

    def close(self) -> None:
        """Close the connections; the store must not be used afterwards."""
        self._database.close()

    def _now(self) -> int:
        return int(self._clock())

    def _delete_expired_keys(self) -> None:
        """Delete expired idempotency keys, once an hour."""
        now = self._clock()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_EVERY_S
        # The ratings are stored already, so a failure here is not the user's concern.
        with contextlib.suppress(FeedbackUnavailable), self._database.writing() as connection:
            answers = schema.answers
            connection.execute(
                delete(answers).where(answers.c.answered_at < int(now) - KEY_LIFETIME_S)
            )


def _newest_per_movie(ratings: Iterable[NewRating]) -> list[NewRating]:
    """Return the newest rating of each movie by movie id; at equal timestamps the later one."""
    newest: dict[int, NewRating] = {}
    for rating in ratings:
        other = newest.get(rating.movie_id)
        if other is None or rating.timestamp >= other.timestamp:
            newest[rating.movie_id] = rating
    return [newest[movie_id] for movie_id in sorted(newest)]


def _tombstone(connection: Connection, table: Table, row: Mapping[str, object]) -> None:
    """Write a tombstone, or move the existing one to the later moment."""
    new = insert_into(connection, table).values(row)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={"deleted_at": new.excluded.deleted_at},
            where=table.c.deleted_at < new.excluded.deleted_at,
        )
    )


def _earlier_answer(
    connection: Connection, user_id: int, key_hash: str
) -> tuple[str, Added] | None:
    """Return the content's hash and the answer of the key's first use, None where unused."""
    answers = schema.answers
    row = connection.execute(
        select(answers.c.content_hash, answers.c.stored, answers.c.ignored).where(
            answers.c.user_id == user_id, answers.c.key_hash == key_hash
        )
    ).first()
    return None if row is None else (row[0], Added(row[1], row[2], replayed=True))


def _added(stored: int, ratings: Sequence[NewRating]) -> Added:
    return Added(stored, len(ratings) - stored, replayed=False)


def _to_rows(
    user_id: int, ratings: Iterable[NewRating], request_id: str | None
) -> list[dict[str, Any]]:
    """Return the rows of the newest rating of each movie."""
    return [
        {
            "user_id": user_id,
            "movie_id": rating.movie_id,
            "stars": float(rating.stars),
            "timestamp": rating.timestamp,
            "request_id": request_id,
        }
        for rating in _newest_per_movie(ratings)
    ]


def _to_bytes(ratings: Iterable[NewRating], request_id: str | None) -> bytes:
    content = [[rating.movie_id, float(rating.stars), rating.timestamp] for rating in ratings]
    return json.dumps([content, request_id]).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
