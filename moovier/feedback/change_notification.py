"""What other processes write to the same database, noticed within about a second.

Postgres tells: each write of a person's feedback notifies, within its transaction, and a thread
listens (https://www.postgresql.org/docs/current/sql-notify.html). SQLite is looked at: each such
write counts up the number that a file has for its application (``PRAGMA user_version``), in its
transaction as well; a number that is none of one's own is another's, and then all is read anew.
No request waits for any of it.
"""

from __future__ import annotations

import contextlib
import logging
import select
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from moovier.errors import MoovierError

if TYPE_CHECKING:
    from moovier.feedback.database import Database

logger = logging.getLogger(__name__)

CHANNEL = "moovier_feedback"
#: Seconds between two looks at a SQLite file; also how long a stop waits.
LOOK_S = 0.5
#: Seconds until a database that was away is asked again.
RETRY_S = 1.0
_LARGEST = 2**31 - 1


class WriteCounter:
    """Announces this process's writes, and tells them from others'. Safe to share between
    threads."""

    def __init__(self) -> None:
        #: Comes with each notification: nobody reads again what they wrote.
        self.origin = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._last = self._pending = -1
        self._others_wrote = False

    @contextlib.contextmanager
    def writing(self) -> Iterator[Write]:
        """Around a whole transaction."""
        write = Write(self)
        try:
            yield write
        except BaseException:
            self._ended(write, committed=False)
            raise
        self._ended(write, committed=True)

    def next_after(self, count: int) -> int:
        """The number of the write that begins where ``count`` is the last one's."""
        number = count + 1 if count < _LARGEST else 1
        with self._lock:
            self._others_wrote |= not self._is_own(count)
            self._last, self._pending = count, number
        return number

    def others_wrote(self, connection: Connection) -> bool:
        """Whether another process wrote to a SQLite file since the last time; at times it says so
        of a write of one's own that is just under way."""
        count = _count(connection)
        with self._lock:
            own = self._is_own(count)
            told = self._others_wrote or not own
            self._others_wrote = False
            if not own:
                self._last = count
        return told

    def _ended(self, write: Write, *, committed: bool) -> None:
        with self._lock:
            # Else the next one has begun, and knows by its count how this one ended.
            if write.number is not None and write.number == self._pending:
                if committed:
                    self._last = write.number
                self._pending = -1

    def _is_own(self, count: int) -> bool:
        return count in (self._last, self._pending)


class Write:
    """One transaction that changes a person's feedback. ``number``: on SQLite, its own."""

    def __init__(self, journal: WriteCounter) -> None:
        self.number: int | None = None
        self._journal = journal

    def begin(self, connection: Connection) -> None:
        """When all other writers are kept out."""
        if connection.dialect.name == "sqlite":
            self.number = self._journal.next_after(_count(connection))

    def announce(self, connection: Connection, user_id: int) -> None:
        """Within the transaction, as its last: whoever hears of it can read it."""
        if self.number is not None:
            connection.exec_driver_sql(f"PRAGMA user_version = {self.number}")
            return
        connection.execute(
            text("SELECT pg_notify(:channel, :told)"),
            {"channel": CHANNEL, "told": f"{self._journal.origin} {user_id}"},
        )


class ChangeListener:
    """A thread that calls ``reread`` with the id of a person about whom another process wrote, or
    ``reload`` where anybody's feedback may have changed."""

    def __init__(
        self,
        opened: Callable[[], Database],
        reread: Callable[[int], None],
        reload: Callable[[], None],
    ) -> None:
        """``opened`` gives the database; all of them raise :class:`FeedbackUnavailable` where it
        does not answer, and are called again when it does."""
        self._opened, self._reread, self._reload = opened, reread, reload
        self._over = threading.Event()
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(2 * LOOK_S)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                database = self._opened()
                if database.is_postgres:
                    self._listen(database)
                else:
                    self._look(database)
            except MoovierError as error:
                if self._trouble != str(error):
                    logger.warning("not following what other processes write: %s", error)
                self._trouble = str(error)
            except Exception:
                logger.exception("following what other processes write failed")
            self._over.wait(RETRY_S)

    def _listen(self, database: Database) -> None:
        with database.listening(CHANNEL) as driver:
            # What was said while nobody listened.
            self._reload()
            self._trouble = None
            while not self._over.is_set():
                ready, _, _ = select.select([driver], [], [], LOOK_S)
                if ready:
                    driver.poll()
                    for user_id in self._told(driver, database.journal.origin):
                        self._reread(user_id)

    @staticmethod
    def _told(driver: Any, own: str) -> set[int]:
        """Ids of the people that the notifications are about, but for one's own."""
        told = set()
        while driver.notifies:
            origin, _, user_id = driver.notifies.pop(0).payload.partition(" ")
            if origin != own and user_id.isdecimal():
                told.add(int(user_id))
        return told

    def _look(self, database: Database) -> None:
        with database.reading() as connection:
            database.journal.others_wrote(connection)
        self._reload()
        self._trouble = None
        while not self._over.wait(LOOK_S):
            with database.reading() as connection:
                changed = database.journal.others_wrote(connection)
            if changed:
                self._reload()


def _count(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar() or 0)
