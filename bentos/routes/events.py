"""`/events`: what users did with movies besides rating them; stored, listed and deleted."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from bentos.app_state import context_of
from bentos.auth import WRITE
from bentos.routes.responses import KEYS, json_response, require_scope
from bentos.schemas.events import EventsAck, EventsDeleted, GivenEvents, KindQuery, OwnEvents
from bentos.schemas.ratings import MovieQuery, UserQuery
from moovier.serving import user_events as serving

router = APIRouter(dependencies=[Depends(require_scope(WRITE))])


@router.post(
    "/events",
    summary="Store what one person did with movies, such as clicked, finished or skipped",
    response_model=EventsAck,
    responses=KEYS,
)
async def store(request: Request, body: GivenEvents) -> Response:
    """Answer `POST /events`."""
    added, model = await serving.store_events(
        context_of(request),
        body.user_id,
        [event.to_request() for event in body.events],
        request_id=body.request_id,
    )
    return json_response({"stored": added.stored, "ignored": added.ignored}, model)


@router.get("/events", summary="The events of one person", response_model=OwnEvents, responses=KEYS)
async def show(request: Request, user_id: UserQuery) -> Response:
    """Answer `GET /events`."""
    events = [
        {
            "movie_id": event.movie_id,
            "event": event.kind,
            "timestamp": event.timestamp,
            "request_id": event.request_id,
        }
        for event in serving.events_of(context_of(request), user_id)
    ]
    return json_response({"user_id": user_id, "events": events})


@router.delete(
    "/events",
    summary="Delete the events of one person: all, or those of one movie or kind",
    response_model=EventsDeleted,
    responses=KEYS,
)
async def delete(
    request: Request,
    user_id: UserQuery,
    movie_id: MovieQuery | None = None,
    event: KindQuery | None = None,
) -> Response:
    """Answer `DELETE /events`."""
    deleted = await serving.delete_events(context_of(request), user_id, movie_id, event)
    return json_response({"deleted": deleted})
