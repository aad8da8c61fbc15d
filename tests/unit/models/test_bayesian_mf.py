"""The family ``taste``: choice of the best sweep, fine-tuning, and its Keras tables."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.data.split import random_split
from moovier.models import bayesian_mf, variational_mf
from moovier.models.bayesian_mf import FINE_TUNING_SWEEPS, TasteFamily, TasteParams, TasteScorer
from moovier.models.family import FineTuneRequest, FitContext, FitResult
from tests.contracts import toy

PARAMS = TasteParams(size=3, sweeps=6, factor_sd=1.0, prior_people=12, prior_ratings=2)


def mae(result: FitResult, ratings: Ratings) -> float:
    scores = TasteScorer(result.arrays).score(np.arange(ratings.n_users), ratings.histories)
    return float(np.abs(scores[ratings.users, ratings.movies] - ratings.stars).mean())


def test_validation_keeps_the_best_sweep() -> None:
    train, validation = random_split(toy.ratings(), seed=0, share=0.2)
    context = FitContext(toy.catalogue(), seed=0, validation=validation)
    result = TasteFamily().fit(train, PARAMS, context)
    losses = result.curves["val_loss"]
    assert len(losses) == PARAMS.sweeps
    assert losses[result.epochs - 1] == min(losses)
    assert mae(result, validation) == pytest.approx(min(losses), rel=1e-4)
    exact = TasteFamily().fit(
        train, PARAMS, FitContext(toy.catalogue(), seed=0, epochs=result.epochs)
    )
    for name, array in result.arrays.items():
        np.testing.assert_array_equal(exact.arrays[name], array, err_msg=name)


def fine_tune(validation_split: float, patience: int) -> tuple[FitResult, FitResult, Ratings]:
    """Return the parent, the fine-tuned model and the batch of a user of the first taste."""
    parent = TasteFamily().fit(toy.ratings(), PARAMS, FitContext(toy.catalogue(), 0, epochs=3))
    rows = [(toy.N_USERS, movie, 5.0, 90_000 + movie) for movie in (0, 1, 2, 3)]
    rows += [(toy.N_USERS, 9, 0.5, 90_009)]
    known = toy.ratings()
    old = np.column_stack([known.users, known.movies, known.stars, known.timestamps]).tolist()
    request = FineTuneRequest(
        catalogue=toy.catalogue(),
        old_n_users=toy.N_USERS,
        batch=toy.ratings_of(rows, toy.N_USERS + 1),
        merged=toy.ratings_of([*old, *rows], toy.N_USERS + 1),
        validation_split=validation_split,
        patience=patience,
        seed=0,
    )
    return parent, TasteFamily().fine_tune(parent, PARAMS, request), request.batch


@pytest.mark.parametrize("validation_split", [0.0, 0.4])
def test_fine_tuning_learns_a_new_user(validation_split: float) -> None:
    parent, tuned, batch = fine_tune(validation_split, patience=2)
    assert ("val_loss" in tuned.curves) == (validation_split > 0)
    assert 1 <= tuned.epochs <= FINE_TUNING_SWEEPS
    assert tuned.arrays["taste"].shape[0] == parent.arrays["taste"].shape[0] + 1
    stars = TasteScorer(tuned.arrays).score(np.array([toy.N_USERS]), batch.histories)[0]
    assert stars[list(range(4, 8))].min() > stars[list(range(10, 16))].max()


def test_fine_tuning_stops_when_the_patience_is_used_up() -> None:
    _, tuned, _ = fine_tune(0.4, patience=1)
    losses = tuned.curves["val_loss"]
    assert tuned.epochs == int(np.argmin(losses)) + 1
    assert len(losses) in (tuned.epochs + 1, FINE_TUNING_SWEEPS)


def test_arrays_of_different_sizes_are_an_error() -> None:
    arrays = dict(fine_tune(0.0, patience=1)[0].arrays)
    with pytest.raises(ValueError, match="z has 17 rows, cov has 16"):
        TasteScorer(arrays | {"cov": arrays["cov"][:-1]})


def test_many_ratings_are_learnt_from_a_sample_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings = toy.ratings()
    context = FitContext(toy.catalogue(), seed=0, epochs=6)
    whole = TasteFamily().fit(ratings, PARAMS, context)
    monkeypatch.setattr(bayesian_mf, "MOST_RATINGS", len(ratings) * 2 // 3)
    n_sampled = bayesian_mf.sampled_users(ratings, seed=0).size
    assert 0 < n_sampled < ratings.n_users
    sampled = TasteFamily().fit(ratings, PARAMS, context)
    for name, array in whole.arrays.items():
        assert sampled.arrays[name].shape == array.shape, name
    outside = np.setdiff1d(np.arange(ratings.n_users), bayesian_mf.sampled_users(ratings, seed=0))
    unknown = ratings.take(np.isin(ratings.users, outside))
    constant = float(np.abs(unknown.stars - unknown.stars.mean()).mean())
    assert mae(sampled, unknown) < 0.85 * constant


def test_wanted_users_of_many_ratings_get_the_same_tastes(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings, catalogue = toy.ratings(), toy.catalogue()
    monkeypatch.setattr(bayesian_mf, "MOST_RATINGS", len(ratings) * 2 // 3)
    monkeypatch.setattr(variational_mf, "_USERS", 5)
    everybody = TasteFamily().fit(ratings, PARAMS, FitContext(catalogue, 0, epochs=4)).arrays
    wanted = np.array([2, 3, 7, 10])
    context = FitContext(catalogue, 0, epochs=4, users=wanted)
    some = TasteFamily().fit(ratings, PARAMS, context).arrays
    for name, array in everybody.items():
        rows = wanted if name in ("taste", "steady") else ...
        np.testing.assert_allclose(some[name][rows], array[rows], rtol=1e-5, atol=1e-6)
    assert not some["taste"][0].any()


def test_trials_of_many_ratings_measure_the_whole_validation_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train, validation = random_split(toy.ratings(), seed=0, share=0.2)
    monkeypatch.setattr(bayesian_mf, "MOST_RATINGS", len(train) * 2 // 3)
    trial = TasteFamily().fit(
        train, PARAMS, FitContext(toy.catalogue(), seed=0, validation=validation)
    )
    exact = TasteFamily().fit(
        train, PARAMS, FitContext(toy.catalogue(), seed=0, epochs=trial.epochs)
    )
    assert trial.curves["val_loss"][-1] == pytest.approx(mae(exact, validation), rel=1e-4)
