"""Notes down lists as they are served, in a thread of its own: no answer waits for it.

What cannot be written is dropped and counted, never waited for: lists are for joining feedback to,
and a share of them lost costs little. A limit a second keeps the thread from taking time away from
the answers when there are thousands.
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

logger = logging.getLogger(__name__)

#: Lists that wait at most, and lists written at once.
WAITING, AT_ONCE = 2_000, 500
#: Seconds between two writes, and after a failed one; how often the same lists are tried.
EVERY_S, RETRY_S, TRIES = 0.5, 2.0, 3
#: Seconds between two looks for lists that are older than they are kept.
SWEEP_EVERY_S = 3_600.0
_DAY_S = 86_400

#: Told of ``stored``, ``dropped`` and ``over_limit`` lists.
Count = Callable[[str, int], None]


class ListRecorder:
    """A bounded queue and the thread that empties it. :meth:`wants` belongs to one thread,
    :meth:`add` may be called from any; neither waits."""

    def __init__(
        self,
        store: Callable[[], FeedbackStore],
        *,
        per_s: float,
        keep_days: float,
        count: Count,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``store``: opens it, or raises; asked from the thread alone. ``per_s``: lists that
        :meth:`wants` lets through a second, 0 for none. ``clock``: seconds since 1970."""
        self._store = store
        self._per_s = per_s
        self._keep_s = keep_days * _DAY_S
        self._count = count
        self._clock = clock
        self._queue: queue.Queue[ServedList] = queue.Queue(WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._tokens, self._at = max(per_s, 1.0), time.monotonic()
        self._over = self._reported = 0
        self._next_sweep = 0.0
        self._trouble: str | None = None

    def start(self) -> None:
        if self._per_s > 0:
            self._thread.start()

    def wants(self) -> bool:
        """Whether one more list may be recorded now; it is then counted against the limit."""
        if self._per_s <= 0:
            return False
        now = time.monotonic()
        self._tokens = min(max(self._per_s, 1.0), self._tokens + (now - self._at) * self._per_s)
        self._at = now
        if self._tokens < 1:
            self._over += 1
            return False
        self._tokens -= 1
        return True

    def add(self, served: ServedList) -> None:
        """Have a list written soon; dropped where too many wait already."""
        try:
            self._queue.put_nowait(served)
        except queue.Full:
            self._count("dropped", 1)

    def close(self, patience_s: float = 5.0) -> None:
        """Write what waits, as far as that goes within ``patience_s`` seconds."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            self._report()
            self._empty()
            self._sweep()
        self._report()
        self._empty()

    def _empty(self) -> None:
        while served := self._some():
            self._write(served)

    def _some(self) -> list[ServedList]:
        """Lists that wait, oldest first, up to ``AT_ONCE``."""
        found: list[ServedList] = []
        while len(found) < AT_ONCE:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return found

    def _write(self, served: list[ServedList]) -> None:
        for tries_left in reversed(range(TRIES)):
            try:
                stored = self._store().record(served)
            except MoovierError as error:
                self._say(str(error))
                # Meanwhile others gather in the queue; nobody waits when all is to end.
                if not tries_left or self._stopping.wait(RETRY_S):
                    break
            except Exception:
                # Whatever it was, lists after these may go better.
                logger.exception("lists could not be recorded")
                break
            else:
                self._say(None)
                self._count("stored", stored)
                return
        self._count("dropped", len(served))

    def _sweep(self) -> None:
        """Forget old lists, once in a while."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + SWEEP_EVERY_S
        try:
            self._store().forget_lists(int(self._clock() - self._keep_s))
        except MoovierError as error:
            self._say(str(error))
        except Exception:
            logger.exception("old lists could not be forgotten")

    def _report(self) -> None:
        over = self._over
        if over > self._reported:
            self._count("over_limit", over - self._reported)
            self._reported = over

    def _say(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self._trouble:
            logger.warning("lists are not recorded: %s", trouble)
        self._trouble = trouble
