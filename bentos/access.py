"""Who may write and who may train, and how often one client may ask.

On this machine alone everything is open, so that the first steps need no key. A client from
elsewhere, or a service that listens beyond this machine, needs one: see docs/threat-model.md.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import lru_cache

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from bentos.problems import answer
from moovier.feedback.api_keys import KeyStore
from moovier.settings import Settings

WRITE, TRAIN = "write", "train"
#: Requests a second of one client from elsewhere where the settings say nothing, and how many at
#: once after a pause of that many seconds' worth.
RATE_PER_S, BURST_S = 50.0, 4.0
_MOST_CLIENTS = 10_000
_LET_IN = "moovier.let_in"


class Authenticator:
    """Keys and whether they are needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: KeyStore | None = None

    async def check(self, request: Request, scope: str) -> None:
        """
        Raises:
            HTTPException: 401 without a good key, 403 where it is for something else.
            FeedbackUnavailable: the database with the keys does not answer.
        """
        if not self._needed(request.scope):
            return
        key = _key(request)
        if key is None:
            raise HTTPException(
                401,
                "a key is needed: send it in the header X-API-Key; `moovier keys make` makes one",
                {"WWW-Authenticate": "Bearer"},
            )
        scopes = await run_in_threadpool(self._scopes, key)
        if scopes is None:
            raise HTTPException(
                401, "the key is unknown or was revoked", {"WWW-Authenticate": "Bearer"}
            )
        if scope not in scopes:
            raise HTTPException(403, f"the key is not for this; it lacks the scope {scope}")

    def close(self) -> None:
        if self._keys is not None:
            self._keys.close()

    def _needed(self, scope: Scope) -> bool:
        if self._settings.require_keys is not None:
            return self._settings.require_keys
        return not (is_loopback(self._settings.host) and is_loopback(client_of(scope)))

    def _scopes(self, key: str) -> frozenset[str] | None:
        if self._keys is None:
            self._keys = KeyStore.open(self._settings.database)
        return self._keys.scopes_of(key)


def require_scope(scope: str) -> Callable[[Request], Awaitable[None]]:
    """A FastAPI dependency: the request comes with a key for ``scope``, where one is needed."""

    async def check(request: Request) -> None:
        await request.app.state.access.check(request, scope)

    return check


class TokenBuckets:
    """A bucket of tokens for each client, filled at a rate; a request takes one. One event loop's.

    ``per_s``: of any client; None: of those from elsewhere, at ``RATE_PER_S``.
    """

    def __init__(self, per_s: float | None = None) -> None:
        self.per_s = per_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, scope: Scope) -> bool:
        """Take a token of the client's, once for a request; False where there is none left."""
        if scope.get(_LET_IN):
            return True
        client = client_of(scope)
        rate = self.per_s
        if rate is None:
            if is_loopback(client):
                return True
            rate = RATE_PER_S
        now, most = time.monotonic(), max(rate * BURST_S, 1.0)
        tokens, at = self._buckets.pop(client, (most, now))
        tokens = min(tokens + (now - at) * rate, most)
        allowed = tokens >= 1.0
        self._buckets[client] = (tokens - allowed, now)
        while len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        scope[_LET_IN] = allowed
        return allowed


class RateLimit:
    """Turns away a client that asks too often."""

    def __init__(self, app: ASGIApp, limit: TokenBuckets) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._limit.allow(scope):
            refused = answer(429, "too many requests; come back later", {"Retry-After": "1"})
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)


def client_of(scope: Scope) -> str:
    """Address of the peer; a proxy's where there is one, since its headers are anybody's claim."""
    client = scope.get("client")
    return client[0] if client else "127.0.0.1"


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether only this machine is meant; a name other than localhost counts as elsewhere."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _key(request: Request) -> str | None:
    given = request.headers.get("x-api-key")
    if not given:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.casefold() == "bearer" else None
    return given or None
