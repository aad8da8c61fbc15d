"""Renders pages and lists as JSON bytes.

Pages are assembled from ready-made JSON objects: serialising each movie again would cost more than
scoring.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, get_args

import orjson

from moovier.data.catalogue import Movie, natural_title
from moovier.serving.page_builder import ModelPage
from moovier.serving.recommender import Answer, Recommender
from moovier.serving.user_recommender import Source
from moovier.tmdb.movie_details import Details

#: Movies whose JSON as a reason is in memory, the most recently used ones.
_CACHED_REASONS = 20_000
_SOURCES = {source: source.encode() for source in get_args(Source)}


async def render_page(model_page: ModelPage, details: Details, request_id: str) -> bytes:
    """Return a page as JSON: request_id, model, model_version, items, next and days."""
    page = model_page.page
    objects = await details.objects([item.movie for item in page.items])
    groups = model_page.stars_by_person or ((),) * len(page.items)
    # One call for all numbers of a kind.
    scores = _split(orjson.dumps([item.score for item in page.items]))
    stars = _split(orjson.dumps(model_page.stars))
    items = [
        b'{"movie_id":%d,"movie":%b,"score":%b,"stars":%b,%b"source":"%b","because":[%b]}'
        % (
            *(item.movie.id, movie_object, score, predicted),
            b'"stars_by_person":%b,' % orjson.dumps(group) if group else b"",
            _SOURCES[item.source],
            b",".join([_render_reason(movie) for movie in item.because]),
        )
        for item, movie_object, score, predicted, group in zip(
            page.items,
            objects,
            scores,
            stars,
            groups,
            strict=False,  # no items: one empty number
        )
    ]
    return b'{"request_id":"%b","model":%b,"model_version":%d,"items":[%b],"next":%b,"days":%b}' % (
        request_id.encode(),
        orjson.dumps(model_page.model.name),
        model_page.model.number,
        b",".join(items),
        orjson.dumps(model_page.next),
        orjson.dumps(page.days),
    )


async def render_answers(answers: Sequence[Answer], details: Details) -> bytes:
    """Return lists as JSON: ``{"<user id>": [movie, ...], ...}``."""
    objects = await details.objects([item.movie for answer in answers for item in answer.items])
    lists: dict[str, bytes] = {}
    start = 0
    for answer in answers:
        end = start + len(answer.items)
        lists[str(answer.user_id)] = b"[" + b",".join(objects[start:end]) + b"]"
        start = end
    pairs = (orjson.dumps(user) + b":" + movies for user, movies in lists.items())
    return b"{" + b",".join(pairs) + b"}"


async def movie_payloads(
    recommender: Recommender, rows: Sequence[int], details: Details
) -> list[dict[str, Any]]:
    """Return movies by row, with their details, number of ratings and mean stars, for orjson."""
    catalogue, user_recommender = recommender.bundle.catalogue, recommender.user_recommender
    movies: list[Movie] = [catalogue[row] for row in rows]
    objects = await details.objects(movies)
    return [
        {
            "movie_id": movie.id,
            "movie": orjson.Fragment(movie_object),
            "title": natural_title(movie.title),
            "year": movie.year,
            "genres": list(movie.genres),
            "ratings": int(user_recommender.counts[row]),
            "mean_stars": user_recommender.mean_stars(row),
        }
        for row, movie, movie_object in zip(rows, movies, objects, strict=True)
    ]


def _split(numbers: bytes) -> list[bytes]:
    """Return the numbers of a JSON array as they are written."""
    return numbers[1:-1].split(b",")


@lru_cache(maxsize=_CACHED_REASONS)
def _render_reason(movie: Movie) -> bytes:
    return orjson.dumps({"movie_id": movie.id, "title": natural_title(movie.title)})
