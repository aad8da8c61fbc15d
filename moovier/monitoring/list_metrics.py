"""How the lists of one model differ from those of the model before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A list: movie ids, best first.
List = Sequence[int]


@dataclass(frozen=True)
class ListFigures:
    """``coverage``: share of the catalogue that stands in any list. ``popular``: share of what is
    recommended that belongs to the most popular movies, which have half of all ratings together."""

    coverage: float
    popular: float


def describe(
    lists: Sequence[List], movies: NDArray[np.int64], counts: NDArray[np.int64]
) -> ListFigures:
    """``movies``: ids of the catalogue; ``counts``: ratings of each. NaN without any list."""
    shown = np.array([movie for one in lists for movie in one], dtype=np.int64)
    if not shown.size:
        return ListFigures(float("nan"), float("nan"))
    return ListFigures(
        coverage=float(np.unique(shown).size / movies.size),
        popular=float(np.isin(shown, _head(movies, counts)).mean()),
    )


def overlap(one: Sequence[List], other: Sequence[List]) -> float:
    """Mean over people of the share of a list that the other one has too, in any order, 0..1.

    Lists of equal length k: |A ∩ B| / k. Two empty lists are equal; NaN where there is no pair.

    Raises:
        ValueError: the two are not about the same people.
    """
    if len(one) != len(other):
        raise ValueError(f"{len(one)} lists and {len(other)} cannot be paired")
    shares = [
        len(set(a) & set(b)) / max(len(a), len(b)) if a or b else 1.0
        for a, b in zip(one, other, strict=True)
    ]
    return float(np.mean(shares)) if shares else float("nan")


def _head(movies: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fewest movies that have half of the ratings together."""
    order = np.argsort(-counts, kind="stable")
    mass = np.cumsum(counts[order])
    total = int(mass[-1]) if mass.size else 0
    return movies[order[: int(np.searchsorted(mass, total / 2)) + 1]]
