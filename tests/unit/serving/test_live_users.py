"""Lists of users with the feedback that they gave since the training."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.errors import BadRequest
from moovier.feedback.ratings import NewRating, StoredRating, UserFeedback
from moovier.serving import live_users
from moovier.serving.live_users import profile_of, rated_movies
from tests.unit.serving.toy_context import champion
from tests.unit.serving.toy_users import MOVIES, UNKNOWN_USER, USERS, history_of

TOP_K = 50


def feedback(user: int, *ratings: tuple[int, float, int], deleted: frozenset[int] = frozenset(),
             all_deleted_at: int | None = None) -> UserFeedback:  # fmt: skip
    stored = tuple(StoredRating(user, *rating, None) for rating in ratings)
    return UserFeedback(stored, deleted, all_deleted_at)


def test_ratings_of_feedback_are_new_ratings() -> None:
    assert rated_movies(None) == []
    given = feedback(7, (10, 4.0, 5), (12, 1.0, 6))
    assert rated_movies(given) == [NewRating(10, 4.0, 5), NewRating(12, 1.0, 6)]


def test_a_profile_without_feedback_is_that_of_the_training() -> None:
    recommender = champion().recommender.user_recommender
    profile = profile_of(recommender, USERS[3], None)
    assert profile.row == 3
    more = [NewRating(MOVIES[16], 2.0, 99_999)]
    assert history_of(profile_of(recommender, USERS[3], None, more)) == [
        *history_of(profile),
        (MOVIES[16], 2.0, 99_999),
    ]


def test_a_profile_has_feedback_and_the_requests_ratings() -> None:
    recommender = champion().recommender.user_recommender
    given = feedback(UNKNOWN_USER, (MOVIES[0], 4.0, 5))
    more = [NewRating(MOVIES[1], 2.0, 9)]
    assert history_of(profile_of(recommender, UNKNOWN_USER, given, more)) == [
        (MOVIES[0], 4.0, 5),
        (MOVIES[1], 2.0, 9),
    ]


def test_deleted_ratings_do_not_count() -> None:
    recommender = champion().recommender.user_recommender
    before = history_of(profile_of(recommender, USERS[0], None))
    one = feedback(USERS[0], deleted=frozenset([before[0][0]]))
    assert history_of(profile_of(recommender, USERS[0], one)) == before[1:]
    everything = feedback(USERS[0], all_deleted_at=before[-1][2])
    assert history_of(profile_of(recommender, USERS[0], everything)) == []


def test_events_count_as_ratings_unless_only_stars_count() -> None:
    recommender = champion().recommender.user_recommender
    given = UserFeedback((), frozenset(), implicit=(NewRating(MOVIES[2], 4.5, 5),))
    assert history_of(profile_of(recommender, UNKNOWN_USER, given)) == [(MOVIES[2], 4.5, 5)]
    assert history_of(profile_of(recommender, UNKNOWN_USER, given, stars_only=True)) == []


def test_lists_of_users_with_feedback_replace_those_of_the_training() -> None:
    recommender = champion().recommender
    users = [USERS[0], UNKNOWN_USER, USERS[1], 98, USERS[0]]
    given = {
        USERS[0]: feedback(USERS[0], (MOVIES[16], 5.0, 9)),
        UNKNOWN_USER: feedback(UNKNOWN_USER, (MOVIES[9], 5.0, 9)),
    }
    answers = live_users.recommend(recommender, users, TOP_K, given.get)
    plain = recommender.recommend(users, TOP_K)
    assert [answer.user_id for answer in answers] == users
    assert answers[2:4] == plain[2:4]
    assert [answer.source for answer in answers] == ["model", "model", "model", "popular", "model"]
    assert MOVIES[16] not in [item.movie.id for item in answers[0].items]
    assert MOVIES[16] in [item.movie.id for item in plain[0].items]
    assert answers[0] == answers[4]
    # The visitor likes a movie of the second taste.
    assert answers[1].items[0].movie.id in MOVIES[8:16]


def test_a_user_who_deleted_everything_gets_popular_movies() -> None:
    recommender = champion().recommender
    given = {USERS[0]: feedback(USERS[0], all_deleted_at=2_000_000_000)}
    [answer] = live_users.recommend(recommender, [USERS[0]], 3, given.get)
    assert answer.source == "popular"
    counts = recommender.user_recommender.counts
    assert answer.items[0].movie.id == MOVIES[int(np.argmax(counts))]


def test_arrays_hold_the_same_lists() -> None:
    recommender = champion().recommender
    users = [USERS[5], UNKNOWN_USER, USERS[0]]
    given = {UNKNOWN_USER: feedback(UNKNOWN_USER, (MOVIES[0], 5.0, 9))}
    answers = live_users.recommend(recommender, users, 4, given.get)
    arrays = live_users.ranking_ids(recommender, users, 4, given.get)
    for answer, (ids, scores) in zip(answers, arrays, strict=True):
        assert ids.tolist() == [item.movie.id for item in answer.items]
        np.testing.assert_allclose(scores, [item.score for item in answer.items], rtol=1e-6)


@pytest.mark.parametrize(("users", "top_k"), [([], 3), ([100], 0), ([100], 1001)])
def test_no_users_and_other_lengths_are_refused(users: list[int], top_k: int) -> None:
    for answer in (live_users.recommend, live_users.ranking_ids):
        with pytest.raises(BadRequest):
            answer(champion().recommender, users, top_k, lambda _user: None)
