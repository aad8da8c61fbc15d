"""Fit a retraining of large data into its time and memory.

Up to ``protocols.LARGE`` ratings nothing is thinned. Beyond, a plan covers fewer movies by
item-item weights, gives families fewer trials, searches the parameters that change the shared sums
on a few values only, and leaves out what costs too much. Each thinning has a note for the report.
The costs are in docs/scale.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from moovier.models.ease import LONGEST_HALF_LIFE, MOST_MOVIES
from moovier.training import protocols

#: Ratings beyond which item-item weights cover fewer movies, because their solution takes time by
#: the cube of the movies; and how many.
VERY_LARGE, VERY_LARGE_MOVIES = 5_000_000, 4000
#: Most trials of a family of large data: of the leading family, and of others.
LEADING, MOST_LEADING_TRIALS = "dae", 10
MOST_TRIALS = {"ease": 4, "taste": 2, "emb": 2}
#: Ratings beyond which `emb` is left out: its vectors need several sweeps over all ratings.
MOST_EMB_RATINGS = 3_000_000
#: Tasks of one retraining that run at the same time in `moovier up`.
PARALLEL = 2
#: Memory of a process before it holds data, in GB: Python, TensorFlow and MLflow's client.
_BASE_GB = 0.9
#: Bytes a rating, for the columns and the parts of a split; and a cell of the item-item matrix, for
#: X'X and its inverse in double precision, the weights in three widths and a copy while saving.
_RATING_BYTES, _CELL_BYTES = 60, 34
#: Numbers that the sweeps of `taste` hold for one rating and one user, in double precision.
_TASTE_RATING, _TASTE_USER, _TASTE_RATINGS = 150, 4500, 400_000


@dataclass(frozen=True)
class Size:
    """The size of a data set."""

    ratings: int
    users: int
    movies: int


@dataclass(frozen=True)
class Budget:
    """What a retraining trains.

    ``families``: those that are not left out. ``trials``: most trials of each. ``covered``: most
    movies that item-item weights cover; None: as many as the family chooses. ``grids``: values to
    which the search of a family's parameters is limited. ``notes``: what was left out or thinned,
    and why.
    """

    families: tuple[str, ...]
    trials: Mapping[str, int]
    covered: int | None = None
    embedding_sizes: tuple[int, ...] = ()
    grids: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def memory_gb(family: str, size: Size, covered: int) -> float:
    """Return the memory that one process needs to train the family, in GB."""
    total = _BASE_GB * 1e9 + _RATING_BYTES * size.ratings
    if family in ("dae", "ease", "timeline"):
        total += _CELL_BYTES * covered**2
    elif family == "taste":
        n_ratings = min(size.ratings, _TASTE_RATINGS)
        share = n_ratings / max(size.ratings, 1)
        total += 8 * (_TASTE_RATING * n_ratings + _TASTE_USER * share * size.users)
    elif family == "emb":
        # Two tables each of 64 numbers, with Adam's two moments and a copy of the best epoch.
        total += 4 * 4 * 2 * 64 * (size.users + size.movies)
    return total / 1e9


def plan(
    families: Sequence[str],
    size: Size,
    *,
    trials: int,
    embedding_sizes: Sequence[int],
    memory: float,
    fixed_trials: bool = False,
) -> Budget:
    """Return what a retraining trains.

    ``trials``: per family. ``memory``: of all tasks together, in GB. ``fixed_trials``: a person
    chose the number of trials, so it stays.
    """
    sizes = tuple(embedding_sizes)
    if size.ratings <= protocols.LARGE:
        return Budget(tuple(families), dict.fromkeys(families, trials), None, sizes)
    notes: list[str] = [_people_note(size)]
    covered = _covered(size, memory, notes)
    kept = []
    for family in families:
        reason = _reason_to_leave_out(family, size, covered, memory)
        if reason is None:
            kept.append(family)
        else:
            notes.append(f"{family} was left out: {reason}")
    budgets = {
        family: trials if fixed_trials else min(trials, _most_trials(family)) for family in kept
    }
    fewer = {family: number for family, number in budgets.items() if number < trials}
    if fewer:
        shown = ", ".join(f"{number} for {family}" for family, number in fewer.items())
        notes.append(f"fewer trials than {trials}, to stay within minutes: {shown}")
    if "emb" in kept and len(sizes) > 1:
        sizes = sizes[:1]
        notes.append(f"of the default sizes of emb only {sizes[0]} was trained")
    if "taste" in kept:
        notes.append(
            f"taste learnt the movies from a sample of users with about {_TASTE_RATINGS:,} ratings"
        )
    return Budget(tuple(kept), budgets, covered, sizes, _grids(size), tuple(notes))


def _people_note(size: Size) -> str:
    return (
        f"{size.ratings:,} ratings are more than {protocols.LARGE:,}: validation and tests rank "
        "for seeded samples of users, each recipe is fitted once for both tests, and the results "
        "that decide nothing were left out"
    )


def _covered(size: Size, memory: float, notes: list[str]) -> int:
    """Return the most movies that item-item weights cover, with a note if they are fewer."""
    wanted = MOST_MOVIES if size.ratings <= VERY_LARGE else VERY_LARGE_MOVIES
    spare = memory / PARALLEL * 1e9 - (_BASE_GB * 1e9 + _RATING_BYTES * size.ratings)
    covered = min(wanted, int((max(spare, 0.0) / _CELL_BYTES) ** 0.5))
    if covered < size.movies:
        notes.append(
            f"item-item weights cover the {covered:,} most rated of {size.movies:,} movies; the "
            "others rank behind them, by popularity"
        )
    return covered


def _reason_to_leave_out(family: str, size: Size, covered: int, memory: float) -> str | None:
    if family == "emb" and size.ratings > MOST_EMB_RATINGS:
        return f"its vectors need several sweeps over all {size.ratings:,} ratings"
    needed = memory_gb(family, size, covered)
    if (covered < 100 and family in ("dae", "ease", "timeline")) or needed > memory / PARALLEL:
        return (
            f"a process needs {needed:.1f} GB, and {PARALLEL} share {memory:g} GB "
            "(MOOVIER_TRAIN_MEMORY_GB)"
        )
    return None


def _most_trials(family: str) -> int:
    return MOST_LEADING_TRIALS if family == LEADING else MOST_TRIALS.get(family, 2)


def _grids(size: Size) -> dict[str, dict[str, Sequence[Any]]]:
    """Return the values of the parameters that the shared sums and weights depend on."""
    penalties = (100.0, 200.0, 400.0) if size.ratings <= VERY_LARGE else (200.0, 500.0, 1000.0)
    shared: dict[str, Sequence[Any]] = {"lambda_": penalties, "star_power": (2.0,)}
    return {
        "dae": shared,
        "ease": {**shared, "size": (3,), "half_life": (LONGEST_HALF_LIFE,)},
    }
