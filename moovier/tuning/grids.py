"""Trials that search a part of a search space: its defaults, or a few values of some parameters.

Trials on a grid can share what depends on its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moovier.models.family import Trial

#: Values of hyper-parameters by name.
Grids = Mapping[str, Sequence[Any]]


def on_grid(value: Any, grid: Sequence[Any] | None) -> Any:
    """Return the value of ``grid`` that is nearest to ``value``; ``value`` without a grid.

    A value in the grid stays, also one that is not a number.
    """
    if grid is None or value in grid:
        return value
    return min(grid, key=lambda other: abs(other - value))


class OnGrids:
    """A trial that suggests the parameters with a grid from their grid only."""

    def __init__(self, trial: Trial, grids: Grids) -> None:
        self._trial = trial
        self._grids = grids

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number from the grid, or from ``low`` to ``high``."""
        if name in self._grids:
            return float(self._trial.suggest_categorical(name, tuple(self._grids[name])))
        return self._trial.suggest_float(name, low, high, step=step, log=log)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number from the grid, or from ``low`` to ``high``."""
        if name in self._grids:
            return int(self._trial.suggest_categorical(name, tuple(self._grids[name])))
        return self._trial.suggest_int(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return one of the grid, or of ``choices``."""
        return self._trial.suggest_categorical(name, self._grids.get(name, choices))


class DefaultTrial:
    """A trial that suggests default values and records them in ``suggested``.

    A parameter without a default in the search space raises LookupError.
    """

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self._defaults = defaults
        self.suggested: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return the default."""
        return float(self._suggest(name, low <= self._defaults[name] <= high))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return the default."""
        value = self._defaults[name]
        return int(self._suggest(name, low <= value <= high and (value - low) % step == 0))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Return the default."""
        return self._suggest(name, self._defaults[name] in choices)

    def _suggest(self, name: str, inside: bool) -> Any:
        if not inside:
            raise LookupError(
                f"the default of {name}, {self._defaults[name]!r}, is outside the search space"
            )
        self.suggested[name] = self._defaults[name]
        return self._defaults[name]
