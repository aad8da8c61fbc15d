"""``make bench-monitor``: monitoring's false alarms, and its alarms by planted drifts.

Every case takes the data set apart anew with its seed: a reference, which a champion would have
been trained on, and the current data. Counted are looks with an alarm by drift. In the cases
without a drift every alarm is false; among them are those that mislead a plain test: halves of the
users, each person's last ratings, a few ratings, copies of people, time passing by itself.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import report
from moovier.data import sources
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Index, Ratings
from moovier.data.split import split_last_share
from moovier.monitoring import alarm_policy, drift
from moovier.monitoring.dataset_diff import Change, Known
from moovier.monitoring.drift import KINDS, Limits
from moovier.settings import load_settings

SEEDS = 20
#: False alarms among the seeds of one case without drift that the bar allows.
MOST_FALSE = 1
#: Share of its users that a planting among new people concerns.
SMALL, LARGE = 0.03, 0.1

Rng = np.random.Generator
Case = Callable[["World", Rng], tuple[Known, Known]]
#: From a person's movies (rows) and stars to what he or she rates instead.
Planting = Callable[
    ["World", NDArray[np.int64], NDArray[np.float32], Rng],
    tuple[NDArray[np.int64], NDArray[np.float32]],
]


@dataclass(frozen=True)
class World:
    """A data set, and what plantings need to know of it."""

    index: Index
    ratings: Ratings
    catalogue: Catalogue

    def known(self, ratings: Ratings) -> Known:
        return Known(self.index, ratings, self.catalogue)

    @property
    def everything(self) -> Known:
        return self.known(self.ratings)

    @property
    def counts(self) -> NDArray[np.int64]:
        return np.bincount(self.ratings.movies, minlength=self.ratings.n_movies)

    def people(self, share: float, rng: Rng) -> NDArray[np.int64]:
        n = self.ratings.n_users
        return rng.choice(n, max(3, round(share * n)), replace=False)

    def without(self, users: NDArray[np.int64]) -> Known:
        return self.known(self.ratings.take(~np.isin(self.ratings.users, users)))

    def copied(self, users: NDArray[np.int64], most: int | None, rng: Rng) -> Known:
        """All ratings, and those of ``users`` again under new ids, ``most`` of each at most."""
        h = self.ratings.histories
        parts = []
        for number, user in enumerate(users.tolist()):
            one = h[user]
            rows = np.arange(len(one))
            if most is not None and len(one) > most:
                rows = np.sort(rng.choice(len(one), most, replace=False))
            parts.append((number, one.movies[rows], one.stars[rows], one.timestamps[rows]))
        new = np.concatenate([np.full(len(part[1]), part[0]) for part in parts])
        old = self.ratings
        ids = self.index.users.max() + 1 + np.arange(users.size)
        ratings = Ratings(
            np.concatenate([old.users, old.n_users + new]),
            np.concatenate([old.movies, *(part[1] for part in parts)]),
            np.concatenate([old.stars, *(part[2] for part in parts)]),
            np.concatenate([old.timestamps, *(part[3] for part in parts)]),
            old.n_users + users.size,
            old.n_movies,
        )
        index = Index(np.concatenate([self.index.users, ids]), self.index.movies)
        return Known(index, ratings, self.catalogue)

    def planted(self, users: NDArray[np.int64], planting: Planting, rng: Rng) -> Known:
        """All ratings, those of ``users`` by ``planting``."""
        h = self.ratings.histories
        kept = self.ratings.take(~np.isin(self.ratings.users, users))
        parts = []
        for user in users.tolist():
            one = h[user]
            movies, stars = planting(self, one.movies, one.stars, rng)
            parts.append((user, movies, stars, np.resize(one.timestamps, len(movies))))
        ratings = replace(
            kept,
            users=np.concatenate([kept.users, *(np.full(len(p[1]), p[0]) for p in parts)]),
            movies=np.concatenate([kept.movies, *(p[1] for p in parts)]),
            stars=np.concatenate([kept.stars, *(p[2] for p in parts)]).astype(np.float32),
            timestamps=np.concatenate([kept.timestamps, *(p[3] for p in parts)]),
        )
        return self.known(ratings)


# Without drift


def the_same(world: World, rng: Rng) -> tuple[Known, Known]:
    return world.everything, world.everything


def new_people(world: World, rng: Rng) -> tuple[Known, Known]:
    return world.without(world.people(LARGE, rng)), world.everything


def few_people(world: World, rng: Rng) -> tuple[Known, Known]:
    return world.without(world.people(0.01, rng)), world.everything


def copies(world: World, rng: Rng) -> tuple[Known, Known]:
    return world.everything, world.copied(world.people(LARGE, rng), None, rng)


def ten_ratings_each(world: World, rng: Rng) -> tuple[Known, Known]:
    return world.everything, world.copied(world.people(LARGE, rng), 10, rng)


def two_hundred_ratings(world: World, rng: Rng) -> tuple[Known, Known]:
    return world.everything, world.copied(world.people(20 / world.ratings.n_users, rng), 10, rng)


def two_halves(world: World, rng: Rng) -> tuple[Known, Known]:
    half = world.people(0.5, rng)
    mine = np.isin(world.ratings.users, half)
    return world.known(world.ratings.take(mine)), world.known(world.ratings.take(~mine))


def half_then_all(world: World, rng: Rng) -> tuple[Known, Known]:
    return world.without(world.people(0.5, rng)), world.everything


def all_then_half(world: World, rng: Rng) -> tuple[Known, Known]:
    return world.everything, world.without(world.people(0.5, rng))


def resampled(world: World, rng: Rng) -> tuple[Known, Known]:
    """The users drawn anew with replacement, under the old ids."""
    h = world.ratings.histories
    drawn = [h[user] for user in rng.integers(0, world.ratings.n_users, world.ratings.n_users)]
    ratings = replace(
        world.ratings,
        users=np.repeat(np.arange(len(drawn)), [len(one) for one in drawn]),
        movies=np.concatenate([one.movies for one in drawn]),
        stars=np.concatenate([one.stars for one in drawn]),
        timestamps=np.concatenate([one.timestamps for one in drawn]),
    )
    return world.everything, world.known(ratings)


def a_fifth_of_the_rows(world: World, rng: Rng) -> tuple[Known, Known]:
    kept = rng.random(len(world.ratings)) < 0.8
    return world.known(world.ratings.take(kept)), world.everything


def last_ratings(world: World, rng: Rng) -> tuple[Known, Known]:
    """Each person's last 10 to 40 %."""
    rest, _ = split_last_share(world.ratings, float(rng.uniform(0.1, 0.4)))
    return world.known(rest), world.everything


def time_passes(world: World, rng: Rng) -> tuple[Known, Known]:
    """Everything after a moment that 70 to 98 % of the ratings lie before."""
    moment = np.quantile(world.ratings.timestamps, rng.uniform(0.7, 0.98))
    return world.known(world.ratings.take(world.ratings.timestamps <= moment)), world.everything


# Plantings


def shifted(by: float) -> Planting:
    return lambda world, movies, stars, rng: (movies, np.clip(stars + by, 0.5, 5))


def inverted(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    return movies, 5.5 - stars


def mirrored(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """About the person's own mean, which stays."""
    return movies, np.clip(np.rint(2 * (2 * stars.mean() - stars)) / 2, 0.5, 5)


def at_random(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """The same stars, on the same movies, shuffled."""
    return movies, rng.permutation(stars)


def rare(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Movies from the rarer half of those that were rated."""
    counts = world.counts
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    return _others(order[: order.size // 2], movies, stars, rng)


def popular(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Movies from the hundredth that is rated most."""
    order = np.argsort(-world.counts, kind="stable")
    return _others(order[: max(30, order.size // 100)], movies, stars, rng)


def one_genre(name: str) -> Planting:
    def plant(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
        of_genre = np.array([name in movie.genres for movie in world.catalogue])
        counts = world.counts * of_genre
        return _others(np.flatnonzero(counts), movies, stars, rng, counts)

    return plant


def one_movie(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Five stars for one middling movie, and nothing else."""
    counts = world.counts
    middling = np.argsort(-counts, kind="stable")[counts.size // 50]
    return np.array([middling]), np.array([5.0], dtype=np.float32)


def one_movie_too(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Five stars for that movie beside what the person rates anyhow."""
    (extra,), _ = one_movie(world, movies, stars, rng)
    kept = movies != extra
    return np.append(movies[kept], extra), np.append(stars[kept], np.float32(5))


def unrated(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Half of the ratings on the last hundredth of the catalogue, which nobody else rates."""
    n = world.ratings.n_movies
    new = n - max(20, n // 100) + np.arange(max(20, n // 100))
    taken = rng.permutation(movies.size) < min(movies.size // 2, new.size)
    movies = np.append(movies[~taken], rng.choice(new, int(taken.sum()), replace=False))
    return np.unique(movies), rng.permutation(stars)[: np.unique(movies).size]


def _others(pool: Any, movies: Any, stars: Any, rng: Rng, weights: Any = None) -> Any:
    n = min(movies.size, pool.size)
    odds = None if weights is None else weights[pool] / weights[pool].sum()
    return rng.choice(pool, n, replace=False, p=odds), stars[:n]


def among_new(planting: Planting, share: float, planted: float = 1.0) -> Case:
    """``share`` of the users are new since the reference; ``planted`` of them are not as others."""

    def case(world: World, rng: Rng) -> tuple[Known, Known]:
        new = world.people(share, rng)
        bad = new[: round(planted * new.size)]
        return world.without(new), world.planted(bad, planting, rng)

    return case


def among_known(planting: Planting, share: float) -> Case:
    """Ratings of ``share`` of the users that the reference has otherwise."""

    def case(world: World, rng: Rng) -> tuple[Known, Known]:
        return world.everything, world.planted(world.people(share, rng), planting, rng)

    return case


def unrated_among_new(share: float, planted: float = 1.0) -> Case:
    """As :func:`among_new`, where the reference has not rated the movies in question."""

    def case(world: World, rng: Rng) -> tuple[Known, Known]:
        reference, current = among_new(unrated, share, planted)(world, rng)
        n = world.ratings.n_movies
        old = reference.ratings.movies < n - max(20, n // 100)
        there = current.ratings.movies < n - max(20, n // 100)
        new = ~np.isin(current.ratings.users, reference.ratings.users)
        return (
            world.known(reference.ratings.take(old)),
            world.known(current.ratings.take(there | new)),
        )

    return case


WITHOUT: Mapping[str, Case] = {
    "the same data": the_same,
    "new people (10 %)": new_people,
    "a few new people (1 %)": few_people,
    "copies of people (10 %)": copies,
    "copies, 10 ratings each": ten_ratings_each,
    "copies, 200 ratings in all": two_hundred_ratings,
    "half the users, then the others": two_halves,
    "half the users, then all": half_then_all,
    "all users, then half": all_then_half,
    "users drawn anew": resampled,
    "80 % of the rows, then all": a_fifth_of_the_rows,
    "each person's last ratings": last_ratings,
    "time passes (70-98 %, then all)": time_passes,
}
_PLANTINGS: Mapping[str, Planting] = {
    "stars half a star lower": shifted(-0.5),
    "stars one star lower": shifted(-1.0),
    "stars half a star higher": shifted(0.5),
    "inverted stars": inverted,
    "mirrored about the own mean": mirrored,
    "stars at random": at_random,
    "rare movies": rare,
    "the most popular movies": popular,
    "one genre: Horror": one_genre("Horror"),
    "one genre: Comedy": one_genre("Comedy"),
    "bots: one movie, five stars": one_movie,
    "one movie beside the others": one_movie_too,
}
WITH: Mapping[str, Mapping[str, Case]] = {
    name: {
        "3 %, all": among_new(planting, SMALL),
        "10 %, all": among_new(planting, LARGE),
        "10 %, half": among_new(planting, LARGE, 0.5),
        "10 %, a fifth": among_new(planting, LARGE, 0.2),
        "known": among_known(planting, LARGE),
    }
    for name, planting in _PLANTINGS.items()
} | {
    "movies nobody rated before": {
        "3 %, all": unrated_among_new(SMALL),
        "10 %, all": unrated_among_new(LARGE),
        "10 %, half": unrated_among_new(LARGE, 0.5),
        "10 %, a fifth": unrated_among_new(LARGE, 0.2),
    }
}


def kinds(world: World, case: Case, seed: int, n: int = drift.DRAWS) -> set[str]:
    """Names of the figures that drifted in one look, judged by ``n`` draws."""
    reference, current = case(world, np.random.default_rng(seed))
    change = Change.between(reference, current)
    found = [
        part(change, Limits(), seed=seed, n=n) for part in (drift.added_drift, drift.removed_drift)
    ]
    assert bool(alarm_policy.of_drift(*found)) == any(one.drifted for one in found)
    return {figure.name for one in found for figure in one.drifted}


def _look(task: tuple[str, str | None, int, int]) -> set[str]:
    """In a process of its own: the case's name, size (None: without drift), seed, draws."""
    name, size, seed, draws = task
    return kinds(_world[0], WITHOUT[name] if size is None else WITH[name][size], seed, draws)


#: What :func:`_look` works on, in each process.
_world: list[World] = []


def _read(folder: Path) -> None:
    _world[:] = [World(*to_arrays(read_movielens(folder)))]


def _counted(found: Sequence[set[str]]) -> dict[str, Any]:
    """Looks with an alarm, and how often each figure drifted."""
    figures = {name: sum(name in one for one in found) for name in KINDS}
    return {"alarms": sum(map(bool, found)), "figures": figures}


def main() -> None:
    """Print both tables, write ``benchmarks/out/monitor.json``; exit 1 where the bar is missed."""
    arguments = argparse.ArgumentParser(description="False alarms and detections of monitoring.")
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    arguments.add_argument("--seeds", type=int, default=SEEDS)
    arguments.add_argument("--draws", type=int, default=drift.DRAWS, help="as a look makes")
    arguments.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    options = arguments.parse_args()
    console = Console()
    given = {} if options.data is None else {"data": options.data}
    reference = sources.fetch(load_settings(**given))
    started = time.monotonic()
    cases: list[tuple[str, str | None]] = [(name, None) for name in WITHOUT]
    cases += [(name, size) for name, sizes in WITH.items() for size in sizes]
    tasks = [(*case, seed, options.draws) for case in cases for seed in range(options.seeds)]
    with ProcessPoolExecutor(
        options.workers, initializer=_read, initargs=(reference.folder,)
    ) as do:
        looks = do.map(_look, tasks, chunksize=options.seeds)
        found = list(track(looks, "looking", len(tasks), console=console, transient=True))
    false_alarms: dict[str, dict[str, Any]] = {}
    detections: dict[str, dict[str, dict[str, Any]]] = {}
    for place, (name, size) in enumerate(cases):
        counted = _counted(found[place * options.seeds : (place + 1) * options.seeds])
        if size is None:
            false_alarms[name] = counted
        else:
            detections.setdefault(name, {})[size] = counted
    _print(console, reference.name, options.seeds, false_alarms, detections)
    file = report.write(
        "monitor",
        {
            "data": reference.name,
            "seeds": options.seeds,
            "draws": options.draws,
            "seconds": time.monotonic() - started,
            "without": false_alarms,
            "planted": detections,
        },
    )
    console.print(f"written to {file.relative_to(file.parents[2])}")
    missed = [name for name, found in false_alarms.items() if found["alarms"] > MOST_FALSE]
    if missed:
        sys.exit(f"more than {MOST_FALSE} false alarm: {', '.join(missed)}")


def _print(
    console: Console,
    data: str,
    seeds: int,
    false_alarms: Mapping[str, Mapping[str, Any]],
    detections: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> None:
    table = Table(title=f"{data}: false alarms in {seeds} looks without drift")
    table.add_column("Case")
    table.add_column("False alarms", justify="right")
    table.add_column("By")
    for name, found in false_alarms.items():
        table.add_row(name, str(found["alarms"]), _named(found["figures"]))
    console.print(table)
    sizes = list(dict.fromkeys(size for cases in detections.values() for size in cases))
    table = Table(
        title=f"{data}: alarms in {seeds} looks with a planted drift, by how many of the users are "
        "new and how many of those are planted (known: 10 % of the users, changed in place)"
    )
    table.add_column("Planted")
    for size in sizes:
        table.add_column(size, justify="right")
    table.add_column("Mostly by")
    for name, cases in detections.items():
        figures = {key: max(one["figures"][key] for one in cases.values()) for key in KINDS}
        told = [str(cases[size]["alarms"]) if size in cases else "" for size in sizes]
        table.add_row(name, *told, _named({k: v for k, v in figures.items() if v > seeds // 2}))
    console.print(table)


def _named(figures: Mapping[str, int]) -> str:
    ordered = sorted(figures.items(), key=lambda item: -item[1])
    return ", ".join(name for name, n in ordered if n)


if __name__ == "__main__":
    main()
