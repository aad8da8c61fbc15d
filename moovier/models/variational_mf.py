"""Variational Bayesian matrix factorisation with movie features: the arithmetic of ``taste``.

    stars ~ Normal(mu + m_i + z_i . w_u, 1 / d_u),    z_i = [f_i, m_i, V_i],

where ``f_i`` are a movie's known features (:func:`features`), ``m_i`` is its own level, ``V_i``
are its learnt factors, ``w_u`` is a person's taste and ``d_u`` how steadily they rate. Priors:
``m_i ~ N(beta . f_i, tau^2)``, ``V_i ~ N(0, factor_sd^2 I)`` and ``w_u ~ N(0, S)``; ``beta``,
``tau`` and the full covariance ``S`` are learnt too (EM). ``m_i w_u`` lets a person exaggerate.

Sources: Lim & Teh (2007), "Variational Bayesian approach to movie rating prediction" (either
side's posterior covariances enter the other side's updates); Salakhutdinov & Mnih (2008),
"Bayesian probabilistic matrix factorization using MCMC" (people's full-covariance prior);
Agarwal & Chen (2009), "Regression-based latent factor models" (priors regressed on features).

Shapes: ``N`` ratings, ``U`` people, ``M`` movies, ``F`` features, ``K`` factors,
``X = 1 + K`` movie unknowns ``(m_i, V_i)``, ``D = F + X`` numbers in ``z_i``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Arrays = dict[str, NDArray[Any]]
LOWEST, HIGHEST = 0.5, 5.0
#: What :func:`fit` returns.
NAMES = (
    *("mu", "beta", "tau2", "noise", "spread", "z", "cov", "taste", "steady"),
    *("prior_ratings", "passes"),
)
_CHUNK = 4096  # ratings summed at once, which bounds the memory of a sweep


@dataclass(frozen=True)
class Settings:
    """What :func:`fit` does not learn by itself."""

    size: int = 10  # K, learnt factors
    sweeps: int = 24  # rounds of people, then movies
    factor_sd: float = 0.12  # prior standard deviation of V
    noise: float = 0.6  # first guess of the variance of a rating around its expectation
    mean_var: float = 0.12  # first guess of tau^2
    slope_var: float = 0.04  # first guess of the variance of a taste for a feature
    prior_people: float = 110.0  # pseudo-people that hold S near its first guess
    prior_ratings: float = 30.0  # pseudo-ratings that hold d_u near everybody's
    passes: int = 2  # rounds of (w_u, d_u) when somebody new is folded in
    seed: int = 0


def features(
    years: Sequence[int | None], genres: Sequence[tuple[str, ...]], counts: Sequence[int] | Ints
) -> Floats:
    """Return ``(M, F)`` features: constant, genres, release-year bumps, log count and square.

    ``counts`` are the numbers of *training* ratings. The vocabulary of genres is the data's own,
    in alphabetical order; a movie of unknown year has no bump.
    """
    names = sorted({name for some in genres for name in some})
    hot = np.array([[name in some for name in names] for some in genres], dtype=float)
    year = np.array([np.nan if y is None else y for y in years], dtype=float)
    centres = np.linspace(1930.0, 2020.0, 10)
    bumps = np.nan_to_num(np.exp(-0.5 * ((year[:, None] - centres) / 10.0) ** 2))
    logs = np.log1p(np.asarray(counts, dtype=float)) / 3.0 - 1.0
    rest = np.column_stack([logs, logs**2])
    return np.hstack([np.ones((len(year), 1)), hot.reshape(len(year), -1), bumps, rest])


def _sums(table: Floats, rows: Ints, groups: Ints, n_groups: int) -> Floats:
    """Return ``(n_groups, C)`` sums by group of ``table[rows]``, where ``table`` is ``(R, C)``.

    ``rows`` and ``groups`` are ``(N,)``, ``groups`` ascending; a chunk is gathered at a time.
    """
    out = np.zeros((n_groups, table.shape[1]))
    for start in range(0, len(groups), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        some = groups[chunk]
        first = np.flatnonzero(np.r_[True, some[1:] != some[:-1]])
        out[some[first]] += np.add.reduceat(table[rows[chunk]], first, axis=0)
    return out


def _pack(square: Floats) -> Floats:
    """Return ``(..., X (X + 1) / 2)`` upper triangles of symmetric ``(..., X, X)`` matrices."""
    row, column = np.triu_indices(square.shape[-1])
    return square[..., row, column]


def _unpack(packed: Floats) -> Floats:
    """Undo :func:`_pack`."""
    size = int((np.sqrt(8 * packed.shape[-1] + 1) - 1) / 2)
    row, column = np.triu_indices(size)
    out = np.empty((*packed.shape[:-1], size, size), dtype=packed.dtype)
    out[..., row, column] = packed
    out[..., column, row] = packed
    return out


class _People:
    """What the ratings of ``P`` people say, in expectation over the movies' unknowns.

    ``gram (P, D, D)`` sums ``E[z z']`` over a person's movies, ``cross (P, D)`` sums
    ``E[z (y - mu - m)]`` and ``square (P,)`` sums ``E[(y - mu - m)^2]``.
    """

    def __init__(self, z: Floats, cov_sum: Floats, left: Floats, ends: Ints, n_x: int) -> None:
        """Take ``z (N, D)`` and ``left = y - mu - m (N,)`` by rating, ``cov_sum (P, X, X)``."""
        self.count = np.diff(ends)
        n, d = len(self.count), z.shape[1]
        self.gram, self.cross, self.square = np.empty((n, d, d)), np.empty((n, d)), np.empty(n)
        for k in range(n):
            mine = slice(ends[k], ends[k + 1])
            self.gram[k] = z[mine].T @ z[mine]
            self.cross[k] = z[mine].T @ left[mine]
            self.square[k] = left[mine] @ left[mine]
        self.gram[:, -n_x:, -n_x:] += cov_sum
        self.cross[:, -n_x:] -= cov_sum[:, 0]
        self.square += cov_sum[:, 0, 0]

    def tastes(self, steady: Floats, prior: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the means and covariances of ``w_u``, ``(P,)`` sums of expected square errors.

        ``prior (D, D)``: inverse of ``S``.
        """
        unsure: Any = np.linalg.inv(prior + steady[:, None, None] * self.gram)
        taste = (unsure @ (steady[:, None] * self.cross)[..., None])[..., 0]
        second = taste[:, :, None] * taste[:, None, :] + unsure
        fitted = (self.gram * second).sum(axis=(1, 2)) - 2.0 * (self.cross * taste).sum(axis=1)
        return taste, unsure, self.square + fitted

    def steadiness(self, errors: Floats, noise: float, pseudo: float) -> Floats:
        """Return ``(P,)`` precisions ``d_u``, shrunk by ``pseudo`` ratings to ``1 / noise``."""
        return np.asarray((self.count + pseudo) / (errors + pseudo * noise))


def fit(
    users: Ints,
    movies: Ints,
    stars: Floats,
    n_users: int,
    n_movies: int,
    features: Floats,
    settings: Settings,
    on_sweep: Callable[[int, Arrays], None] | None = None,
    start: Mapping[str, NDArray[Any]] | None = None,
) -> Arrays:
    """Fit the model to ``(N,)`` ratings by coordinate ascent on the variational bound.

    ``users`` and ``movies`` are row numbers, ``features`` is ``(M, F)``. ``on_sweep`` gets the
    number of sweeps done and the arrays so far, and may raise to stop. ``start`` holds the arrays
    of an earlier fit to go on from (same movies and ``size``; people may have been appended).

    Returns ``mu ()``; ``z (M, D)``; ``cov (M, X (X + 1) / 2)``, the packed covariances of
    ``(m_i, V_i)``; ``taste (U, D)``; ``steady (U,)``, the ``d_u``; ``spread (D, D)``, that is
    ``S``; ``beta (F,)``; ``tau2 ()``; ``noise ()``; ``prior_ratings ()`` and ``passes ()``.
    """
    order = np.argsort(users, kind="stable")
    u, i = np.asarray(users)[order], np.asarray(movies)[order]
    y, f = np.asarray(stars, dtype=float)[order], np.asarray(features, dtype=float)
    turn = np.argsort(i, kind="stable")  # from the order of people to that of movies
    ends = np.searchsorted(u, np.arange(n_users + 1))
    n_f, n_x = f.shape[1], 1 + settings.size
    v_precision = np.full(settings.size, settings.factor_sd**-2)
    first = np.diag(np.r_[np.full(n_f + 1, settings.slope_var), np.ones(settings.size)])
    if start is None:
        mu, noise, tau2 = float(y.mean()), settings.noise, settings.mean_var
        beta, spread, steady = np.zeros(n_f), first, np.full(n_users, 1.0 / noise)
        draws = np.random.default_rng(settings.seed).standard_normal((n_movies, settings.size))
        x = np.hstack([np.zeros((n_movies, 1)), draws * settings.factor_sd])
        cov = np.tile(_pack(np.diag(1.0 / np.r_[1.0 / tau2, v_precision])), (n_movies, 1))
    else:
        if start["z"].shape != (n_movies, n_f + n_x) or len(start["steady"]) > n_users:
            raise ValueError("the earlier fit has other movies, features, factors or more people")
        mu, noise, tau2 = (float(start[name]) for name in ("mu", "noise", "tau2"))
        beta, spread = start["beta"].astype(float), start["spread"].astype(float)
        x, cov = start["z"][:, n_f:].astype(float), start["cov"].astype(float)
        steady = np.full(n_users, 1.0 / noise)
        steady[: len(start["steady"])] = start["steady"]

    def people() -> _People:
        cov_sum = _unpack(_sums(cov, i, u, n_users))
        return _People(np.hstack([f, x])[i], cov_sum, y - mu - x[i, 0], ends, n_x)

    def arrays() -> Arrays:
        learnt = {"mu": mu, "beta": beta, "tau2": tau2, "noise": noise, "spread": spread}
        learnt |= {"z": np.hstack([f, x]), "cov": cov, "taste": taste, "steady": steady}
        learnt |= {"prior_ratings": settings.prior_ratings, "passes": settings.passes}
        return {name: np.asarray(value, dtype=np.float32) for name, value in learnt.items()}

    taste, unsure, _ = people().tastes(steady, np.linalg.inv(spread))
    for sweep in range(settings.sweeps):
        # Movies: y - mu - f . w_f = m_i (1 + w_m) + V_i . w_V is linear in (m_i, V_i).
        g = taste[:, n_f:] + np.eye(1, n_x)
        second = (g[:, :, None] * g[:, None, :] + unsure[:, n_f:, n_f:]) * steady[:, None, None]
        push = np.empty((len(y), n_x))
        for k in range(n_users):
            mine = slice(ends[k], ends[k + 1])
            known = f[i[mine]]
            rest = y[mine] - mu - known @ taste[k, :n_f]
            push[mine] = steady[k] * (np.outer(rest, g[k]) - known @ unsure[k, :n_f, n_f:])
        precision = _unpack(_sums(_pack(second), u[turn], i[turn], n_movies))
        doubt = np.linalg.inv(precision + np.diag(np.r_[1.0 / tau2, v_precision]))
        pull = _sums(push, turn, i[turn], n_movies)
        pull[:, 0] += (f @ beta) / tau2
        x, cov = (doubt @ pull[..., None])[..., 0], _pack(doubt)
        # The movies' prior, then people, their prior and how steadily they rate.
        beta = np.linalg.solve(f.T @ f + np.eye(n_f), f.T @ x[:, 0])
        tau2 = float(np.mean((x[:, 0] - f @ beta) ** 2 + cov[:, 0]))
        given = people()
        taste, unsure, errors = given.tastes(steady, np.linalg.inv(spread))
        noise = float(errors.sum() / len(y))
        seen = taste.T @ taste + unsure.sum(axis=0)
        spread = (seen + settings.prior_people * first) / (n_users + settings.prior_people)
        steady = given.steadiness(errors, noise, settings.prior_ratings)
        if on_sweep is not None:
            on_sweep(sweep + 1, arrays())
    return arrays()


class _Rated(NamedTuple):
    """Statistics of the ``n`` ratings of one person, as of :class:`_People`."""

    z: Floats  # (n, D)
    cov: Floats  # (n, X (X + 1) / 2)
    left: Floats  # (n,)
    gram: Floats  # (D, D)
    cross: Floats  # (D,)
    square: float


class Predictor:
    """Predicts stars with NumPy alone from the arrays that :func:`fit` returns."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._z, self._cov, self._taste = arrays["z"], arrays["cov"], arrays["taste"]
        # Inverted once: everybody who is met starts from it.
        self._prior = np.linalg.inv(arrays["spread"].astype(float))
        self._mu, self._noise = float(arrays["mu"]), float(arrays["noise"])
        self._prior_ratings, self._passes = float(arrays["prior_ratings"]), int(arrays["passes"])
        self._n_x = self._z.shape[1] - len(arrays["beta"])
        self._level = self._z[:, -self._n_x].copy()  # m_i
        # Where the entries of a packed triangle stand in the square, (X, X).
        self._packed = _unpack(np.arange(self._cov.shape[1], dtype=float)).astype(np.int64)

    def _rated(self, movies: Ints, stars: NDArray[Any]) -> _Rated:
        """Return the statistics of the ``n`` ratings of somebody new."""
        z, cov = self._z[movies].astype(float), self._cov[movies].astype(float)
        left = np.asarray(stars, dtype=float) - self._mu - self._level[movies]
        unknown, cov_sum = slice(-self._n_x, None), cov.sum(axis=0)[self._packed]
        gram, cross = z.T @ z, z.T @ left
        gram[unknown, unknown] += cov_sum
        cross[unknown] -= cov_sum[0]
        return _Rated(z, cov, left, gram, cross, float(left @ left + cov_sum[0, 0]))

    def _steady(self, rated: _Rated) -> float:
        """Return the precision ``d_u`` of somebody new, after all rounds but the last."""
        steady = 1.0 / self._noise
        pseudo = self._prior_ratings
        for _ in range(self._passes - 1):
            unsure = np.linalg.inv(self._prior + steady * rated.gram)
            taste = steady * (unsure @ rated.cross)
            # Both are symmetric, so the sum of the products is the trace of the product.
            fitted = np.vdot(rated.gram, unsure) + taste @ (rated.gram @ taste)
            errors = rated.square + float(fitted) - 2.0 * float(rated.cross @ taste)
            steady = (len(rated.z) + pseudo) / (errors + pseudo * self._noise)
        return steady

    def _taste_of(self, movies: Ints, stars: NDArray[Any]) -> Floats:
        """Return ``w_u (D,)`` of somebody new."""
        rated = self._rated(movies, stars)
        steady = self._steady(rated)
        taste = np.linalg.solve(self._prior + steady * rated.gram, steady * rated.cross)
        return np.asarray(taste, dtype=np.float64)

    def _shares(self, movies: Ints, stars: NDArray[Any]) -> Floats:
        """Return what each rating adds to ``w_u`` of somebody new, ``(n, D)``."""
        rated = self._rated(movies, stars)
        steady = self._steady(rated)
        told = rated.z * rated.left[:, None]
        told[:, -self._n_x :] -= rated.cov[:, : self._n_x]  # the packed first row: cov(m_i, .)
        unsure = np.linalg.inv(self._prior + steady * rated.gram)
        return np.asarray(steady * told @ unsure)

    def _stars(self, taste: Floats, movies: Ints | slice = slice(None)) -> NDArray[np.float32]:
        """Return stars of a taste ``(D,)``, of all movies or of some rows."""
        z, level = self._z[movies], self._level[movies]
        raw: NDArray[np.float32] = z @ taste.astype(np.float32) + level + self._mu
        return raw.clip(LOWEST, HIGHEST)

    def known(self, user: int) -> NDArray[np.float32]:
        """Return ``(M,)`` predicted stars of a person of the fit."""
        return self._stars(self._taste[user])

    def pairs(self, users: Ints, movies: Ints) -> NDArray[np.float32]:
        """Return ``(n,)`` predicted stars of people of the fit for one movie each."""
        raw = np.einsum("nd,nd->n", self._taste[users], self._z[movies])
        found: NDArray[np.float32] = raw + self._level[movies] + self._mu
        return found.clip(LOWEST, HIGHEST)

    def fold_in(
        self, movies: Ints, stars: NDArray[Any], targets: Ints | slice = slice(None)
    ) -> NDArray[np.float32]:
        """Return predicted stars of somebody new, who gave ``stars`` to ``movies``.

        Of the movie rows ``targets``, by default of all: ``(M,)``.
        """
        return self._stars(self._taste_of(movies, stars), targets)

    def explain(self, movies: Ints, stars: NDArray[Any], targets: Ints) -> Floats:
        """Return what each rated movie adds to the targets' ``z . w_u``, ``(len(targets), n)``."""
        return np.asarray(self._z[targets] @ self._shares(movies, stars).T)
