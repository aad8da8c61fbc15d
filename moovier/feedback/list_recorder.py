"""Record served lists in a thread of its own, so that no response waits for the database.

Lists that cannot be written are dropped and counted. A lost share of the lists costs little: they
only serve to join ratings to them. A rate limit keeps the thread from slowing down responses when
there are thousands of lists a second.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from moovier.errors import MoovierError
from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import FeedbackStore
from moovier.timestamps import DAY_S

logger = logging.getLogger(__name__)

#: Lists that may wait in the queue.
QUEUE_SIZE = 2_000
#: Lists written in one transaction.
BATCH_SIZE = 500
#: Seconds between two writes.
WRITE_EVERY_S = 0.5
#: Seconds before a failed write is tried again, and the number of tries.
RETRY_S, TRIES = 2.0, 3
#: Seconds between two deletions of expired lists.
SWEEP_EVERY_S = 3_600.0

#: Called with ``stored``, ``dropped`` or ``over_limit``, and a number of lists.
Count = Callable[[str, int], None]


class ListRecorder:
    """A bounded queue of served lists and the thread that writes them.

    :meth:`wants` must be called from one thread only; :meth:`add` is safe from any. Neither waits.
    """

    def __init__(
        self,
        store: Callable[[], FeedbackStore],
        *,
        per_s: float,
        keep_days: float,
        count: Count,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the thread.

        ``store``: opens the store or raises; only the thread calls it. ``per_s``: rate limit of
        :meth:`wants` in lists a second, 0 for no recording. ``clock``: gives seconds since 1970.
        """
        self._store = store
        self._per_s = per_s
        self._keep_s = keep_days * DAY_S
        self._count = count
        self._clock = clock
        self._queue: queue.Queue[ServedList] = queue.Queue(QUEUE_SIZE)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._tokens, self._refilled_at = max(per_s, 1.0), time.monotonic()
        self._over_limit = self._reported = 0
        self._next_sweep = 0.0
        self._last_error: str | None = None

    def start(self) -> None:
        """Start the thread, unless the rate limit is 0."""
        if self._per_s > 0:
            self._thread.start()

    def wants(self) -> bool:
        """Take a token from the bucket; return whether one more list may be recorded now."""
        if self._per_s <= 0:
            return False
        now = time.monotonic()
        refill = (now - self._refilled_at) * self._per_s
        self._tokens = min(max(self._per_s, 1.0), self._tokens + refill)
        self._refilled_at = now
        if self._tokens < 1:
            self._over_limit += 1
            return False
        self._tokens -= 1
        return True

    def add(self, served: ServedList) -> None:
        """Queue a list; drop it where the queue is full."""
        try:
            self._queue.put_nowait(served)
        except queue.Full:
            self._count("dropped", 1)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write the queued lists, as far as ``timeout_s`` seconds allow, and stop the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.wait(WRITE_EVERY_S):
            self._report_over_limit()
            self._write_queued()
            self._sweep()
        self._report_over_limit()
        self._write_queued()

    def _write_queued(self) -> None:
        while batch := self._next_batch():
            self._write(batch)

    def _next_batch(self) -> list[ServedList]:
        """Return the oldest queued lists, up to ``BATCH_SIZE``."""
        batch: list[ServedList] = []
        while len(batch) < BATCH_SIZE:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _write(self, batch: list[ServedList]) -> None:
        for tries_left in reversed(range(TRIES)):
            try:
                stored = self._store().record(batch)
            except MoovierError as error:
                self._log_change(str(error))
                # Meanwhile lists gather in the queue; a stop cuts the wait short.
                if not tries_left or self._stopping.wait(RETRY_S):
                    break
            except Exception:
                # The thread must survive: the next batch may be written.
                logger.exception("served lists could not be recorded")
                break
            else:
                self._log_change(None)
                self._count("stored", stored)
                return
        self._count("dropped", len(batch))

    def _sweep(self) -> None:
        """Delete expired lists, at most once in :data:`SWEEP_EVERY_S`."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + SWEEP_EVERY_S
        try:
            self._store().forget_lists(int(self._clock() - self._keep_s))
        except MoovierError as error:
            self._log_change(str(error))
        except Exception:
            logger.exception("expired lists could not be deleted")

    def _report_over_limit(self) -> None:
        over_limit = self._over_limit
        if over_limit > self._reported:
            self._count("over_limit", over_limit - self._reported)
            self._reported = over_limit

    def _log_change(self, error: str | None) -> None:
        """Log an error once, not once for each batch; ``error`` is None after a success."""
        if error is not None and error != self._last_error:
            logger.warning("served lists are not recorded: %s", error)
        self._last_error = error
