"""Cache the feedback of all users in memory, so that no response waits for the database.

The cache is write-through: a rating is stored in the database first, then here. Writes of other
processes arrive with :meth:`FeedbackCache.reload`, or by themselves after
:meth:`FeedbackCache.follow`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from moovier.errors import MoovierError
from moovier.event_weights import DEFAULT_WEIGHTS, parse_event_weights
from moovier.feedback.change_notification import ChangeListener
from moovier.feedback.database import Database
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.events import NewEvent, with_implicit
from moovier.feedback.id_texts import IdTextStore
from moovier.feedback.new_movies import MOVIES_CHANGED, NewMovie, NewMovieStore
from moovier.feedback.ratings import NewRating, UserFeedback
from moovier.feedback.store import Added, FeedbackStore
from moovier.ids import MOVIE, Kind

logger = logging.getLogger(__name__)
T = TypeVar("T")
#: Seconds after a failed try to open the database in which it is not tried again.
RETRY_S = 2.0


class FeedbackCache:
    """The feedback by user. Safe to share between threads.

    :meth:`for_user` and :meth:`revision` never wait.
    """

    def __init__(self, url: str, event_weights: Mapping[str, float] | None = None) -> None:
        """Keep the database's URL; nothing is opened yet.

        ``event_weights``: what each kind of event counts; None: the default weights.
        """
        self._url = url
        self._event_weights = event_weights or parse_event_weights(DEFAULT_WEIGHTS)
        self._lock = threading.Lock()
        self._reading_user = threading.Lock()
        self._reading_movies = threading.Lock()
        self._opening = threading.Lock()
        self._reloading = threading.Lock()
        self._listener: ChangeListener | None = None
        self._not_before = 0.0
        self._store: FeedbackStore | None = None
        self._users: dict[int, UserFeedback] = {}
        self._revisions: dict[int, int] = {}
        self._epoch = 0
        #: The movies beside the data set at the last read.
        self.new_movies: tuple[NewMovie, ...] = ()
        #: The texts of movie ids that came with requests, at the last read.
        self.movie_texts: dict[int, str] = {}
        #: Called after :attr:`new_movies` changed, in the thread that read them.
        self.on_new_movies: Callable[[tuple[NewMovie, ...]], None] | None = None
        #: What is wrong with rows of the database that are left out, at the last full read.
        self.unreadable: tuple[str, ...] = ()
        #: The error of the last use of the database; None after a success.
        self.trouble: str | None = "the feedback database was not read yet"

    def reload(self) -> None:
        """Read all feedback, opening the database if needed; an error goes to :attr:`trouble`."""
        # Serialise reloads: the latest read wins.
        with self._reloading:
            self._reload()

    def follow(self) -> None:
        """Follow the writes of other processes from now on.

        They arrive within about a second while the database answers. What was missed while it did
        not arrives as soon as it answers again.
        """
        self._listener = ChangeListener(self._database, self.reload_user, self._reload_or_raise)
        self._listener.start()

    def reload_user(self, user_id: int) -> None:
        """Read the feedback of one user; ``MOVIES_CHANGED`` reads the new movies.

        Raises:
            FeedbackUnavailable: the database does not answer.
        """
        if user_id == MOVIES_CHANGED:
            self._read_new_movies(self._open_store())
        else:
            self._read_user(self._open_store(), user_id)

    def _reload(self) -> None:
        try:
            store = self._open_store()
            with self._lock:
                before = dict(self._revisions)
            feedback = store.everything()
            users = {
                user: with_implicit(own, self._event_weights)
                for user, own in feedback.by_user().items()
            }
            self._read_new_movies(store)
        except MoovierError as error:
            if self.trouble != str(error):
                logger.warning("feedback: %s", error)
            self.trouble = str(error)
            return
        unreadable = (*feedback.unreadable, *feedback.unreadable_deletions)
        if unreadable and unreadable != self.unreadable:
            logger.warning(
                "%d rows of feedback cannot be read, such as: %s", len(unreadable), unreadable[0]
            )
        self.unreadable = unreadable
        with self._lock:
            # A write during the read may be missing from it: the cached value is newer.
            for user, revision in self._revisions.items():
                if revision != before.get(user):
                    users.pop(user, None)
                    if user in self._users:
                        users[user] = self._users[user]
            self._users = users
            self._epoch += 1
        self.trouble = None

    @property
    def empty(self) -> bool:
        """Whether nothing could be read yet."""
        return self._epoch == 0

    def check(self) -> None:
        """Refuse to go on before the first read.

        Raises:
            FeedbackUnavailable: nothing could be read yet.
        """
        if self.empty:
            raise FeedbackUnavailable(self.trouble or "the feedback database was not read yet")

    def for_user(self, user_id: int) -> UserFeedback | None:
        """Return a user's feedback, None where the user gave none."""
        return self._users.get(user_id)

    def revision(self, user_id: int) -> tuple[int, int]:
        """Return a value that changes whenever :meth:`for_user` may change."""
        return self._epoch, self._revisions.get(user_id, 0)

    def add(
        self,
        user_id: int,
        ratings: Sequence[NewRating],
        *,
        request_id: str | None,
        idempotency_key: str | None,
        content: bytes | None = None,
    ) -> Added:
        """Store ratings as :meth:`FeedbackStore.add` does; :meth:`for_user` has them afterwards."""
        return self._write(
            user_id,
            lambda store: store.add(
                user_id,
                ratings,
                request_id=request_id,
                idempotency_key=idempotency_key,
                content=content,
            ),
        )

    def delete(self, user_id: int, movie_id: int | None = None) -> int:
        """Delete ratings as :meth:`FeedbackStore.delete` does; :meth:`for_user` knows at once."""
        return self._write(user_id, lambda store: store.delete(user_id, movie_id))

    def add_events(
        self, user_id: int, events: Sequence[NewEvent], *, request_id: str | None
    ) -> Added:
        """Store events as :meth:`FeedbackStore.add_events` does; they count at once."""
        return self._write(
            user_id, lambda store: store.add_events(user_id, events, request_id=request_id)
        )

    def delete_events(
        self, user_id: int, movie_id: int | None = None, kind: str | None = None
    ) -> int:
        """Delete events as :meth:`FeedbackStore.delete_events` does."""
        return self._write(user_id, lambda store: store.delete_events(user_id, movie_id, kind))

    def put_movie(self, movie: NewMovie) -> bool:
        """Store a new movie; :attr:`new_movies` has it afterwards. Return whether it is new.

        Raises:
            BadRequest: a field is out of range.
            FeedbackUnavailable: the database does not answer.
        """
        store = self._open_store()
        is_new = NewMovieStore(store.database).put([movie]) > 0
        self._read_new_movies(store)
        return is_new

    def delete_movie(self, movie_id: int) -> bool:
        """Delete a new movie; return whether it was stored.

        Raises:
            FeedbackUnavailable: the database does not answer.
        """
        store = self._open_store()
        was_stored = NewMovieStore(store.database).delete(movie_id)
        self._read_new_movies(store)
        return was_stored

    def keep_texts(self, kind: Kind, texts: Mapping[int, str]) -> None:
        """Store the texts of ids, before anything is stored under their numbers.

        Raises:
            IdConflict: another text with one of the numbers is stored.
            FeedbackUnavailable: the database does not answer.
        """
        IdTextStore(self._open_store().database).keep(kind, texts)
        if kind == MOVIE:
            self.movie_texts = {**self.movie_texts, **texts}

    def store(self) -> FeedbackStore:
        """Return the open store, for what is not cached.

        Raises:
            FeedbackUnavailable: the database does not answer.
        """
        return self._open_store()

    def close(self) -> None:
        """Stop following other processes and close the database."""
        if self._listener is not None:
            self._listener.close()
        if self._store is not None:
            self._store.close()

    def _write(self, user_id: int, write: Callable[[FeedbackStore], T]) -> T:
        try:
            store = self._open_store()
            result = write(store)
            self._read_user(store, user_id)
        except FeedbackUnavailable as error:
            self.trouble = str(error)
            raise
        return result

    def _read_user(self, store: FeedbackStore, user_id: int) -> None:
        # Serialise reads: the latest read wins.
        with self._reading_user:
            feedback = with_implicit(store.of_user(user_id), self._event_weights)
            with self._lock:
                if feedback:
                    self._users[user_id] = feedback
                else:
                    self._users.pop(user_id, None)
                self._revisions[user_id] = self._revisions.get(user_id, 0) + 1

    def _read_new_movies(self, store: FeedbackStore) -> None:
        # Serialise reads: the latest read wins.
        with self._reading_movies:
            movies = NewMovieStore(store.database).all(self.new_movies)
            self.movie_texts = IdTextStore(store.database).movies()
            if movies != self.new_movies:
                self.new_movies = movies
                if self.on_new_movies is not None:
                    self.on_new_movies(movies)

    def _reload_or_raise(self) -> None:
        self.reload()
        if self.trouble is not None:
            raise FeedbackUnavailable(self.trouble)

    def _database(self) -> Database:
        return self._open_store().database

    def _open_store(self) -> FeedbackStore:
        if self._store is None:
            # One thread tries at a time, and its error holds for a moment. A database that does
            # not answer takes seconds to fail, and waiting requests would use up all threads.
            with self._opening:
                if self._store is None:
                    if self.trouble is not None and time.monotonic() < self._not_before:
                        raise FeedbackUnavailable(self.trouble)
                    try:
                        self._store = FeedbackStore.open(self._url)
                    except FeedbackUnavailable:
                        self._not_before = time.monotonic() + RETRY_S
                        raise
        return self._store
