"""Disliked movies lower the scores of similar movies, on the real data."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.models.dae import DaeFamily
from moovier.models.family import Scorer
from moovier.models.top_k import top_rows
from moovier.training.fit import Trained
from tests.integration.conftest import RealData

pytestmark = [pytest.mark.slow, pytest.mark.real_data]
SHOWN = 20
#: Genres of a minority of movies; each occurs among the most popular movies.
GENRES = ("Action", "Adventure", "Crime", "Sci-Fi", "Thriller", "War", "Children", "Fantasy")


@pytest.fixture(scope="module")
def trained(real: RealData, trained_dae: Trained) -> tuple[Scorer, Catalogue, Histories]:
    scorer = DaeFamily().scorer(trained_dae.fitted.arrays)
    return scorer, real.catalogue, real.ratings.histories


def shown(scores: Floats, rated: Ints) -> Ints:
    unseen = np.array(scores, dtype=np.float32)
    unseen[rated] = -np.inf
    return top_rows(unseen, SHOWN)


@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize("draw", range(3))
def test_disliked_genre_is_shown_less_than_liked_and_less_than_without_ratings(
    trained: tuple[Scorer, Catalogue, Histories], genre: str, draw: int
) -> None:
    scorer, catalogue, histories = trained
    counts = histories.movie_counts()
    of_genre = np.array([genre in movie.genres for movie in catalogue])
    pool = np.flatnonzero(of_genre & (counts >= 30))
    rated = np.random.default_rng(draw).choice(pool, 5, replace=False)

    def count(stars: float) -> int:
        all_stars = np.full(5, stars, dtype=np.float32)
        history = History(rated, all_stars, np.full(5, 1_600_000_000))
        return int(of_genre[shown(scorer.fold_in(history), rated)].sum())

    popular = int(of_genre[shown(counts.astype(np.float32), rated)].sum())
    assert count(0.5) < count(5.0)
    assert count(0.5) < popular
