"""Profiles of ratings against sums over single ratings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.monitoring import profiles
from moovier.monitoring.dataset_diff import Change, Snapshot
from moovier.monitoring.profiles import MAX_PER_USER, Profile, Reference, Rows, sample_evenly

#: Genre shares of the seven movies of ``tiny_ratings``.
GENRES = np.array([[1, 0], [0, 1], [0.5, 0.5], [1, 0], [0, 1], [1, 0], [0, 1]], dtype=float)


def everything(ratings: Ratings) -> tuple[Reference, Rows]:
    """Return a reference and all of its own rows."""
    reference = Reference(ratings, GENRES)
    h = reference.histories
    owner = np.repeat(np.arange(h.n_users), h.counts())
    return reference, reference.rows(owner, np.arange(len(ratings)))


def test_rows_are_compared_with_the_other_users(tiny_ratings: Ratings) -> None:
    reference, rows = everything(tiny_ratings)
    h = reference.histories
    for place, (person, movie) in enumerate(zip(rows.people, rows.movies, strict=True)):
        others = [
            (user, stars)
            for user in range(h.n_users)
            for rated, stars in zip(h[user].movies, h[user].stars, strict=True)
            if rated == movie and user != person
        ]
        assert rows.counts[place] == len(others)
        above = sum(stars - h[user].stars.astype(float).mean() for user, stars in others)
        assert rows.effects[place] == pytest.approx(above / (len(others) + 5.0), abs=1e-6)


def test_own_rating_does_not_count_as_another_users(snapshot: Snapshot) -> None:
    change = Change.between(snapshot, snapshot)
    reference = Reference(change.reference, change.genres)
    h = reference.histories
    places = np.arange(len(snapshot.ratings))
    owner = np.repeat(np.arange(h.n_users), h.counts())
    own = reference.rows(owner, places)
    again = reference.external_rows(
        owner, owner, h.movies.astype(np.int64), h.stars.astype(np.float64)
    )
    np.testing.assert_array_equal(own.counts, again.counts)
    np.testing.assert_allclose(own.effects, again.effects)
    assert own.counts.min() == h.movie_counts()[h.movies].min() - 1


def test_number_of_ratings_per_user_is_limited() -> None:
    people, places = sample_evenly(np.array([3, 0, 1000]), np.array([0.5, 0.5, 0.99]))
    assert np.bincount(people).tolist() == [3, 0, MAX_PER_USER]
    assert places[:3].tolist() == [0, 1, 2]
    assert places.max() < 1000
    assert np.unique(places[3:]).size == MAX_PER_USER


def test_places_are_spread_over_the_whole_history() -> None:
    _, places = sample_evenly(np.array([500]), np.array([0.5]))
    assert np.unique(np.diff(places)).tolist() == [10]
    assert (places[0], places[-1]) == (5, 495)


@pytest.mark.parametrize("lengths", [[], [0], [0, 0]])
def test_histories_without_ratings_have_no_places(lengths: list[int]) -> None:
    people, places = sample_evenly(np.array(lengths, dtype=np.int64), np.full(len(lengths), 0.5))
    assert (people.size, places.size) == (0, 0)


def profile(tiny_ratings: Ratings) -> tuple[Profile, Rows]:
    reference, rows = everything(tiny_ratings)
    return reference.profile(rows), rows


def test_stars_and_genres_are_shares(tiny_ratings: Ratings) -> None:
    found, rows = profile(tiny_ratings)
    expected = [np.mean(rows.stars == stars) for stars in np.arange(0.5, 5.1, 0.5)]
    np.testing.assert_allclose(found.stars, expected)
    per_genre = sum(GENRES[movie] for movie in rows.movies)
    np.testing.assert_allclose(found.genres, per_genre / per_genre.sum())
    assert found.popularity.shape == (profiles.POPULARITY_BINS,)
    assert found.popularity.sum() == pytest.approx(1.0)


def test_movies_that_nobody_else_rated_are_novel(tiny_ratings: Ratings) -> None:
    found, rows = profile(tiny_ratings)
    # Movie 4 has one rater.
    assert found.novel == pytest.approx(np.mean(rows.counts == 0))
    assert 0 < found.novel < 1


def test_tastes_are_stars_above_the_own_mean_by_genre(tiny_ratings: Ratings) -> None:
    found, rows = profile(tiny_ratings)
    means = {person: rows.stars[rows.people == person].mean() for person in set(rows.people)}
    above = np.array([s - means[p] for p, s in zip(rows.people, rows.stars, strict=True)])
    weights = GENRES[rows.movies]
    np.testing.assert_allclose(found.tastes, above @ weights / weights.sum(axis=0), atol=1e-9)


def test_the_crowd_is_the_share_of_users_by_movie(tiny_ratings: Ratings) -> None:
    found, rows = profile(tiny_ratings)
    movies, shares = found.crowd
    assert movies.tolist() == sorted(set(rows.movies.tolist()))
    n_people = len(set(rows.people.tolist()))
    for movie, share in zip(movies, shares, strict=True):
        assert share == pytest.approx(np.sum(rows.movies == movie) / n_people)


def rows_of(stars: list[float], effects: list[float]) -> Rows:
    n = len(stars)
    people, movies = np.zeros(n, dtype=np.int64), np.arange(n)
    return Rows(people, movies, np.array(stars), np.ones(n, dtype=np.int64), np.array(effects))


@pytest.mark.parametrize(
    ("stars", "agreement"), [([3.0, 4.0, 5.0], 1.0), ([5.0, 4.0, 3.0], -1.0), ([4.0] * 3, 0.0)]
)
def test_agreement_is_the_slope_of_stars_over_the_others(
    tiny_ratings: Ratings, stars: list[float], agreement: float
) -> None:
    reference = Reference(tiny_ratings, GENRES)
    found = reference.profile(rows_of(stars, [-1.0, 0.0, 1.0]))
    assert found.agreement == pytest.approx(agreement)


def test_agreement_with_equal_others_is_undefined(tiny_ratings: Ratings) -> None:
    found = Reference(tiny_ratings, GENRES).profile(rows_of([3.0, 5.0], [0.5, 0.5]))
    assert np.isnan(found.agreement)


def test_a_genre_without_a_rating_has_no_taste(tiny_ratings: Ratings) -> None:
    only_first = rows_of([3.0], [0.0])
    found = Reference(tiny_ratings, GENRES).profile(only_first)
    assert np.isnan(found.tastes).tolist() == [False, True]


@pytest.mark.parametrize("counts", [[], [0, 0], [5], [1, 1, 1, 100], list(range(30))])
def test_groups_of_popularity_have_rising_edges_within_the_counts(counts: list[int]) -> None:
    edges: Any = profiles._popularity_edges(np.array(counts, dtype=np.int64))
    assert edges.shape == (profiles.POPULARITY_BINS - 1,)
    assert (np.diff(edges) >= 0).all()
    assert set(edges.tolist()) <= {float(count) for count in counts if count} | {0.0}


def test_groups_of_popularity_share_the_ratings_equally() -> None:
    counts = np.arange(1, 400)
    edges = profiles._popularity_edges(counts)
    groups = np.searchsorted(edges, counts, side="left")
    shares = np.bincount(groups, counts) / counts.sum()
    np.testing.assert_allclose(shares, 0.1, atol=0.01)
