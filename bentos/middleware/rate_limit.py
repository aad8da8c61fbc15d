"""Limits the request rate of each client with a token bucket."""

from __future__ import annotations

import time

from cachetools import LRUCache
from starlette.types import ASGIApp, Receive, Scope, Send

from bentos.client_address import client_of, is_loopback
from bentos.error_response import error_response

#: Requests per second of a client from elsewhere, if the settings name no rate.
RATE_PER_S = 50.0
#: Size of a bucket, in seconds of the rate: the largest burst of a client.
BURST_S = 4.0
#: Clients whose buckets are in memory, the most recent ones.
MAX_CLIENTS = 10_000
_RETRY = {"Retry-After": "1"}


class TokenBuckets:
    """A token bucket for each client, of one event loop.

    ``per_s`` is the rate of every client; None limits only clients from elsewhere, to
    ``RATE_PER_S``.
    """

    def __init__(self, per_s: float | None = None) -> None:
        self.per_s = per_s
        # Tokens, and the time at which they were counted.
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(MAX_CLIENTS)

    def allow(self, scope: Scope) -> bool:
        """Take a token from the client's bucket; return False if it is empty."""
        client, rate = client_of(scope), self.per_s
        if rate is None:
            if is_loopback(client):
                return True
            rate = RATE_PER_S
        now, size = time.monotonic(), max(rate * BURST_S, 1.0)
        tokens, counted_at = self._buckets.get(client, (size, now))
        tokens = min(tokens + (now - counted_at) * rate, size)
        allowed = tokens >= 1.0
        self._buckets[client] = (tokens - allowed, now)
        return allowed


class RateLimit:
    """Answers 429 to a client whose token bucket is empty."""

    def __init__(self, app: ASGIApp, buckets: TokenBuckets) -> None:
        self.app = app
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] == "http" and not self._buckets.allow(scope):
            response = error_response(429, "too many requests; try again in 1 s", _RETRY)
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)
