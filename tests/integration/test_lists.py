"""Pages of every user of the real data: no rated movie, no movie twice, none left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data.movielens import read_movielens, to_arrays
from moovier.models.bundle import Bundle, Card, DataFacts
from moovier.models.dae import DaeFamily
from moovier.models.dae_scoring import DaeParams
from moovier.models.family import FitContext
from moovier.serving import cursor
from moovier.serving.filters import Filter
from moovier.serving.recommender import Recommender
from moovier.serving.user_recommender import UserRecommender

pytestmark = [pytest.mark.slow, pytest.mark.real_data]
PAGE = 1000


@pytest.fixture(scope="module")
def model(real_data: Path) -> Bundle:
    index, ratings, catalogue = to_arrays(read_movielens(real_data))
    fitted = DaeFamily().fit(ratings, DaeParams(), FitContext(catalogue, seed=0, epochs=1))
    facts = DataFacts(name="real", hash="", synthetic=False, ratings=1, users=1, movies=1)
    card = Card(name="moovier_dae_128_trained_0", family="dae", params={}, data=facts)
    return Bundle(card, index, ratings.histories, catalogue, fitted.arrays)


@pytest.mark.parametrize(
    "wanted",
    [Filter(), Filter(("Comedy", "Film-Noir")), Filter(("Drama",), 1990, 1999)],
    ids=["all", "genres", "genre and years"],
)
def test_pages_of_everybody(model: Bundle, wanted: Filter) -> None:
    people = Recommender(model).user_recommender
    passing = model.index.movies[people.filter_index.mask(wanted)]
    for row, user in enumerate(model.index.users.tolist()):
        seen = model.index.movies[model.histories[row].movies]
        shown = _all_pages(people, user, wanted)
        assert np.unique(shown).size == shown.size
        np.testing.assert_array_equal(np.sort(shown), np.setdiff1d(passing, seen))


def _all_pages(people: UserRecommender, user: int, wanted: Filter) -> np.ndarray:
    """MovieLens ids of all pages, as they come; what was shown travels in the cursor."""
    person, ids = people.user(user), np.zeros(0, dtype=np.int64)
    more = True
    while more:
        exclude = cursor.decode(cursor.encode(ids)) if ids.size else ids
        page = people.page(person, wanted, exclude=exclude, top_k=PAGE, reasons=False)
        ids, more = np.concatenate([ids, page.ids]), page.more
    return ids
