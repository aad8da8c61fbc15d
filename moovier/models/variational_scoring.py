"""Predictions of ``taste`` from the arrays of :func:`moovier.models.variational_mf.fit`.

NumPy alone. :mod:`moovier.models.variational_mf` explains the formulas and the shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from moovier.models import kernels
from moovier.models.family import as_float32
from moovier.models.kernels import Kernels
from moovier.models.variational_mf import HIGHEST, LOWEST, Floats, Ints, unpack


class _Rated(NamedTuple):
    """Sums over the ``n`` ratings of a visitor, in expectation over the movies' unknowns."""

    z: Floats  # (n, D)
    cov: Floats  # (n, X (X + 1) / 2)
    residual: Floats  # (n,)
    gram: Floats  # (D, D)
    cross: Floats  # (D,)
    square: float


class Predictor:
    """A predictor of stars of the users of a fit, and of visitors."""

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        compiled: Kernels | Literal["built"] | None = "built",
    ) -> None:
        """Prepare the arrays; ``compiled`` None means NumPy."""
        self._kernels = kernels.load() if compiled == "built" else compiled
        # A movie's values lie side by side, in any order of the file.
        self._z, self._cov = (as_float32(arrays[name]) for name in ("z", "cov"))
        self._taste = arrays["taste"]
        # Inverted once, because every fold-in needs it.
        self._prior = np.ascontiguousarray(np.linalg.inv(arrays["spread"].astype(float)))
        self._mu, self._noise = float(arrays["mu"]), float(arrays["noise"])
        self._prior_ratings, self._passes = float(arrays["prior_ratings"]), int(arrays["passes"])
        self._n_x = self._z.shape[1] - len(arrays["beta"])
        self._level = self._z[:, -self._n_x].copy()  # m_i
        self._scalars = np.array(
            [self._mu, self._noise, self._prior_ratings, self._passes, self._n_x], dtype=float
        )
        # Position of each entry of the square (X, X) in the packed triangle.
        self._packed = unpack(np.arange(self._cov.shape[1], dtype=float)).astype(np.int64)

    def _rated(self, movies: Ints, stars: NDArray[Any]) -> _Rated:
        """Return the sums over the ``n`` ratings of a visitor."""
        z, cov = self._z[movies].astype(float), self._cov[movies].astype(float)
        residual = np.asarray(stars, dtype=float) - self._mu - self._level[movies]
        unknown, cov_sum = slice(-self._n_x, None), cov.sum(axis=0)[self._packed]
        gram, cross = z.T @ z, z.T @ residual
        gram[unknown, unknown] += cov_sum
        cross[unknown] -= cov_sum[0]
        square = float(residual @ residual + cov_sum[0, 0])
        return _Rated(z, cov, residual, gram, cross, square)

    def _steady(self, rated: _Rated) -> float:
        """Return the precision ``d_u`` of a visitor, after all rounds but the last."""
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
        """Return ``w_u (D,)`` of a visitor."""
        rated = self._rated(movies, stars)
        steady = self._steady(rated)
        taste = np.linalg.solve(self._prior + steady * rated.gram, steady * rated.cross)
        return np.asarray(taste, dtype=np.float64)

    def _shares(self, movies: Ints, stars: NDArray[Any]) -> Floats:
        """Return the contribution of each rating to ``w_u`` of a visitor, ``(n, D)``."""
        rated = self._rated(movies, stars)
        steady = self._steady(rated)
        cross = rated.z * rated.residual[:, None]
        cross[:, -self._n_x :] -= rated.cov[:, : self._n_x]  # the packed first row: cov(m_i, .)
        unsure = np.linalg.inv(self._prior + steady * rated.gram)
        return np.asarray(steady * cross @ unsure)

    def _stars(self, taste: Floats, movies: Ints | slice = slice(None)) -> NDArray[np.float32]:
        """Return the stars for a taste ``(D,)``, of the movie rows ``movies``."""
        z, level = self._z[movies], self._level[movies]
        raw: NDArray[np.float32] = z @ taste.astype(np.float32) + level + self._mu
        return raw.clip(LOWEST, HIGHEST)

    def known(self, user: int) -> NDArray[np.float32]:
        """Return ``(M,)`` predicted stars of a user of the fit."""
        return self._stars(self._taste[user])

    def pairs(self, users: Ints, movies: Ints) -> NDArray[np.float32]:
        """Return ``(n,)`` predicted stars of users of the fit for one movie each."""
        raw = np.einsum("nd,nd->n", self._taste[users], self._z[movies])
        stars: NDArray[np.float32] = raw + self._level[movies] + self._mu
        return stars.clip(LOWEST, HIGHEST)

    def fold_in(
        self, movies: Ints, stars: NDArray[Any], targets: Ints | slice = slice(None)
    ) -> NDArray[np.float32]:
        """Return the predicted stars of a visitor who gave ``stars`` to ``movies``.

        For the movie rows ``targets``, by default for all: ``(M,)``.
        """
        if self._kernels is None:
            return self._stars(self._taste_of(movies, stars), targets)
        rows = np.arange(len(self._z))[targets] if isinstance(targets, slice) else targets
        predicted = np.empty(rows.size, dtype=np.float32)
        ratings = (movies, np.asarray(stars, dtype=np.float32))
        self._kernels.taste_stars(
            *(self._z, self._cov, self._prior), *ratings, self._scalars, rows, predicted
        )
        return predicted.clip(LOWEST, HIGHEST)

    def explain(self, movies: Ints, stars: NDArray[Any], targets: Ints) -> Floats:
        """Return the contribution of each rating to ``z . w_u``, ``(len(targets), n)``."""
        return np.asarray(self._z[targets] @ self._shares(movies, stars).T)
