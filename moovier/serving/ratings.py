"""Stores and deletes users' ratings."""

from __future__ import annotations

import time
from collections.abc import Sequence

from anyio.to_thread import run_sync

from moovier.feedback.ratings import NewRating, StoredRating
from moovier.feedback.store import Added
from moovier.ids import USER
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.model_resolution import assign_model
from moovier.serving.movies import require_known_movies
from moovier.serving.requests import RequestRating
from moovier.serving.text_ids import keep_texts


async def store_ratings(
    context: ServingContext,
    user_id: int,
    ratings: Sequence[RequestRating],
    *,
    request_id: str | None,
    idempotency_key: str | None,
    content: bytes,
) -> tuple[Added, LoadedModel]:
    """Store a user's ratings; return the numbers stored and ignored, and the model.

    ``request_id`` is the id of the list that the ratings answer. ``content`` is the request as it
    was sent: with the same ``idempotency_key`` it must be the same.

    Raises:
        BadRequest: a movie is not in the catalogue.
        IdempotencyConflict: the key was used for other ratings.
        FeedbackUnavailable: the database does not answer.
        RegistryError: there is no model yet.
    """
    # The catalogue of the model that made the user's list has the movies of the list.
    model = (await assign_model(context.model_store, None, [user_id])).model
    require_known_movies(model.recommender, [movie_id for movie_id, _, _ in ratings])
    await keep_texts(context, USER, [user_id])
    now = int(time.time())
    new_ratings = [
        NewRating(movie_id, stars, now if timestamp is None else timestamp)
        for movie_id, stars, timestamp in ratings
    ]

    def add() -> Added:
        return context.feedback.add(
            user_id,
            new_ratings,
            request_id=request_id,
            idempotency_key=idempotency_key,
            content=content,
        )

    return await run_sync(add), model


def ratings_of(context: ServingContext, user_id: int) -> Sequence[StoredRating]:
    """Return the ratings that a user gave to this service, oldest first.

    Raises:
        FeedbackUnavailable: the database has not answered yet.
    """
    context.feedback.check()
    feedback = context.feedback.for_user(user_id)
    return () if feedback is None else feedback.ratings


async def delete_ratings(context: ServingContext, user_id: int, movie_id: int | None) -> int:
    """Delete a user's rating of one movie, or all ratings; return how many were stored.

    Raises:
        FeedbackUnavailable: the database does not answer.
    """
    return await run_sync(context.feedback.delete, user_id, movie_id)
