"""What a cluster computes for the trainings and tests of this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moovier.models.factorisation import FactorsOf
from moovier.models.family import Arrays, Scorer

#: Returns the scorer of a family, by its name and the arrays of a fit.
ScorerOf = Callable[[str, Arrays], Scorer]


@dataclass(frozen=True)
class Cluster:
    """The functions of a cluster.

    ``factorise``: computes the factors of `als`. ``scorer_of``: returns a scorer whose lists of
    many users the cluster makes.
    """

    factorise: FactorsOf
    scorer_of: ScorerOf


def factorise_of(cluster: Cluster | None) -> FactorsOf | None:
    """Return the cluster's ``factorise``; None without a cluster."""
    return None if cluster is None else cluster.factorise
