"""Schemas of `/events`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from bentos.schemas.fields import VISIBLE_ASCII, MovieId, ShownId, Timestamp, UserId
from moovier.event_weights import EventKind
from moovier.feedback.ratings import LONGEST_REQUEST_ID
from moovier.serving.user_events import RequestEvent

MAX_EVENTS = 5_000
KindQuery = Annotated[EventKind, Query(description="Kind of event.")]


class Event(BaseModel):
    """What a user did with a movie."""

    model_config = ConfigDict(extra="forbid")

    movie_id: MovieId
    event: EventKind = Field(
        description="`seen`, `finished` and `not_for_me` leave the movie out of the user's lists. "
        "The setting `event_weights` says what each kind counts."
    )
    timestamp: Timestamp | None = Field(
        None, description="Seconds since 1970; left out: the present moment."
    )

    def to_request(self) -> RequestEvent:
        """Return the event without HTTP's types."""
        return self.movie_id, self.event, self.timestamp


class GivenEvents(BaseModel):
    """One user's events; of each movie and kind the newest counts."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"user_id": 1000001, "events": [{"movie_id": 1, "event": "clicked"}]}]
        },
    )

    user_id: UserId
    events: list[Event] = Field(min_length=1, max_length=MAX_EVENTS)
    request_id: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_REQUEST_ID,
        pattern=VISIBLE_ASCII,
        description="`request_id` of the list in which the events happened.",
    )


class EventsAck(BaseModel):
    """The number of stored events and of ignored ones, which are older than the stored ones."""

    stored: int
    ignored: int


class OwnEvent(BaseModel):
    """An event that was sent to this service."""

    movie_id: ShownId
    event: EventKind
    timestamp: int
    request_id: str | None


class OwnEvents(BaseModel):
    """The events of a user, oldest first."""

    user_id: ShownId
    events: list[OwnEvent]


class EventsDeleted(BaseModel):
    """The result of a deletion."""

    deleted: int = Field(description="How many events were deleted.")
