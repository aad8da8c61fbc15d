"""`elsa` and `als` recommend the movies that item-item weights do not cover."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Ratings
from moovier.data.split import Development, development_split
from moovier.evaluation.ranking import top_lists
from moovier.models import ease
from moovier.models.families import family
from moovier.models.family import Scorer
from moovier.training import budget, fit

#: Groups of movies, and the movies of each. The users of a group rate its movies only.
GROUPS, GROUP_MOVIES = 32, 300
N_MOVIES = GROUPS * GROUP_MOVIES
#: Users of a group: the first groups have the most, so the last ones are beyond the cut.
LEAST_USERS, MOST_USERS = 24, 60
N_RATED = 120
DAY_S = 86_400

pytestmark = pytest.mark.timeout(900)


def group_sizes() -> list[int]:
    return [int(size) for size in np.linspace(MOST_USERS, LEAST_USERS, GROUPS)]


def ratings() -> Ratings:
    """Return the ratings of all users in four visits of 30; the first movies are popular."""
    random = np.random.default_rng(0)
    chances = 1 / np.arange(10, GROUP_MOVIES + 10) ** 0.1
    rows = []
    for group, n_users in enumerate(group_sizes()):
        for _ in range(n_users):
            movies = random.choice(GROUP_MOVIES, N_RATED, replace=False, p=chances / chances.sum())
            rows.append(movies + group * GROUP_MOVIES)
    n_users = len(rows)
    # Visits are days apart: the last one is the test's, the one before is validated on.
    moments = np.arange(N_RATED) + np.arange(N_RATED) // 30 * 40 * DAY_S
    stars = random.integers(7, 11, n_users * N_RATED) / 2
    return Ratings(
        np.repeat(np.arange(n_users), N_RATED),
        np.concatenate(rows),
        stars.astype(np.float32),
        np.tile(moments, n_users),
        n_users,
        N_MOVIES,
    )


def catalogue() -> Catalogue:
    return Catalogue.of(
        Movie(row + 1, f"Movie {row}", 1990, ("Drama",), None, None) for row in range(N_MOVIES)
    )


def train(split: Development, name: str, **params: float) -> tuple[Scorer, float]:
    """Return the scorer and its validation: NDCG@10 of visitors and of next visits."""
    kind = family(name)
    trained = fit.train(
        split,
        name,
        kind.hyper_parameters.model_validate(params),
        catalogue=catalogue(),
        seed=0,
        threads=1,
    )
    assert len(trained.validation) == 2, "both protocols have users"
    return kind.scorer(trained.fitted.arrays), trained.validation_ndcg


@pytest.fixture(scope="module")
def known() -> Ratings:
    return ratings()


@pytest.fixture(scope="module")
def split(known: Ratings) -> Development:
    return development_split(known)


@pytest.fixture(scope="module")
def dense(split: Development) -> tuple[Scorer, float]:
    return train(split, "ease")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("elsa", {"size": 64, "epochs": 8}),
        ("als", {"size": 32, "iterations": 5, "alpha": 20.0}),
    ],
)
def test_a_model_of_low_rank_recommends_movies_beyond_the_dense_cut(
    name: str,
    params: dict[str, float],
    known: Ratings,
    split: Development,
    dense: tuple[Scorer, float],
) -> None:
    assert budget.frequent(known) > 9_000
    histories = split.train.histories
    covered = ease.frequent_movies(histories.movie_counts(), 3)
    assert covered.size == ease.MOST_MOVIES
    popular = fit.train_popularity(split, catalogue=catalogue(), seed=0, threads=1)
    scorer, ndcg = train(split, name, **params)
    dense_scorer, dense_ndcg = dense
    assert ndcg > 3 * popular.validation_ndcg
    assert ndcg > dense_ndcg
    # The users of the rarest groups with ratings in the training part.
    last = sum(group_sizes()[: GROUPS - 4])
    users = last + np.flatnonzero(histories.counts()[last:])
    assert users.size > 20
    # Long lists, since the few covered movies of their groups come first.
    lists, dense_lists = (top_lists(each, users, histories, 100) for each in (scorer, dense_scorer))
    groups = np.repeat(np.arange(GROUPS), group_sizes())[users]
    own, dense_own = (
        (found // GROUP_MOVIES == groups[:, None]).mean() for found in (lists, dense_lists)
    )
    assert own > 0.9
    assert dense_own < 0.7
    assert (~np.isin(lists, covered)).mean() > 0.4
    assert np.isin(dense_lists, covered).all()
