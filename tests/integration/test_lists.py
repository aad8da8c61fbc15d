"""All pages of users of the real data, followed by the cursor."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import Ints
from moovier.models.bundle import Bundle
from moovier.serving import cursor
from moovier.serving.filters import Filter
from moovier.serving.recommender import Recommender
from moovier.serving.user_recommender import UserRecommender

pytestmark = [pytest.mark.slow, pytest.mark.real_data]
PAGE = 1000


@pytest.mark.parametrize(
    ("movie_filter", "every"),
    [
        # Unfiltered lists are the longest: 0.1 s a user.
        pytest.param(Filter(), 10, id="all movies, every tenth user"),
        pytest.param(Filter(), 1, id="all movies, every user", marks=pytest.mark.scale),
        pytest.param(Filter(("Comedy", "Film-Noir")), 1, id="genres, every user"),
        pytest.param(Filter(("Drama",), 1990, 1999), 1, id="genre and years, every user"),
    ],
)
def test_pages_hold_each_unrated_movie_once(
    dae_bundle: Bundle, movie_filter: Filter, every: int
) -> None:
    recommender = Recommender(dae_bundle).user_recommender
    passing = dae_bundle.index.movies[recommender.filter_index.mask(movie_filter)]
    for row in range(0, dae_bundle.index.users.size, every):
        rated = dae_bundle.index.movies[dae_bundle.histories[row].movies]
        shown = _all_pages(recommender, int(dae_bundle.index.users[row]), movie_filter)
        assert np.unique(shown).size == shown.size
        np.testing.assert_array_equal(np.sort(shown), np.setdiff1d(passing, rated))


def _all_pages(recommender: UserRecommender, user_id: int, movie_filter: Filter) -> Ints:
    """Return the MovieLens ids of all pages in order; the cursor excludes the earlier ones."""
    user, ids = recommender.user(user_id), np.zeros(0, dtype=np.int64)
    more = True
    while more:
        exclude = cursor.decode(cursor.encode(ids)) if ids.size else ids
        page = recommender.page(user, movie_filter, exclude=exclude, top_k=PAGE, reasons=False)
        ids, more = np.concatenate([ids, page.ids]), page.more
    return ids
