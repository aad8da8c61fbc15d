"""Ratings of users in groups who share a taste, so that a model of low rank learns something."""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import Ratings

GROUPS, GROUP_USERS, GROUP_MOVIES, N_RATED = 6, 40, 30, 20
DAY_S = 86_400


def group_ratings() -> Ratings:
    """Return the ratings of all users, in visits of five; every fifth movie is of another group."""
    random = np.random.default_rng(0)
    n_users, n_movies = GROUPS * GROUP_USERS, GROUPS * GROUP_MOVIES
    rows = []
    for user in range(n_users):
        own = random.permutation(GROUP_MOVIES)[:N_RATED] + user % GROUPS * GROUP_MOVIES
        others = np.setdiff1d(random.permutation(n_movies)[: N_RATED // 4], own)
        rows.append(random.permutation(np.concatenate([own, others])))
    counts = [row.size for row in rows]
    places = np.concatenate([np.arange(count) for count in counts])
    stars = random.integers(4, 11, sum(counts)) / 2
    return Ratings(
        np.repeat(np.arange(n_users), counts),
        np.concatenate(rows),
        stars.astype(np.float32),
        places + places // 5 * 3 * DAY_S,
        n_users,
        n_movies,
    )
