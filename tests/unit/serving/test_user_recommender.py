"""Pages for users and visitors: filters, paging and reasons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moovier.data.ratings import LIKED_STARS, Floats, History, Ints, Ratings
from moovier.errors import BadRequest
from moovier.feedback.ratings import NewRating
from moovier.models import popular
from moovier.models.families import family
from moovier.models.family import FitContext
from moovier.serving.filters import Filter
from moovier.serving.user_recommender import UserRecommender
from tests.contracts import toy
from tests.unit.serving.toy_users import (
    FAMILIES,
    GENRES,
    MOVIES,
    NO_MOVIES,
    UNKNOWN_USER,
    USERS,
    Counting,
    catalogue,
    everything,
    fitted,
    fresh,
    history_of,
    passing,
)

FILTERS = st.builds(
    Filter,
    st.lists(st.sampled_from(GENRES), max_size=2).map(tuple),
    st.none() | st.integers(1978, 1988),
    st.none() | st.integers(1988, 1999),
)
RATED = st.lists(
    st.builds(
        NewRating,
        st.sampled_from([*MOVIES, 1, 99_999]),
        st.integers(1, 10).map(lambda halves: halves / 2),
        st.integers(0, 3_000_000),
    ),
    max_size=12,
)


@pytest.fixture(params=FAMILIES)
def lists(request: pytest.FixtureRequest) -> UserRecommender:
    return fitted(request.param)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(FAMILIES),
    user=st.sampled_from([*USERS, UNKNOWN_USER, None]),
    ratings=RATED,
    deleted=st.sets(st.sampled_from([*MOVIES, 1]), max_size=4),
    movie_filter=FILTERS,
    exclude=st.lists(st.sampled_from([*MOVIES, 1]), max_size=5),
    size=st.integers(1, 20),
)
def test_pages_contain_each_passing_unrated_movie_once(
    name: str,
    user: int | None,
    ratings: list[NewRating],
    deleted: set[int],
    movie_filter: Filter,
    exclude: list[int],
    size: int,
) -> None:
    lists = fitted(name)
    profile = lists.anonymous(ratings) if user is None else lists.user(user, ratings, deleted)
    out = np.array(exclude, dtype=np.int64)
    pages = list(
        everything(
            lambda shown: lists.page(
                profile, movie_filter, exclude=np.concatenate([out, shown]), top_k=size
            ),
            size,
        )
    )
    # `more` is true only if the next page has movies.
    assert all(page.items for page in pages[1:])
    items = [item for page in pages for item in page.items]
    shown = [item.movie.id for item in items]
    rated = {movie for movie, _, _ in history_of(profile)}
    assert len(shown) == len(set(shown))
    assert set(shown) == passing(movie_filter) - rated - set(exclude)
    assert shown == [id_ for page in pages for id_ in page.ids.tolist()]
    # Ordered by score, equal scores by id.
    scores = dict(zip(MOVIES, lists.scores(profile).tolist(), strict=True))
    assert shown == sorted(shown, key=lambda id_: (-scores[id_], id_))
    assert [item.score for item in items] == [scores[id_] for id_ in shown]
    assert {item.source for item in items} <= {"model" if rated else "popular"}
    # Reasons are at most three different liked movies of this user.
    mean = float(np.mean([stars for _, stars, _ in history_of(profile)])) if rated else LIKED_STARS
    liked = {movie for movie, stars, _ in history_of(profile) if stars >= min(LIKED_STARS, mean)}
    for item in items:
        reasons = [movie.id for movie in item.because]
        assert len(set(reasons)) == len(reasons) <= 3
        assert set(reasons) <= liked


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(FAMILIES),
    movie_filter=FILTERS,
    size=st.integers(1, 20),
    row=st.integers(0),
)
def test_popular_and_similar_movies_are_paged_too(
    name: str, movie_filter: Filter, size: int, row: int
) -> None:
    lists, row = fitted(name), row % toy.N_MOVIES
    for source, missing, make in (
        ("popular", set(), lists.popular),
        ("similar", {MOVIES[row]}, lambda *a, **k: lists.similar(row, *a, **k)),
    ):
        pages = everything(
            lambda shown, make=make: make(movie_filter, exclude=shown, top_k=size),  # type: ignore[misc]
            size,
        )
        items = [item for page in pages for item in page.items]
        assert {item.source for item in items} <= {source}
        shown = [item.movie.id for item in items]
        assert len(shown) == len(set(shown))
        assert set(shown) == passing(movie_filter) - missing
        scores = [item.score for item in items]
        assert scores == sorted(scores, reverse=True)
        for item in items:
            assert {movie.id for movie in item.because} == missing


def test_unknown_genre_is_refused(lists: UserRecommender) -> None:
    with pytest.raises(BadRequest, match="unknown genre"):
        lists.page(lists.user(USERS[0]), Filter(("Western",)), exclude=NO_MOVIES, top_k=3)


def test_best_movie_and_its_reasons_match_the_users_taste() -> None:
    for name in ("ease", "timeline"):
        lists = fitted(name)
        for user in range(toy.N_USERS):
            profile = lists.user(USERS[user])
            page = lists.page(profile, Filter(), exclude=NO_MOVIES, top_k=1)
            assert page.items[0].movie.id == MOVIES[toy.held_out(user)]
            liked, _ = toy.taste(user)
            reasons = {movie.id for movie in page.items[0].because}
            assert reasons
            assert reasons <= {MOVIES[row] for row in liked}


def test_reasons_are_ordered_by_weight_without_weak_ones() -> None:
    class FixedWeights(Counting):
        def explain(self, history: History, movies: Ints) -> Floats:
            weights = dict(zip(MOVIES, [0, 0, 8, 1.9, 2, 4, -3, 5, 9], strict=False))
            ids = toy.MOVIE_IDS[history.movies].tolist()
            return np.array([[weights.get(id_, 0) for id_ in ids]] * len(movies), np.float32)

    lists = UserRecommender(fitted("ease")._bundle, FixedWeights(fitted("ease")._scorer))

    def reasons(*rated: tuple[int, float]) -> list[int]:
        profile = lists.anonymous([NewRating(MOVIES[row], stars, 1) for row, stars in rated])
        page = lists.page(profile, Filter(), exclude=NO_MOVIES, top_k=1)
        return [MOVIES.index(movie.id) for movie in page.items[0].because]

    # Movie 8 has the largest weight, but was not liked; only three reasons are named.
    assert reasons((8, 1.0), (2, 5.0), (5, 4.0), (7, 5.0), (4, 5.0)) == [2, 7, 5]
    # Weights below a quarter of the largest do not count.
    assert reasons((2, 5.0), (3, 5.0), (4, 5.0)) == [2, 4]
    # Weights of zero or less are no reasons.
    assert reasons((0, 5.0), (6, 5.0)) == []
    # A strict user likes movies above the own mean, but none with few stars.
    assert reasons((2, 1.0), (5, 2.5), (7, 3.0)) == [7]
    assert reasons((2, 0.5)) == reasons((2, 0.5), (5, 1.0), (7, 2.0)) == []


def test_known_user_is_scored_by_row_and_a_changed_one_by_fold_in(
    lists: UserRecommender,
) -> None:
    name = lists._bundle.card.family
    lists, scorer = fresh(name)
    profile = lists.user(USERS[2])
    assert profile.row == 2
    first = lists.scores(profile)
    assert (scorer.scored, len(scorer.folded)) == ([2], 0)
    expected = lists._scorer.score(np.array([2]), lists._bundle.histories)[0]
    assert np.array_equal(first, expected)
    changed = lists.user(USERS[2], [NewRating(MOVIES[16], 5.0, 9_000_000)])
    assert changed.row is None
    lists.scores(changed)
    assert len(scorer.folded) == 1


def test_equal_histories_are_scored_once() -> None:
    lists, scorer = fresh("ease")
    one = [NewRating(MOVIES[0], 5.0, 1), NewRating(MOVIES[1], 4.0, 2)]
    first = lists.scores(lists.anonymous(one))
    # In another order, and with an unknown movie.
    again = lists.scores(lists.anonymous([*reversed(one), NewRating(1, 5.0, 3)]))
    assert again is first
    assert len(scorer.folded) == 1
    for other in (
        [NewRating(MOVIES[0], 4.5, 1), one[1]],
        [NewRating(MOVIES[2], 5.0, 1), one[1]],
        [NewRating(MOVIES[0], 5.0, 0), one[1]],
        one[:1],
    ):
        lists.scores(lists.anonymous(other))
    assert len(scorer.folded) == 5


def test_scores_of_only_some_profiles_are_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moovier.serving.user_recommender.CACHED_PROFILES", 2)
    lists, scorer = fresh("ease")
    for user in (0, 1, 0, 2, 0, 1):
        lists.scores(lists.user(USERS[user]))
    # User 2 replaced user 1, since user 0 was scored after user 1.
    assert scorer.scored == [0, 1, 2, 1]
    assert len(lists._scores) == 2


def test_page_does_not_change_cached_scores(lists: UserRecommender) -> None:
    for profile in (lists.user(USERS[0]), lists.user(UNKNOWN_USER)):
        before = lists.scores(profile).copy()
        lists.page(
            profile, Filter(("Drama",)), exclude=np.array(MOVIES[:3], dtype=np.int64), top_k=3
        )
        assert np.array_equal(lists.scores(profile), before)
    before = lists.popularity.all_time.copy()
    lists.popular(Filter(("Drama",)), exclude=np.array(MOVIES[:3], dtype=np.int64), top_k=3)
    assert np.array_equal(lists.popularity.all_time, before)


def test_mean_stars_and_counts_of_movies() -> None:
    rows: Sequence[Sequence[float]] = [(0, 0, 4, 1), (1, 0, 3.5, 2), (2, 0, 3.5, 3), (2, 3, 0.5, 4)]
    known: Ratings = toy.ratings_of(rows, 3)
    kind = family(popular.NAME)
    params = kind.hyper_parameters(size=1)
    arrays = kind.fit(known, params, FitContext(catalogue(), seed=0)).arrays
    lists = UserRecommender(toy.bundle_of(popular.NAME, params, arrays, known), kind.scorer(arrays))
    assert [lists.mean_stars(row) for row in (0, 1, 3)] == [3.67, None, 0.5]
    assert lists.counts[:4].tolist() == [3, 0, 0, 1]
    assert lists.popularity.all_time[[0, 1, 3]].tolist() == pytest.approx([1.0, 0.0, 1 / 3])


def test_scores_of_some_movies_equal_those_of_the_whole_catalogue(
    lists: UserRecommender,
) -> None:
    rows = np.array([3, 0, 12])
    for profile in (
        lists.anonymous([NewRating(MOVIES[1], 5.0, 1), NewRating(MOVIES[9], 1.0, 1)]),
        lists.user(USERS[1]),
        lists.user(UNKNOWN_USER),
    ):
        expected = lists.scores(profile)[rows]
        assert lists.scores_of(profile, rows) == pytest.approx(expected, abs=1e-5)
