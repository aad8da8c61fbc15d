"""Checks the plainest requests to `/recommend` without pydantic, which takes several times as long.

A request of a visitor's stars by movie id, with or without genres, exclusions and a size, is by far
the most frequent. :class:`bentos.schemas.recommend.RecommendRequest` checks all others, and says
what is wrong with the invalid ones.
"""

from __future__ import annotations

from typing import Any

from bentos.schemas.movies import MAX_GENRES, MAX_PAGE_SIZE
from bentos.schemas.person_ratings import MAX_RATINGS
from bentos.schemas.recommend import MAX_EXCLUDED
from moovier.ids import MAX_ID
from moovier.serving.filters import Filter
from moovier.serving.requests import RecommendRequest

_FIELDS = {"ratings", "genres", "exclude", "top_k"}
_STARS = {half / 2: half / 2 for half in range(1, 11)}
_MAX_KEY_LENGTH, _MAX_GENRE_LENGTH = 18, 100


def parse_plain(content: Any) -> RecommendRequest | None:
    """Return the request in a decoded body; None if it is not plain or not valid."""
    if type(content) is not dict or not content.keys() <= _FIELDS:
        return None
    ratings = content.get("ratings")
    if type(ratings) is not dict or len(ratings) > MAX_RATINGS:
        return None
    checked = []
    for key, stars in ratings.items():
        # A number of 1 to 18 digits without leading zeros: each id has one spelling.
        is_id = key.isdecimal() and key.isascii() and key[0] != "0" and len(key) <= _MAX_KEY_LENGTH
        is_number = type(stars) is float or type(stars) is int
        if not is_id or not is_number or stars not in _STARS:
            return None
        checked.append((int(key), _STARS[stars], None))
    genres, exclude, top_k = (
        content.get("genres", []),
        content.get("exclude", []),
        content.get("top_k", 10),
    )
    if (
        not _is_list_of(genres, str, MAX_GENRES)
        or not all(0 < len(genre) <= _MAX_GENRE_LENGTH for genre in genres)
        or not _is_list_of(exclude, int, MAX_EXCLUDED)
        or not all(0 < movie <= MAX_ID for movie in exclude)
        or type(top_k) is not int
        or not 0 < top_k <= MAX_PAGE_SIZE
    ):
        return None
    return RecommendRequest(
        ratings=tuple(checked),
        top_k=top_k,
        filter=Filter(tuple(genres)),
        exclude=tuple(exclude),
    )


def _is_list_of(values: Any, kind: type, longest: int) -> bool:
    return (
        type(values) is list
        and len(values) <= longest
        and all(type(value) is kind for value in values)
    )
