"""Fit a retraining of large data into its time and memory.

Up to ``protocols.LARGE`` ratings nothing is thinned. Beyond, a plan covers fewer movies by
item-item weights, gives families fewer trials, searches the parameters that change the shared sums
on a few values only, and leaves out what costs too much. A catalogue with more movies than
item-item weights cover gets a model of low rank as well, whatever the number of ratings. Each
thinning has a note for the report. The costs are in docs/scale.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from moovier.data.ratings import Ratings
from moovier.models.ease import LONGEST_HALF_LIFE, MOST_MOVIES
from moovier.models.elsa_scoring import EPOCHS, RANKS, ElsaParams
from moovier.models.elsa_training import STEPS_PER_EPOCH
from moovier.training import protocols

#: Ratings beyond which item-item weights cover fewer movies, because their solution takes time by
#: the cube of the movies; and how many.
VERY_LARGE, VERY_LARGE_MOVIES = 5_000_000, 4000
#: Most trials of a family of large data: of the leading family, of `ease`, whose trials take a
#: second, and of others.
MOST_TRIALS = {"dae": 10, "ease": 4}
MOST_OTHER_TRIALS = 1
#: Families by the time that their training of large data takes, longest first; others come after.
LONGEST_FIRST = ("als", "taste", "elsa", "emb", "dae")
#: Most trials of a family that a cluster trains, for any number of ratings: each opens a session.
MOST_CLUSTER_TRIALS = {"als": 2}
#: Families with item-item weights.
DENSE = ("dae", "ease", "timeline")
#: Ratings that a movie needs to be covered by a model, by default.
LEAST_RATINGS = 3
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
#: Bytes of `elsa` for each number of a vector: the kernel, its gradient, Adam's two moments, the
#: vectors and their gradient, the best epoch, the bundle and the two layers that are stored; and
#: for each movie, the scores of the users that validation ranks at once.
_ELSA_NUMBER, _ELSA_MOVIE = 48, 3000
#: Bytes of `als` on this machine for each number of a factor: the answer of the cluster, the
#: factors in both precisions, the bundle and the layer that is stored.
_ALS_NUMBER, _ALS_SIZE = 28, 128
#: Multiplications of one training of `elsa` that a plan allows, and those that one thread does in a
#: second. A step takes 3 for each movie and pair of numbers of a vector.
_ELSA_WORK, _ELSA_SPEED = 3e11, 1e10
#: Processor seconds of one trial in docs/scale.md: of `dae` and `ease` with 6,000 covered movies,
#: of `taste` with its sample of ratings.
_DAE_S, _EASE_S, _TASTE_S = 5.7, 1.0, 17.3


@dataclass(frozen=True)
class Size:
    """The size of a data set.

    ``frequent``: movies with :data:`LEAST_RATINGS` or more; None: unknown.
    """

    ratings: int
    users: int
    movies: int
    frequent: int | None = None


def frequent(ratings: Ratings) -> int:
    """Return the number of movies with :data:`LEAST_RATINGS` or more."""
    return int(np.count_nonzero(ratings.histories.movie_counts() >= LEAST_RATINGS))


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


def longest_first(families: Sequence[str]) -> tuple[str, ...]:
    """Return the families in the order of their tasks.

    A long task that starts last would run alone, while the other workers have nothing to do.
    """
    places = {family: place for place, family in enumerate(LONGEST_FIRST)}
    return tuple(sorted(families, key=lambda family: places.get(family, len(places))))


def memory_gb(family: str, size: Size, covered: int, rank: int = ElsaParams().size) -> float:
    """Return the memory that one process needs to train the family, in GB.

    ``covered``: movies of item-item weights. ``rank``: of `elsa`.
    """
    total = _BASE_GB * 1e9 + _RATING_BYTES * size.ratings
    if family in DENSE:
        total += _CELL_BYTES * covered**2
    elif family == "taste":
        n_ratings = min(size.ratings, _TASTE_RATINGS)
        share = n_ratings / max(size.ratings, 1)
        total += 8 * (_TASTE_RATING * n_ratings + _TASTE_USER * share * size.users)
    elif family == "emb":
        # Two tables each of 64 numbers, with Adam's two moments and a copy of the best epoch.
        total += 4 * 4 * 2 * 64 * (size.users + size.movies)
    elif family == "elsa":
        total += (_ELSA_NUMBER * rank + _ELSA_MOVIE) * _coverable(size)
    elif family == "als":
        total += (_ALS_NUMBER * _ALS_SIZE + _ELSA_MOVIE) * _coverable(size)
    return total / 1e9


def trial_s(family: str, size: Size, covered: int, rank: int, epochs: int) -> float | None:
    """Return roughly the processor seconds of one trial, on one thread of docs/scale.md's machine.

    ``covered``: movies of item-item weights; their solution is shared and not counted. ``rank``,
    ``epochs``: of `elsa`. None: not measured.
    """
    if family == "dae":
        return _DAE_S * covered / MOST_MOVIES
    if family == "ease":
        return _EASE_S * (covered / MOST_MOVIES) ** 2
    if family == "taste":
        return _TASTE_S * min(size.ratings / _TASTE_RATINGS, 1.0)
    if family == "elsa":
        return _elsa_work(size, rank, epochs) / _ELSA_SPEED
    return None


def _elsa_work(size: Size, rank: int, epochs: int) -> float:
    return 3.0 * STEPS_PER_EPOCH * epochs * _coverable(size) * rank**2


def plan(
    families: Sequence[str],
    size: Size,
    *,
    trials: int,
    embedding_sizes: Sequence[int],
    memory: float,
    fixed_trials: bool = False,
    may_add: Sequence[str] = (),
) -> Budget:
    """Return what a retraining trains.

    ``trials``: per family. ``memory``: of all tasks together, in GB. ``fixed_trials``: a person
    chose the number of trials, so it stays. ``may_add``: families that are added, in this order, if
    item-item weights do not cover the catalogue.
    """
    is_large = size.ratings > protocols.LARGE
    notes: list[str] = [_people_note(size)] if is_large else []
    covered = _covered(size, memory) if is_large else MOST_MOVIES
    wanted = _wanted(families, size, covered, may_add, notes)
    kept = []
    grids = _grids(size) if is_large else {}
    for family in wanted:
        reason = _reason_to_leave_out(family, size, covered, memory) if is_large else None
        if reason is not None:
            notes.append(f"{family} was left out: {reason}")
            continue
        kept.append(family)
        if family == "elsa":
            grids |= _elsa_grid(size, memory, notes)
    budgets = {
        family: trials if fixed_trials else min(trials, _most_trials(family, trials, is_large))
        for family in kept
    }
    _note_fewer(budgets, trials, notes)
    if not is_large:
        return Budget(tuple(kept), budgets, None, tuple(embedding_sizes), grids, tuple(notes))
    sizes = _thin(kept, embedding_sizes, notes)
    if kept:
        notes.append(_costs_note(kept, size, covered, grids.get("elsa", {})))
    return Budget(tuple(kept), budgets, covered, sizes, grids, tuple(notes))


def _wanted(
    families: Sequence[str],
    size: Size,
    covered: int,
    may_add: Sequence[str],
    notes: list[str],
) -> list[str]:
    """Return the families to plan, with a note if item-item weights leave out movies."""
    dense = [family for family in families if family in DENSE]
    if size.ratings <= protocols.LARGE and size.frequent is None:
        return list(families)
    movies = _coverable(size)
    if covered >= movies:
        return list(families)
    if dense:
        notes.append(
            f"item-item weights ({', '.join(dense)}) cover the {covered:,} most rated of "
            f"{movies:,} movies{_enough(size)}; in their lists the others rank behind, by "
            "popularity"
        )
    added = [family for family in may_add if family not in families]
    notes += [
        f"{family} was added, which covers all {movies:,} movies{_enough(size)}" for family in added
    ]
    return [*families, *added]


def _coverable(size: Size) -> int:
    return size.movies if size.frequent is None else size.frequent


def _enough(size: Size) -> str:
    return "" if size.frequent is None else f" with {LEAST_RATINGS} ratings or more"


def _most_trials(family: str, trials: int, is_large: bool) -> int:
    """Return the most trials of a family; ``trials`` if there is no limit."""
    if family in MOST_CLUSTER_TRIALS:
        return MOST_CLUSTER_TRIALS[family]
    return MOST_TRIALS.get(family, MOST_OTHER_TRIALS) if is_large else trials


def _note_fewer(budgets: Mapping[str, int], trials: int, notes: list[str]) -> None:
    fewer = {family: number for family, number in budgets.items() if number < trials}
    if fewer:
        shown = ", ".join(f"{number} for {family}" for family, number in fewer.items())
        notes.append(f"fewer trials than {trials}, to stay within minutes: {shown}")


def _thin(kept: Sequence[str], embedding_sizes: Sequence[int], notes: list[str]) -> tuple[int, ...]:
    """Note what is thinned of large data, and return the embedding sizes."""
    sizes = tuple(embedding_sizes)
    if "emb" in kept and len(sizes) > 1:
        sizes = sizes[:1]
        notes.append(f"of the default sizes of emb only {sizes[0]} was trained")
    if "taste" in kept:
        notes.append(
            f"taste learnt the movies from a sample of users with about {_TASTE_RATINGS:,} ratings"
        )
    return sizes


def _people_note(size: Size) -> str:
    return (
        f"{size.ratings:,} ratings are more than {protocols.LARGE:,}: validation and tests rank "
        "for seeded samples of users, each recipe is fitted once for both tests, and the results "
        "that decide nothing were left out"
    )


def _costs_note(
    kept: Sequence[str], size: Size, covered: int, elsa_grid: Mapping[str, Sequence[Any]]
) -> str:
    rank = max(elsa_grid.get("size", RANKS))
    epochs = max(elsa_grid.get("epochs", EPOCHS))
    shown = []
    for family in kept:
        seconds = trial_s(family, size, covered, rank, epochs)
        gigabytes = memory_gb(family, size, covered, rank)
        time = "" if seconds is None else f" and {seconds:.0f} processor seconds a trial"
        shown.append(f"{family} {gigabytes:.1f} GB{time}")
    return "planned with at most: " + "; ".join(shown)


def _covered(size: Size, memory: float) -> int:
    """Return the most movies that item-item weights cover."""
    wanted = MOST_MOVIES if size.ratings <= VERY_LARGE else VERY_LARGE_MOVIES
    spare = memory / PARALLEL * 1e9 - (_BASE_GB * 1e9 + _RATING_BYTES * size.ratings)
    return min(wanted, int((max(spare, 0.0) / _CELL_BYTES) ** 0.5))


def _elsa_grid(size: Size, memory: float, notes: list[str]) -> dict[str, dict[str, Sequence[Any]]]:
    """Return the ranks and epochs of `elsa` that fit, with a note if they are fewer.

    Nothing if all fit.
    """
    movies = _coverable(size)
    ranks = [
        rank
        for rank in RANKS
        if memory_gb("elsa", size, 0, rank) <= memory / PARALLEL
        and _elsa_work(size, rank, ElsaParams().epochs) <= _ELSA_WORK
    ] or [RANKS[0]]
    epochs = [n for n in EPOCHS if _elsa_work(size, ranks[-1], n) <= _ELSA_WORK] or [EPOCHS[0]]
    grid: dict[str, Sequence[Any]] = {}
    if len(ranks) < len(RANKS):
        grid["size"] = tuple(ranks)
    if len(epochs) < len(EPOCHS):
        grid["epochs"] = tuple(epochs)
    if grid:
        notes.append(
            f"elsa was thinned to a rank of at most {ranks[-1]} and at most {epochs[-1]} epochs, "
            f"for {movies:,} movies"
        )
    return {"elsa": grid} if grid else {}


def _reason_to_leave_out(family: str, size: Size, covered: int, memory: float) -> str | None:
    if family == "emb" and size.ratings > MOST_EMB_RATINGS:
        return f"its vectors need several sweeps over all {size.ratings:,} ratings"
    needed = memory_gb(family, size, covered, RANKS[0])
    if (covered < 100 and family in DENSE) or needed > memory / PARALLEL:
        return (
            f"a process needs {needed:.1f} GB, and {PARALLEL} share {memory:g} GB "
            "(MOOVIER_TRAIN_MEMORY_GB)"
        )
    return None


def _grids(size: Size) -> dict[str, dict[str, Sequence[Any]]]:
    """Return the values of the parameters that the shared sums and weights depend on."""
    penalties = (100.0, 200.0, 400.0) if size.ratings <= VERY_LARGE else (200.0, 500.0, 1000.0)
    shared: dict[str, Sequence[Any]] = {"lambda_": penalties, "star_power": (2.0,)}
    return {
        "dae": shared,
        "ease": {**shared, "size": (3,), "half_life": (LONGEST_HALF_LIFE,)},
    }
