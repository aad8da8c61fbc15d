"""Lists of several users: computed, taken from memory, and reported."""

from __future__ import annotations

import json

import pytest

from moovier.errors import BadRequest, UnknownModel
from moovier.feedback.ratings import NewRating
from moovier.serving.predict import MAX_MOVIES, PredictAnswer, predict, predict_from_cache
from moovier.serving.requests import PredictRequest
from tests.unit.serving.toy_context import CHAMPION, OTHER, RATING_MODEL, Toy, champion
from tests.unit.serving.toy_users import MOVIES, UNKNOWN_USER, USERS


def titles(answer: PredictAnswer) -> dict[str, list[str]]:
    lists = json.loads(answer.body)
    return {user: [movie["title"] for movie in movies] for user, movies in lists.items()}


def test_each_user_gets_a_list_and_unknown_users_are_named(toy: Toy) -> None:
    users = (USERS[0], UNKNOWN_USER, USERS[1], UNKNOWN_USER)
    answer = toy.run(predict(toy.context, PredictRequest(users, 3)))
    lists = titles(answer)
    assert list(lists) == [str(user) for user in dict.fromkeys(users)]
    assert [len(movies) for movies in lists.values()] == [3, 3, 3]
    assert answer.model is champion()
    assert answer.unknown_users == [UNKNOWN_USER]
    expected = champion().recommender.recommend([USERS[0]], 3)[0]
    assert lists[str(USERS[0])] == [item.movie.title for item in expected.items]
    assert toy.reports.folded == []


def test_feedback_changes_a_users_list_and_is_reported_once(toy: Toy) -> None:
    user = 710_001
    toy.feedback.add(user, [NewRating(MOVIES[0], 5.0, 9)], request_id=None, idempotency_key=None)
    answer = toy.run(predict(toy.context, PredictRequest((user, user, USERS[0]), 3)))
    assert answer.unknown_users == []
    assert f"Movie {MOVIES[0]}" not in titles(answer)[str(user)]
    assert toy.reports.folded == [CHAMPION]


def test_lists_in_memory_are_the_same_and_others_are_not_computed(toy: Toy) -> None:
    request = PredictRequest((USERS[7], USERS[8]), 4)
    computed = toy.run(predict(toy.context, request))
    cached = toy.run(predict_from_cache(toy.context, request))
    assert cached is not None
    assert cached.body == computed.body
    assert toy.reports.answered == [(CHAMPION, 2, 0)] * 2
    unseen = PredictRequest((USERS[7], USERS[9]), 4)
    assert toy.run(predict_from_cache(toy.context, unseen)) is None


def test_users_with_feedback_are_never_in_memory(toy: Toy) -> None:
    request = PredictRequest((USERS[6],), 4)
    toy.run(predict(toy.context, request))
    assert toy.run(predict_from_cache(toy.context, request)) is not None
    toy.feedback.add(
        USERS[6], [NewRating(MOVIES[0], 5.0, 9)], request_id=None, idempotency_key=None
    )
    assert toy.run(predict_from_cache(toy.context, request)) is None


def test_a_model_that_is_not_in_memory_is_loaded_only_by_the_slow_path(toy: Toy) -> None:
    request = PredictRequest((USERS[0],), 3, OTHER)
    assert toy.run(predict_from_cache(toy.context, request)) is None
    assert toy.models.loads == []
    assert toy.run(predict(toy.context, request)).model.name == RATING_MODEL
    with pytest.raises(UnknownModel):
        toy.run(predict(toy.context, PredictRequest((7,), 3, "nope")))


@pytest.mark.parametrize(
    ("users", "top_k", "problem"),
    [((), 3, "user"), ((7,), 0, "top_k"), ((7,), 1001, "top_k"),
     (tuple(range(MAX_MOVIES // 1000 + 1)), 1000, "fewer users")],
    ids=["no user", "too short", "too long", "too many movies"],
)  # fmt: skip
def test_requests_out_of_range_are_refused(
    toy: Toy, users: tuple[int, ...], top_k: int, problem: str
) -> None:
    with pytest.raises(BadRequest, match=problem):
        toy.run(predict(toy.context, PredictRequest(users, top_k)))
