"""`/events`: what users did with movies counts, is listed and deleted."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bentos.schemas.events import EventsAck, EventsDeleted, OwnEvents
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import genres_of as genres
from tests.service.api.client import UNKNOWN_MOVIE, ApiClient, error_of, ids_of, parsed


def send(api: ApiClient, user: int, *events: tuple[int, str], **fields: Any) -> EventsAck:
    content = [{"movie_id": movie, "event": event} for movie, event in events]
    answer = api.client.post("/events", json={"user_id": user, "events": content, **fields})
    return parsed(answer, EventsAck)


def own_events(api: ApiClient, user: int) -> list[tuple[int, str]]:
    answer = parsed(api.client.get(f"/events?user_id={user}"), OwnEvents)
    assert answer.user_id == user
    return [(int(event.movie_id), event.event) for event in answer.events]


def delete(api: ApiClient, query: str) -> int:
    return parsed(api.client.delete(f"/events?{query}"), EventsDeleted).deleted


def test_events_count_in_the_next_list_without_hiding_what_was_clicked(
    api: ApiClient, new_user: int
) -> None:
    request_id = api.recommend(user_id=new_user).request_id
    ack = send(api, new_user, (9, "bookmarked"), (23, "clicked"), request_id=request_id)
    assert (ack.stored, ack.ignored) == (2, 0)
    page = api.recommend(user_id=new_user, top_k=28)
    assert {item.source for item in page.items} == {"model"}
    assert set(ids_of(page)) == set(IDS)
    assert "Sci-Fi" in genres(page.items[0].movie_id)
    # Nobody gave stars, so none are predicted.
    assert all(item.stars is None for item in page.items)
    answer = api.client.post("/predict?top_k=28", json=[new_user])
    assert "x-moovier-unknown-users" not in answer.headers
    given = parsed(api.client.get(f"/events?user_id={new_user}"), OwnEvents).events
    assert {event.request_id for event in given} == {request_id}
    assert all(time.time() - 60 < event.timestamp <= time.time() for event in given)


def test_seen_finished_and_refused_movies_leave_the_lists(api: ApiClient, new_user: int) -> None:
    hidden = {1: "seen", 7: "finished", 9: "not_for_me"}
    send(api, new_user, *hidden.items())
    left = set(IDS) - set(hidden)
    assert set(ids_of(api.recommend(user_id=new_user, top_k=28))) == left
    predicted = api.client.post("/predict?top_k=28", json=[new_user]).json()[str(new_user)]
    assert len(predicted) == len(left)
    people = [{"user_id": new_user}, {"ratings": {"23": 5}}]
    assert set(ids_of(api.recommend(people=people, top_k=28))) == left - {23}
    assert delete(api, f"user_id={new_user}&movie_id=1&event=seen") == 1
    assert 1 in ids_of(api.recommend(user_id=new_user, top_k=28))


def test_seen_movies_alone_leave_the_list_popular(api: ApiClient, new_user: int) -> None:
    popular = ids_of(api.recommend(user_id=new_user, top_k=28))
    send(api, new_user, (popular[0], "seen"))
    page = api.recommend(user_id=new_user, top_k=28)
    assert ids_of(page) == popular[1:]
    assert {item.source for item in page.items} == {"popular"}


def test_events_of_a_known_user_leave_the_predicted_stars(api: ApiClient) -> None:
    user = 8
    before = {
        int(item.movie_id): item.stars for item in api.recommend(user_id=user, top_k=28).items
    }
    movie, other = list(before)[:2]
    send(api, user, (movie, "not_for_me"), (other, "skipped"))
    after = {item.movie_id: item.stars for item in api.recommend(user_id=user, top_k=28).items}
    assert after == {id_: stars for id_, stars in before.items() if id_ != movie}
    assert delete(api, f"user_id={user}") == 2
    assert list(before) == ids_of(api.recommend(user_id=user, top_k=28))


def test_sending_events_again_changes_nothing(api: ApiClient, new_user: int) -> None:
    for _ in range(2):
        event = {"movie_id": 9, "event": "viewed", "timestamp": 1000}
        body = {"user_id": new_user, "events": [event]}
        assert parsed(api.client.post("/events", json=body), EventsAck).stored == 1
    assert own_events(api, new_user) == [(9, "viewed")]


def test_forgetting_a_user_deletes_the_events(api: ApiClient, new_user: int) -> None:
    send(api, new_user, (9, "seen"))
    assert api.client.delete(f"/ratings?user_id={new_user}").status_code == 200
    assert own_events(api, new_user) == []
    assert set(ids_of(api.recommend(user_id=new_user, top_k=28))) == set(IDS)


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": 0},
        {"events": []},
        {"events": [{"movie_id": 9}]},
        {"events": [{"movie_id": 9, "event": "watched"}]},
        {"events": [{"movie_id": 9, "event": "seen", "timestamp": 10**12}]},
        {"events": [{"movie_id": UNKNOWN_MOVIE, "event": "seen"}]},
        {"events": [{"movie_id": 9, "event": "seen"}] * 5001},
        {"request_id": "two words"},
        {"extra": 1},
    ],
    ids=lambda value: str(value)[:60],
)
def test_invalid_events_are_not_stored(
    api: ApiClient, new_user: int, change: dict[str, Any]
) -> None:
    body = {"user_id": new_user, "events": [{"movie_id": 9, "event": "seen"}], **change}
    error_of(api.client.post("/events", json=body), 422)
    assert own_events(api, new_user) == []


def test_queries_are_checked(api: ApiClient) -> None:
    assert "user_id" in error_of(api.client.get("/events"), 422)
    assert "event" in error_of(api.client.delete("/events?user_id=1&event=watched"), 422)
