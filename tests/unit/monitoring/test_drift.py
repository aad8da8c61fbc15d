from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.monitoring import drift
from moovier.monitoring.dataset_diff import Change, Snapshot
from moovier.monitoring.drift import KINDS, Drift, Limits

NEW = np.arange(60, 90)
DRAWS = 200


def without(snapshot: Snapshot, users: NDArray[np.int64]) -> Snapshot:
    return replace(snapshot, ratings=snapshot.ratings.take(~np.isin(snapshot.ratings.users, users)))


def with_stars(
    snapshot: Snapshot, users: NDArray[np.int64], stars: NDArray[np.float32]
) -> Snapshot:
    """Return the data set with other ``stars`` for the ratings of ``users``."""
    changed = snapshot.ratings.stars.copy()
    changed[np.isin(snapshot.ratings.users, users)] = stars
    return replace(snapshot, ratings=replace(snapshot.ratings, stars=changed))


def measured(
    reference: Snapshot, current: Snapshot, limits: Limits | None = None, seed: int = 0
) -> Drift:
    change = Change.between(reference, current)
    return drift.added_drift(change, limits or Limits(), seed=seed, n=DRAWS)


def names(result: Drift) -> set[str]:
    return {statistic.name for statistic in result.drifted}


def test_equal_data_have_no_statistics(snapshot: Snapshot) -> None:
    result = measured(snapshot, snapshot)
    assert (result.people, result.ratings, result.statistics) == (0, 0, ())


def test_new_users_like_the_old_ones_are_no_drift(snapshot: Snapshot) -> None:
    result = measured(without(snapshot, NEW), snapshot)
    assert result.people == NEW.size
    assert {statistic.name for statistic in result.statistics} == set(KINDS)
    assert names(result) == set()


def test_deleted_users_are_no_drift(snapshot: Snapshot) -> None:
    result = drift.removed_drift(
        Change.between(snapshot, without(snapshot, NEW)), Limits(), seed=0, n=DRAWS
    )
    assert result.people == NEW.size
    assert names(result) == set()


def test_lower_stars_are_detected(snapshot: Snapshot) -> None:
    stars = snapshot.ratings.stars[np.isin(snapshot.ratings.users, NEW)]
    current = with_stars(snapshot, NEW, np.clip(stars - 1, 0.5, 5))
    result = measured(without(snapshot, NEW), current)
    assert "stars" in names(result)
    (statistic,) = [entry for entry in result.statistics if entry.name == "stars"]
    assert statistic.kind == "ratings"
    assert statistic.value == pytest.approx(1, abs=0.25)
    assert statistic.p <= 0.01


def test_lost_agreement_is_detected(snapshot: Snapshot) -> None:
    rng = np.random.default_rng(0)
    mine = np.isin(snapshot.ratings.users, NEW)
    owner, stars = snapshot.ratings.users[mine], snapshot.ratings.stars[mine]
    means = np.bincount(owner, stars)[owner] / np.bincount(owner)[owner]
    mirrored = np.clip(np.rint(2 * (2 * means - stars)) / 2, 0.5, 5).astype(np.float32)
    assert "agreement" in names(
        measured(without(snapshot, NEW), with_stars(snapshot, NEW, mirrored))
    )
    shuffled = rng.permutation(stars)
    assert "agreement" in names(
        measured(without(snapshot, NEW), with_stars(snapshot, NEW, shuffled))
    )


def test_changed_ratings_are_detected(snapshot: Snapshot) -> None:
    stars = snapshot.ratings.stars[np.isin(snapshot.ratings.users, NEW)]
    lower = with_stars(snapshot, NEW, np.clip(stars - 0.5, 0.5, 5))
    assert "rerated" in names(measured(snapshot, lower))
    # Changes in both directions are no drift.
    signs = np.resize(np.array([0.5, -0.5], dtype=np.float32), stars.size)
    assert "rerated" not in names(
        measured(snapshot, with_stars(snapshot, NEW, np.clip(stars + signs, 1, 5)))
    )


def test_one_movie_that_all_new_users_rate_is_detected(snapshot: Snapshot) -> None:
    others = snapshot.ratings.take(~np.isin(snapshot.ratings.users, NEW))
    bots = replace(
        others,
        users=np.append(others.users, NEW),
        movies=np.append(others.movies, np.full(NEW.size, 70)),
        stars=np.append(others.stars, np.full(NEW.size, 5, dtype=np.float32)),
        timestamps=np.append(others.timestamps, np.full(NEW.size, 10**6)),
    )
    assert "crowd" in names(measured(without(snapshot, NEW), replace(snapshot, ratings=bots)))


def test_new_ratings_of_one_genre_are_detected(snapshot: Snapshot) -> None:
    drama = snapshot.ratings.movies % 3 == 0
    others = snapshot.ratings.take(drama | ~np.isin(snapshot.ratings.users, NEW))
    assert "genres" in names(measured(without(snapshot, NEW), replace(snapshot, ratings=others)))


def test_movies_without_earlier_ratings_are_detected(snapshot: Snapshot) -> None:
    # The reference lacks the more popular half of the movies that the new users rate.
    reference = without(snapshot, NEW)
    reference = replace(reference, ratings=reference.ratings.take(reference.ratings.movies > 15))
    assert "novel" in names(measured(reference, snapshot))


@pytest.mark.parametrize("seed", range(5))
def test_few_ratings_are_no_drift(snapshot: Snapshot, seed: int) -> None:
    user = np.array([60 + seed])
    result = measured(without(snapshot, user), snapshot, seed=seed)
    assert result.people == 1
    assert names(result) == set()
    few = np.flatnonzero(np.isin(snapshot.ratings.users, user))[5:]
    most = replace(
        snapshot, ratings=snapshot.ratings.take(np.delete(np.arange(len(snapshot.ratings)), few))
    )
    assert measured(without(snapshot, user), most).statistics == ()


def test_significant_statistic_below_its_limit_is_no_drift(snapshot: Snapshot) -> None:
    stars = snapshot.ratings.stars[np.isin(snapshot.ratings.users, NEW)]
    current = with_stars(snapshot, NEW, np.clip(stars - 1, 0.5, 5))
    strict = measured(without(snapshot, NEW), current, Limits(ratings=2.0))
    assert "stars" not in names(strict)
    assert next(entry.p for entry in strict.statistics if entry.name == "stars") <= 0.01


def test_same_seed_gives_the_same_statistics(snapshot: Snapshot) -> None:
    assert measured(without(snapshot, NEW), snapshot, seed=3).statistics == (
        measured(without(snapshot, NEW), snapshot, seed=3).statistics
    )
