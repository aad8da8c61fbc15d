from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moovier.errors import BadRequest
from moovier.feedback.errors import IdempotencyConflict
from moovier.feedback.ratings import Feedback, NewRating, UserFeedback
from moovier.feedback.store import KEY_LIFETIME_S, Added, FeedbackStore
from tests.unit.feedback.conftest import Clock


def movies(feedback: UserFeedback) -> list[tuple[int, float, int]]:
    return [(rating.movie_id, rating.stars, rating.timestamp) for rating in feedback.ratings]


def test_ratings_are_returned_oldest_first(store: FeedbackStore) -> None:
    added = store.add(7, [NewRating(3, 4.5, 200), NewRating(1, 0.5, 100)], request_id="r-1")
    assert added == Added(stored=2, ignored=0, replayed=False)
    feedback = store.of_user(7)
    assert movies(feedback) == [(1, 0.5, 100), (3, 4.5, 200)]
    assert {(rating.user_id, rating.request_id) for rating in feedback.ratings} == {(7, "r-1")}
    assert store.of_user(8) == UserFeedback((), frozenset())


def test_ratings_outlive_the_store(store: FeedbackStore, url: str) -> None:
    store.add(1, [NewRating(2, 3, 4)])
    store.close()
    again = FeedbackStore.open(url)
    assert movies(again.of_user(1)) == [(2, 3, 4)]
    again.close()


def test_newest_rating_of_a_movie_wins(store: FeedbackStore) -> None:
    store.add(1, [NewRating(10, 3, 100)])
    assert store.add(1, [NewRating(10, 5, 99)]) == Added(0, 1, False)
    assert movies(store.of_user(1)) == [(10, 3, 100)]
    assert store.add(1, [NewRating(10, 4, 100)]) == Added(1, 0, False)
    assert movies(store.of_user(1)) == [(10, 4, 100)]
    store.add(1, [NewRating(10, 1, 101)])
    assert movies(store.of_user(1)) == [(10, 1, 101)]


def test_repeated_rating_is_stored_once(store: FeedbackStore) -> None:
    for _ in range(2):
        store.add(1, [NewRating(10, 3, 100), NewRating(11, 3, 100)])
    assert movies(store.of_user(1)) == [(10, 3, 100), (11, 3, 100)]


def test_newest_and_then_last_rating_of_a_call_wins(store: FeedbackStore) -> None:
    ratings = [NewRating(10, 1, 100), NewRating(10, 5, 102), NewRating(10, 2, 101)]
    assert store.add(1, ratings) == Added(stored=1, ignored=2, replayed=False)
    assert movies(store.of_user(1)) == [(10, 5, 102)]
    store.add(1, [NewRating(11, 1, 100), NewRating(11, 2, 100)])
    assert movies(store.of_user(1)) == [(11, 2, 100), (10, 5, 102)]


def test_users_do_not_affect_each_other(store: FeedbackStore) -> None:
    store.add(1, [NewRating(10, 3, 100)], idempotency_key="a")
    store.add(2, [NewRating(10, 5, 50)], idempotency_key="a")
    store.delete(2)
    assert movies(store.of_user(1)) == [(10, 3, 100)]
    assert store.of_user(2).ratings == ()
    assert store.of_user(1).all_deleted_at is None


def test_thousands_of_ratings_in_one_call(store: FeedbackStore) -> None:
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
def test_newest_rating_wins_in_any_order_of_arrival(
    store: FeedbackStore, rows: list[tuple[int, int, int]], cut: int
) -> None:
    store.delete(1)
    ratings = [NewRating(movie, halves / 2, moment) for movie, halves, moment in rows]
    store.add(1, ratings[:cut])
    store.add(1, ratings[cut:])
    expected: dict[int, tuple[float, int]] = {}
    for movie, stars, moment in ratings:
        if movie not in expected or moment >= expected[movie][1]:
            expected[movie] = (stars, moment)
    stored = {movie: (stars, moment) for movie, stars, moment in movies(store.of_user(1))}
    assert stored == expected


# Idempotency


def test_repeated_key_returns_the_first_answer(store: FeedbackStore) -> None:
    ratings = [NewRating(10, 3, 100), NewRating(10, 2, 90)]
    first = store.add(1, ratings, idempotency_key="k")
    assert first == Added(stored=1, ignored=1, replayed=False)
    store.delete(1, 10)
    assert store.add(1, ratings, idempotency_key="k") == Added(1, 1, replayed=True)
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
def test_key_with_other_content_is_refused(
    store: FeedbackStore, ratings: list[NewRating], request_id: str | None
) -> None:
    store.add(1, [NewRating(10, 3, 100)], idempotency_key="k")
    with pytest.raises(IdempotencyConflict, match="new key"):
        store.add(1, ratings, request_id=request_id, idempotency_key="k")
    assert movies(store.of_user(1)) == [(10, 3, 100)]


def test_given_content_defines_a_repetition(store: FeedbackStore) -> None:
    store.add(1, [NewRating(10, 3, 100)], idempotency_key="k", content=b"body")
    later = store.add(1, [NewRating(10, 3, 105)], idempotency_key="k", content=b"body")
    assert later.replayed
    with pytest.raises(IdempotencyConflict):
        store.add(1, [NewRating(10, 3, 100)], idempotency_key="k", content=b"other")


def test_key_is_remembered_for_a_day_and_then_deleted(store: FeedbackStore, clock: Clock) -> None:
    store.add(1, [NewRating(10, 3, 100)], idempotency_key="k")
    clock.now += 24 * 3600
    store.add(2, [], idempotency_key="sweeps")
    assert store.add(1, [NewRating(10, 3, 100)], idempotency_key="k").replayed
    clock.now += KEY_LIFETIME_S
    store.add(2, [], idempotency_key="sweeps again")
    assert not store.add(1, [NewRating(10, 4, 100)], idempotency_key="k").replayed


def test_any_text_can_be_a_key(store: FeedbackStore) -> None:
    for key in ("", "a\0b", "\ud800", "x" * 10_000):
        assert not store.add(1, [NewRating(1, 1, 1)], idempotency_key=key).replayed
        assert store.add(1, [NewRating(1, 1, 1)], idempotency_key=key).replayed


def test_concurrent_requests_with_one_key_store_once(store: FeedbackStore) -> None:
    def send(_: int) -> Added:
        return store.add(1, [NewRating(10, 3, 100)], idempotency_key="k")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, range(24)))
    assert sum(not answer.replayed for answer in answers) == 1


# Deletion


def test_deleted_rating_can_be_given_again(store: FeedbackStore) -> None:
    store.add(1, [NewRating(10, 3, 100), NewRating(11, 4, 100)])
    assert store.delete(1, 10) == 1
    assert store.delete(1, 10) == 0
    assert store.of_user(1).deleted == {10}
    assert movies(store.of_user(1)) == [(11, 4, 100)]
    # A rating given after the deletion counts, even if its clock runs behind.
    store.add(1, [NewRating(10, 2, 90)])
    assert movies(store.of_user(1)) == [(10, 2, 90), (11, 4, 100)]
    assert store.of_user(1).deleted == frozenset()


def test_rating_that_is_not_stored_can_be_deleted(store: FeedbackStore, clock: Clock) -> None:
    assert store.delete(5, 10) == 0
    assert store.of_user(5).deleted == {10}
    assert store.everything() == Feedback(deleted={(5, 10): int(clock.now)})


def test_user_can_rate_again_after_deleting_all_ratings(store: FeedbackStore, clock: Clock) -> None:
    store.add(1, [NewRating(10, 3, 100), NewRating(11, 4, 100)])
    store.add(2, [NewRating(10, 3, 100)])
    store.delete(1, 10)
    clock.now += 5
    assert store.delete(1) == 1
    feedback = store.of_user(1)
    assert feedback == UserFeedback((), frozenset(), all_deleted_at=int(clock.now))
    store.add(1, [NewRating(11, 2, 50)])
    everything = store.everything()
    assert [(r.user_id, r.movie_id, r.stars) for r in everything.ratings] == [
        (1, 11, 2),
        (2, 10, 3),
    ]
    assert everything.deleted_users == {1: int(clock.now)}
    assert everything.deleted == {}


def test_clock_that_goes_back_does_not_undo_a_deletion(store: FeedbackStore, clock: Clock) -> None:
    store.delete(1, 10)
    store.delete(2)
    before = store.everything()
    clock.now -= 100
    store.delete(1, 10)
    store.delete(2)
    assert store.everything() == before


# Validation


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
def test_invalid_rating_is_refused_with_its_request(
    store: FeedbackStore, rating: NewRating
) -> None:
    with pytest.raises(BadRequest):
        store.add(1, [NewRating(2, 3, 1), rating])
    assert store.of_user(1).ratings == ()


@pytest.mark.parametrize("user_id", [0, -5, 2**63])
def test_user_id_out_of_range_is_refused(store: FeedbackStore, user_id: int) -> None:
    with pytest.raises(BadRequest):
        store.add(user_id, [NewRating(2, 3, 1)])
    with pytest.raises(BadRequest):
        store.delete(user_id)
    assert store.of_user(user_id).ratings == ()


@pytest.mark.parametrize("request_id", ["a\0b", "\ud800", "a\n", "x" * 101])
def test_invalid_request_id_is_refused(store: FeedbackStore, request_id: str) -> None:
    with pytest.raises(BadRequest):
        store.add(1, [NewRating(2, 3, 1)], request_id=request_id)


def test_request_id_is_not_executed_as_sql(store: FeedbackStore) -> None:
    store.add(1, [NewRating(2, 3, 1)], request_id="'; DROP TABLE feedback_ratings; --")
    (rating,) = store.of_user(1).ratings
    assert rating.request_id == "'; DROP TABLE feedback_ratings; --"


def test_import_loads_no_heavy_library() -> None:
    import subprocess

    heavy = ("pandas", "tensorflow", "keras", "mlflow", "dvc", "alembic")
    code = (
        "import sys, moovier.feedback.store, moovier.feedback.api_keys; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
