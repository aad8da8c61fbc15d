"""Profiles: equal histories have equal keys; what is left out of lists."""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import History
from moovier.serving.user_profile import UserProfile, digest, take


def history(*rows: tuple[int, float, int]) -> History:
    movies, stars, moments = zip(*rows, strict=True) if rows else ((), (), ())
    return History(
        np.array(movies, np.int64), np.array(stars, np.float32), np.array(moments, np.int64)
    )


THREE = history((4, 5.0, 10), (2, 1.5, 20), (9, 3.0, 20))


def test_rated_movies_are_left_out_unless_others_are_named() -> None:
    assert UserProfile(THREE, None, b"").left_out.tolist() == [4, 2, 9]
    profile = UserProfile(THREE, None, b"", unlisted=np.array([1, 4]))
    assert profile.left_out.tolist() == [1, 4]
    assert UserProfile(THREE, None, b"", unlisted=np.array([], int)).left_out.size == 0


def test_ratings_are_taken_by_places_or_by_a_mask() -> None:
    for rows in (np.array([0, 2]), np.array([True, False, True])):
        part = take(THREE, rows)
        assert part.movies.tolist() == [4, 9]
        assert part.stars.tolist() == [5.0, 3.0]
        assert part.timestamps.tolist() == [10, 20]
    assert len(take(THREE, np.array([], dtype=np.int64))) == 0


def test_a_digest_depends_on_every_column() -> None:
    histories = [
        THREE,
        history((4, 5.0, 10), (2, 1.5, 20), (8, 3.0, 20)),
        history((4, 5.0, 10), (2, 1.5, 20), (9, 3.5, 20)),
        history((4, 5.0, 10), (2, 1.5, 20), (9, 3.0, 21)),
        history((2, 1.5, 20), (4, 5.0, 10), (9, 3.0, 20)),
        history(),
    ]
    digests = [digest(each) for each in histories]
    assert len(set(digests)) == len(histories)
    assert {len(each) for each in digests} == {16}
    assert digest(take(THREE, np.arange(3))) == digests[0]
