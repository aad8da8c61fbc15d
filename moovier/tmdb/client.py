"""Fetch movie details from TMDB over HTTP, concurrently, with a cache and a time budget.

A recommendation never fails or waits long because of TMDB. Details that do not arrive in time are
left out, and the caller takes the catalogue's instead. Errors do not leave this module:

    TmdbError            the details of this movie cannot be fetched
    └── _Retryable       ... but a retry may succeed (429, 5xx, time-out, refused)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from moovier.tmdb import content, details, providers
from moovier.tmdb.cache import Cache, Kind
from moovier.tmdb.circuit_breaker import CircuitBreaker

logger = logging.getLogger(__name__)

#: Tries per movie.
ATTEMPTS = 3
#: Concurrent requests; TMDB's own limit is about 40 a second.
CONCURRENT = 16
#: The longest Retry-After that is honoured, in seconds.
LONGEST_PAUSE_S = 600.0
#: The largest response in bytes; a details object has about 3,000.
_MAX_BYTES = 1 << 20


class _Retryable(TmdbError):
    """An error after which a retry may succeed. ``wait_s``: the wait that TMDB asked for."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def _no_query(id_: int) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class _Resource:
    """A kind of response: its address, and how a response becomes an object that has the id.

    ``field``: a field that a good response has. ``names_itself``: whether a response has the id.
    """

    name: Kind
    path: str
    reduce: Callable[[dict[str, Any]], dict[str, Any]]
    field: str
    query: Callable[[int], dict[str, str]] = _no_query
    names_itself: bool = True


_DETAILS = _Resource("details", "movie/{id}", details.from_tmdb, "title")
_PROVIDERS = _Resource("providers", "movie/{id}/watch/providers", providers.from_tmdb, "id")
_CONTENT = _Resource(
    "content",
    "movie/{id}",
    content.from_tmdb,
    "title",
    query=lambda _: {"append_to_response": "credits"},
)
_REGIONS = _Resource(
    "regions",
    "watch/providers/movie",
    providers.of_region,
    "results",
    query=lambda number: {"watch_region": providers.region_of(number)},
    names_itself=False,
)


class TmdbClient:
    """Movie details and watch providers by TMDB id. It must be used from one event loop only."""

    def __init__(
        self, key: str, url: str, caches: Mapping[Kind, Cache], *, budget_s: float
    ) -> None:
        """Prepare the HTTP client.

        ``key``: a v3 key or a v4 bearer token. ``caches``: of all kinds. ``budget_s``: the longest
        that one call waits.
        """
        # A v4 token is a JSON web token. Only v3 keys go into the URL, which is never logged.
        is_bearer = key.count(".") == 2
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/",
            headers={"accept": "application/json"}
            | ({"authorization": f"Bearer {key}"} if is_bearer else {}),
            params={} if is_bearer else {"api_key": key},
            timeout=budget_s,
            limits=httpx.Limits(max_connections=CONCURRENT),
        )
        # httpx logs each URL at INFO, including a v3 key.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._caches = caches
        self._budget_s = budget_s
        self._slots = asyncio.Semaphore(CONCURRENT)
        self.breaker = CircuitBreaker()

    async def details(self, ids: Iterable[int]) -> dict[int, bytes]:
        """Return the JSON details by id, without those that do not arrive within the budget."""
        return await self._get(_DETAILS, ids)

    async def providers(self, ids: Iterable[int]) -> dict[int, bytes]:
        """Return :func:`moovier.tmdb.providers.from_tmdb` by id as JSON, as :meth:`details`."""
        return await self._get(_PROVIDERS, ids)

    async def content(
        self, ids: Iterable[int], *, budget_s: float | None = None
    ) -> dict[int, bytes]:
        """Return :func:`moovier.tmdb.content.from_tmdb` by id as JSON, as :meth:`details`.

        ``budget_s``: the longest that the call waits; None: as the others.
        """
        return await self._get(_CONTENT, ids, budget_s)

    def lacking_content(self, ids: Sequence[int], *, any_age: bool = False) -> list[int]:
        """Return the ids whose content is not cached; with ``any_age``, not even an old one."""
        cached = self._cached("content", set(ids), any_age=any_age)
        return [id_ for id_ in dict.fromkeys(ids) if id_ not in cached]

    async def region_providers(self, region: str) -> bytes | None:
        """Return :func:`moovier.tmdb.providers.of_region` as JSON; None where TMDB is silent."""
        number = providers.region_number(region)
        return (await self._get(_REGIONS, [number])).get(number)

    def cached_details(self, ids: Iterable[int]) -> dict[int, bytes]:
        """Return what :meth:`details` has without asking TMDB."""
        return _encoded(self._cached("details", set(ids)))

    def cached_providers(self, ids: Iterable[int]) -> dict[int, bytes]:
        """Return what :meth:`providers` has without asking TMDB."""
        return _encoded(self._cached("providers", set(ids)))

    def _cached(self, kind: Kind, ids: set[int], *, any_age: bool = False) -> dict[int, str]:
        # Somebody may have edited the file: one bad row must not break a whole answer.
        texts = self._caches[kind].get(ids, any_age=any_age)
        return {id_: text for id_, text in texts.items() if _names(text, id_)}

    async def _get(
        self, kind: _Resource, ids: Iterable[int], budget_s: float | None = None
    ) -> dict[int, bytes]:
        unique_ids = set(ids)
        texts = self._cached(kind.name, unique_ids)
        missing = unique_ids - texts.keys()
        if missing and self.breaker.allow():
            fetched = await self._fetch_all(kind, missing, budget_s or self._budget_s)
            self._caches[kind.name].put(fetched)
            texts |= fetched
        return _encoded(texts)

    async def close(self) -> None:
        """Close the connections and the cache."""
        await self._http.aclose()
        for cache in self._caches.values():
            cache.close()

    async def _fetch_all(self, kind: _Resource, ids: set[int], budget_s: float) -> dict[int, str]:
        """Fetch texts within the budget; a text is empty where TMDB does not have the movie."""
        tasks = {id_: asyncio.create_task(self._fetch(kind, id_)) for id_ in ids}
        try:
            await asyncio.wait(tasks.values(), timeout=budget_s)
        finally:
            for task in tasks.values():
                task.cancel()
            results = await asyncio.gather(*tasks.values(), return_exceptions=True)
        fetched: dict[int, str] = {}
        reasons: set[str] = set()
        requested_wait_s = 0.0
        for id_, result in zip(tasks, results, strict=True):
            if isinstance(result, str):
                fetched[id_] = result
            elif isinstance(result, asyncio.CancelledError):
                reasons.add(f"no response within {budget_s:g} s")
            else:
                # Other errors may contain the URL, and with it the key.
                reasons.add(str(result) if isinstance(result, TmdbError) else type(result).__name__)
            if isinstance(result, _Retryable):
                requested_wait_s = max(requested_wait_s, result.wait_s or 0.0)
        if reasons:
            logger.warning(
                "no %s from TMDB for %d of %d ids: %s",
                kind.name,
                len(ids) - len(fetched),
                len(ids),
                "; ".join(sorted(reasons)),
            )
        # In a long list some movies may be late although TMDB works: only no result at all counts
        # as a failure.
        if fetched:
            self.breaker.record_success()
        else:
            self.breaker.record_failure(len(ids))
        if requested_wait_s > budget_s:
            self.breaker.pause(min(requested_wait_s, LONGEST_PAUSE_S))
        return fetched

    async def _fetch(self, kind: _Resource, id_: int) -> str:
        """Fetch the text of one movie, with retries.

        Raises:
            TmdbError: they cannot be fetched; the message never contains the key.
        """
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            retry=retry_if_exception(self._should_retry),
            reraise=True,
        ):
            with attempt:
                async with self._slots:
                    return await self._fetch_once(kind, id_)
        raise AssertionError("tenacity ends by returning or raising")

    def _should_retry(self, error: BaseException) -> bool:
        """Return whether a retry may succeed and the requested wait fits the budget."""
        return isinstance(error, _Retryable) and (error.wait_s or 0.0) <= self._budget_s

    async def _fetch_once(self, kind: _Resource, id_: int) -> str:
        try:
            response = await self._http.get(kind.path.format(id=id_), params=kind.query(id_))
        except httpx.HTTPError as error:
            # Not chained: httpx's errors contain the request, whose URL contains a v3 key.
            raise _Retryable(f"{type(error).__name__} during a request to TMDB") from None
        if response.status_code == httpx.codes.NOT_FOUND:
            return ""
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise _Retryable("TMDB's rate limit is exceeded (429)", _retry_after_s(response))
        if response.status_code >= 500:
            raise _Retryable(f"TMDB answered {response.status_code}")
        if response.status_code != httpx.codes.OK:
            raise TmdbError(f"TMDB answered {response.status_code}; check TMDB_API_KEY")
        return _to_text(kind, response.content, id_)


def _encoded(texts: dict[int, str]) -> dict[int, bytes]:
    """Return the texts as bytes, without the movies that TMDB does not have."""
    return {id_: text.encode() for id_, text in texts.items() if text}


def _names(text: Any, id_: int) -> bool:
    """Return whether a text of the cache is an object about the movie, or empty."""
    if not isinstance(text, str):
        return False
    try:
        return not text or orjson.loads(text).get("id") == id_
    except (ValueError, AttributeError):
        return False


def _to_text(kind: _Resource, content: bytes, id_: int) -> str:
    """Convert a response to the object of the movie.

    Raises:
        TmdbError: the response is not about this movie.
    """
    if len(content) > _MAX_BYTES:
        raise TmdbError(f"TMDB's response is too large: {len(content):,} bytes")
    try:
        response: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise TmdbError("TMDB's response is not JSON") from None
    if isinstance(response, dict) and not kind.names_itself:
        response["id"] = id_
    if not isinstance(response, dict) or response.get("id") != id_ or not response.get(kind.field):
        raise TmdbError(f"TMDB's response does not hold the movie's {kind.name}")
    return orjson.dumps(kind.reduce(response)).decode()


def _retry_after_s(response: httpx.Response) -> float | None:
    """Return the header Retry-After in seconds, None where it is absent or a date."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


_backoff = wait_exponential_jitter(multiplier=0.1, max=1.0, jitter=0.1)


def _wait(state: RetryCallState) -> float:
    """Return the wait that TMDB asked for, or an exponential backoff with jitter."""
    error = state.outcome.exception() if state.outcome else None
    requested_s = error.wait_s if isinstance(error, _Retryable) else None
    return requested_s if requested_s is not None else _backoff(state)
