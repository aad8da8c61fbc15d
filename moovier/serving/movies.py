"""Answers about movies: popular and similar ones, search, and single movies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from moovier.data.ratings import Ints
from moovier.errors import BadRequest, UnknownMovie
from moovier.serving import cursor
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.filters import Filter
from moovier.serving.free_memory import return_free_memory
from moovier.serving.model_resolution import resolve_model
from moovier.serving.page_builder import decode_cursor, paginate
from moovier.serving.recommend import PageAnswer
from moovier.serving.recommender import Recommender
from moovier.serving.rendering import movie_payloads, render_page
from moovier.serving.requests import NO_FILTER
from moovier.serving.user_recommender import Page

#: Held while a model is prepared, so that two requests do not do it twice.
_PREPARING = threading.Lock()


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The filter, size and cursor of a list that is not personal."""

    filter: Filter = NO_FILTER
    top_k: int = 10
    cursor: str | None = None


async def popular_movies(
    context: ServingContext, query: PageQuery, days: int | None, request_id: str
) -> PageAnswer:
    """Return a page of the movies with the most ratings of the last ``days`` days.

    Raises:
        BadRequest: the filter or the cursor is invalid.
        RegistryError: there is no model yet.
    """

    def make_page(recommender: Recommender, shown: Ints) -> Page:
        return recommender.user_recommender.popular(
            query.filter, exclude=shown, top_k=query.top_k, days=days
        )

    return await _answer(context, query, request_id, make_page)


async def trending_movies(
    context: ServingContext, query: PageQuery, days: int, request_id: str
) -> PageAnswer:
    """Return a page of the movies that rise against their own past in the last ``days`` days.

    Raises:
        BadRequest: the filter or the cursor is invalid.
        RegistryError: there is no model yet.
    """

    def make_page(recommender: Recommender, shown: Ints) -> Page:
        return recommender.user_recommender.trending(
            query.filter, exclude=shown, top_k=query.top_k, days=days
        )

    return await _answer(context, query, request_id, make_page)


async def similar_movies(
    context: ServingContext, movie_id: int, query: PageQuery, request_id: str
) -> PageAnswer:
    """Return a page of movies for a visitor who likes one movie.

    Raises:
        UnknownMovie: the catalogue does not have the movie.
        BadRequest: the filter or the cursor is invalid.
        RegistryError: there is no model yet.
    """

    def make_page(recommender: Recommender, shown: Ints) -> Page:
        return recommender.user_recommender.similar(
            movie_row(recommender, movie_id), query.filter, exclude=shown, top_k=query.top_k
        )

    return await _answer(context, query, request_id, make_page)


async def search_movies(
    context: ServingContext, text: str, query: PageQuery
) -> tuple[dict[str, Any], LoadedModel]:
    """Return the movies whose titles match, with the next cursor, and the model that knows them.

    Raises:
        BadRequest: the filter or the cursor is invalid.
        RegistryError: there is no model yet.
    """
    model = await resolve_model(context.model_store)
    if not is_prepared(model.recommender):
        # On the event loop, all other requests would wait, too.
        await asyncio.to_thread(prepare, model.recommender)
    rows, next_cursor = await context.page_scheduler.run(
        find_titles, model.recommender, text, query
    )
    items = await movie_payloads(model.recommender, rows, context.details)
    return {"items": items, "next": next_cursor}, model


def is_prepared(recommender: Recommender) -> bool:
    """Return whether a search can start at once."""
    return "title_index" in vars(recommender.user_recommender)


def prepare(recommender: Recommender) -> None:
    """Index the catalogue and sum up its stars, which takes seconds for large data.

    Does nothing the second time.
    """
    with _PREPARING:
        user_recommender = recommender.user_recommender
        known = len(vars(user_recommender))
        _ = user_recommender.filter_index, user_recommender.title_index
        if user_recommender.counts.size:
            user_recommender.mean_stars(int(user_recommender.counts.argmax()))
        if len(vars(user_recommender)) > known:
            return_free_memory()


async def one_movie(context: ServingContext, movie_id: int) -> tuple[dict[str, Any], LoadedModel]:
    """Return one movie, and the model that knows it.

    Raises:
        UnknownMovie: the catalogue does not have the movie.
        RegistryError: there is no model yet.
    """
    model = await resolve_model(context.model_store)
    row = movie_row(model.recommender, movie_id)
    [payload] = await movie_payloads(model.recommender, [row], context.details)
    return payload, model


def find_titles(
    recommender: Recommender, text: str, query: PageQuery
) -> tuple[list[int], str | None]:
    """Return the rows of a page of titles that match, and the cursor of the next page.

    Raises:
        BadRequest: the filter or the cursor is invalid.
    """
    user_recommender, index = recommender.user_recommender, recommender.bundle.index
    shown = decode_cursor(query.cursor)
    rows = user_recommender.title_index.find(text)
    if not query.filter.is_empty:
        rows = rows[user_recommender.filter_index.mask(query.filter)[rows]]
    rows = rows[~np.isin(index.movies[rows], shown)]
    page = rows[: query.top_k]
    if rows.size <= query.top_k:
        return page.tolist(), None
    return page.tolist(), cursor.encode(np.concatenate([shown, index.movies[page]]))


def movie_row(recommender: Recommender, movie_id: int) -> int:
    """Return the row of a movie by MovieLens id.

    Raises:
        UnknownMovie: the catalogue does not have the movie.
    """
    row = int(recommender.bundle.index.movie_rows(np.array([movie_id]))[0])
    if row < 0:
        raise UnknownMovie(movie_id)
    return row


def require_known_movies(recommender: Recommender, movie_ids: Sequence[int]) -> None:
    """Check that the catalogue has all movies.

    Raises:
        BadRequest: a movie is not in the catalogue.
    """
    rows = recommender.bundle.index.movie_rows(np.array(movie_ids, dtype=np.int64))
    unknown = [
        str(movie_id) for movie_id, row in zip(movie_ids, rows.tolist(), strict=True) if row < 0
    ]
    if unknown:
        raise BadRequest(f"unknown movie {', '.join(unknown[:10])}; GET /movies finds ids by title")


async def _answer(
    context: ServingContext,
    query: PageQuery,
    request_id: str,
    make_page: Callable[[Recommender, Ints], Page],
) -> PageAnswer:
    """Return a page of the champion's; ``make_page`` gets the MovieLens ids of earlier pages."""
    model = await resolve_model(context.model_store)
    page = await context.page_scheduler.run(
        paginate, lambda shown: make_page(model.recommender, shown), model, query.cursor
    )
    return PageAnswer(await render_page(page, context.details, request_id), page.model)
