"""TMDB over HTTP: concurrent, cached, patient within a time budget, and never in the way.

A recommendation never fails or waits long because of TMDB: what cannot be had in time is simply
not in the answer, and the caller fills it from the catalogue. Errors stay inside:

    TmdbError            this movie cannot be had now
    └── _Retryable       ... but may be on another try (429, 5xx, time-out, refused)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

import httpx
import orjson
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential_jitter,
)

from moovier.errors import TmdbError
from moovier.tmdb.cache import Cache
from moovier.tmdb.details import from_tmdb

logger = logging.getLogger(__name__)

ATTEMPTS = 3
#: Requests under way at once; TMDB's own bound is some 40 a second.
CONCURRENT = 16
#: After this many failed movies and no good one between, TMDB is left alone ...
FAILURES_TO_OPEN = 5
#: ... for so many seconds; then one call tries again.
OPEN_S = 30.0
#: What TMDB asks for in Retry-After is honoured up to this.
LONGEST_PAUSE_S = 600.0
#: Bytes of one answer at most; a details object has some 3,000.
_MOST_BYTES = 1 << 20


class _Retryable(TmdbError):
    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Breaker:
    """Leaves a broken service alone for a while, then lets one call try."""

    def __init__(self, failures: int = FAILURES_TO_OPEN, open_s: float = OPEN_S) -> None:
        self._failures_to_open, self._open_s = failures, open_s
        self._failures = 0
        self._open_until = 0.0

    @property
    def closed(self) -> bool:
        """Whether all requests go through."""
        return self._failures < self._failures_to_open

    def lets_through(self) -> bool:
        """Whether to call. Once the pause is over it says yes to one caller and extends the pause
        for the others until that one reports."""
        if self._failures < self._failures_to_open:
            return True
        if time.monotonic() < self._open_until:
            return False
        self._open_until = time.monotonic() + self._open_s
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, times: int = 1) -> None:
        self._failures += times
        if self._failures >= self._failures_to_open:
            self._open_until = time.monotonic() + self._open_s

    def pause(self, seconds: float) -> None:
        """Stay away for as long as the service asked."""
        self._failures = self._failures_to_open
        self._open_until = time.monotonic() + seconds


class TmdbClient:
    """Details by TMDB id. One event loop's."""

    def __init__(self, key: str, url: str, cache: Cache, *, budget_s: float) -> None:
        """``key``: a v3 key or a v4 bearer token. ``budget_s``: what one call may wait in all."""
        # A v4 token is a JSON web token; only v3 keys go into the URL, which is never logged.
        bearer = key.count(".") == 2
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/",
            headers={"accept": "application/json"}
            | ({"authorization": f"Bearer {key}"} if bearer else {}),
            params={} if bearer else {"api_key": key},
            timeout=budget_s,
            limits=httpx.Limits(max_connections=CONCURRENT),
        )
        # httpx logs each URL at INFO, and a v3 key is part of it.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._cache = cache
        self._budget_s = budget_s
        self._slots = asyncio.Semaphore(CONCURRENT)
        self.breaker = Breaker()

    async def details(self, ids: Iterable[int]) -> dict[int, bytes]:
        """JSON details objects of those of ``ids`` that can be had within the budget."""
        wanted = set(ids)
        texts = self._cache.get(wanted)
        missing = wanted - texts.keys()
        if missing and self.breaker.lets_through():
            fetched = await self._fetch_all(missing)
            self._cache.put(fetched)
            texts |= fetched
        return {id_: text.encode() for id_, text in texts.items() if text}

    async def close(self) -> None:
        await self._http.aclose()
        self._cache.close()

    async def _fetch_all(self, ids: set[int]) -> dict[int, str]:
        """What can be had of ``ids`` within the budget; an empty text where TMDB has no such."""
        tasks = {id_: asyncio.create_task(self._fetch(id_)) for id_ in ids}
        try:
            await asyncio.wait(tasks.values(), timeout=self._budget_s)
        finally:
            for task in tasks.values():
                task.cancel()
            told = await asyncio.gather(*tasks.values(), return_exceptions=True)
        fetched: dict[int, str] = {}
        reasons: set[str] = set()
        asked_to_wait_s = 0.0
        for id_, text in zip(tasks, told, strict=True):
            if isinstance(text, str):
                fetched[id_] = text
            elif isinstance(text, asyncio.CancelledError):
                reasons.add(f"nothing within {self._budget_s:g} s")
            else:
                # Foreign errors may hold the URL, and with it the key.
                reasons.add(str(text) if isinstance(text, TmdbError) else type(text).__name__)
            if isinstance(text, _Retryable):
                asked_to_wait_s = max(asked_to_wait_s, text.wait_s or 0.0)
        if reasons:
            logger.warning(
                "no details from TMDB for %d of %d movies: %s",
                len(ids) - len(fetched),
                len(ids),
                "; ".join(sorted(reasons)),
            )
        # Some may be late in a long list although TMDB is well: it is broken when nothing comes.
        if fetched:
            self.breaker.succeeded()
        else:
            self.breaker.failed(len(ids))
        if asked_to_wait_s > self._budget_s:
            self.breaker.pause(min(asked_to_wait_s, LONGEST_PAUSE_S))
        return fetched

    async def _fetch(self, id_: int) -> str:
        """
        Raises:
            TmdbError: it cannot be had; the message never holds the key.
        """
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            retry=retry_if_exception(self._worth_another_try),
            reraise=True,
        ):
            with attempt:
                async with self._slots:
                    return await self._fetch_once(id_)
        raise AssertionError("tenacity ends by returning or raising")

    def _worth_another_try(self, error: BaseException) -> bool:
        """Whether it may go better, and the wait that TMDB asked for fits the budget."""
        return isinstance(error, _Retryable) and (error.wait_s or 0.0) <= self._budget_s

    async def _fetch_once(self, id_: int) -> str:
        try:
            response = await self._http.get(f"movie/{id_}")
        except httpx.HTTPError as error:
            # Not chained: httpx's errors carry the request, whose URL holds a v3 key.
            raise _Retryable(f"{type(error).__name__} while asking TMDB") from None
        if response.status_code == httpx.codes.NOT_FOUND:
            return ""
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise _Retryable("TMDB asks to slow down", _seconds(response))
        if response.status_code >= 500:
            raise _Retryable(f"TMDB answered {response.status_code}")
        if response.status_code != httpx.codes.OK:
            raise TmdbError(f"TMDB answered {response.status_code}; is the key right?")
        return _checked(response.content, id_)


def _checked(content: bytes, id_: int) -> str:
    """The details object of an answer that is one.

    Raises:
        TmdbError: it is not.
    """
    if len(content) > _MOST_BYTES:
        raise TmdbError("TMDB's answer is too large")
    try:
        answer: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise TmdbError("TMDB's answer is not JSON") from None
    if not isinstance(answer, dict) or answer.get("id") != id_ or not answer.get("title"):
        raise TmdbError("TMDB's answer is not the movie's details")
    return orjson.dumps(from_tmdb(answer)).decode()


def _seconds(response: httpx.Response) -> float | None:
    """The header Retry-After in seconds, None where it is absent or a date."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


_backoff = wait_exponential_jitter(multiplier=0.1, max=1.0, jitter=0.1)


def _wait(state: RetryCallState) -> float:
    """What the service asked for, else exponential backoff with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, _Retryable) else None
    return asked if asked is not None else _backoff(state)
