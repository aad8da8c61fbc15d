"""Popularity within windows of days."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.trial import FixedTrial

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Ratings
from moovier.models.family import FitContext
from moovier.models.popular import (
    WINDOWS,
    PopularFamily,
    PopularParams,
    PopularScorer,
    counts_within,
    rising_first,
    rising_within,
)
from tests.contracts.toy import ratings_of

DAY_S = 86_400


def ratings() -> Ratings:
    """Return three old ratings of movie 0, two of last week of movie 1, one of today of movie 2."""
    movies = np.array([0, 0, 0, 1, 1, 2])
    days = np.array([0, 0, 0, 995, 996, 1000])
    stars = np.full(6, 4, np.float32)
    return Ratings(np.arange(6), movies, stars, days * DAY_S, 6, 4)


@pytest.mark.parametrize(
    ("days", "order"), [(0, [0, 1, 2, 3]), (7, [1, 2, 0, 3]), (1, [2, 0, 1, 3])]
)
def test_scores_count_the_window_and_all_time_breaks_ties(days: int, order: list[int]) -> None:
    counts = counts_within(ratings(), days)
    assert np.argsort(-counts, kind="stable").tolist() == order


def test_the_window_ends_at_the_newest_training_rating() -> None:
    earlier = ratings().take(np.arange(5))
    assert counts_within(earlier, 2).astype(int).tolist() == [0, 2, 0, 0]
    assert counts_within(earlier.take(np.empty(0, dtype=int)), 7).tolist() == [0] * 4


def test_a_bundle_of_an_earlier_version_has_counts_only() -> None:
    scorer = PopularFamily().scorer({"counts": np.array([3, 1, 2])})
    assert isinstance(scorer, PopularScorer)
    assert PopularParams.model_validate({"size": 1}).days == 0


def test_the_search_space_has_every_window() -> None:
    for days in WINDOWS:
        assert PopularFamily().search_space(FixedTrial({"days": days})) == PopularParams(days=days)


def test_movie_that_rises_against_its_past_comes_before_a_steady_favourite() -> None:
    day, newest = 86_400, 2_000_000_000
    # Movie 0: a favourite at its usual rate. Movie 1: hardly rated before. Movie 2: one recent
    # rating. Movie 3: no recent rating.
    ages = (
        [(0, 100)] * 40 + [(0, 1)] * 4 + [(1, 100)] * 2 + [(1, 2)] * 4 + [(2, 0)] + [(3, 100)] * 9
    )
    rows = [(user, movie, 4.0, newest - age * day) for user, (movie, age) in enumerate(ages)]
    scores = rising_within(ratings_of(rows, len(rows)), 7)
    assert int(np.argmax(scores)) == 1
    assert np.isneginf(scores[[0, 2, 3]]).all()


def test_nothing_rises_without_ratings() -> None:
    assert np.isneginf(rising_within(ratings().take(np.arange(0)), 7)).all()


def test_movies_that_rise_rank_before_the_others_by_all_time() -> None:
    # Movie 1 has two recent ratings and none before; movie 0 has the most of all time.
    scores = rising_first(ratings(), 7)
    assert np.argsort(-scores, kind="stable").tolist() == [1, 0, 2, 3]
    assert scores[1] > 1 > scores[0] > scores[2] > scores[3] == 0
    params = PopularParams(days=7, rising=True)
    fitted = PopularFamily().fit(ratings(), params, FitContext(Catalogue.of([]), 0))
    np.testing.assert_array_equal(fitted.arrays["counts"], scores)
