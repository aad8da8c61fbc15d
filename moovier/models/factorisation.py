"""A factorisation of the ratings: its options, and the function that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moovier.data.ratings import Floats, Histories, Ints


@dataclass(frozen=True)
class Factorisation:
    """The options of alternating least squares: see :class:`moovier.models.als.AlsParams`."""

    size: int
    iterations: int
    alpha: float
    reg: float
    star_power: float
    seed: int


#: Returns the factors of the covered movies, (n_covered, size). Takes the histories, (n_covered,)
#: rows of the covered movies, and the options.
FactorsOf = Callable[[Histories, Ints, Factorisation], Floats]
