"""Splits conserve rows, never leak the future, and leave every user a history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.data import split
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.data.split import (
    LEAST_BEFORE,
    PAUSE_S,
    development_split,
    hold_out_users,
    hold_out_users_if_possible,
    random_split,
    split_at_time,
    split_last_share,
    split_last_visit,
)


@st.composite
def some_ratings(draw: st.DrawFn) -> Ratings:
    """Up to sixty ratings of up to six users, in any order, with many equal timestamps."""
    n_users, n_movies = draw(st.integers(2, 6)), draw(st.integers(10, 13))
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, n_users - 1), st.integers(0, n_movies - 1)),
            min_size=2,
            max_size=60,
            unique=True,
        )
    )
    moments = draw(st.lists(st.integers(0, 9), min_size=len(pairs), max_size=len(pairs)))
    users, movies = np.array(pairs).T
    # Distinct stars identify the rows.
    stars = np.arange(len(pairs), dtype=np.float32)
    return Ratings(users, movies, stars, np.array(moments), n_users, n_movies)


@st.composite
def some_visits(draw: st.DrawFn) -> Ratings:
    """Ratings of up to ten users in visits of up to fifteen ratings, rows in any order."""
    n_users, n_movies = draw(st.integers(1, 10)), 60
    users, movies, moments = [], [], []
    for user in range(n_users):
        moment = draw(st.integers(0, 1000))
        unrated = iter(draw(st.permutations(range(n_movies))))
        for size in draw(st.lists(st.integers(1, 15), max_size=4)):
            moment += draw(st.sampled_from([0, PAUSE_S - 1, PAUSE_S, 10 * PAUSE_S]))
            for _ in range(size):
                users.append(user)
                movies.append(next(unrated))
                moments.append(moment)
                moment += draw(st.sampled_from([0, 60]))
    n = len(users)
    order = np.random.default_rng(draw(st.integers(0, 9))).permutation(n)
    stars = np.arange(n, dtype=np.float32)
    columns = [np.array(values, dtype=np.int64)[order] for values in (users, movies, moments)]
    return Ratings(columns[0], columns[1], stars, columns[2], n_users, n_movies)


def row_numbers(*parts: Ratings) -> list[int]:
    return sorted(int(star) for part in parts for star in part.stars)


SPLITS: dict[str, Callable[[Ratings], tuple[Ratings, ...]]] = {
    "split_last_share": split_last_share,
    "random_split": lambda r: random_split(r, seed=3),
    "split_at_time": split_at_time,
    "split_last_visit": lambda r: split_last_visit(r, pause_s=3, least=2),
    "hold_out_users": lambda r: hold_out_users_if_possible(r, 3),
}


@pytest.mark.parametrize("name", SPLITS)
@given(ratings=some_ratings())
def test_each_rating_is_in_exactly_one_part(name: str, ratings: Ratings) -> None:
    parts = SPLITS[name](ratings)
    assert row_numbers(*parts) == list(range(len(ratings)))
    assert {(part.n_users, part.n_movies) for part in parts} == {
        (ratings.n_users, ratings.n_movies)
    }


@given(ratings=some_ratings())
def test_each_user_is_tested_on_the_future_only(ratings: Ratings) -> None:
    earlier, later = split_last_share(ratings)
    for user in np.intersect1d(earlier.users, later.users):
        before = earlier.timestamps[earlier.users == user]
        after = later.timestamps[later.users == user]
        assert before.max() <= after.min()


@given(ratings=some_ratings())
def test_ties_are_cut_in_row_order(ratings: Ratings) -> None:
    earlier, later = split_last_share(ratings)
    for user in np.intersect1d(earlier.users, later.users):
        last = earlier.timestamps[earlier.users == user].max()
        of_user = later.users == user
        first = later.timestamps[of_user].min()
        if last == first:
            tied_before = earlier.stars[(earlier.users == user) & (earlier.timestamps == last)]
            tied_after = later.stars[of_user & (later.timestamps == first)]
            assert tied_before.max() < tied_after.min()


@given(ratings=some_ratings(), share=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9]))
def test_each_user_keeps_training_ratings(ratings: Ratings, share: float) -> None:
    earlier, _ = split_last_share(ratings, share)
    assert set(earlier.users) == set(ratings.users)


def test_last_fifth_of_a_history_is_the_test_part() -> None:
    """With n ratings, those from position ceil(0.8 n) on are the test part."""
    sizes = {1: 0, 2: 0, 4: 0, 5: 1, 6: 1, 9: 1, 10: 2, 11: 2, 15: 3, 25: 5}
    for n, expected in sizes.items():
        one = Ratings(np.zeros(n, int), np.arange(n), np.ones(n, np.float32), np.arange(n), 1, n)
        earlier, later = split_last_share(one)
        assert (len(earlier), len(later)) == (n - expected, expected)
        assert list(later.movies) == list(range(n - expected, n))


def test_small_histories_are_split_as_by_hand(tiny_ratings: Ratings) -> None:
    earlier, later = split_last_share(tiny_ratings, 0.5)
    assert later.movies[later.users == 0].tolist() == [3, 1]
    # Movies 2 and 1 have the same timestamp: the first row counts as earlier.
    assert earlier.movies[earlier.users == 1].tolist() == [0, 2]
    assert later.movies[later.users == 1].tolist() == [1, 3]
    assert earlier.movies[earlier.users == 2].tolist() == [5]
    assert later.users.tolist().count(2) == 0


def test_test_share_of_one_is_refused(tiny_ratings: Ratings) -> None:
    with pytest.raises(ValueError, match="test_share"):
        split_last_share(tiny_ratings, 1.0)


def test_random_test_part_is_the_first_tenth_of_the_permutation() -> None:
    n = 57
    ratings = Ratings(
        np.zeros(n, int), np.arange(n), np.ones(n, np.float32), np.zeros(n, int), 1, n
    )
    train, test = random_split(ratings, seed=11)
    expected = np.random.default_rng(11).permutation(n)[:5]
    assert sorted(test.movies) == sorted(expected)
    assert len(train) == 52
    assert random_split(ratings, seed=12)[1].movies.tolist() != test.movies.tolist()


@given(ratings=some_ratings(), seed=st.integers(0, 5))
def test_held_out_users_keep_no_rating(ratings: Ratings, seed: int) -> None:
    rated = np.unique(ratings.users)
    if rated.size < 2:
        with pytest.raises(ValueError, match="two users"):
            hold_out_users(ratings, seed)
        return
    kept, held = hold_out_users(ratings, seed)
    assert row_numbers(kept, held) == list(range(len(ratings)))
    assert not set(kept.users) & set(held.users)
    assert len(set(held.users)) == min(max(round(0.2 * rated.size), 1), rated.size - 1)


def test_split_at_time_cuts_all_users_at_one_moment(tiny_ratings: Ratings) -> None:
    until, after = split_at_time(tiny_ratings, 0.7)
    assert until.timestamps.max() < after.timestamps.min()
    assert sorted(after.timestamps) == [40, 50, 90]


@pytest.mark.real_data
def test_split_at_time_leaves_few_users_in_both_parts(real_data: Path) -> None:
    _, ratings, _ = to_arrays(read_movielens(real_data))
    until, after = split_at_time(ratings, 0.9)
    assert np.intersect1d(until.users, after.users).size == 27


def pauses(ratings: Ratings, user: int) -> list[int]:
    """Return the positions in a user's history at which a visit starts after ten ratings."""
    moments = ratings.histories[user].timestamps
    return [
        place
        for place in range(LEAST_BEFORE, moments.size)
        if moments[place] - moments[place - 1] >= PAUSE_S
    ]


@given(ratings=some_visits())
def test_next_visit_starts_at_the_last_pause_after_ten_ratings(ratings: Ratings) -> None:
    before, after = split_last_visit(ratings)
    assert row_numbers(before, after) == list(range(len(ratings)))
    for user in range(ratings.n_users):
        places = pauses(ratings, user)
        history = before.histories[user]
        assert len(history) == (places[-1] if places else len(ratings.histories[user]))
        if places:
            first = after.histories[user].timestamps[0]
            assert first - history.timestamps[-1] >= PAUSE_S


def test_shortest_pause_is_a_day_after_ten_ratings() -> None:
    def cut(before: int, pause: int) -> int:
        moments = np.concatenate([np.arange(before), [before - 1 + pause]])
        n = moments.size
        one = Ratings(np.zeros(n, int), np.arange(n), np.ones(n, np.float32), moments, 1, n)
        return len(split_last_visit(one)[1])

    assert cut(10, 86_400) == 1
    assert cut(10, 86_399) == 0
    assert cut(9, 86_400) == 0


@given(ratings=some_visits(), seed=st.integers(0, 3))
def test_tuning_sees_no_test_rating_and_no_held_out_user(ratings: Ratings, seed: int) -> None:
    if not len(ratings):
        return
    split = development_split(ratings, seed)
    _, held_out = hold_out_users_if_possible(ratings, seed)
    _, after = split_last_visit(ratings)
    parts = (split.train, split.visitors, split.next_visit)
    seen = row_numbers(*parts)
    assert len(set(seen)) == len(seen)
    assert not set(seen) & set(row_numbers(after))
    for part in parts:
        assert not set(part.users) & set(held_out.users)
    # All ratings outside the tests are used.
    assert sorted([*seen, *(set(row_numbers(held_out)) | set(row_numbers(after)))]) == list(
        range(len(ratings))
    )


@given(ratings=some_visits(), seed=st.integers(0, 3))
def test_validation_is_split_like_the_test(ratings: Ratings, seed: int) -> None:
    if not len(ratings):
        return
    split = development_split(ratings, seed)
    assert not set(split.visitors.users) & {*split.train.users, *split.next_visit.users}
    for user in np.unique(split.next_visit.users):
        history = split.train.histories[int(user)]
        assert len(history) >= LEAST_BEFORE
        first = split.next_visit.histories[int(user)].timestamps[0]
        assert first - history.timestamps[-1] >= PAUSE_S


@given(ratings=some_ratings())
def test_rating_models_are_tuned_without_their_test(ratings: Ratings) -> None:
    split = development_split(ratings)
    known, _ = random_split(ratings, 0)
    assert row_numbers(split.stars_train, split.stars_validation) == row_numbers(known)


@pytest.mark.real_data
def test_ml_latest_small_has_the_published_next_visits(real_data: Path) -> None:
    _, ratings, _ = to_arrays(read_movielens(real_data))
    _, after = split_last_visit(ratings)
    assert (np.unique(after.users).size, len(after)) == (235, 5142)


def test_large_data_hold_out_a_sample_that_stays_the_same_without_some_users() -> None:
    users = np.repeat(np.arange(60), 13)
    timestamps = np.tile(np.r_[np.arange(12), 12 + 2 * PAUSE_S], 60)
    movies = np.tile(np.arange(13), 60)
    stars = np.full(users.size, 4.0, dtype=np.float32)
    ratings = Ratings(users, movies, stars, timestamps, 60, 13)
    _, after = split_last_visit(ratings, most=10)
    assert np.unique(after.users).size == 10
    some = ratings.take(ratings.users % 3 > 0)
    _, of_some = split_last_visit(some, most=10)
    expected = np.intersect1d(after.users, some.users)
    assert set(expected) <= set(of_some.users)
    _, held_out = hold_out_users(ratings, seed=0, most=5)
    assert np.unique(held_out.users).size == 5


def test_random_split_does_not_depend_on_the_order_of_the_rows() -> None:
    random = np.random.default_rng(1)
    users, movies = np.divmod(np.arange(60), 12)
    by_movie = Ratings(users, movies, np.ones(60, np.float32), random.permutation(60), 5, 12)
    rows = np.random.default_rng(5).permutation(60)[:6]
    _, test = random_split(by_movie.take(random.permutation(60)), seed=5)
    assert sorted(test.users * 12 + test.movies) == sorted(rows)


def assert_same_rows(part: Ratings, expected: Ratings) -> None:
    for name in ("users", "movies", "stars", "timestamps"):
        np.testing.assert_array_equal(getattr(part, name), getattr(expected, name))


@given(ratings=some_visits(), seed=st.integers(0, 4), few=st.integers(1, 4), in_order=st.booleans())
def test_parts_equal_those_cut_one_after_the_other(
    ratings: Ratings, seed: int, few: int, in_order: bool
) -> None:
    if in_order:
        ratings = ratings.histories.ratings()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "MOST_TEST_USERS", few + 1)
        patch.setattr(split, "MOST_VALIDATION_USERS", few)
        development = development_split(ratings, seed)
        tests = split.split_both_tests(ratings, seed)
    kept, held_out = hold_out_users_if_possible(ratings, seed, most=few + 1)
    before, after = split_last_visit(kept, most=few + 1)
    others, visitors = hold_out_users_if_possible(before, seed + 1, most=few)
    train, next_visit = split_last_visit(others, most=few, seed=seed + 1)
    assert_same_rows(tests.before, before)
    assert_same_rows(tests.held_out, held_out)
    assert_same_rows(tests.after, after)
    assert_same_rows(development.train, train)
    assert_same_rows(development.visitors, visitors)
    assert_same_rows(development.next_visit, next_visit)


@given(ratings=some_visits(), least=st.integers(1, 10))
def test_last_visits_equal_a_loop_over_users(ratings: Ratings, least: int) -> None:
    before, after = split_last_visit(ratings, least=least)
    expected: list[float] = []
    for user in range(ratings.n_users):
        rows = np.flatnonzero(ratings.users == user)
        rows = rows[np.argsort(ratings.timestamps[rows], kind="stable")]
        moments = ratings.timestamps[rows]
        starts = [i for i in range(least, rows.size) if moments[i] - moments[i - 1] >= PAUSE_S]
        expected += ratings.stars[rows[starts[-1] :]].tolist() if starts else []
    assert row_numbers(after) == sorted(map(int, expected))
    assert row_numbers(before, after) == list(range(len(ratings)))


@given(ratings=some_ratings(), seed=st.integers(0, 3), few=st.integers(1, 5))
def test_random_rows_of_a_sample_equal_those_of_all_rows(
    ratings: Ratings, seed: int, few: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "MOST_TEST_USERS", few)
        _, test = random_split(ratings, seed, share=0.5)
    _, all_rows = random_split(ratings, seed, share=0.5)
    users = np.flatnonzero(ratings.counts)
    sample = users[np.argsort(np.random.default_rng(seed).permutation(ratings.n_users)[users])]
    assert_same_rows(test, all_rows.take(np.isin(all_rows.users, sample[:few])))
