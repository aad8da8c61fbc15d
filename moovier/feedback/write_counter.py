"""Announce this process's writes, and distinguish them from those of other processes.

On Postgres each write of a user's feedback sends a notification within its transaction
(https://www.postgresql.org/docs/current/sql-notify.html). On SQLite each such write increments
the number that a file reserves for its application (``PRAGMA user_version``), also within its
transaction. A number that this process did not write is another process's.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator

from sqlalchemy import Connection, text

#: Postgres channel of the notifications.
CHANNEL = "moovier_feedback"
_LARGEST = 2**31 - 1


class WriteCounter:
    """The numbers of this process's writes. Safe to share between threads."""

    def __init__(self) -> None:
        #: Sent with each notification, so that no process reloads its own writes.
        self.origin = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._last = self._pending = -1
        self._others_wrote = False

    @contextlib.contextmanager
    def writing(self) -> Iterator[Write]:
        """Enclose a transaction that changes a user's feedback."""
        write = Write(self)
        try:
            yield write
        except BaseException:
            self._end(write, committed=False)
            raise
        self._end(write, committed=True)

    def next_after(self, count: int) -> int:
        """Return the number of the write that follows ``count``, the file's last number."""
        number = count + 1 if count < _LARGEST else 1
        with self._lock:
            self._others_wrote |= not self._is_own(count)
            self._last, self._pending = count, number
        return number

    def others_wrote(self, connection: Connection) -> bool:
        """Return whether another process wrote to a SQLite file since the last call.

        It may also return True for a write of this process that has not ended yet.
        """
        count = _read_count(connection)
        with self._lock:
            own = self._is_own(count)
            others_wrote = self._others_wrote or not own
            self._others_wrote = False
            if not own:
                self._last = count
        return others_wrote

    def _end(self, write: Write, *, committed: bool) -> None:
        with self._lock:
            # Otherwise a newer write has begun and read from the file how this one ended.
            if write.number is not None and write.number == self._pending:
                if committed:
                    self._last = write.number
                self._pending = -1

    def _is_own(self, count: int) -> bool:
        return count in (self._last, self._pending)


class Write:
    """A transaction that changes a user's feedback. ``number``: its number on SQLite."""

    def __init__(self, counter: WriteCounter) -> None:
        self.number: int | None = None
        self._counter = counter

    def begin(self, connection: Connection) -> None:
        """Take a number; call it once the transaction excludes all other writers."""
        if connection.dialect.name == "sqlite":
            self.number = self._counter.next_after(_read_count(connection))

    def announce(self, connection: Connection, user_id: int) -> None:
        """Announce the write, as the last statement of its transaction.

        Other processes hear of it when the transaction is committed, so they can read the change.
        """
        if self.number is not None:
            connection.exec_driver_sql(f"PRAGMA user_version = {self.number}")
            return
        connection.execute(
            text("SELECT pg_notify(:channel, :payload)"),
            {"channel": CHANNEL, "payload": f"{self._counter.origin} {user_id}"},
        )


def _read_count(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar() or 0)
