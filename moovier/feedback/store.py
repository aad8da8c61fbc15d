"""People's ratings, given over HTTP: durable when acknowledged, one a person and movie.

The newest rating wins, and what is deleted stays deleted: tombstones tell the next ingest which
rows of the original files have to go. Runs in the process that answers: no pandas, no TensorFlow,
no MLflow.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from moovier.errors import BadRequest
from moovier.feedback import schema, served_lists
from moovier.feedback.database import READ_ALL_TIMEOUT_S, Database
from moovier.feedback.errors import FeedbackUnavailable, IdempotencyConflict
from moovier.feedback.served_lists import ServedList

#: How long an idempotency key is known, at the least.
KEY_LIFETIME_S = 48 * 3600
_SWEEP_EVERY_S = 3600
#: SQLite takes 32,766 values in one statement.
_ROWS_AT_ONCE = 1000
_LARGEST_ID = 2**63 - 1
#: Seconds since 1970 stay below this until 2106; milliseconds were above it in 1970.
_LATEST = 2**32
_LONGEST_REQUEST_ID = 200


@dataclass(frozen=True, slots=True)
class NewRating:
    """``stars``: 0.5 to 5 in half steps. ``timestamp``: whole seconds since 1970 (UTC)."""

    movie_id: int
    stars: float
    timestamp: int


@dataclass(frozen=True, slots=True)
class StoredRating:
    """One rating as stored. ``request_id``: the list of recommendations that it came from."""

    user_id: int
    movie_id: int
    stars: float
    timestamp: int
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Added:
    """How many ratings were ``stored``, and how many ``ignored`` since a newer one is there.

    ``replayed``: nothing was done; this is the answer that the idempotency key got first.
    """

    stored: int
    ignored: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class UserFeedback:
    """What one person said.

    ``ratings``: oldest first. ``deleted``: ids of movies whose rating was deleted and not given
    again. ``all_deleted_at``: the moment (seconds since 1970) at which the person deleted
    everything, None where never: of ratings known from elsewhere, a data set or a model, those up
    to that moment must no longer count.
    """

    ratings: tuple[StoredRating, ...]
    deleted: frozenset[int]
    all_deleted_at: int | None = None

    def __bool__(self) -> bool:
        return bool(self.ratings or self.deleted) or self.all_deleted_at is not None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What an ingest merges; one consistent state.

    ``ratings``: by person, then oldest first. ``deleted``: (user id, movie id) to the moment of
    deletion, ``deleted_users``: user id to the moment, both in seconds since 1970. They are about
    ratings that stand elsewhere, up to that moment; all of ``ratings`` count.
    """

    ratings: tuple[StoredRating, ...] = ()
    deleted: Mapping[tuple[int, int], int] = field(default_factory=dict)
    deleted_users: Mapping[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.ratings or self.deleted or self.deleted_users)

    def by_user(self) -> dict[int, UserFeedback]:
        """The same, person by person."""
        given: dict[int, list[StoredRating]] = {}
        for rating in self.ratings:
            given.setdefault(rating.user_id, []).append(rating)
        gone: dict[int, set[int]] = {}
        for user_id, movie_id in self.deleted:
            gone.setdefault(user_id, set()).add(movie_id)
        return {
            user: UserFeedback(
                tuple(given.get(user, ())),
                frozenset(gone.get(user, ())) - {one.movie_id for one in given.get(user, ())},
                self.deleted_users.get(user),
            )
            for user in {*given, *gone, *self.deleted_users}
        }


class FeedbackStore:
    """Ratings and their deletions in one database. Safe to share between threads.

    Every method raises :class:`FeedbackUnavailable` where the database does not answer in time;
    after that, `add` and `delete` can be called again with the same arguments.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._next_sweep = 0.0

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], float] = time.time) -> FeedbackStore:
        """The store at a SQLAlchemy URL, its tables brought up to date.

        ``clock`` gives the seconds since 1970.

        Raises:
            FeedbackUnavailable: the database does not answer.
            SettingsError: the URL is neither one of a SQLite file nor of Postgres.
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
        """Store ratings, all or none; they are on the disk before this returns.

        Of two ratings of one movie the one with the newer timestamp stays, of two at the same
        second the one given later. A movie whose rating was deleted counts again, whatever the
        timestamp.

        ``idempotency_key``: belongs to the person and is known for at least 24 h; with the same
        content it gets its first answer again, and nothing is stored. ``content``: what is meant
        by the same content; without it ``ratings`` and ``request_id``. Give the request's body
        where the caller sets the timestamps: the second request's clock shows another time.

        Raises:
            IdempotencyConflict: the key came before, with other content.
            BadRequest: an id, the stars, a timestamp or the request id is out of range.
        """
        _check_ids(user_id)
        for rating in ratings:
            _check_rating(rating)
        _check_request_id(request_id)
        newest = _newest(ratings)
        rows = [
            {
                "user_id": user_id,
                "movie_id": rating.movie_id,
                "stars": float(rating.stars),
                "timestamp": rating.timestamp,
                "request_id": request_id,
            }
            for rating in newest
        ]
        if idempotency_key is None:
            with self._database.writing(user_id) as connection:
                return _added(_upsert(connection, rows), ratings)
        key_hash = _sha256(idempotency_key.encode("utf-8", "surrogatepass"))
        content_hash = _sha256(content if content is not None else _bytes_of(ratings, request_id))
        with self._database.writing(user_id) as connection:
            earlier = _answer(connection, user_id, key_hash)
            if earlier is not None:
                first_content, answer = earlier
                if first_content != content_hash:
                    raise IdempotencyConflict(
                        "this idempotency key was used before with other content: use a new key "
                        "for a new request"
                    )
                return answer
            added = _added(_upsert(connection, rows), ratings)
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
        self._forget_old_keys()
        return added

    def of_user(self, user_id: int) -> UserFeedback:
        """What one person gave and deleted; empty for one who never did."""
        if not 0 < user_id <= _LARGEST_ID:
            return UserFeedback((), frozenset())
        ratings, deleted, users = schema.ratings, schema.deleted_ratings, schema.deleted_users
        with self._database.reading() as connection:
            given = _given(connection.execute(select(ratings).where(ratings.c.user_id == user_id)))
            gone = connection.scalars(
                select(deleted.c.movie_id).where(deleted.c.user_id == user_id)
            ).all()
            all_gone = connection.scalar(
                select(users.c.deleted_at).where(users.c.user_id == user_id)
            )
        return UserFeedback(
            ratings=given,
            deleted=frozenset(gone) - {rating.movie_id for rating in given},
            all_deleted_at=all_gone,
        )

    def delete(self, user_id: int, movie_id: int | None = None) -> int:
        """Delete a person's rating of one movie, or all that the person gave (``movie_id`` None)
        with the lists that were recorded for them.

        What stands in the data set's original files goes with the next ingest, so that deleting
        what is not stored here makes sense too.

        Returns how many stored ratings were removed.

        Raises:
            BadRequest: an id is out of range.
        """
        _check_ids(user_id, *([] if movie_id is None else [movie_id]))
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
                gone = connection.execute(delete(table).where(table.c.user_id == user_id))
            else:
                _tombstone(connection, schema.deleted_ratings, {**row, "movie_id": movie_id})
                gone = connection.execute(
                    delete(table).where(table.c.user_id == user_id, table.c.movie_id == movie_id)
                )
            return gone.rowcount

    def everything(self) -> Feedback:
        """All ratings and tombstones as they stand at one moment."""
        with self._database.reading(timeout_s=READ_ALL_TIMEOUT_S) as connection:
            given = _given(connection.execute(select(schema.ratings)))
            deleted = connection.execute(select(schema.deleted_ratings)).all()
            users = connection.execute(select(schema.deleted_users)).all()
        return Feedback(
            ratings=given,
            deleted={(user, movie): at for user, movie, at in deleted},
            deleted_users=dict(users),
        )

    def record(self, served: Sequence[ServedList]) -> int:
        """Store lists as they were served, all or none; how many are new.

        A list that is there already stays as it is, and one that was served before its person
        deleted everything is left out.
        """
        users = {one.user_id for one in served if one.user_id is not None}
        with self._database.writing(beside=users) as connection:
            return served_lists.insert(connection, served)

    def lists(self, since: int, until: int) -> Iterator[ServedList]:
        """Lists served from ``since`` to before ``until`` (seconds since 1970), oldest first.

        Read page by page: what is recorded meanwhile may or may not be among them.
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
        """Delete the lists served before a moment (seconds since 1970); how many they were."""
        gone = 0
        while True:
            # Few at a time, so that nobody who gives a rating waits for it.
            with self._database.writing() as connection:
                some = served_lists.forget_some(connection, before)
            gone += some
            if some < served_lists.PAGE:
                return gone

    @property
    def database(self) -> Database:
        return self._database

    def close(self) -> None:
        """Close the connections; the store cannot be relied on afterwards."""
        self._database.close()

    def _now(self) -> int:
        return int(self._clock())

    def _forget_old_keys(self) -> None:
        """Once an hour, apart from the request that happens to come then."""
        now = self._clock()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_EVERY_S
        # The ratings are stored: that tidying up failed is no news for the person who gave them.
        with contextlib.suppress(FeedbackUnavailable), self._database.writing() as connection:
            answers = schema.answers
            connection.execute(
                delete(answers).where(answers.c.answered_at < int(now) - KEY_LIFETIME_S)
            )


def _check_ids(user_id: int, *movie_ids: int) -> None:
    for name, value in (("user", user_id), *(("movie", id_) for id_ in movie_ids)):
        if not 0 < value <= _LARGEST_ID:
            raise BadRequest(f"{name} id {value} is not a positive 64-bit number")


def _check_rating(rating: NewRating) -> None:
    """A rating that the data set's schema would refuse must not get as far as an ingest."""
    if not 0 < rating.movie_id <= _LARGEST_ID:
        raise BadRequest(f"movie id {rating.movie_id} is not a positive 64-bit number")
    if not (0.5 <= rating.stars <= 5 and float(rating.stars * 2).is_integer()):
        raise BadRequest(f"{rating.stars} stars are off the scale of 0.5 to 5 in half steps")
    if not 0 <= rating.timestamp < _LATEST:
        raise BadRequest(f"timestamp {rating.timestamp} is not in seconds since 1970")


def _check_request_id(request_id: str | None) -> None:
    if request_id is None:
        return
    if len(request_id) > _LONGEST_REQUEST_ID or not request_id.isprintable():
        raise BadRequest(
            f"the request id is not one of ours: at most {_LONGEST_REQUEST_ID} printable characters"
        )


def _newest(ratings: Iterable[NewRating]) -> list[NewRating]:
    """One rating a movie, in the order of movie ids; of two at one second the later in line."""
    newest: dict[int, NewRating] = {}
    for rating in ratings:
        other = newest.get(rating.movie_id)
        if other is None or rating.timestamp >= other.timestamp:
            newest[rating.movie_id] = rating
    return [newest[movie_id] for movie_id in sorted(newest)]


def _upsert(connection: Connection, rows: Sequence[Mapping[str, object]]) -> int:
    """Store what is not older than what is there; how many rows were stored."""
    table, stored = schema.ratings, 0
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        new = insert(table).values(rows[start : start + _ROWS_AT_ONCE])
        changes = {name: new.excluded[name] for name in ("stars", "timestamp", "request_id")}
        statement = new.on_conflict_do_update(
            index_elements=[table.c.user_id, table.c.movie_id],
            set_=changes,
            where=table.c.timestamp <= new.excluded.timestamp,
        ).returning(table.c.movie_id)
        stored += len(connection.execute(statement).all())
    return stored


def _tombstone(connection: Connection, table: Table, row: Mapping[str, object]) -> None:
    """Write a tombstone, or move one that is there to the later moment."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = insert(table).values(row)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={"deleted_at": new.excluded.deleted_at},
            where=table.c.deleted_at < new.excluded.deleted_at,
        )
    )


def _answer(connection: Connection, user_id: int, key_hash: str) -> tuple[str, Added] | None:
    """Hash of the content that the key came with first, and the answer it got."""
    answers = schema.answers
    row = connection.execute(
        select(answers.c.content_hash, answers.c.stored, answers.c.ignored).where(
            answers.c.user_id == user_id, answers.c.key_hash == key_hash
        )
    ).first()
    return None if row is None else (row[0], Added(row[1], row[2], replayed=True))


def _added(stored: int, ratings: Sequence[NewRating]) -> Added:
    return Added(stored, len(ratings) - stored, replayed=False)


def _given(rows: Iterable[tuple[int, int, float, int, str | None]]) -> tuple[StoredRating, ...]:
    """Ratings in an order that does not depend on the database's."""
    given = (StoredRating(*row) for row in rows)
    return tuple(sorted(given, key=lambda one: (one.user_id, one.timestamp, one.movie_id)))


def _bytes_of(ratings: Iterable[NewRating], request_id: str | None) -> bytes:
    said = [[one.movie_id, float(one.stars), one.timestamp] for one in ratings]
    return json.dumps([said, request_id]).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
