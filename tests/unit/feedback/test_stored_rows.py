from __future__ import annotations

import contextlib
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.feedback.cache import FeedbackCache
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.feedback.stored_rows import to_deleted_users, to_deletions, to_ratings

_ANY = st.none() | st.integers(-3, 2**70) | st.floats() | st.text() | st.binary()
_GOOD = (7, 1, 4.5, 100, None)


@given(st.lists(st.tuples(_ANY, _ANY, _ANY, _ANY, _ANY)))
def test_any_rows_leave_the_good_ones(rows: list[tuple[object, ...]]) -> None:
    ratings, problems = to_ratings([*rows, _GOOD])
    assert len(ratings) + len(problems) == len(rows) + 1
    assert any(rating.user_id == 7 and rating.movie_id == 1 for rating in ratings)
    assert all(0.5 <= rating.stars <= 5 for rating in ratings)


@given(st.lists(st.tuples(_ANY, _ANY, _ANY)))
def test_any_deletions_are_kept_or_named(rows: list[tuple[object, ...]]) -> None:
    deletions, problems = to_deletions(rows)
    assert len({(user, movie) for user, movie, _ in rows}) >= len(deletions)
    assert bool(problems) or len(deletions) == len({(row[0], row[1]) for row in rows})


def test_deletion_without_a_readable_moment_counts() -> None:
    assert to_deletions([(7, 1, "soon")]) == ({(7, 1): 2**32}, [])
    assert to_deleted_users([(7, None), (8, 50)]) == ({7: 2**32, 8: 50}, [])


@pytest.mark.parametrize(
    ("column", "value", "part"),
    [
        ("stars", "four", "stars must be 0.5 to 5"),
        ("stars", 9.0, "stars must be 0.5 to 5"),
        ("timestamp", "today", "is not a whole number"),
        ("timestamp", 1_700_000_000_000, "milliseconds"),
        ("movie_id", "x", "an id is not a positive number"),
        ("user_id", b"7", "an id is not a positive number"),
    ],
)
def test_bad_row_of_the_database_does_not_take_the_others_with_it(
    sqlite_url: str, column: str, value: object, part: str
) -> None:
    with contextlib.closing(FeedbackStore.open(sqlite_url)) as store:
        store.add(7, [NewRating(1, 4.0, 10), NewRating(2, 3.0, 20)])
        store.add(8, [NewRating(1, 5.0, 10)])
    file = sqlite_url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(
            f"UPDATE feedback_ratings SET {column} = ? WHERE user_id = 7 AND movie_id = 1", (value,)
        )
    with contextlib.closing(FeedbackCache(sqlite_url)) as cache:
        cache.reload()
        assert cache.trouble is None
        [problem] = cache.unreadable
        assert part in problem
        seven, eight = cache.for_user(7), cache.for_user(8)
        assert seven is not None
        assert eight is not None
        assert [rating.movie_id for rating in seven.ratings] == [2]
        assert [rating.movie_id for rating in eight.ratings] == [1]
        # Writing goes on.
        cache.add(7, [NewRating(3, 2.0, 30)], request_id=None, idempotency_key=None)
        seven = cache.for_user(7)
        assert seven is not None
        assert [rating.movie_id for rating in seven.ratings] == [2, 3]
