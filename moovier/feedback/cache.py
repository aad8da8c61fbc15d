"""What people said since the models were trained, in memory: answering asks no database.

Written through: a rating is in the database first, then here. What another process writes is here
after :meth:`FeedbackCache.reload`, or soon by itself once :meth:`FeedbackCache.follow` was called.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from moovier.errors import MoovierError
from moovier.feedback.change_notification import ChangeListener
from moovier.feedback.database import Database
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.store import Added, FeedbackStore, NewRating, UserFeedback

logger = logging.getLogger(__name__)
T = TypeVar("T")
#: Seconds after a failed try to open the database in which nobody tries again.
RETRY_S = 2.0


class FeedbackCache:
    """Safe to share between threads; :meth:`for_user` and :meth:`revision` never wait."""

    def __init__(self, url: str) -> None:
        """``url``: of the database; nothing is opened yet."""
        self._url = url
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._opening = threading.Lock()
        self._reloading = threading.Lock()
        self._follower: ChangeListener | None = None
        self._not_before = 0.0
        self._store: FeedbackStore | None = None
        self._users: dict[int, UserFeedback] = {}
        self._revisions: dict[int, int] = {}
        self._epoch = 0
        #: Why the database could not be used the last time; None when it went well.
        self.trouble: str | None = "the database was not asked yet"

    def reload(self) -> None:
        """Open the database if need be and read all there is; :attr:`trouble` says how it went."""
        # One at a time: what was read later is what stays.
        with self._reloading:
            self._reload()

    def follow(self) -> None:
        """From now on notice what other processes write, within about a second while the database
        answers, and all that was missed as soon as it does again."""
        self._follower = ChangeListener(self._database, self.reread, self._reload_or_raise)
        self._follower.start()

    def reread(self, user_id: int) -> None:
        """Read anew what one person said.

        Raises:
            FeedbackUnavailable: the database does not answer.
        """
        self._read(self._opened(), user_id)

    def _reload(self) -> None:
        try:
            store = self._opened()
            with self._lock:
                before = dict(self._revisions)
            found = store.everything().by_user()
        except MoovierError as error:
            if self.trouble != str(error):
                logger.warning("feedback: %s", error)
            self.trouble = str(error)
            return
        with self._lock:
            # Who wrote while everything was read may not be in it: what is here is newer.
            for user, revision in self._revisions.items():
                if revision != before.get(user):
                    found.pop(user, None)
                    if user in self._users:
                        found[user] = self._users[user]
            self._users = found
            self._epoch += 1
        self.trouble = None

    @property
    def empty(self) -> bool:
        """Whether nothing could be read yet."""
        return self._epoch == 0

    def check(self) -> None:
        """
        Raises:
            FeedbackUnavailable: nothing could be read yet.
        """
        if self.empty:
            raise FeedbackUnavailable(self.trouble or "the database was not asked yet")

    def for_user(self, user_id: int) -> UserFeedback | None:
        """What this person said; None where it is nothing."""
        return self._users.get(user_id)

    def revision(self, user_id: int) -> tuple[int, int]:
        """Changes whenever :meth:`for_user` may."""
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
        """As :meth:`FeedbackStore.add`; counted from the next :meth:`for_user` on."""
        return self._written(
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
        """As :meth:`FeedbackStore.delete`; counted from the next :meth:`for_user` on."""
        return self._written(user_id, lambda store: store.delete(user_id, movie_id))

    def store(self) -> FeedbackStore:
        """The open store, for what needs no mirror.

        Raises:
            FeedbackUnavailable: the database does not answer.
        """
        return self._opened()

    def close(self) -> None:
        if self._follower is not None:
            self._follower.close()
        if self._store is not None:
            self._store.close()

    def _written(self, user_id: int, write: Callable[[FeedbackStore], T]) -> T:
        try:
            store = self._opened()
            answer = write(store)
            self._read(store, user_id)
        except FeedbackUnavailable as error:
            self.trouble = str(error)
            raise
        return answer

    def _read(self, store: FeedbackStore, user_id: int) -> None:
        # One reads after the other, so that what was read later is also what stays.
        with self._telling:
            said = store.of_user(user_id)
            with self._lock:
                if said:
                    self._users[user_id] = said
                else:
                    self._users.pop(user_id, None)
                self._revisions[user_id] = self._revisions.get(user_id, 0) + 1

    def _reload_or_raise(self) -> None:
        self.reload()
        if self.trouble is not None:
            raise FeedbackUnavailable(self.trouble)

    def _database(self) -> Database:
        return self._opened().database

    def _opened(self) -> FeedbackStore:
        if self._store is None:
            # One tries at a time, and what it finds holds for a moment: a database that does not
            # answer takes seconds to find out about, and those who wait would take all threads.
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
