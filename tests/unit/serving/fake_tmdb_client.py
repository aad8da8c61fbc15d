"""A TMDB client that answers from memory and counts the requests."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import orjson


class FakeTmdbClient:
    """Answers by TMDB id; those in ``cached`` need no request."""

    def __init__(self, details: dict[int, Any], offers: dict[int, Any]) -> None:
        self._details, self._offers = details, offers
        self.cached: set[int] = set()
        self.asked: list[int] = []
        self.breaker = SimpleNamespace(is_closed=True)

    async def details(self, ids: Iterable[int]) -> dict[int, bytes]:
        return self._found(self._details, ids)

    async def providers(self, ids: Iterable[int]) -> dict[int, bytes]:
        return self._found(self._offers, ids)

    def cached_details(self, ids: Iterable[int]) -> dict[int, bytes]:
        return _as_json(self._details, self.cached & set(ids))

    def cached_providers(self, ids: Iterable[int]) -> dict[int, bytes]:
        return _as_json(self._offers, self.cached & set(ids))

    def _found(self, answers: dict[int, Any], ids: Iterable[int]) -> dict[int, bytes]:
        wanted = list(ids)
        self.asked += wanted
        return _as_json(answers, wanted)


def _as_json(answers: dict[int, Any], ids: Iterable[int]) -> dict[int, bytes]:
    return {id_: orjson.dumps(answers[id_]) for id_ in ids if id_ in answers}
