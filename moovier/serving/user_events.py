"""Stores, lists and deletes what users did with movies besides rating them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from anyio.to_thread import run_sync

from moovier.feedback.events import NewEvent, StoredEvent
from moovier.feedback.store import Added
from moovier.ids import USER
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.model_resolution import assign_model
from moovier.serving.movies import require_known_movies
from moovier.serving.text_ids import keep_texts

#: An event that comes with a request: MovieLens movie id, kind, and Unix seconds or None for now.
RequestEvent = tuple[int, str, int | None]


async def store_events(
    context: ServingContext,
    user_id: int,
    events: Sequence[RequestEvent],
    *,
    request_id: str | None,
) -> tuple[Added, LoadedModel]:
    """Store a user's events; return the numbers stored and ignored, and the model.

    ``request_id`` is the id of the list in which they happened.

    Raises:
        BadRequest: a movie is not in the catalogue.
        FeedbackUnavailable: the database does not answer.
        RegistryError: there is no model yet.
    """
    model = (await assign_model(context.model_store, None, [user_id])).model
    require_known_movies(model.recommender, [movie_id for movie_id, _, _ in events])
    await keep_texts(context, USER, [user_id])
    now = int(time.time())
    new_events = [
        NewEvent(movie_id, kind, now if timestamp is None else timestamp)
        for movie_id, kind, timestamp in events
    ]

    def add() -> Added:
        return context.feedback.add_events(user_id, new_events, request_id=request_id)

    return await run_sync(add), model


def events_of(context: ServingContext, user_id: int) -> Sequence[StoredEvent]:
    """Return a user's events, oldest first.

    Raises:
        FeedbackUnavailable: the database has not answered yet.
    """
    context.feedback.check()
    feedback = context.feedback.for_user(user_id)
    return () if feedback is None else feedback.events


async def delete_events(
    context: ServingContext, user_id: int, movie_id: int | None, kind: str | None
) -> int:
    """Delete a user's events: all, or those of one movie or kind; return their number.

    Raises:
        FeedbackUnavailable: the database does not answer.
    """
    return await run_sync(context.feedback.delete_events, user_id, movie_id, kind)
