"""Splits conserve rows, never show the future, and leave nobody without a history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.data.arrays import Ratings
from moovier.data.movielens import indexed, read_movielens
from moovier.data.split import (
    by_global_time,
    by_time,
    hold_out_users,
    random_split,
    time_split,
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
    # Stars tell the rows apart, so that a test can see where each one went.
    stars = np.arange(len(pairs), dtype=np.float32)
    return Ratings(users, movies, stars, np.array(moments), n_users, n_movies)


def rows(*parts: Ratings) -> list[int]:
    return sorted(int(star) for part in parts for star in part.stars)


SPLITS: dict[str, Callable[[Ratings], tuple[Ratings, ...]]] = {
    "by_time": by_time,
    "time_split": lambda r: (time_split(r).train, time_split(r).validation, time_split(r).test),
    "random_split": lambda r: random_split(r, seed=3),
    "by_global_time": by_global_time,
}


@pytest.mark.parametrize("name", SPLITS)
@given(ratings=some_ratings())
def test_nothing_is_lost_and_nothing_is_in_two_parts(name: str, ratings: Ratings) -> None:
    parts = SPLITS[name](ratings)
    assert rows(*parts) == list(range(len(ratings)))
    assert {(part.n_users, part.n_movies) for part in parts} == {
        (ratings.n_users, ratings.n_movies)
    }


@given(ratings=some_ratings())
def test_each_user_trains_on_the_past_only(ratings: Ratings) -> None:
    split = time_split(ratings)
    for earlier, later in ((split.train, split.validation), (split.validation, split.test)):
        for user in np.intersect1d(earlier.users, later.users):
            before = earlier.timestamps[earlier.users == user]
            after = later.timestamps[later.users == user]
            assert before.max() <= after.min()


@given(ratings=some_ratings())
def test_ties_are_cut_in_row_order(ratings: Ratings) -> None:
    earlier, later = by_time(ratings)
    for user in np.intersect1d(earlier.users, later.users):
        last = earlier.timestamps[earlier.users == user].max()
        mine = later.users == user
        first = later.timestamps[mine].min()
        if last == first:
            tied_before = earlier.stars[(earlier.users == user) & (earlier.timestamps == last)]
            tied_after = later.stars[mine & (later.timestamps == first)]
            assert tied_before.max() < tied_after.min()


@given(ratings=some_ratings(), share=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9]))
def test_nobody_with_ratings_is_left_without_training(ratings: Ratings, share: float) -> None:
    earlier, _ = by_time(ratings, share)
    assert set(earlier.users) == set(ratings.users)
    assert set(time_split(ratings).train.users) == set(ratings.users)


def test_the_cut_is_the_one_of_the_protocol() -> None:
    """With n ratings, those from position ceil(0.8 n) on are the test part."""
    sizes = {1: 0, 2: 0, 4: 0, 5: 1, 6: 1, 9: 1, 10: 2, 11: 2, 15: 3, 25: 5}
    for n, expected in sizes.items():
        one = Ratings(np.zeros(n, int), np.arange(n), np.ones(n, np.float32), np.arange(n), 1, n)
        earlier, later = by_time(one)
        assert (len(earlier), len(later)) == (n - expected, expected)
        assert list(later.movies) == list(range(n - expected, n))


def test_a_small_history_split_by_hand(tiny_ratings: Ratings) -> None:
    earlier, later = by_time(tiny_ratings, 0.5)
    assert later.movies[later.users == 0].tolist() == [3, 1]
    # Movies 2 and 1 were rated at the same moment: the one that stands first is earlier.
    assert earlier.movies[earlier.users == 1].tolist() == [0, 2]
    assert later.movies[later.users == 1].tolist() == [1, 3]
    assert earlier.movies[earlier.users == 2].tolist() == [5]
    assert later.users.tolist().count(2) == 0


def test_a_share_of_everything_is_refused(tiny_ratings: Ratings) -> None:
    with pytest.raises(ValueError, match="test_share"):
        by_time(tiny_ratings, 1.0)


def test_the_random_test_part_is_the_first_tenth_of_the_permutation() -> None:
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
def test_people_held_out_are_wholly_out(ratings: Ratings, seed: int) -> None:
    rated = np.unique(ratings.users)
    if rated.size < 2:
        with pytest.raises(ValueError, match="two users"):
            hold_out_users(ratings, seed)
        return
    kept, held = hold_out_users(ratings, seed)
    assert rows(kept, held) == list(range(len(ratings)))
    assert not set(kept.users) & set(held.users)
    assert len(set(held.users)) == min(max(round(0.2 * rated.size), 1), rated.size - 1)


def test_the_global_cut_is_one_moment_for_everybody(tiny_ratings: Ratings) -> None:
    until, after = by_global_time(tiny_ratings, 0.7)
    assert until.timestamps.max() < after.timestamps.min()
    assert sorted(after.timestamps) == [40, 50, 90]


@pytest.mark.real_data
def test_the_published_global_cut_leaves_few_people_on_both_sides(real_data: Path) -> None:
    _, ratings, _ = indexed(read_movielens(real_data))
    until, after = by_global_time(ratings, 0.9)
    assert np.intersect1d(until.users, after.users).size == 27
