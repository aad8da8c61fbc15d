"""Sums over pairs of movies, and the item-item weights solved from them, shared by trainings.

The Gram matrix X'X of EASE is a sum over users, so that of a part of the ratings is the sum of all
users minus the sums of the users whose ratings differ. It is summed once per retraining. The
weights for one part and one penalty are solved once, by the first process that needs them, and
mapped into memory by the others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Histories, Ints
from moovier.models import rating_weights

Doubles = NDArray[np.float64]
#: Rows of the Gram matrix that one thread sums at a time.
_BLOCK = 512


@dataclass(frozen=True)
class Weighting:
    """The weight of a rating by stars and age: see :mod:`moovier.models.rating_weights`."""

    star_power: float
    half_life: float


@dataclass(frozen=True)
class ItemStatistics:
    """The shared sums and weights of one retraining.

    ``folder``: keeps the files, which another machine computes for itself. ``whole``: all ratings.
    ``covered``: (n_covered,) rows of the movies that the weights cover. ``threads``: of a sum.
    ``sum_whole``: returns X'X of all ratings, computed elsewhere; None: this machine sums them.
    """

    folder: Path
    whole: Histories
    covered: Ints
    threads: int = 1
    sum_whole: Callable[[Weighting], Doubles] | None = None

    def weights(
        self, part: Histories, *, lambda_: float, weighting: Weighting
    ) -> NDArray[np.float16]:
        """Return EASE's weights for a part of the ratings, (n_covered, n_covered), read-only."""

        def compute() -> NDArray[Any]:
            gram = self.gram(part, weighting)
            return solve_gram(gram, lambda_).astype(np.float16)

        return self._kept(f"weights-{_name(part, weighting)}-{lambda_:.6g}", compute)

    def gram(self, part: Histories, weighting: Weighting) -> Doubles:
        """Return X'X of a part of the ratings, (n_covered, n_covered), a new array."""
        changed = np.flatnonzero(part.counts() != self.whole.counts())
        n_changed = int(self.whole.counts()[changed].sum())
        if n_changed > self.whole.movies.size // 3:
            return np.array(self._sum(part, weighting))
        total = self._sum_whole(weighting)
        if not n_changed:
            return np.array(total)
        gone, stayed = select(self.whole, changed), select(part, changed)
        result = total - gram(gone, self.covered, weighting, threads=self.threads)
        result += gram(stayed, self.covered, weighting, threads=self.threads)
        return np.asarray(result, dtype=np.float64)

    def _sum_whole(self, weighting: Weighting) -> Doubles:
        """Return X'X of all ratings, read-only."""
        elsewhere = self.sum_whole
        if elsewhere is None:
            return self._sum(self.whole, weighting)
        return self._kept(f"gram-{_name(self.whole, weighting)}", lambda: elsewhere(weighting))

    def _sum(self, part: Histories, weighting: Weighting) -> Doubles:
        """Return X'X of a part without the help of another one, read-only."""
        return self._kept(
            f"gram-{_name(part, weighting)}",
            lambda: gram(part, self.covered, weighting, threads=self.threads),
        )

    def _kept(self, name: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the array in the file ``name``, computed by one process at a time if missing."""
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{name}.npy"
        with FileLock(file.with_suffix(".lock")):
            if not file.exists():
                temporary = file.with_name(f".{name}.{os.getpid()}.npy")
                np.save(temporary, compute(), allow_pickle=False)
                temporary.replace(file)
        array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        return array


def _name(part: Histories, weighting: Weighting) -> str:
    """Return a name of a part, which the numbers of ratings and movies of its users identify."""
    content = hashlib.blake2b(part.offsets.tobytes(), digest_size=8)
    content.update(str(int(part.movies.sum(dtype=np.int64))).encode())
    return f"{content.hexdigest()}-{weighting.star_power:.6g}-{weighting.half_life:.6g}"


def select(histories: Histories, users: Ints) -> Histories:
    """Return the histories of some users, in their order."""
    counts = histories.counts()[users]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = np.arange(offsets[-1]) + np.repeat(histories.offsets[users] - offsets[:-1], counts)
    return Histories(
        offsets,
        histories.movies[rows],
        histories.stars[rows],
        histories.timestamps[rows],
        histories.n_movies,
    )


def weighted_matrix(
    histories: Histories, covered: Ints, weighting: Weighting, kind: Any = np.float64
) -> Any:
    """Return the sparse X of weights, (n_users, n_covered), in double precision by default."""
    import scipy.sparse

    position = np.full(histories.n_movies, -1, dtype=np.int32)
    position[covered] = np.arange(covered.size)
    weights = rating_weights.all_weights(
        histories, star_power=weighting.star_power, half_life=weighting.half_life
    )
    columns = position[histories.movies]
    inside = columns >= 0
    ends = np.concatenate([[0], np.cumsum(inside)])[histories.offsets]
    return scipy.sparse.csr_matrix(
        (weights[inside].astype(kind, copy=False), columns[inside], ends),
        shape=(histories.n_users, covered.size),
    )


def gram(histories: Histories, covered: Ints, weighting: Weighting, *, threads: int = 1) -> Doubles:
    """Return X'X over the movies ``covered``, (n_covered, n_covered)."""
    matrix = weighted_matrix(histories, covered, weighting)
    matrix.sort_indices()
    by_movie = matrix.T.tocsr()
    total = np.zeros((covered.size, covered.size))

    def add(start: int) -> None:
        # Only from the diagonal on: the matrix is symmetric.
        rows = slice(start, start + _BLOCK)
        total[rows, start:] = (by_movie[rows] @ matrix[:, start:]).toarray()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(add, range(0, covered.size, _BLOCK)))
    for start in range(0, covered.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        total[start:, rows] = total[rows, start:].T
    return total


def solve_gram(gram: Doubles, lambda_: float) -> Doubles:
    """Return EASE's B from X'X, which is overwritten, (n_covered, n_covered)."""
    import scipy.linalg

    gram[np.diag_indices(len(gram))] += lambda_
    # Half the work of a general inverse: the matrix is symmetric and positive definite.
    factor, failed = scipy.linalg.lapack.dpotrf(gram.T, lower=False, overwrite_a=True)
    inverse, also_failed = scipy.linalg.lapack.dpotri(factor, lower=False, overwrite_c=True)
    if failed or also_failed:
        raise ValueError(f"X'X + {lambda_:g} I cannot be inverted; use a larger penalty")
    # The transposed view has rows side by side in memory; which triangle is valid changes with it.
    inverse = inverse.T
    for start in range(0, len(inverse), _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = inverse[rows, rows]
        block += np.tril(block, -1).T - np.triu(block, 1)
        inverse[rows, start + _BLOCK :] = inverse[start + _BLOCK :, rows].T
    inverse /= -np.diag(inverse).copy()
    np.fill_diagonal(inverse, 0.0)
    return np.asarray(inverse, dtype=np.float64)
