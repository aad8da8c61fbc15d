"""Data sets with and without a planted drift, for ``make bench-monitor``.

Each case splits a data set with its seed into a reference, which a champion would have been trained
on, and the current data. The cases without drift include those that mislead a simple test: halves
of the users, each user's last ratings, few ratings, copies of users, and the passing of time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Index, Ratings
from moovier.data.split import split_last_share
from moovier.monitoring.dataset_diff import Snapshot

#: Share of the users that a case changes.
SMALL, LARGE = 0.03, 0.1

Rng = np.random.Generator
#: A case returns the reference and the current data.
Case = Callable[["World", Rng], tuple[Snapshot, Snapshot]]
#: A planting maps a user's movies (rows) and stars to the ratings that replace them.
Planting = Callable[
    ["World", NDArray[np.int64], NDArray[np.float32], Rng],
    tuple[NDArray[np.int64], NDArray[np.float32]],
]


@dataclass(frozen=True)
class World:
    """A data set from which cases are made."""

    index: Index
    ratings: Ratings
    catalogue: Catalogue

    def snapshot(self, ratings: Ratings) -> Snapshot:
        """Return a data set of ``ratings`` with the same users and movies."""
        return Snapshot(self.index, ratings, self.catalogue)

    @property
    def everything(self) -> Snapshot:
        """The whole data set."""
        return self.snapshot(self.ratings)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of ratings of each movie."""
        return np.bincount(self.ratings.movies, minlength=self.ratings.n_movies)

    def draw_users(self, share: float, rng: Rng) -> NDArray[np.int64]:
        """Draw a share of the users, at least three."""
        n = self.ratings.n_users
        return rng.choice(n, max(3, round(share * n)), replace=False)

    def without(self, users: NDArray[np.int64]) -> Snapshot:
        """Return the data set without the ratings of ``users``."""
        return self.snapshot(self.ratings.take(~np.isin(self.ratings.users, users)))

    def with_copies(self, users: NDArray[np.int64], limit: int | None, rng: Rng) -> Snapshot:
        """Return the data set with copies of ``users`` under new ids, ``limit`` ratings each."""
        histories = self.ratings.histories
        copies = []
        for number, user in enumerate(users.tolist()):
            history = histories[user]
            rows = np.arange(len(history))
            if limit is not None and len(history) > limit:
                rows = np.sort(rng.choice(len(history), limit, replace=False))
            copies.append(
                (
                    np.full(rows.size, number),
                    history.movies[rows],
                    history.stars[rows],
                    history.timestamps[rows],
                )
            )
        owners, movies, stars, timestamps = (
            np.concatenate(column) for column in zip(*copies, strict=True)
        )
        old = self.ratings
        ids = self.index.users.max() + 1 + np.arange(users.size)
        ratings = Ratings(
            np.concatenate([old.users, old.n_users + owners]),
            np.concatenate([old.movies, movies]),
            np.concatenate([old.stars, stars]),
            np.concatenate([old.timestamps, timestamps]),
            old.n_users + users.size,
            old.n_movies,
        )
        index = Index(np.concatenate([self.index.users, ids]), self.index.movies)
        return Snapshot(index, ratings, self.catalogue)

    def with_planting(self, users: NDArray[np.int64], planting: Planting, rng: Rng) -> Snapshot:
        """Return the data set with the ratings of ``users`` replaced by ``planting``."""
        histories = self.ratings.histories
        others = self.ratings.take(~np.isin(self.ratings.users, users))
        planted = []
        for user in users.tolist():
            history = histories[user]
            movies, stars = planting(self, history.movies, history.stars, rng)
            timestamps = np.resize(history.timestamps, len(movies))
            planted.append((np.full(len(movies), user), movies, stars, timestamps))
        columns = [np.concatenate(column) for column in zip(*planted, strict=True)]
        ratings = replace(
            others,
            users=np.concatenate([others.users, columns[0]]),
            movies=np.concatenate([others.movies, columns[1]]),
            stars=np.concatenate([others.stars, columns[2]]).astype(np.float32),
            timestamps=np.concatenate([others.timestamps, columns[3]]),
        )
        return self.snapshot(ratings)


# Cases without drift


def _same_data(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
    return world.everything, world.everything


def _new_users(share: float) -> Case:
    return lambda world, rng: (world.without(world.draw_users(share, rng)), world.everything)


def _copies(limit: int | None) -> Case:
    return lambda world, rng: (
        world.everything,
        world.with_copies(world.draw_users(LARGE, rng), limit, rng),
    )


def _two_hundred_ratings(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
    users = world.draw_users(20 / world.ratings.n_users, rng)
    return world.everything, world.with_copies(users, 10, rng)


def _two_halves(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
    first = np.isin(world.ratings.users, world.draw_users(0.5, rng))
    ratings = world.ratings
    return world.snapshot(ratings.take(first)), world.snapshot(ratings.take(~first))


def _deleted_half(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
    return world.everything, world.without(world.draw_users(0.5, rng))


def _resampled(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
    """Draw the users again with replacement, under the old ids."""
    histories = world.ratings.histories
    users = rng.integers(0, world.ratings.n_users, world.ratings.n_users)
    drawn = [histories[user] for user in users]
    ratings = replace(
        world.ratings,
        users=np.repeat(np.arange(len(drawn)), [len(history) for history in drawn]),
        movies=np.concatenate([history.movies for history in drawn]),
        stars=np.concatenate([history.stars for history in drawn]),
        timestamps=np.concatenate([history.timestamps for history in drawn]),
    )
    return world.everything, world.snapshot(ratings)


def _fifth_of_the_rows(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
    in_reference = rng.random(len(world.ratings)) < 0.8
    return world.snapshot(world.ratings.take(in_reference)), world.everything


def _last_ratings(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
    """Add each user's last 10 to 40 % of the ratings."""
    earlier, _ = split_last_share(world.ratings, float(rng.uniform(0.1, 0.4)))
    return world.snapshot(earlier), world.everything


def _time_passes(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
    """Add all ratings after a time; 70 to 98 % of the ratings are earlier."""
    timestamps = world.ratings.timestamps
    cut = np.quantile(timestamps, rng.uniform(0.7, 0.98))
    return world.snapshot(world.ratings.take(timestamps <= cut)), world.everything


# Plantings


def _shifted(by: float) -> Planting:
    return lambda world, movies, stars, rng: (movies, np.clip(stars + by, 0.5, 5))


def _inverted(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    return movies, 5.5 - stars


def _mirrored(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Mirror the stars about the user's own mean, which does not change."""
    return movies, np.clip(np.rint(2 * (2 * stars.mean() - stars)) / 2, 0.5, 5)


def _shuffled(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Shuffle the stars among the same movies."""
    return movies, rng.permutation(stars)


def _rare(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Draw movies from the rarer half of the rated ones."""
    counts = world.counts
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    return _replace_movies(order[: order.size // 2], movies, stars, rng)


def _popular(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Draw movies from the most popular hundredth."""
    order = np.argsort(-world.counts, kind="stable")
    return _replace_movies(order[: max(30, order.size // 100)], movies, stars, rng)


def _one_genre(name: str) -> Planting:
    def plant(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
        has_genre = np.array([name in movie.genres for movie in world.catalogue])
        counts = world.counts * has_genre
        return _replace_movies(np.flatnonzero(counts), movies, stars, rng, counts)

    return plant


def _one_movie(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Give five stars to one movie of middling popularity, and no other rating."""
    counts = world.counts
    middling = np.argsort(-counts, kind="stable")[counts.size // 50]
    return np.array([middling]), np.array([5.0], dtype=np.float32)


def _one_more_movie(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Give five stars to that movie in addition to the user's own ratings."""
    (extra,), _ = _one_movie(world, movies, stars, rng)
    others = movies != extra
    return np.append(movies[others], extra), np.append(stars[others], np.float32(5))


def _unrated(world: World, movies: Any, stars: Any, rng: Rng) -> Any:
    """Move half of the ratings to the last hundredth of the catalogue, which is unrated."""
    n = world.ratings.n_movies
    new = n - max(20, n // 100) + np.arange(max(20, n // 100))
    moved = rng.permutation(movies.size) < min(movies.size // 2, new.size)
    movies = np.append(movies[~moved], rng.choice(new, int(moved.sum()), replace=False))
    return np.unique(movies), rng.permutation(stars)[: np.unique(movies).size]


def _replace_movies(pool: Any, movies: Any, stars: Any, rng: Rng, weights: Any = None) -> Any:
    n = min(movies.size, pool.size)
    odds = None if weights is None else weights[pool] / weights[pool].sum()
    return rng.choice(pool, n, replace=False, p=odds), stars[:n]


def _among_new(planting: Planting, share: float, planted: float = 1.0) -> Case:
    """Return a case with a ``share`` of new users, of which ``planted`` get the planting."""

    def case(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
        new = world.draw_users(share, rng)
        unusual = new[: round(planted * new.size)]
        return world.without(new), world.with_planting(unusual, planting, rng)

    return case


def _among_known(planting: Planting, share: float) -> Case:
    """Return a case in which a ``share`` of the known users change their ratings."""

    def case(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
        users = world.draw_users(share, rng)
        return world.everything, world.with_planting(users, planting, rng)

    return case


def _unrated_among_new(share: float, planted: float = 1.0) -> Case:
    """Return a case like :func:`_among_new` whose reference lacks the last movies' ratings."""

    def case(world: World, rng: Rng) -> tuple[Snapshot, Snapshot]:
        reference, current = _among_new(_unrated, share, planted)(world, rng)
        n = world.ratings.n_movies
        first_new = n - max(20, n // 100)
        is_new_user = ~np.isin(current.ratings.users, reference.ratings.users)
        return (
            world.snapshot(reference.ratings.take(reference.ratings.movies < first_new)),
            world.snapshot(
                current.ratings.take((current.ratings.movies < first_new) | is_new_user)
            ),
        )

    return case


#: Cases without drift, by name.
WITHOUT_DRIFT: Mapping[str, Case] = {
    "same data": _same_data,
    "new users (10 %)": _new_users(LARGE),
    "a few new users (1 %)": _new_users(0.01),
    "copies of users (10 %)": _copies(None),
    "copies, 10 ratings each": _copies(10),
    "copies, 200 ratings in total": _two_hundred_ratings,
    "half of the users, then the others": _two_halves,
    "half of the users, then all": _new_users(0.5),
    "all users, then half": _deleted_half,
    "users drawn with replacement": _resampled,
    "80 % of the rows, then all": _fifth_of_the_rows,
    "each user's last ratings": _last_ratings,
    "time passes (70-98 %, then all)": _time_passes,
}
_PLANTINGS: Mapping[str, Planting] = {
    "stars half a star lower": _shifted(-0.5),
    "stars one star lower": _shifted(-1.0),
    "stars half a star higher": _shifted(0.5),
    "inverted stars": _inverted,
    "stars mirrored about the own mean": _mirrored,
    "shuffled stars": _shuffled,
    "rare movies": _rare,
    "most popular movies": _popular,
    "one genre: Horror": _one_genre("Horror"),
    "one genre: Comedy": _one_genre("Comedy"),
    "bots: one movie, five stars": _one_movie,
    "one more movie, five stars": _one_more_movie,
}
#: Cases with planted drift, by name and by size.
WITH_DRIFT: Mapping[str, Mapping[str, Case]] = {
    name: {
        "3 %, all": _among_new(planting, SMALL),
        "10 %, all": _among_new(planting, LARGE),
        "10 %, half": _among_new(planting, LARGE, 0.5),
        "10 %, a fifth": _among_new(planting, LARGE, 0.2),
        "known": _among_known(planting, LARGE),
    }
    for name, planting in _PLANTINGS.items()
} | {
    "movies without earlier ratings": {
        "3 %, all": _unrated_among_new(SMALL),
        "10 %, all": _unrated_among_new(LARGE),
        "10 %, half": _unrated_among_new(LARGE, 0.5),
        "10 %, a fifth": _unrated_among_new(LARGE, 0.2),
    }
}
