"""The arithmetic of ``taste`` against naive sums, and against the bound that it maximises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.models import variational_mf
from moovier.models.variational_mf import Arrays, Settings
from moovier.models.variational_scoring import Predictor

N_USERS, N_MOVIES, SIZE = 9, 14, 3
YEARS = [None if row == 4 else 1950 + 5 * row for row in range(N_MOVIES)]
GENRES = [("Drama",) if row % 3 else ("Comedy", "War") for row in range(N_MOVIES)]
SETTINGS = Settings(size=SIZE, sweeps=4, factor_sd=0.4, prior_people=3.0, prior_ratings=5.0)
Doubles = NDArray[np.float64]


def random_ratings(seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64], Doubles]:
    """Return shuffled users, movies and stars; user 3 and movie 13 have no rating."""
    random = np.random.default_rng(seed)
    rated = random.random((N_USERS, N_MOVIES)) < 0.5
    rated[3], rated[:, 13] = False, False
    users, movies = np.nonzero(rated)
    liking = np.sign(np.subtract.outer(np.arange(N_USERS) % 2, np.arange(N_MOVIES) % 2) - 0.5)
    stars = np.clip(3.0 + liking[users, movies] + random.normal(0, 0.3, users.size), 0.5, 5)
    order = random.permutation(users.size)
    return users[order], movies[order], stars[order]


USERS, MOVIES, STARS = random_ratings()
FEATURES = variational_mf.features(YEARS, GENRES, np.bincount(MOVIES, minlength=N_MOVIES))


def fit(**changes: Any) -> Arrays:
    options: dict[str, Any] = {"on_sweep": None, "start": None, "settings": SETTINGS} | changes
    settings = options.pop("settings")
    return variational_mf.fit(
        USERS, MOVIES, STARS, N_USERS, N_MOVIES, FEATURES, settings, **options
    )


def test_features_are_constant_genres_year_bumps_and_counts() -> None:
    features = variational_mf.features([1940, None], [("War",), ("Comedy", "War")], [0, 19])
    assert features.shape == (2, 1 + 2 + 10 + 2)
    np.testing.assert_array_equal(features[:, 0], 1.0)
    np.testing.assert_array_equal(features[:, 1:3], [[0, 1], [1, 1]])
    centres = 1930 + 10 * np.arange(10)
    np.testing.assert_allclose(features[0, 3:13], np.exp(-0.5 * ((1940 - centres) / 10) ** 2))
    np.testing.assert_array_equal(features[1, 3:13], 0.0)
    log_counts = np.log([1.0, 20.0]) / 3 - 1
    np.testing.assert_allclose(features[:, 13], log_counts)
    np.testing.assert_allclose(features[:, 14], log_counts**2)


def test_arrays_are_stored_by_rows_which_the_service_maps() -> None:
    assert [name for name, array in fit().items() if not array.flags.c_contiguous] == []


def test_packing_a_symmetric_matrix_is_reversible() -> None:
    random = np.random.default_rng(0)
    square = random.normal(size=(5, 4, 4))
    square = square + square.swapaxes(1, 2)
    packed = variational_mf.pack(square)
    assert packed.shape == (5, 10)
    np.testing.assert_array_equal(variational_mf.unpack(packed), square)


def test_sums_by_group_equal_a_loop() -> None:
    random = np.random.default_rng(0)
    table = random.normal(size=(7, 2))
    rows, groups = random.integers(0, 7, 30), np.sort(random.integers(0, 5, 30))
    expected = np.zeros((6, 2))
    for row, group in zip(rows, groups, strict=True):
        expected[group] += table[row]
    ends = np.searchsorted(groups, np.arange(7))
    np.testing.assert_allclose(variational_mf._sums(table, rows, ends), expected)


def test_shapes_of_the_arrays() -> None:
    arrays = fit()
    n_f = FEATURES.shape[1]
    n_x = 1 + SIZE
    assert {name: array.shape for name, array in arrays.items()} == {
        "mu": (),
        "beta": (n_f,),
        "tau2": (),
        "noise": (),
        "spread": (n_f + n_x, n_f + n_x),
        "z": (N_MOVIES, n_f + n_x),
        "cov": (N_MOVIES, n_x * (n_x + 1) // 2),
        "taste": (N_USERS, n_f + n_x),
        "steady": (N_USERS,),
        "prior_ratings": (),
        "passes": (),
    }
    assert set(arrays) == set(variational_mf.NAMES)
    np.testing.assert_allclose(arrays["z"][:, :n_f], FEATURES, rtol=1e-6)
    assert arrays["mu"] == pytest.approx(STARS.mean())


def naive_taste(arrays: Arrays, before: Arrays, user: int) -> tuple[Doubles, Doubles]:
    """Return the mean and the covariance of ``w_u`` given the movies, rating by rating.

    ``before``: the sweep with the precision and the prior.
    """
    n_f = FEATURES.shape[1]
    steady, spread = float(before["steady"][user]), before["spread"].astype(float)
    z, cov = arrays["z"].astype(float), variational_mf.unpack(arrays["cov"].astype(float))
    precision, cross = np.linalg.inv(spread), np.zeros(len(spread))
    for movie, stars in ratings_of(user):
        second = np.outer(z[movie], z[movie])
        second[n_f:, n_f:] += cov[movie]
        precision += steady * second
        cross += steady * z[movie] * (stars - float(arrays["mu"]) - z[movie, n_f])
        cross[n_f:] -= steady * cov[movie, 0]
    return np.asarray(np.linalg.solve(precision, cross)), np.asarray(np.linalg.inv(precision))


def ratings_of(user: int) -> list[tuple[int, float]]:
    rows = np.flatnonzero(user == USERS)
    return list(zip(MOVIES[rows].tolist(), STARS[rows].tolist(), strict=True))


def naive_error(arrays: Arrays, user: int, mean: Doubles, unsure: Doubles) -> float:
    """Return the sum over a user's ratings of the expected square error.

    The error is ``y - mu - a . b`` with independent ``a = (f, m, V)`` and ``b = w + e_m``, so its
    variance is ``a'Ua + b'Ab + tr(AU)`` for the covariances A and U.
    """
    n_f = FEATURES.shape[1]
    b = mean + np.eye(len(mean))[n_f]
    error = 0.0
    for movie, stars in ratings_of(user):
        a = arrays["z"][movie].astype(float)
        cov = np.zeros((len(a), len(a)))
        cov[n_f:, n_f:] = variational_mf.unpack(arrays["cov"][movie].astype(float))
        error += (stars - float(arrays["mu"]) - a @ b) ** 2
        error += a @ unsure @ a + b @ cov @ b + np.trace(cov @ unsure)
    return error


def test_tastes_solve_the_normal_equations() -> None:
    before, after = fit(settings=replace(SETTINGS, sweeps=3)), fit()
    for user in range(N_USERS):
        expected, _ = naive_taste(after, before, user)
        np.testing.assert_allclose(after["taste"][user], expected, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(after["taste"][3], 0.0, atol=1e-9)


def test_variances_and_priors_follow_the_em_updates() -> None:
    before, after = fit(settings=replace(SETTINGS, sweeps=3)), fit()
    tastes = [naive_taste(after, before, user) for user in range(N_USERS)]
    errors = [naive_error(after, user, *taste) for user, taste in enumerate(tastes)]
    noise = sum(errors) / len(STARS)
    assert after["noise"] == pytest.approx(noise, rel=1e-3)
    counts = np.bincount(USERS, minlength=N_USERS)
    pseudo = SETTINGS.prior_ratings
    precisions = (counts + pseudo) / (np.array(errors) + pseudo * noise)
    np.testing.assert_allclose(after["steady"], precisions, rtol=2e-3)
    assert after["steady"][3] == pytest.approx(1 / noise, rel=1e-3)
    first = np.diag([SETTINGS.slope_var] * (FEATURES.shape[1] + 1) + [1.0] * SIZE)
    second = sum(np.outer(mean, mean) + unsure for mean, unsure in tastes)
    spread = (second + SETTINGS.prior_people * first) / (N_USERS + SETTINGS.prior_people)
    np.testing.assert_allclose(after["spread"], spread, rtol=5e-3, atol=1e-4)
    level = after["z"][:, FEATURES.shape[1]].astype(float)
    # A ridge regression: the features and a unit penalty as further rows.
    rows = np.vstack([FEATURES, np.eye(FEATURES.shape[1])])
    beta = np.linalg.lstsq(rows, np.append(level, np.zeros(FEATURES.shape[1])), rcond=None)[0]
    np.testing.assert_allclose(after["beta"], beta, rtol=1e-3, atol=1e-4)
    tau2 = np.mean((level - FEATURES @ beta) ** 2 + after["cov"][:, 0])
    assert after["tau2"] == pytest.approx(tau2, rel=1e-3)


def naive_movie(before: Arrays, unsure: list[Doubles], movie: int) -> Doubles:
    """Return the mean of ``(m_i, V_i)``, rating by rating.

    ``before``: the arrays of the sweep before. ``unsure``: its covariances of ``w_u``.
    """
    n_f = FEATURES.shape[1]
    features = FEATURES[movie]
    precision = np.diag([1 / float(before["tau2"])] + [SETTINGS.factor_sd**-2] * SIZE)
    pull = np.zeros(1 + SIZE)
    for user, stars in zip(USERS[movie == MOVIES], STARS[movie == MOVIES], strict=True):
        taste, steady = before["taste"][user].astype(float), float(before["steady"][user])
        slopes = taste[n_f:] + np.eye(1 + SIZE)[0]
        rest = stars - float(before["mu"]) - features @ taste[:n_f]
        precision += steady * (np.outer(slopes, slopes) + unsure[user][n_f:, n_f:])
        pull += steady * (rest * slopes - features @ unsure[user][:n_f, n_f:])
    pull[0] += features @ before["beta"] / float(before["tau2"])
    return np.asarray(np.linalg.solve(precision, pull))


def test_movies_solve_the_normal_equations() -> None:
    first, second, third = (fit(settings=replace(SETTINGS, sweeps=n)) for n in (1, 2, 3))
    unsure = [naive_taste(second, first, user)[1] for user in range(N_USERS)]
    for movie in range(N_MOVIES):
        np.testing.assert_allclose(
            third["z"][movie, FEATURES.shape[1] :],
            naive_movie(second, unsure, movie),
            rtol=2e-3,
            atol=2e-4,
        )


def test_the_order_of_the_ratings_changes_nothing() -> None:
    expected = fit()
    order = np.random.default_rng(1).permutation(USERS.size)
    arrays = variational_mf.fit(
        USERS[order], MOVIES[order], STARS[order], N_USERS, N_MOVIES, FEATURES, SETTINGS
    )
    for name in variational_mf.NAMES:
        np.testing.assert_allclose(arrays[name], expected[name], rtol=1e-4, atol=1e-5)


def test_each_sweep_is_reported_and_the_fit_finds_the_tastes() -> None:
    errors: list[float] = []

    def measure(sweep: int, arrays: Arrays) -> None:
        assert sweep == len(errors) + 1
        errors.append(float(np.abs(Predictor(arrays).pairs(USERS, MOVIES) - STARS).mean()))

    fit(settings=replace(SETTINGS, sweeps=8), on_sweep=measure)
    assert len(errors) == 8
    assert errors[-1] < 0.8 * np.abs(STARS - STARS.mean()).mean()


def test_an_exception_of_on_sweep_stops_the_fit() -> None:
    sweeps: list[int] = []

    def stop(sweep: int, _arrays: Arrays) -> None:
        sweeps.append(sweep)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        fit(on_sweep=stop)
    assert sweeps == [1]


def test_a_fit_continues_an_earlier_one_with_new_users() -> None:
    two = fit(settings=replace(SETTINGS, sweeps=2))
    four = fit()
    continued = fit(settings=replace(SETTINGS, sweeps=2), start=two)
    for name in ("z", "taste", "spread"):
        # Not equal: the tastes that the first new sweep starts from are solved once more.
        left = np.abs(continued[name] - four[name]).max()
        assert left < 0.25 * np.abs(two[name] - four[name]).max(), name
    grown = variational_mf.fit(
        np.append(USERS, N_USERS + 1),
        np.append(MOVIES, 5),
        np.append(STARS, 1.0),
        N_USERS + 2,
        N_MOVIES,
        FEATURES,
        SETTINGS,
        start=two,
    )
    assert grown["taste"].shape[0] == grown["steady"].size == N_USERS + 2
    assert grown["taste"][N_USERS + 1].any()


def test_a_fit_of_other_movies_or_more_users_cannot_be_continued() -> None:
    two = fit(settings=replace(SETTINGS, sweeps=2))
    fewer_movies = two | {"z": two["z"][:-1]}
    more_users = two | {"steady": np.ones(N_USERS + 1, np.float32)}
    for start in (fewer_movies, more_users):
        with pytest.raises(ValueError, match="cannot continue a fit"):
            fit(start=start)
