"""API keys: who may write ratings, train, and add movies.

Requests from this machine need no key. Requests from elsewhere, or to a service that listens beyond
this machine, need one: see docs/threat-model.md.
"""

from __future__ import annotations

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import Scope

from bentos.client_address import client_of, is_loopback
from moovier.feedback.api_keys import KeyStore
from moovier.settings import Settings

WRITE, TRAIN, MOVIES = "write", "train", "movies"
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Authenticator:
    """Checks API keys, where they are needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: KeyStore | None = None

    async def check(self, request: Request, key_scope: str) -> None:
        """Check that a request has a key with the scope ``key_scope``, if it needs one.

        Raises:
            HTTPException: 401 without a valid key, 403 if the key lacks the scope.
            FeedbackUnavailable: the database with the keys does not answer.
        """
        if not self._needs_key(request.scope):
            return
        key = _key_of(request)
        if key is None:
            raise HTTPException(
                401,
                "an API key is needed: send it in the header X-API-Key; "
                "`moovier keys make` makes one",
                _CHALLENGE,
            )
        scopes = await run_in_threadpool(self._scopes_of, key)
        if scopes is None:
            raise HTTPException(401, "this API key is unknown or was revoked", _CHALLENGE)
        if key_scope not in scopes:
            raise HTTPException(
                403,
                f'this API key lacks the scope "{key_scope}"; `moovier keys make` makes a key '
                "with it",
            )

    def close(self) -> None:
        """Close the connections to the database."""
        if self._keys is not None:
            self._keys.close()

    def _needs_key(self, scope: Scope) -> bool:
        if self._settings.require_keys is not None:
            return self._settings.require_keys
        return not (is_loopback(self._settings.host) and is_loopback(client_of(scope)))

    def _scopes_of(self, key: str) -> frozenset[str] | None:
        if self._keys is None:
            self._keys = KeyStore.open(self._settings.database)
        return self._keys.scopes_of(key)


def _key_of(request: Request) -> str | None:
    key = request.headers.get("x-api-key")
    if not key:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.casefold() == "bearer" else None
    return key or None
