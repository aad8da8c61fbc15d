"""The compiled inner loops of scorers, where they were built.

``pip install`` builds ``_kernels.c`` where it finds a C compiler. Without it, the scorers compute
the same with NumPy, in about three times the time. docs/decisions/compiled-kernels.md has the
measurements.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from moovier.data.ratings import Floats, Ints


class Kernels(Protocol):
    """The functions of ``_kernels.c``.

    All arrays are contiguous. Each function writes its result to its last argument and raises
    ValueError if the sizes disagree or a row is out of range.
    """

    def dae_scores(self, *arrays: Any) -> None:
        """Write the scores of :meth:`DaeScorer.fold_in`, (n_movies,)."""

    def dae_differences(self, *arrays: Any) -> None:
        """Write the leave-one-out differences of :meth:`DaeScorer.explain`."""

    def taste_stars(self, *arrays: Any) -> None:
        """Write the stars of :meth:`Predictor.fold_in`, (len(targets),), not yet clipped."""

    def largest_parts(
        self, parts: Floats, k: int, allowed: Ints, most: int, columns: Ints, weights: Floats
    ) -> None:
        """Write the columns with the largest parts of each row, largest first, and the parts."""

    def top_rows(self, scores: Floats, rows: Ints) -> int:
        """Write the rows of the best scores, best first; return how many are finite."""


def load() -> Kernels | None:
    """Return the compiled functions, or None if they were not built."""
    try:
        from moovier.models import _kernels  # type: ignore[attr-defined]
    except ImportError:
        return None
    return cast(Kernels, _kernels)
