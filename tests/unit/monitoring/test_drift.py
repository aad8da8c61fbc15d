from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.monitoring import drift
from moovier.monitoring.dataset_diff import Change, Known
from moovier.monitoring.drift import KINDS, Drift, Limits
from moovier.monitoring.profiles import MOST_EACH, Reference, sampled

NEW = np.arange(60, 90)
DRAWS = 200


def without(known: Known, users: NDArray[np.int64]) -> Known:
    return replace(known, ratings=known.ratings.take(~np.isin(known.ratings.users, users)))


def with_stars(known: Known, users: NDArray[np.int64], stars: NDArray[np.float32]) -> Known:
    """``stars`` in place of the ratings of ``users``."""
    changed = known.ratings.stars.copy()
    changed[np.isin(known.ratings.users, users)] = stars
    return replace(known, ratings=replace(known.ratings, stars=changed))


def came(reference: Known, current: Known, limits: Limits | None = None, seed: int = 0) -> Drift:
    change = Change.between(reference, current)
    return drift.added_drift(change, limits or Limits(), seed=seed, n=DRAWS)


def names(found: Drift) -> set[str]:
    return {one.name for one in found.drifted}


def test_the_same_data_have_nothing_to_look_at(known: Known) -> None:
    found = came(known, known)
    assert (found.people, found.ratings, found.figures) == (0, 0, ())


def test_new_people_like_the_old_ones_are_no_drift(known: Known) -> None:
    found = came(without(known, NEW), known)
    assert found.people == NEW.size
    assert {one.name for one in found.figures} == set(KINDS)
    assert names(found) == set()


def test_people_who_are_gone_are_no_drift(known: Known) -> None:
    found = drift.removed_drift(
        Change.between(known, without(known, NEW)), Limits(), seed=0, n=DRAWS
    )
    assert found.people == NEW.size
    assert names(found) == set()


def test_lower_stars_are_found(known: Known) -> None:
    stars = known.ratings.stars[np.isin(known.ratings.users, NEW)]
    current = with_stars(known, NEW, np.clip(stars - 1, 0.5, 5))
    found = came(without(known, NEW), current)
    assert "stars" in names(found)
    (figure,) = [one for one in found.figures if one.name == "stars"]
    assert figure.kind == "ratings"
    assert figure.value == pytest.approx(1, abs=0.25)
    assert figure.p <= 0.01


def test_the_opposite_of_what_others_say_is_found(known: Known) -> None:
    rng = np.random.default_rng(0)
    mine = np.isin(known.ratings.users, NEW)
    owner, stars = known.ratings.users[mine], known.ratings.stars[mine]
    means = np.bincount(owner, stars)[owner] / np.bincount(owner)[owner]
    mirrored = np.clip(np.rint(2 * (2 * means - stars)) / 2, 0.5, 5).astype(np.float32)
    assert "agreement" in names(came(without(known, NEW), with_stars(known, NEW, mirrored)))
    shuffled = rng.permutation(stars)
    assert "agreement" in names(came(without(known, NEW), with_stars(known, NEW, shuffled)))


def test_ratings_changed_in_place_are_found_whoever_gave_them(known: Known) -> None:
    stars = known.ratings.stars[np.isin(known.ratings.users, NEW)]
    lower = with_stars(known, NEW, np.clip(stars - 0.5, 0.5, 5))
    assert "rerated" in names(came(known, lower))
    # Up as often as down is what people do anyhow.
    signs = np.resize(np.array([0.5, -0.5], dtype=np.float32), stars.size)
    assert "rerated" not in names(came(known, with_stars(known, NEW, np.clip(stars + signs, 1, 5))))


def test_one_movie_that_all_rate_is_a_crowd(known: Known) -> None:
    kept = known.ratings.take(~np.isin(known.ratings.users, NEW))
    bots = replace(
        kept,
        users=np.append(kept.users, NEW),
        movies=np.append(kept.movies, np.full(NEW.size, 70)),
        stars=np.append(kept.stars, np.full(NEW.size, 5, dtype=np.float32)),
        timestamps=np.append(kept.timestamps, np.full(NEW.size, 10**6)),
    )
    assert "crowd" in names(came(without(known, NEW), replace(known, ratings=bots)))


def test_one_genre_is_found(known: Known) -> None:
    drama = known.ratings.movies % 3 == 0
    kept = known.ratings.take(drama | ~np.isin(known.ratings.users, NEW))
    assert "genres" in names(came(without(known, NEW), replace(known, ratings=kept)))


def test_movies_nobody_rated_before_are_found(known: Known) -> None:
    # The reference never saw the more popular half of what the new people rate.
    reference = without(known, NEW)
    reference = replace(reference, ratings=reference.ratings.take(reference.ratings.movies > 15))
    assert "novel" in names(came(reference, known))


@pytest.mark.parametrize("seed", range(5))
def test_a_few_ratings_say_nothing(known: Known, seed: int) -> None:
    user = np.array([60 + seed])
    found = came(without(known, user), known, seed=seed)
    assert found.people == 1
    assert names(found) == set()
    few = np.flatnonzero(np.isin(known.ratings.users, user))[5:]
    most = replace(known, ratings=known.ratings.take(np.delete(np.arange(len(known.ratings)), few)))
    assert came(without(known, user), most).figures == ()


def test_a_limit_decides_and_not_chance_alone(known: Known) -> None:
    stars = known.ratings.stars[np.isin(known.ratings.users, NEW)]
    current = with_stars(known, NEW, np.clip(stars - 1, 0.5, 5))
    strict = came(without(known, NEW), current, Limits(ratings=2.0))
    assert "stars" not in names(strict)
    assert next(one.p for one in strict.figures if one.name == "stars") <= 0.01


def test_the_same_seed_gives_the_same_figures(known: Known) -> None:
    assert came(without(known, NEW), known, seed=3).figures == (
        came(without(known, NEW), known, seed=3).figures
    )


def test_a_person_s_own_rating_is_not_what_others_say(known: Known) -> None:
    change = Change.between(known, known)
    reference = Reference(change.reference, change.genres)
    h = reference.histories
    places = np.arange(len(known.ratings))
    owner = np.repeat(np.arange(h.n_users), h.counts())
    own = reference.rows(owner, places)
    again = reference.foreign(owner, owner, h.movies.astype(np.int64), h.stars)
    np.testing.assert_array_equal(own.counts, again.counts)
    np.testing.assert_allclose(own.effects, again.effects)
    assert own.counts.min() == h.movie_counts()[h.movies].min() - 1


def test_no_one_has_more_than_so_many_ratings() -> None:
    people, places = sampled(np.array([3, 0, 1000]), np.array([0.5, 0.5, 0.99]))
    assert np.bincount(people).tolist() == [3, 0, MOST_EACH]
    assert places[:3].tolist() == [0, 1, 2]
    assert places.max() < 1000
    assert np.unique(places[3:]).size == MOST_EACH
