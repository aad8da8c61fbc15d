"""Rows and ids map to each other; the same ratings are kept in every form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.data.ratings import Index, Ratings, check_parallel
from moovier.errors import BadRequest

N_USERS, N_MOVIES = 4, 7


@st.composite
def ratings(draw: st.DrawFn) -> Ratings:
    """Draw ratings of 4 users and 7 movies in any order, some users and movies without any."""
    pairs = draw(
        st.lists(
            st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_MOVIES - 1)),
            max_size=20,
            unique=True,
        )
    )
    n = len(pairs)
    users, movies = np.array(pairs, dtype=np.int64).reshape(n, 2).T
    timestamps = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    halves = draw(st.lists(st.integers(1, 10), min_size=n, max_size=n))
    stars = np.array(halves, dtype=np.float32) / np.float32(2)
    return Ratings(users, movies, stars, np.array(timestamps, dtype=np.int64), N_USERS, N_MOVIES)


def rows(ratings: Ratings) -> list[tuple[int, int, float, int]]:
    columns = (ratings.users, ratings.movies, ratings.stars, ratings.timestamps)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_index_finds_rows_in_any_order_of_ids() -> None:
    index = Index(users=np.array([30, 10, 20]), movies=np.array([1, 5, 9]))
    assert index.user_rows(np.array([10, 20, 30, 10])).tolist() == [1, 2, 0, 1]
    assert index.movie_rows(np.array([[9, 1], [5, 5]])).tolist() == [[2, 0], [1, 1]]


def test_index_gives_minus_one_for_unknown_ids() -> None:
    index = Index(users=np.array([30, 10]), movies=np.array([], dtype=np.int64))
    assert index.user_rows(np.array([0, 10, 15, 31])).tolist() == [-1, 1, -1, -1]
    assert index.movie_rows(np.array([1, 2])).tolist() == [-1, -1]


@given(ratings())
def test_histories_are_in_time_order_with_ties_in_row_order(ratings: Ratings) -> None:
    for user in range(N_USERS):
        expected = sorted((row for row in rows(ratings) if row[0] == user), key=lambda row: row[3])
        history = ratings.histories[user]
        assert len(history) == len(expected)
        assert history.movies.tolist() == [movie for _, movie, _, _ in expected]
        assert history.stars.tolist() == [stars for _, _, stars, _ in expected]
        assert history.timestamps.tolist() == [moment for _, _, _, moment in expected]


@given(ratings())
def test_histories_convert_back_to_the_same_ratings(ratings: Ratings) -> None:
    again = ratings.histories.ratings()
    assert sorted(rows(again)) == sorted(rows(ratings))
    assert (again.n_users, again.n_movies) == (N_USERS, N_MOVIES)


@given(ratings())
def test_histories_count_users_and_movies_without_ratings(ratings: Ratings) -> None:
    histories = ratings.histories
    assert histories.n_users == N_USERS
    assert histories.counts().tolist() == [(ratings.users == user).sum() for user in range(N_USERS)]
    assert histories.movie_counts().tolist() == [
        (ratings.movies == movie).sum() for movie in range(N_MOVIES)
    ]


@given(ratings(), st.data())
def test_take_selects_by_positions_and_by_mask(ratings: Ratings, data: st.DataObject) -> None:
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(ratings), max_size=len(ratings))),
        dtype=np.bool_,
    )
    selected = ratings.take(mask)
    assert rows(selected) == [
        row for row, is_chosen in zip(rows(ratings), mask, strict=True) if is_chosen
    ]
    assert rows(ratings.take(np.flatnonzero(mask))) == rows(selected)
    assert (selected.n_users, selected.n_movies) == (N_USERS, N_MOVIES)


@given(ratings(), ratings())
def test_isin_compares_user_and_movie(left: Ratings, right: Ratings) -> None:
    """The numbers of users and movies differ, so a swap of the two would be noticed."""
    pairs = {(user, movie) for user, movie, _, _ in rows(right)}
    assert left.isin(right).tolist() == [(row[0], row[1]) in pairs for row in rows(left)]


def test_sequences_of_different_lengths_are_refused() -> None:
    check_parallel([1, 2], [3, 4], [5.0, 1.0])
    with pytest.raises(BadRequest, match="same length, not 2, 1 and 2"):
        check_parallel([1, 2], [3], [5.0, 1.0])


def test_sorted_ratings_are_grouped_without_a_copy() -> None:
    users, movies = np.array([1, 0, 1]), np.array([2, 3, 0])
    stars = np.array([1.0, 2.0, 3.0], dtype=np.float32)
    grouped = Ratings(users, movies, stars, np.array([9, 8, 7]), 2, 4).histories
    assert grouped.movies.tolist() == [3, 0, 2]
    again = grouped.ratings()
    assert again.order is None
    assert np.shares_memory(again.histories.movies, grouped.movies)
    assert again.users.dtype == np.int32


def test_pairs_of_users_and_movies_exceed_32_bits() -> None:
    row: Any = np.array([2_000_000], dtype=np.int32)
    ratings = Ratings(row, row, np.ones(1, dtype=np.float32), row, 2_000_001, 2_000_001)
    assert ratings.pairs.tolist() == [2_000_000 * 2_000_001 + 2_000_000]
