"""Variational Bayesian matrix factorisation with movie features: the arithmetic of ``taste``.

    stars ~ Normal(mu + m_i + z_i . w_u, 1 / d_u),    z_i = [f_i, m_i, V_i],

where ``f_i`` are a movie's known features (:func:`features`), ``m_i`` is its own level, ``V_i``
are its learnt factors, ``w_u`` is a user's taste and ``d_u`` is the precision of the user's
ratings. Priors: ``m_i ~ N(beta . f_i, tau^2)``, ``V_i ~ N(0, factor_sd^2 I)`` and
``w_u ~ N(0, S)``; ``beta``, ``tau`` and the full covariance ``S`` are learnt too (EM). The term
``m_i w_u`` models users who exaggerate.

Sources: Lim & Teh (2007), "Variational Bayesian approach to movie rating prediction" (either
side's posterior covariances enter the other side's updates); Salakhutdinov & Mnih (2008),
"Bayesian probabilistic matrix factorization using MCMC" (full covariance of the users' prior);
Agarwal & Chen (2009), "Regression-based latent factor models" (priors regressed on features).

Shapes: ``N`` ratings, ``U`` users, ``M`` movies, ``F`` features, ``K`` factors,
``X = 1 + K`` movie unknowns ``(m_i, V_i)``, ``D = F + X`` numbers in ``z_i``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Arrays = dict[str, NDArray[Any]]
LOWEST, HIGHEST = 0.5, 5.0
#: Names of the arrays that :func:`fit` returns.
NAMES = (
    *("mu", "beta", "tau2", "noise", "spread", "z", "cov", "taste", "steady"),
    *("prior_ratings", "passes"),
)
#: Users whose tastes are solved in one step outside of a fit.
_USERS = 2000


@dataclass(frozen=True)
class Settings:
    """The constants of a fit."""

    size: int = 10  # K, learnt factors
    sweeps: int = 24  # rounds over users, then movies
    factor_sd: float = 0.12  # prior standard deviation of V
    noise: float = 0.6  # first guess of the variance of a rating around its expectation
    mean_var: float = 0.12  # first guess of tau^2
    slope_var: float = 0.04  # first guess of the variance of a taste for a feature
    prior_people: float = 110.0  # pseudo-users that hold S near its first guess
    prior_ratings: float = 30.0  # pseudo-ratings that hold d_u near the mean of all users
    passes: int = 2  # rounds of (w_u, d_u) in a fold-in
    seed: int = 0


def features(
    years: Sequence[int | None], genres: Sequence[tuple[str, ...]], counts: Sequence[int] | Ints
) -> Floats:
    """Return ``(M, F)`` features: constant, genres, release-year bumps, log count and square.

    ``counts``: training ratings of each movie. The genres are those of the data, in alphabetical
    order. A movie of unknown year has no bump.
    """
    names = sorted({name for row in genres for name in row})
    hot = np.array([[name in row for name in names] for row in genres], dtype=float)
    year = np.array([np.nan if y is None else y for y in years], dtype=float)
    centres = np.linspace(1930.0, 2020.0, 10)
    bumps = np.nan_to_num(np.exp(-0.5 * ((year[:, None] - centres) / 10.0) ** 2))
    logs = np.log1p(np.asarray(counts, dtype=float)) / 3.0 - 1.0
    rest = np.column_stack([logs, logs**2])
    return np.hstack([np.ones((len(year), 1)), hot.reshape(len(year), -1), bumps, rest])


def _sums(table: Floats, rows: Ints, ends: Ints) -> Floats:
    """Return the sums of ``table[rows]`` by group, ``(n_groups, C)``.

    ``table``: ``(R, C)``. ``rows``: ``(N,)``, by group. ``ends``: ``(n_groups + 1,)``, group g owns
    the places from ``ends[g]`` to ``ends[g + 1]``. A sparse product makes no copy of the rows.
    """
    from scipy.sparse import csr_matrix

    groups = csr_matrix((np.ones(len(rows)), rows, ends), (len(ends) - 1, len(table)))
    return np.asarray(groups @ table)


def pack(square: Floats) -> Floats:
    """Return ``(..., X (X + 1) / 2)`` upper triangles of symmetric ``(..., X, X)`` matrices."""
    row, column = np.triu_indices(square.shape[-1])
    return square[..., row, column]


def unpack(packed: Floats) -> Floats:
    """Undo :func:`pack`."""
    size = int((np.sqrt(8 * packed.shape[-1] + 1) - 1) / 2)
    row, column = np.triu_indices(size)
    out = np.empty((*packed.shape[:-1], size, size), dtype=packed.dtype)
    out[..., row, column] = packed
    out[..., column, row] = packed
    return out


@dataclass(frozen=True)
class _Data:
    """The ratings of a fit, sorted by user, and the features ``(M, F)``.

    ``users``, ``movies``, ``stars``: ``(N,)``. ``by_movie``: ``(N,)``, the order that sorts them by
    movie. ``ends``: ``(U + 1,)``, user u owns the rows from ``ends[u]`` to ``ends[u + 1]``.
    ``movie_ends``: ``(M + 1,)``, the same for movies in the order ``by_movie``.
    """

    users: Ints
    movies: Ints
    stars: Floats
    by_movie: Ints
    ends: Ints
    movie_ends: Ints
    features: Floats

    @classmethod
    def sort(
        cls, users: Ints, movies: Ints, stars: Floats, n_users: int, features: Floats
    ) -> _Data:
        order = np.argsort(users, kind="stable")
        users, movies = np.asarray(users)[order], np.asarray(movies)[order]
        return cls(
            users,
            movies,
            np.asarray(stars, dtype=float)[order],
            np.argsort(movies, kind="stable"),
            np.searchsorted(users, np.arange(n_users + 1)),
            np.cumsum(np.r_[0, np.bincount(movies, minlength=len(features))]),
            np.asarray(features, dtype=float),
        )

    @property
    def n_users(self) -> int:
        return len(self.ends) - 1


class _UserStatistics:
    """Sums over the ratings of each user, in expectation over the movies' unknowns.

    ``gram (U, D, D)`` sums ``E[z z']`` over a user's movies, ``cross (U, D)`` sums
    ``E[z (y - mu - m)]`` and ``square (U,)`` sums ``E[(y - mu - m)^2]``.
    """

    def __init__(
        self, z: Floats, movies: Ints, cov_sum: Floats, residual: Floats, ends: Ints, n_x: int
    ) -> None:
        """Take ``z (M, D)``, ``movies (N,)``, ``residual = y - mu - m (N,)`` and the others.

        ``cov_sum (U, X, X)``: sums of covariances. A user's rows of ``z`` are gathered when they
        are needed, so that they stay in the processor's cache.
        """
        self.count = np.diff(ends)
        n, d = len(self.count), z.shape[1]
        self.gram, self.cross, self.square = np.empty((n, d, d)), np.empty((n, d)), np.empty(n)
        for user in range(n):
            rows = slice(ends[user], ends[user + 1])
            rated = z[movies[rows]]
            self.gram[user] = rated.T @ rated
            self.cross[user] = rated.T @ residual[rows]
            self.square[user] = residual[rows] @ residual[rows]
        self.gram[:, -n_x:, -n_x:] += cov_sum
        self.cross[:, -n_x:] -= cov_sum[:, 0]
        self.square += cov_sum[:, 0, 0]

    def tastes(self, steady: Floats, prior: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the means and covariances of ``w_u``, and ``(U,)`` expected square errors.

        ``steady (U,)``: the precisions ``d_u``. ``prior (D, D)``: inverse of ``S``.
        """
        unsure: Any = np.linalg.inv(prior + steady[:, None, None] * self.gram)
        taste = (unsure @ (steady[:, None] * self.cross)[..., None])[..., 0]
        second = taste[:, :, None] * taste[:, None, :] + unsure
        fitted = (self.gram * second).sum(axis=(1, 2)) - 2.0 * (self.cross * taste).sum(axis=1)
        return taste, unsure, self.square + fitted

    def precisions(self, errors: Floats, noise: float, pseudo: float) -> Floats:
        """Return ``(U,)`` precisions ``d_u``, shrunk to ``1 / noise`` by ``pseudo`` ratings."""
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
    number of finished sweeps and the arrays so far; it may raise to stop. ``start`` holds the
    arrays of an earlier fit to continue (same movies and ``size``; new users may be appended).

    Returns ``mu ()``; ``z (M, D)``; ``cov (M, X (X + 1) / 2)``, the packed covariances of
    ``(m_i, V_i)``; ``taste (U, D)``; ``steady (U,)``, the ``d_u``; ``spread (D, D)``, that is
    ``S``; ``beta (F,)``; ``tau2 ()``; ``noise ()``; ``prior_ratings ()`` and ``passes ()``.

    Raises:
        ValueError: ``start`` has other movies, features or factors, or more users.
    """
    data = _Data.sort(users, movies, stars, n_users, features)
    ascent = _Ascent(data, settings, n_movies)
    if start is None:
        ascent.initialise()
    else:
        ascent.resume(start)
    ascent.solve_users()
    for sweep in range(settings.sweeps):
        ascent.sweep()
        if on_sweep is not None:
            on_sweep(sweep + 1, ascent.arrays())
    return ascent.arrays()


def solve_tastes(
    users: Ints,
    movies: Ints,
    stars: Floats,
    n_users: int,
    features: Floats,
    settings: Settings,
    start: Mapping[str, NDArray[Any]],
) -> tuple[Floats, Floats]:
    """Return ``(U, D)`` tastes and ``(U,)`` precisions of users whom a fit did not know.

    ``users``: ``(N,)``, ascending. ``start``: the arrays of :func:`fit`, whose movies stay as they
    are. Like a fold-in, it solves for tastes and precisions in turn, twice.
    """
    ends = np.searchsorted(users, np.arange(n_users + 1))
    known = {**start, "steady": np.empty(0)}
    tastes: Any = np.empty((n_users, start["z"].shape[1]), dtype=np.float32)
    steady: Any = np.empty(n_users, dtype=np.float32)
    for first in range(0, n_users, _USERS):
        last = min(first + _USERS, n_users)
        rows = slice(ends[first], ends[last])
        chunk = users[rows] - first
        data = _Data.sort(chunk, movies[rows], stars[rows], last - first, features)
        ascent = _Ascent(data, settings, len(features))
        ascent.resume(known)
        statistics, errors = ascent.solve_users()
        ascent.steady = statistics.precisions(errors, ascent.noise, settings.prior_ratings)
        ascent.solve_users(statistics)
        tastes[first:last], steady[first:last] = ascent.taste, ascent.steady
    return tastes, steady


class _Ascent:
    """The state of the coordinate ascent; the names are those of the arrays of :func:`fit`.

    ``x (M, X)``: means of ``(m_i, V_i)``. ``unsure (U, D, D)``: covariances of ``w_u``.
    """

    mu: float
    noise: float
    tau2: float
    beta: Floats
    spread: Floats
    steady: Floats
    x: Floats
    cov: Floats
    taste: Floats
    unsure: Floats

    def __init__(self, data: _Data, settings: Settings, n_movies: int) -> None:
        self._data = data
        self._settings = settings
        self._n_movies = n_movies
        self._n_f, self._n_x = data.features.shape[1], 1 + settings.size
        self._v_precision = np.full(settings.size, settings.factor_sd**-2)
        slopes = np.full(self._n_f + 1, settings.slope_var)
        self._first_spread = np.diag(np.r_[slopes, np.ones(settings.size)])

    def initialise(self) -> None:
        """Start from the first guesses and random factors."""
        settings, n_movies = self._settings, self._n_movies
        self.mu, self.noise = float(self._data.stars.mean()), settings.noise
        self.tau2, self.beta = settings.mean_var, np.zeros(self._n_f)
        self.spread = self._first_spread
        self.steady = np.full(self._data.n_users, 1.0 / self.noise)
        draws = np.random.default_rng(settings.seed).standard_normal((n_movies, settings.size))
        self.x = np.hstack([np.zeros((n_movies, 1)), draws * settings.factor_sd])
        precision = np.r_[1.0 / self.tau2, self._v_precision]
        self.cov = np.tile(pack(np.diag(1.0 / precision)), (n_movies, 1))

    def resume(self, start: Mapping[str, NDArray[Any]]) -> None:
        """Start from the arrays of an earlier fit.

        Raises:
            ValueError: It has other movies, features or factors, or more users.
        """
        shape, n_users = (self._n_movies, self._n_f + self._n_x), self._data.n_users
        if start["z"].shape != shape or len(start["steady"]) > n_users:
            raise ValueError(
                f"cannot continue a fit with z {start['z'].shape} and {len(start['steady'])} "
                f"users: this one has z {shape} and {n_users} users"
            )
        self.mu, self.noise, self.tau2 = (float(start[name]) for name in ("mu", "noise", "tau2"))
        self.beta, self.spread = start["beta"].astype(float), start["spread"].astype(float)
        self.x, self.cov = start["z"][:, self._n_f :].astype(float), start["cov"].astype(float)
        self.steady = np.full(n_users, 1.0 / self.noise)
        self.steady[: len(start["steady"])] = start["steady"]

    def solve_users(
        self, statistics: _UserStatistics | None = None
    ) -> tuple[_UserStatistics, Floats]:
        """Solve for the tastes; return the users' statistics and expected square errors.

        ``statistics``: those of an earlier call, if no movie has changed since.
        """
        statistics = statistics or self._user_statistics()
        prior = np.linalg.inv(self.spread).astype(np.float64, copy=False)
        self.taste, self.unsure, errors = statistics.tastes(self.steady, prior)
        return statistics, errors

    def sweep(self) -> None:
        """Solve for the movies, their prior, the tastes, the precisions and the tastes' prior."""
        settings, features = self._settings, self._data.features
        self._solve_movies()
        level = self.x[:, 0]
        precision = features.T @ features + np.eye(self._n_f)
        beta = np.linalg.solve(precision, features.T @ level)
        self.beta = beta.astype(np.float64, copy=False)
        self.tau2 = float(np.mean((level - features @ self.beta) ** 2 + self.cov[:, 0]))
        statistics, errors = self.solve_users()
        self.noise = float(errors.sum() / len(self._data.stars))
        second = self.taste.T @ self.taste + self.unsure.sum(axis=0)
        pseudo = settings.prior_people
        self.spread = (second + pseudo * self._first_spread) / (self._data.n_users + pseudo)
        self.steady = statistics.precisions(errors, self.noise, settings.prior_ratings)

    def arrays(self) -> Arrays:
        """Return the arrays of :func:`fit`."""
        learnt: dict[str, Any] = {"mu": self.mu, "beta": self.beta, "tau2": self.tau2}
        learnt |= {"noise": self.noise, "spread": self.spread}
        learnt |= {"z": np.hstack([self._data.features, self.x]), "cov": self.cov}
        learnt |= {"taste": self.taste, "steady": self.steady}
        settings = self._settings
        learnt |= {"prior_ratings": settings.prior_ratings, "passes": settings.passes}
        # By rows, so that processes that score map the files instead of copying them.
        return {
            name: np.asarray(value, dtype=np.float32, order="C") for name, value in learnt.items()
        }

    def _user_statistics(self) -> _UserStatistics:
        data = self._data
        return _UserStatistics(
            np.hstack([data.features, self.x]),
            data.movies,
            unpack(_sums(self.cov, data.movies, data.ends)),
            data.stars - self.mu - self.x[data.movies, 0],
            data.ends,
            self._n_x,
        )

    def _solve_movies(self) -> None:
        """Solve for ``(m_i, V_i)``.

        ``y - mu - f . w_f = m_i (1 + w_m) + V_i . w_V`` is linear in them.
        """
        data, n_f, n_x = self._data, self._n_f, self._n_x
        steady, unsure = self.steady, self.unsure
        slopes = self.taste[:, n_f:] + np.eye(1, n_x)
        second = slopes[:, :, None] * slopes[:, None, :] + unsure[:, n_f:, n_f:]
        second = second * steady[:, None, None]
        push = np.empty((len(data.stars), n_x))
        for user in range(data.n_users):
            rows = slice(data.ends[user], data.ends[user + 1])
            known = data.features[data.movies[rows]]
            rest = data.stars[rows] - self.mu - known @ self.taste[user, :n_f]
            push[rows] = steady[user] * (
                np.outer(rest, slopes[user]) - known @ unsure[user, :n_f, n_f:]
            )
        users = data.users[data.by_movie]
        precision = unpack(_sums(pack(second), users, data.movie_ends))
        prior = np.diag(np.r_[1.0 / self.tau2, self._v_precision])
        doubt = np.linalg.inv(precision + prior)
        pull = _sums(push, data.by_movie, data.movie_ends)
        pull[:, 0] += (data.features @ self.beta) / self.tau2
        self.x, self.cov = (doubt @ pull[..., None])[..., 0], pack(doubt)
