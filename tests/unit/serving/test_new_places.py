"""Places of lists for movies that nobody has rated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.models.top_k import top_rows
from moovier.serving.new_places import NewPlaces, places_of_share

N = 600
#: Scores fall with the row: row 0 is the best.
SCORES = np.linspace(1.0, 0.0, N, dtype=np.float32)


@pytest.mark.parametrize(
    ("share", "places"),
    [(0.0, []), (0.1, [9, 19]), (0.25, [3, 7, 11, 15, 19]), (1.0, list(range(20)))],
)
def test_share_gives_every_nth_place(share: float, places: list[int]) -> None:
    assert places_of_share(share, 20).tolist() == places


def test_best_new_movie_takes_the_tenth_place() -> None:
    scores = SCORES.copy()
    scores[[40, 41]] = 0.97, 0.98
    best = top_rows(scores, 10)
    placed = NewPlaces(np.array([40, 41]), 0.1).placed(scores, best)
    assert placed.tolist() == [*best[:9].tolist(), 41]


def test_new_movie_that_does_not_fit_takes_no_place() -> None:
    best = top_rows(SCORES, 10)
    assert NewPlaces(np.array([500]), 0.1).placed(SCORES, best).tolist() == best.tolist()


def test_new_movie_that_is_listed_already_counts() -> None:
    best = top_rows(SCORES, 10)
    assert NewPlaces(np.array([2]), 0.1).placed(SCORES, best).tolist() == best.tolist()


def test_hidden_new_movie_takes_no_place() -> None:
    scores = SCORES.copy()
    scores[4] = -np.inf
    assert 4 not in NewPlaces(np.array([4]), 1.0).placed(scores, top_rows(scores, 10))


@given(st.sets(st.integers(0, N - 1), min_size=1, max_size=20), st.floats(0, 1), st.integers(1, 30))
def test_list_keeps_its_length_and_repeats_none(new: set[int], share: float, size: int) -> None:
    places = NewPlaces(np.array(sorted(new)), share)
    placed = places.placed(SCORES, top_rows(SCORES, size)).tolist()
    assert len(placed) == len(set(placed)) == size
    longer = places.placed(SCORES, top_rows(SCORES, size + 10)).tolist()
    assert set(placed) - new <= set(longer)
