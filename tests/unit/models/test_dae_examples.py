"""Training examples of the autoencoder: parts of histories, and visits with what follows them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.data.split import LEAST_BEFORE, PAUSE_S
from moovier.models.dae_examples import LARGEST_PART, LEAST_TARGETS, LIKED, MOST_VISITS, Examples
from moovier.models.dae_scoring import DaeParams
from tests.unit.models.random_arrays import random_ratings

#: No visits, so that each example is a part of one history.
PARTS = DaeParams(visit_share=0.0, unliked_weight=0.5)
VISITS = DaeParams(visit_share=0.99, age_days=3.0, age_ratings=4.0)
DAY_S = 86_400


def one_user(n: int, *, stars: float = 5.0, gap_s: int = 60, n_movies: int = 40) -> Ratings:
    """Return a user who rated the movies 0 to n - 1 in this order, ``gap_s`` seconds apart."""
    rows = np.arange(n)
    return Ratings(
        users=np.zeros(n, dtype=np.int64),
        movies=rows,
        stars=np.full(n, stars, np.float32),
        timestamps=gap_s * rows,
        n_users=1,
        n_movies=n_movies,
    )


def examples(ratings: Ratings, params: DaeParams, seed: int = 0, **options: Any) -> Examples:
    covered = options.pop("covered", np.arange(ratings.n_movies))
    return Examples(ratings.histories, covered, params, seed, **options)


@pytest.mark.parametrize("seed", range(5))
def test_examples_have_the_rest_of_a_history_as_targets(seed: int) -> None:
    ratings = random_ratings(seed)
    batch = examples(ratings, PARTS, seed).draw(64)
    histories = {
        frozenset(ratings.histories[user].movies.tolist()): ratings.histories[user]
        for user in range(ratings.n_users)
    }
    for row in range(64):
        inputs = set(batch.places[batch.rows == row].tolist())
        targets = set(np.flatnonzero(batch.targets[row]).tolist())
        assert inputs
        assert not inputs & targets
        example = histories[frozenset(inputs | targets)]
        stars = dict(zip(example.movies.tolist(), example.stars.tolist(), strict=True))
        assert [stars[movie] for movie in batch.places[batch.rows == row].tolist()] == (
            batch.stars[batch.rows == row].tolist()
        )
        assert len(targets) >= LEAST_TARGETS
        gains = np.array([1.0 if stars[movie] >= LIKED else 0.5 for movie in sorted(targets)])
        np.testing.assert_allclose(
            batch.targets[row][sorted(targets)], gains / gains.sum(), rtol=1e-5
        )
    np.testing.assert_array_equal(batch.weights, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_visit_examples_are_cut_at_pauses(seed: int) -> None:
    ratings = random_ratings(seed, n_users=30)
    batch = examples(ratings, VISITS.model_copy(update={"visit_share": 0.5}), seed).draw(64)
    histories = [ratings.histories[user] for user in range(30)]
    for row in range(32, 64):
        inputs = set(batch.places[batch.rows == row].tolist())
        targets = set(np.flatnonzero(batch.targets[row]).tolist())
        example = next(h for h in histories if set(h.movies.tolist()) == inputs | targets)
        cut = len(inputs)
        assert cut >= LEAST_BEFORE
        assert set(example.movies[:cut].tolist()) == inputs
        assert example.timestamps[cut] - example.timestamps[cut - 1] >= PAUSE_S
        np.testing.assert_allclose(
            batch.weights[batch.rows == row],
            VISITS.recency.weights(example.timestamps[:cut]),
            rtol=1e-6,
        )


def test_draws_repeat_with_the_seed_and_differ_from_each_other() -> None:
    ratings = random_ratings(1)

    def draws(seed: int) -> list[Any]:
        source = examples(ratings, DaeParams(), seed)
        return [source.draw(16).targets for _ in range(2)]

    first, again, other = draws(1), draws(1), draws(2)
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_every_size_of_part_up_to_the_largest_is_drawn() -> None:
    batch = examples(one_user(20), PARTS).draw(600)
    sizes = np.bincount(batch.rows, minlength=600)
    largest = min(20 - LEAST_TARGETS, int(LARGEST_PART * 20))
    assert set(sizes.tolist()) == set(range(1, largest + 1))
    # Log-uniform over 1 to 16: ln(2) of ln(16) of the parts have one rating.
    assert (sizes == 1).mean() == pytest.approx(np.log(2) / np.log(16), abs=0.06)


def test_the_largest_share_limits_long_histories() -> None:
    batch = examples(one_user(40), PARTS).draw(600)
    assert np.bincount(batch.rows).max() == LARGEST_PART * 40


@pytest.mark.parametrize(
    ("n_ratings", "least_targets", "enough"), [(5, 5, False), (6, 5, True), (1, 1, False)]
)
def test_users_need_more_ratings_than_the_targets(
    n_ratings: int, least_targets: int, enough: bool
) -> None:
    source = examples(one_user(n_ratings), PARTS, least_targets=least_targets)
    assert bool(source) == enough
    if enough:
        batch = source.draw(8)
        assert np.bincount(batch.rows).tolist() == [1] * 8
        assert ((batch.targets > 0).sum(axis=1) == n_ratings - 1).all()


def test_without_ratings_there_are_no_examples() -> None:
    assert not examples(one_user(0), PARTS)


def test_movies_outside_the_model_are_neither_input_nor_target() -> None:
    covered = np.arange(20, 26)
    batch = examples(one_user(30), PARTS, covered=covered).draw(200)
    assert batch.targets.shape == (200, 6)
    assert set(batch.places.tolist()) == set(range(6))
    # The place of a covered movie, not its row, is the input.
    sums = batch.targets.sum(axis=1)
    assert ((np.abs(sums - 1) < 1e-5) | (sums == 0)).all()


def test_an_example_without_a_covered_target_has_no_target() -> None:
    # One of the six ratings is the input. Movie 2, the only covered one, is the input or a target.
    batch = examples(one_user(6), PARTS, covered=np.array([2])).draw(100)
    as_input = np.isin(np.arange(100), batch.rows)
    assert 0 < as_input.sum() < 100
    np.testing.assert_array_equal(batch.targets[:, 0], np.where(as_input, 0.0, 1.0))


def test_unliked_targets_of_weight_0_leave_no_targets() -> None:
    params = PARTS.model_copy(update={"unliked_weight": 0.0})
    batch = examples(one_user(12, stars=LIKED - 0.5), params).draw(10)
    np.testing.assert_array_equal(batch.targets, 0.0)


def test_only_the_latest_visits_of_a_user_serve_as_examples() -> None:
    # A rating each day: each one from the second on starts a visit.
    batch = examples(one_user(30, gap_s=DAY_S), VISITS).draw(300)
    n_visits = round(300 * VISITS.visit_share)
    cuts = np.bincount(batch.rows, minlength=300)[-n_visits:]
    assert set(cuts.tolist()) == set(range(30 - MOST_VISITS, 30))


@pytest.mark.parametrize(("gap_s", "n"), [(PAUSE_S - 1, 30), (PAUSE_S, LEAST_BEFORE)])
def test_histories_without_a_late_pause_give_parts_only(gap_s: int, n: int) -> None:
    batch = examples(one_user(n, gap_s=gap_s), VISITS).draw(50)
    np.testing.assert_array_equal(batch.weights, 1.0)
    assert np.bincount(batch.rows, minlength=50).max() <= LARGEST_PART * n
