from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moovier.errors import BadRequest
from moovier.feedback.errors import IdempotencyConflict
from moovier.feedback.store import (
    KEY_LIFETIME_S,
    Added,
    Feedback,
    FeedbackStore,
    NewRating,
    UserFeedback,
)
from tests.unit.feedback.conftest import Clock


def movies(feedback: UserFeedback) -> list[tuple[int, float, int]]:
    return [(one.movie_id, one.stars, one.timestamp) for one in feedback.ratings]


def test_what_was_given_is_there_oldest_first(store: FeedbackStore) -> None:
    added = store.add(7, [NewRating(3, 4.5, 200), NewRating(1, 0.5, 100)], request_id="r-1")
    assert added == Added(stored=2, ignored=0, replayed=False)
    found = store.of_user(7)
    assert movies(found) == [(1, 0.5, 100), (3, 4.5, 200)]
    assert {(one.user_id, one.request_id) for one in found.ratings} == {(7, "r-1")}
    assert store.of_user(8) == UserFeedback((), frozenset())


def test_it_outlives_the_store(store: FeedbackStore, url: str) -> None:
    store.add(1, [NewRating(2, 3, 4)])
    store.close()
    again = FeedbackStore.open(url)
    assert movies(again.of_user(1)) == [(2, 3, 4)]
    again.close()


def test_the_newest_rating_of_a_movie_wins(store: FeedbackStore) -> None:
    store.add(1, [NewRating(10, 3, 100)])
    assert store.add(1, [NewRating(10, 5, 99)]) == Added(0, 1, False)
    assert movies(store.of_user(1)) == [(10, 3, 100)]
    assert store.add(1, [NewRating(10, 4, 100)]) == Added(1, 0, False)
    assert movies(store.of_user(1)) == [(10, 4, 100)]
    store.add(1, [NewRating(10, 1, 101)])
    assert movies(store.of_user(1)) == [(10, 1, 101)]


def test_the_same_rating_twice_is_one(store: FeedbackStore) -> None:
    for _ in range(2):
        store.add(1, [NewRating(10, 3, 100), NewRating(11, 3, 100)])
    assert movies(store.of_user(1)) == [(10, 3, 100), (11, 3, 100)]


def test_within_one_call_the_newest_and_then_the_last_wins(store: FeedbackStore) -> None:
    given = [NewRating(10, 1, 100), NewRating(10, 5, 102), NewRating(10, 2, 101)]
    assert store.add(1, given) == Added(stored=1, ignored=2, replayed=False)
    assert movies(store.of_user(1)) == [(10, 5, 102)]
    store.add(1, [NewRating(11, 1, 100), NewRating(11, 2, 100)])
    assert movies(store.of_user(1)) == [(11, 2, 100), (10, 5, 102)]


def test_people_are_kept_apart(store: FeedbackStore) -> None:
    store.add(1, [NewRating(10, 3, 100)], idempotency_key="a")
    store.add(2, [NewRating(10, 5, 50)], idempotency_key="a")
    store.delete(2)
    assert movies(store.of_user(1)) == [(10, 3, 100)]
    assert store.of_user(2).ratings == ()
    assert store.of_user(1).all_deleted_at is None


def test_thousands_at_once_are_all_stored(store: FeedbackStore) -> None:
    many = [NewRating(movie, 3, 100) for movie in range(1, 12_001)]
    assert store.add(1, many) == Added(12_000, 0, False)
    assert len(store.of_user(1).ratings) == 12_000


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 10), st.integers(0, 5)), min_size=1, max_size=12
    ),
    st.integers(0, 12),
)
def test_however_they_arrive_each_movie_has_its_newest(
    store: FeedbackStore, said: list[tuple[int, int, int]], cut: int
) -> None:
    store.delete(1)
    given_ = [NewRating(movie, halves / 2, moment) for movie, halves, moment in said]
    store.add(1, given_[:cut])
    store.add(1, given_[cut:])
    expected: dict[int, tuple[float, int]] = {}
    for one in given_:
        if one.movie_id not in expected or one.timestamp >= expected[one.movie_id][1]:
            expected[one.movie_id] = (one.stars, one.timestamp)
    found = {one.movie_id: (one.stars, one.timestamp) for one in store.of_user(1).ratings}
    assert found == expected


# Idempotency


def test_a_key_that_comes_again_gets_the_first_answer(store: FeedbackStore) -> None:
    given_ = [NewRating(10, 3, 100), NewRating(10, 2, 90)]
    first = store.add(1, given_, idempotency_key="k")
    assert first == Added(stored=1, ignored=1, replayed=False)
    store.delete(1, 10)
    assert store.add(1, given_, idempotency_key="k") == Added(1, 1, replayed=True)
    assert store.of_user(1).ratings == ()


@pytest.mark.parametrize(
    ("ratings", "request_id"),
    [
        ([NewRating(10, 4, 100)], None),
        ([NewRating(10, 3, 101)], None),
        ([NewRating(11, 3, 100)], None),
        ([NewRating(10, 3, 100), NewRating(11, 3, 100)], None),
        ([NewRating(10, 3, 100)], "r"),
        ([], None),
    ],
)
def test_a_key_with_other_content_is_refused(
    store: FeedbackStore, ratings: list[NewRating], request_id: str | None
) -> None:
    store.add(1, [NewRating(10, 3, 100)], idempotency_key="k")
    with pytest.raises(IdempotencyConflict, match="new key"):
        store.add(1, ratings, request_id=request_id, idempotency_key="k")
    assert movies(store.of_user(1)) == [(10, 3, 100)]


def test_content_says_what_the_same_is(store: FeedbackStore) -> None:
    store.add(1, [NewRating(10, 3, 100)], idempotency_key="k", content=b"body")
    later = store.add(1, [NewRating(10, 3, 105)], idempotency_key="k", content=b"body")
    assert later.replayed
    with pytest.raises(IdempotencyConflict):
        store.add(1, [NewRating(10, 3, 100)], idempotency_key="k", content=b"other")


def test_a_key_is_known_for_a_day_and_not_for_ever(store: FeedbackStore, clock: Clock) -> None:
    store.add(1, [NewRating(10, 3, 100)], idempotency_key="k")
    clock.now += 24 * 3600
    store.add(2, [], idempotency_key="sweeps")
    assert store.add(1, [NewRating(10, 3, 100)], idempotency_key="k").replayed
    clock.now += KEY_LIFETIME_S
    store.add(2, [], idempotency_key="sweeps again")
    assert not store.add(1, [NewRating(10, 4, 100)], idempotency_key="k").replayed


def test_any_text_may_be_a_key(store: FeedbackStore) -> None:
    for key in ("", "a\0b", "\ud800", "x" * 10_000):
        assert not store.add(1, [NewRating(1, 1, 1)], idempotency_key=key).replayed
        assert store.add(1, [NewRating(1, 1, 1)], idempotency_key=key).replayed


def test_one_key_sent_at_once_from_many_sides_is_stored_once(store: FeedbackStore) -> None:
    def send(_: int) -> Added:
        return store.add(1, [NewRating(10, 3, 100)], idempotency_key="k")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(24)))
    assert sum(not answer.replayed for answer in answers) == 1


# Deletion


def test_one_rating_is_deleted_and_may_be_given_again(store: FeedbackStore) -> None:
    store.add(1, [NewRating(10, 3, 100), NewRating(11, 4, 100)])
    assert store.delete(1, 10) == 1
    assert store.delete(1, 10) == 0
    assert store.of_user(1).deleted == {10}
    assert movies(store.of_user(1)) == [(11, 4, 100)]
    # An older clock than the one that deleted must not swallow what a person says afterwards.
    store.add(1, [NewRating(10, 2, 90)])
    assert movies(store.of_user(1)) == [(10, 2, 90), (11, 4, 100)]
    assert store.of_user(1).deleted == frozenset()


def test_what_was_never_given_here_can_be_deleted(store: FeedbackStore, clock: Clock) -> None:
    assert store.delete(5, 10) == 0
    assert store.of_user(5).deleted == {10}
    assert store.everything() == Feedback(deleted={(5, 10): int(clock.now)})


def test_all_of_a_person_goes_and_may_come_again(store: FeedbackStore, clock: Clock) -> None:
    store.add(1, [NewRating(10, 3, 100), NewRating(11, 4, 100)])
    store.add(2, [NewRating(10, 3, 100)])
    store.delete(1, 10)
    clock.now += 5
    assert store.delete(1) == 1
    found = store.of_user(1)
    assert found == UserFeedback((), frozenset(), all_deleted_at=int(clock.now))
    store.add(1, [NewRating(11, 2, 50)])
    everything = store.everything()
    assert [(one.user_id, one.movie_id, one.stars) for one in everything.ratings] == [
        (1, 11, 2),
        (2, 10, 3),
    ]
    assert everything.deleted_users == {1: int(clock.now)}
    assert everything.deleted == {}


def test_a_clock_that_goes_back_does_not_undo_a_deletion(
    store: FeedbackStore, clock: Clock
) -> None:
    store.delete(1, 10)
    store.delete(2)
    before = store.everything()
    clock.now -= 100
    store.delete(1, 10)
    store.delete(2)
    assert store.everything() == before


# What must not get in


@pytest.mark.parametrize(
    "rating",
    [
        NewRating(0, 3, 1),
        NewRating(-1, 3, 1),
        NewRating(2**63, 3, 1),
        NewRating(1, 0, 1),
        NewRating(1, 5.5, 1),
        NewRating(1, 3.3, 1),
        NewRating(1, math.nan, 1),
        NewRating(1, math.inf, 1),
        NewRating(1, 3, -1),
        NewRating(1, 3, 1_700_000_000_000),
    ],
)
def test_what_would_stop_an_ingest_is_refused(store: FeedbackStore, rating: NewRating) -> None:
    with pytest.raises(BadRequest):
        store.add(1, [NewRating(2, 3, 1), rating])
    assert store.of_user(1).ratings == ()


@pytest.mark.parametrize("user_id", [0, -5, 2**63])
def test_a_user_id_out_of_range_is_refused(store: FeedbackStore, user_id: int) -> None:
    with pytest.raises(BadRequest):
        store.add(user_id, [NewRating(2, 3, 1)])
    with pytest.raises(BadRequest):
        store.delete(user_id)
    assert store.of_user(user_id).ratings == ()


@pytest.mark.parametrize("request_id", ["a\0b", "\ud800", "a\n", "x" * 201])
def test_an_odd_request_id_is_refused(store: FeedbackStore, request_id: str) -> None:
    with pytest.raises(BadRequest):
        store.add(1, [NewRating(2, 3, 1)], request_id=request_id)


def test_quotes_are_only_text(store: FeedbackStore) -> None:
    store.add(1, [NewRating(2, 3, 1)], request_id="'; DROP TABLE feedback_ratings; --")
    (one,) = store.of_user(1).ratings
    assert one.request_id == "'; DROP TABLE feedback_ratings; --"


def test_the_store_needs_nothing_heavy() -> None:
    import subprocess

    heavy = ("pandas", "tensorflow", "keras", "mlflow", "dvc", "alembic")
    code = (
        "import sys, moovier.feedback.store, moovier.feedback.api_keys; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
