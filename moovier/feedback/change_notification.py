"""Notice within about a second what other processes write to the same database.

On Postgres a thread listens for the notifications of :mod:`moovier.feedback.write_counter`. On
SQLite it polls the file's write number, and reloads all feedback after another process's write.
No request waits for either.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moovier.errors import MoovierError
from moovier.feedback.database import Database
from moovier.feedback.write_counter import CHANNEL

if TYPE_CHECKING:
    from psycopg import Connection

logger = logging.getLogger(__name__)

#: Seconds between two polls of a SQLite file; also the longest that closing waits for a poll.
POLL_S = 0.5
#: Seconds between two tries to reach a database that does not answer.
RETRY_S = 1.0


class ChangeListener:
    """A thread that reports what other processes write.

    It calls ``reload_user`` with the id of a user whose feedback another process changed, or
    ``reload`` where any user's feedback may have changed.
    """

    def __init__(
        self,
        open_database: Callable[[], Database],
        reload_user: Callable[[int], None],
        reload: Callable[[], None],
    ) -> None:
        """Prepare the thread.

        All three functions may raise :class:`FeedbackUnavailable` where the database does not
        answer; they are called again when it does.
        """
        self._open_database, self._reload_user, self._reload = open_database, reload_user, reload
        self._stopping = threading.Event()
        self._last_error: str | None = None
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, and wait for it up to two polls."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * POLL_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                database = self._open_database()
                if database.is_postgres:
                    self._listen(database)
                else:
                    self._poll(database)
            except MoovierError as error:
                if self._last_error != str(error):
                    logger.warning("changes by other processes are not noticed: %s", error)
                self._last_error = str(error)
            except Exception:
                logger.exception("changes by other processes are not noticed")
            self._stopping.wait(RETRY_S)

    def _listen(self, database: Database) -> None:
        with database.listening(CHANNEL) as driver:
            # Load the changes that were missed while disconnected.
            self._reload()
            self._last_error = None
            while not self._stopping.is_set():
                for user_id in self._changed_users(driver, database.write_counter.origin):
                    self._reload_user(user_id)

    @staticmethod
    def _changed_users(driver: Connection[Any], own_origin: str) -> set[int]:
        """Wait up to one poll; return the user ids of other processes' notifications."""
        user_ids = set()
        # It stops after the first packet, which holds all that one transaction announced.
        for notification in driver.notifies(timeout=POLL_S, stop_after=1):
            origin, _, user_id = notification.payload.partition(" ")
            if origin != own_origin and user_id.isdecimal():
                user_ids.add(int(user_id))
        return user_ids

    def _poll(self, database: Database) -> None:
        with database.reading() as connection:
            database.write_counter.others_wrote(connection)
        self._reload()
        self._last_error = None
        while not self._stopping.wait(POLL_S):
            with database.reading() as connection:
                changed = database.write_counter.others_wrote(connection)
            if changed:
                self._reload()
