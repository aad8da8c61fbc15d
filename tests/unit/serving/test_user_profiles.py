"""Profiles of users and visitors: which ratings count, and in which order."""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import Floats, History
from moovier.feedback.ratings import NewRating
from moovier.serving.filters import Filter
from moovier.serving.user_recommender import UserRecommender
from tests.unit.serving.toy_users import (
    MOVIES,
    NO_MOVIES,
    UNKNOWN_USER,
    USERS,
    Counting,
    fitted,
    history_of,
)


def test_new_ratings_are_added_and_replace_old_ones() -> None:
    lists = fitted("ease")
    before = history_of(lists.user(USERS[0]))
    again, new = before[2][0], MOVIES[16]
    ratings = [
        NewRating(new, 3.0, 9_000_001),
        NewRating(again, 1.0, 9_000_000),
        NewRating(1, 5.0, 9_000_002),
    ]
    assert history_of(lists.user(USERS[0], ratings)) == [
        *(one for one in before if one[0] != again),
        (again, 1.0, 9_000_000),
        (new, 3.0, 9_000_001),
    ]


def test_feedback_replaces_the_models_rating_even_with_an_older_timestamp() -> None:
    lists = fitted("ease")
    again = history_of(lists.user(USERS[3]))[-1][0]
    history = history_of(lists.user(USERS[3], [NewRating(again, 0.5, 0)]))
    assert history[0] == (again, 0.5, 0)
    assert [movie for movie, _, _ in history].count(again) == 1


def test_newest_rating_of_a_movie_counts() -> None:
    lists = fitted("ease")
    new = MOVIES[16]
    for ratings, stars in (
        ([NewRating(new, 1.0, 5), NewRating(new, 2.0, 4)], 1.0),
        ([NewRating(new, 1.0, 5), NewRating(new, 2.0, 5)], 2.0),
    ):
        assert history_of(lists.anonymous(ratings)) == [(new, stars, 5)]


def test_deleted_rating_no_longer_counts_and_the_movie_returns() -> None:
    lists = fitted("timeline")
    before = history_of(lists.user(USERS[0]))
    deleted_movie = before[-1][0]
    profile = lists.user(USERS[0], deleted={deleted_movie, 1})
    assert history_of(profile) == before[:-1]
    page = lists.page(profile, Filter(), exclude=NO_MOVIES, top_k=20)
    assert deleted_movie in page.ids
    # A new rating counts again.
    profile = lists.user(USERS[0], [NewRating(deleted_movie, 2.0, 9_000_000)], {deleted_movie})
    assert history_of(profile) == [*before[:-1], (deleted_movie, 2.0, 9_000_000)]


def test_deleting_all_removes_ratings_up_to_that_moment() -> None:
    lists = fitted("ease")
    before = history_of(lists.user(USERS[1]))
    middle = before[3][2]
    assert history_of(lists.user(USERS[1], deleted_before=middle)) == before[4:]
    assert history_of(lists.user(USERS[1], deleted_before=middle - 1)) == before[3:]
    # Ratings given afterwards count, whatever their timestamp.
    profile = lists.user(USERS[1], [NewRating(MOVIES[16], 4.0, 1)], deleted_before=9_000_000)
    assert history_of(profile) == [(MOVIES[16], 4.0, 1)]
    everything_gone = lists.user(USERS[1], deleted_before=9_000_000)
    assert history_of(everything_gone) == []
    page = lists.page(everything_gone, Filter(), exclude=NO_MOVIES, top_k=17)
    assert {item.source for item in page.items} == {"popular"}
    assert page.ids.tolist() == lists.popular(Filter(), exclude=NO_MOVIES, top_k=17).ids.tolist()


def test_unknown_user_with_ratings_equals_a_visitor_with_them() -> None:
    lists = fitted("ease")
    ratings = [NewRating(MOVIES[8], 5.0, 1), NewRating(MOVIES[9], 5.0, 2)]
    user, visitor = (
        lists.user(UNKNOWN_USER, ratings),
        lists.anonymous(ratings),
    )
    assert np.array_equal(lists.scores(user), lists.scores(visitor))
    assert history_of(lists.user(UNKNOWN_USER)) == []


class ReadsOrder(Counting):
    """A scorer whose scores depend on the order of the history, as a recurrent model's do."""

    def fold_in(self, history: History) -> Floats:
        scores = np.zeros(self.n_movies, np.float32)
        for place, movie in enumerate(history.movies.tolist()):
            scores[(movie * 7 + place * 3) % self.n_movies] += 1 + place
        return scores


def test_order_of_ratings_with_equal_timestamps_does_not_matter() -> None:
    lists = UserRecommender(fitted("ease")._bundle, ReadsOrder(fitted("ease")._scorer))
    rated = [NewRating(MOVIES[row], 0.5 * (1 + row % 10), 5) for row in range(9)]
    random = np.random.default_rng(0)
    first = lists.anonymous(rated)
    page = lists.page(first, Filter(), exclude=NO_MOVIES, top_k=5)
    for _ in range(20):
        shuffled = [rated[place] for place in random.permutation(len(rated))]
        again = lists.anonymous(shuffled)
        assert again.key == first.key
        assert history_of(again) == history_of(first)
        assert lists.page(again, Filter(), exclude=NO_MOVIES, top_k=5).items == page.items
        known = lists.user(USERS[0], shuffled)
        assert known.key == lists.user(USERS[0], rated).key


def test_timestamps_order_a_history() -> None:
    lists = fitted("ease")
    rated = [
        NewRating(MOVIES[0], 4.0, 30),
        NewRating(MOVIES[5], 3.0, 10),
        NewRating(MOVIES[2], 5.0, 20),
    ]
    moments = [moment for _, _, moment in history_of(lists.anonymous(rated))]
    assert moments == [10, 20, 30]
    later = [rated[0]._replace(timestamp=5), *rated[1:]]
    assert lists.anonymous(later).key != lists.anonymous(rated).key


def test_events_count_as_ratings_without_hiding_their_movies() -> None:
    lists = fitted("ease")
    new, hidden, rated = MOVIES[16], MOVIES[12], history_of(lists.user(USERS[0]))[0]
    implicit = [NewRating(new, 4.0, 9_000_000), NewRating(rated[0], 0.5, 9_000_000)]
    profile = lists.user(USERS[0], implicit=implicit, hidden={hidden, 1})
    # A rating of the same movie counts more than the event.
    assert history_of(profile)[-1] == (new, 4.0, 9_000_000)
    assert rated in history_of(profile)
    page = lists.page(profile, Filter(), exclude=NO_MOVIES, top_k=len(MOVIES))
    listed = {item.movie.id for item in page.items}
    assert new in listed
    assert not {hidden, rated[0]} & listed


def test_hidden_movies_alone_leave_the_scores_of_the_training() -> None:
    lists = fitted("ease")
    hidden = MOVIES[12]
    profile = lists.user(USERS[0], hidden={hidden})
    assert profile.row == lists.user(USERS[0]).row
    assert hidden not in {
        item.movie.id
        for item in lists.page(profile, Filter(), exclude=NO_MOVIES, top_k=len(MOVIES)).items
    }
    nobody = lists.user(UNKNOWN_USER, hidden={hidden})
    assert history_of(nobody) == []
    page = lists.page(nobody, Filter(), exclude=NO_MOVIES, top_k=len(MOVIES))
    assert hidden not in {item.movie.id for item in page.items}
    assert len(page.items) == len(MOVIES) - 1
