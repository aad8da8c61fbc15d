"""Compare the lists of one model with those of the model before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A list: movie ids, best first.
List = Sequence[int]


@dataclass(frozen=True)
class ListMetrics:
    """Metrics of the lists of one model; NaN without any list.

    Attributes:
        coverage: Share of the catalogue that is on any list, 0 to 1.
        popular: Share of the recommended movies that are among the most popular ones, which
            together have half of all ratings, 0 to 1.
    """

    coverage: float
    popular: float


def describe(
    lists: Sequence[List], movies: NDArray[np.int64], counts: NDArray[np.int64]
) -> ListMetrics:
    """Return the metrics of ``lists``.

    ``movies`` are the (n_movies,) ids of the catalogue and ``counts`` their numbers of ratings.
    """
    recommended = np.array([movie for movie_ids in lists for movie in movie_ids], dtype=np.int64)
    if not recommended.size:
        return ListMetrics(float("nan"), float("nan"))
    return ListMetrics(
        coverage=float(np.unique(recommended).size / movies.size),
        popular=float(np.isin(recommended, _most_popular(movies, counts)).mean()),
    )


def overlap(lists: Sequence[List], others: Sequence[List]) -> float:
    """Return the mean share of a user's list that the other list has too, in any order, 0 to 1.

    For lists of equal length k: |A ∩ B| / k. Two empty lists are equal; NaN without any pair.

    Raises:
        ValueError: The two sequences differ in length.
    """
    if len(lists) != len(others):
        raise ValueError(f"cannot pair {len(lists)} lists with {len(others)} lists")
    shares = [
        len(set(first) & set(second)) / max(len(first), len(second)) if first or second else 1.0
        for first, second in zip(lists, others, strict=True)
    ]
    return float(np.mean(shares)) if shares else float("nan")


def _most_popular(movies: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fewest movies that together have half of the ratings."""
    order = np.argsort(-counts, kind="stable")
    mass = np.cumsum(counts[order])
    total = int(mass[-1]) if mass.size else 0
    return movies[order[: int(np.searchsorted(mass, total / 2)) + 1]]
