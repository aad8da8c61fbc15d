"""Stop calling a service that keeps failing, for a while."""

from __future__ import annotations

import time

#: Failures without a success between them that open the circuit.
FAILURES_TO_OPEN = 5
#: Seconds that the circuit stays open.
OPEN_S = 30.0


class CircuitBreaker:
    """A circuit breaker: it opens after repeated failures, then lets one call probe the service."""

    def __init__(self, failures: int = FAILURES_TO_OPEN, open_s: float = OPEN_S) -> None:
        self._failures_to_open, self._open_s = failures, open_s
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether all calls are allowed."""
        return self._failures < self._failures_to_open

    def allow(self) -> bool:
        """Return whether to call the service.

        After the pause it allows one call. Other calls wait for another pause, unless that call
        succeeds.
        """
        if self.is_closed:
            return True
        if time.monotonic() < self._open_until:
            return False
        self._open_until = time.monotonic() + self._open_s
        return True

    def record_success(self) -> None:
        """Close the circuit."""
        self._failures = 0

    def record_failure(self, times: int = 1) -> None:
        """Count failures; open the circuit after too many."""
        self._failures += times
        if self._failures >= self._failures_to_open:
            self._open_until = time.monotonic() + self._open_s

    def pause(self, seconds: float) -> None:
        """Open the circuit for as long as the service asked for."""
        self._failures = self._failures_to_open
        self._open_until = time.monotonic() + seconds
