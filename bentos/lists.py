"""Lists for people and lists of movies: what the routes of the product beyond `/predict` do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from bentos import metrics, schemas
from moovier.data.catalogue import Movie
from moovier.data.ratings import Ints
from moovier.errors import BadRequest, UnknownMovie
from moovier.feedback.cache import FeedbackCache
from moovier.serving import cursor, live_users
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.filters import Filter
from moovier.serving.recommender import Recommender
from moovier.serving.user_recommender import Page, RatedMovie, UserProfile, UserRecommender
from moovier.tmdb.details import natural_title
from moovier.tmdb.movie_details import Details

_DAY_S = 86_400
#: Movies whose JSON as a reason is kept, those used last.
_KEPT_REASONS = 20_000


@dataclass(frozen=True)
class RenderedPage:
    """A page ready to be sent but for its request id and the movies' details."""

    model: LoadedModel
    page: Page
    stars: tuple[float | None, ...]
    next: str | None


def resolve_user(
    people: UserRecommender, asked: schemas.RecommendRequest, feedback: FeedbackCache
) -> UserProfile:
    """Return the person whom a request is about, over one model's movies.

    What the model knows of the user counts, what was rated since, and the request's ratings.
    """
    said = None if asked.user_id is None else feedback.for_user(asked.user_id)
    given = _given(asked, live_users.rated(said)) if asked.ratings else []
    if asked.user_id is None:
        return people.anonymous(given)
    return live_users.person(people, asked.user_id, said, given)


def _given(asked: schemas.RecommendRequest, stored: Sequence[RatedMovie]) -> list[RatedMovie]:
    """Return the request's ratings; one without a timestamp counts as given at this moment."""
    ratings = asked.given
    moment = time.time()
    # The start of the day, so that the same request later today is the same person. Not before
    # what was rated already: these ratings are newer.
    present = int(moment) // _DAY_S * _DAY_S
    present = max(present, *(one.timestamp for one in stored), 0)
    for _, _, timestamp in ratings:
        if timestamp is not None and present < timestamp <= moment:
            present = timestamp
    return [
        RatedMovie(movie_id, stars, present if timestamp is None else timestamp)
        for movie_id, stars, timestamp in ratings
    ]


def build_page(
    model: LoadedModel,
    stars_model: LoadedModel | None,
    asked: schemas.RecommendRequest,
    feedback: FeedbackCache,
) -> RenderedPage:
    """A page of recommendations; takes milliseconds of computing.

    Raises:
        BadRequest: the filter or the cursor makes no sense.
    """
    shown = decode_cursor(asked.cursor)
    person, page = score_page(model, asked, feedback, shown)
    if person.row is None and len(person.history):
        metrics.count_fold_in(model.name)
    metrics.count_answers(model.name, *((1, 0) if len(person.history) else (0, 1)))
    stars = _stars(stars_model, model, person, asked, feedback, page)
    nothing: tuple[float | None, ...] = (None,) * len(page.items)
    return RenderedPage(model, page, stars or nothing, _next(page, shown))


def score_page(
    model: LoadedModel,
    asked: schemas.RecommendRequest,
    feedback: FeedbackCache,
    shown: Ints,
    *,
    reasons: bool = True,
) -> tuple[UserProfile, Page]:
    """Who asks, and their page without ``shown``; counted nowhere. Raises: as `recommended`."""
    people = model.recommender.people
    exclude = np.concatenate([np.array(asked.exclude, dtype=np.int64), shown])
    person = resolve_user(people, asked, feedback)
    wanted = filter_of(asked)
    return person, people.page(person, wanted, exclude=exclude, top_k=asked.top_k, reasons=reasons)


def filter_of(asked: schemas.RecommendRequest) -> Filter:
    return Filter(tuple(asked.genres), asked.year_from, asked.year_to)


def decode_cursor(text: str | None) -> Ints:
    """Movie ids of the pages before."""
    return np.zeros(0, dtype=np.int64) if text is None else cursor.decode(text)


def _next(page: Page, shown: Ints) -> str | None:
    return cursor.encode(np.concatenate([shown, page.ids])) if page.more else None


def _stars(
    model: LoadedModel | None,
    answering: LoadedModel,
    person: UserProfile,
    asked: schemas.RecommendRequest,
    feedback: FeedbackCache,
    page: Page,
) -> tuple[float | None, ...] | None:
    """Return what the person would give each movie of the page; None where nobody can tell.

    ``model``: predicts stars. ``answering``: made the page for ``person``.
    """
    if model is None or not len(person.history):
        return None
    people = model.recommender.people
    if asked.user_id is not None or not people.same_catalogue(answering.recommender.people):
        person = resolve_user(people, asked, feedback)
        if not len(person.history):
            return None
    rows = model.recommender.bundle.index.movie_rows(page.ids)
    scores = people.scores_of(person, rows)
    stars = np.clip(scores.astype(np.float64), 0.5, 5.0).round(2).tolist()
    return tuple(star if row >= 0 else None for star, row in zip(stars, rows.tolist(), strict=True))


async def render_page(made: RenderedPage, details: Details, request_id: str) -> bytes:
    """Return the page as JSON, :class:`schemas.Recommendations`."""
    page = made.page
    objects = await details.objects([item.movie for item in page.items])
    items = [
        b'{"movie_id":%d,"movie":%b,"score":%b,"stars":%b,"source":"%b","because":[%b]}'
        % (
            item.movie.id,
            shown,
            orjson.dumps(item.score),
            orjson.dumps(stars),
            item.source.encode(),
            b",".join([_reason(movie) for movie in item.because]),
        )
        for item, shown, stars in zip(page.items, objects, made.stars, strict=True)
    ]
    return b'{"request_id":"%b","model":%b,"model_version":%d,"items":[%b],"next":%b,"days":%b}' % (
        request_id.encode(),
        orjson.dumps(made.model.name),
        made.model.number,
        b",".join(items),
        orjson.dumps(made.next),
        orjson.dumps(page.days),
    )


@lru_cache(maxsize=_KEPT_REASONS)
def _reason(movie: Movie) -> bytes:
    """Return a reason as JSON, :class:`schemas.Reason`."""
    return orjson.dumps({"movie_id": movie.id, "title": natural_title(movie.title)})


def model_headers(model: LoadedModel) -> dict[str, str]:
    """What every answer of a model carries."""
    return {"X-Moovier-Model": model.name, "X-Moovier-Model-Version": str(model.number)}


def movie_row(recommender: Recommender, movie_id: int) -> int:
    """
    Raises:
        UnknownMovie: the model's catalogue has no such movie.
    """
    row = int(recommender.bundle.index.movie_rows(np.array([movie_id]))[0])
    if row < 0:
        raise UnknownMovie(movie_id)
    return row


def paginate(make: Callable[[Ints], Page], model: LoadedModel, text: str | None) -> RenderedPage:
    """A page of a list that belongs to nobody, by the cursor ``text``."""
    shown = decode_cursor(text)
    page = make(shown)
    return RenderedPage(model, page, (None,) * len(page.items), _next(page, shown))


def search_movies(
    recommender: Recommender, query: str, wanted: Filter, text: str | None, top_k: int
) -> tuple[list[int], str | None]:
    """Rows of the titles that fit, by the cursor ``text``, and the cursor of the page after."""
    people, index = recommender.people, recommender.bundle.index
    shown = decode_cursor(text)
    rows = people.titles.find(query)
    if not wanted.is_empty:
        rows = rows[people.facets.mask(wanted)[rows]]
    rows = rows[~np.isin(index.movies[rows], shown)]
    page = rows[:top_k]
    rest = rows.size > top_k
    return page.tolist(), (
        cursor.encode(np.concatenate([shown, index.movies[page]])) if rest else None
    )


async def movie_payloads(
    recommender: Recommender, rows: Sequence[int], details: Details
) -> list[dict[str, Any]]:
    """Movies as :class:`schemas.MovieShown` says."""
    catalogue, people = recommender.bundle.catalogue, recommender.people
    movies: list[Movie] = [catalogue[row] for row in rows]
    objects = await details.objects(movies)
    return [
        {
            "movie_id": movie.id,
            "movie": orjson.Fragment(shown),
            "title": natural_title(movie.title),
            "year": movie.year,
            "genres": list(movie.genres),
            "ratings": int(people.counts[row]),
            "mean_stars": people.mean_stars(row),
        }
        for row, movie, shown in zip(rows, movies, objects, strict=True)
    ]


def require_known_movies(recommender: Recommender, movie_ids: Sequence[int]) -> None:
    """
    Raises:
        BadRequest: one of them is not in the catalogue.
    """
    rows = recommender.bundle.index.movie_rows(np.array(movie_ids, dtype=np.int64))
    unknown = [str(one) for one, row in zip(movie_ids, rows.tolist(), strict=True) if row < 0]
    if unknown:
        raise BadRequest(f"unknown movie {', '.join(unknown[:10])}; GET /movies finds ids by title")
