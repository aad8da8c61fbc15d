"""Generate ratings of MovieLens's shape and any size, with tastes that can be learnt.

A movie has a position among 12 hidden qualities, a popularity with a long tail, and a quality; its
two genres are the nearest of 18 genres. There are 48 groups of taste; a group's affinity to a movie
is the product of their positions. A user belongs to a first and a second group, and moves from the
first to the second over one to six visits. Most ratings go to movies drawn with probability
proportional to exp(popularity + affinity); the share ``UNCHOSEN`` ignores the affinity. Stars are
3.4 + bias + 0.4 quality + 0.7 affinity + noise, rounded to half stars. So popularity predicts
something, a user's first ratings predict more, and the latest visits differ from the first ones.

A user has 20 ratings or more (median 71, mean about 150), as in MovieLens 25M.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
from numpy.typing import NDArray

from moovier.data.movielens import SYNTHETIC_MARK

#: MovieLens 25M has 162,541 users and 62,423 movies; smaller sizes have fewer of both.
FULL_RATINGS, FULL_USERS, FULL_MOVIES = 25_000_000, 162_541, 62_423
QUALITIES, GROUPS, GENRES, VISITS = 12, 48, 18, 6
#: Share of ratings that do not depend on taste.
UNCHOSEN = 0.25
#: Drawn ratings per wanted rating, because a user's repeated movies are dropped.
DRAWN = 1.5
START, END = 820_454_400, 1_574_294_400
_DAY_S, _YEAR_S = 86_400, 31_556_952

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


def write_ratings(folder: Path, n_ratings: int, seed: int = 0) -> Path:
    """Write about ``n_ratings`` ratings in MovieLens layout into ``folder``; return it.

    The same seed and size give the same bytes. A folder that is complete is kept.
    """
    mark = folder / SYNTHETIC_MARK
    if mark.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, n_ratings])
    n_users = max(round(FULL_USERS * n_ratings / FULL_RATINGS), 50)
    n_movies = max(round(FULL_MOVIES * (n_ratings / FULL_RATINGS) ** 0.55), 300)
    positions = random.normal(size=(n_movies, QUALITIES))
    popularity = -1.05 * np.log(random.permutation(n_movies) + 12.0)
    users, visits, groups = _places(n_ratings, n_users, random)
    affinities = random.normal(size=(GROUPS, QUALITIES)) @ positions.T / np.sqrt(QUALITIES)
    movies = _choose(groups, popularity, affinities, random)
    _, kept = np.unique(users * n_movies + movies, return_index=True)
    if kept.size > n_ratings:
        kept = np.sort(random.choice(kept, n_ratings, replace=False))
        kept = kept[np.argsort(users[kept], kind="stable")]
    users, visits, movies, groups = users[kept], visits[kept], movies[kept], groups[kept]
    stars = _stars(users, movies, affinities[groups % GROUPS, movies], n_users, n_movies, random)
    table = {
        "userId": users + 1,
        "movieId": movies + 1,
        "rating": stars,
        "timestamp": _timestamps(users, visits, n_users, random),
    }
    options = csv.WriteOptions(quoting_style="none")
    csv.write_csv(pa.table(table), folder / "ratings.csv", options)
    _write_movies(folder, positions, random)
    mark.write_text(f"SYNTHETIC ratings of benchmarks/scale_data.py, seed {seed}\n")
    return folder


def _places(
    n_ratings: int, n_users: int, random: np.random.Generator
) -> tuple[Ints, Ints, NDArray[np.int16]]:
    """Return user, visit and group of each drawn rating; group ``GROUPS`` stands for no taste."""
    counts = np.clip(random.lognormal(np.log(71.0), 1.2, n_users), 20, 4000)
    counts = np.maximum((counts * (DRAWN * n_ratings / counts.sum())).astype(np.int64), 25)
    users = np.repeat(np.arange(n_users), counts)
    n_visits = np.minimum(random.geometric(0.35, n_users), VISITS)
    # The first visit has about half of the ratings.
    later = 1 + (random.random(users.size) * (n_visits[users] - 1)).astype(np.int64)
    visits = np.where((random.random(users.size) < 0.5) | (n_visits[users] == 1), 0, later)
    members = random.integers(0, GROUPS, (n_users, 2)).astype(np.int16)
    moved = random.random(users.size) < 0.25 + 0.5 * visits / VISITS
    groups = members[users, moved.astype(np.int64)]
    groups[random.random(users.size) < UNCHOSEN] = GROUPS
    return users, visits, groups


def _choose(
    groups: NDArray[np.int16], popularity: Doubles, affinities: Doubles, random: np.random.Generator
) -> Ints:
    """Draw a movie for each rating from the distribution of its group."""
    movies = np.empty(groups.size, dtype=np.int64)
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(np.bincount(groups, minlength=GROUPS + 1))
    for group in range(GROUPS + 1):
        rows = order[ends[group - 1] if group else 0 : ends[group]]
        affinity = 1.4 * affinities[group] if group < GROUPS else 0.0
        weights = np.cumsum(np.exp(popularity + affinity))
        draws = random.random(rows.size) * weights[-1]
        movies[rows] = np.minimum(np.searchsorted(weights, draws), popularity.size - 1)
    return movies


def _stars(
    users: Ints,
    movies: Ints,
    affinity: Doubles,
    n_users: int,
    n_movies: int,
    random: np.random.Generator,
) -> Doubles:
    bias = random.normal(0.0, 0.35, n_users).astype(np.float32)
    quality = random.normal(0.0, 0.4, n_movies).astype(np.float32)
    noise = random.standard_normal(users.size, dtype=np.float32)
    stars = 3.4 + bias[users] + quality[movies] + 0.7 * affinity + 0.6 * noise
    return np.asarray(np.clip(np.round(2.0 * stars) / 2.0, 0.5, 5.0), dtype=np.float64)


def _timestamps(users: Ints, visits: Ints, n_users: int, random: np.random.Generator) -> Ints:
    pauses = np.clip(random.lognormal(np.log(60.0), 1.0, (n_users, VISITS)), 3, 700) * _DAY_S
    pauses[:, 0] = 0
    starts = np.cumsum(pauses, axis=1)
    starts += random.uniform(START, END - 8 * _YEAR_S, n_users)[:, None]
    within = random.integers(0, 4 * 3600, users.size)
    return starts[users, visits].astype(np.int64) + within


def _write_movies(folder: Path, positions: Doubles, random: np.random.Generator) -> None:
    centres = random.normal(size=(GENRES, QUALITIES))
    nearest = np.argsort(-(positions @ centres.T), axis=1)[:, :2]
    years = random.integers(1930, 1995, len(positions))
    rows = (
        f"{row + 1},Movie {row + 1} ({year}),Genre {first}|Genre {second}\n"
        for row, (year, (first, second)) in enumerate(
            zip(years.tolist(), nearest.tolist(), strict=True)
        )
    )
    with (folder / "movies.csv").open("w", encoding="utf-8") as file:
        file.write("movieId,title,genres\n")
        file.writelines(rows)
