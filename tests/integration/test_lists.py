"""Every person of the real data, page after page to the end: never a movie they rated, never one
twice, and nothing left out that passes the filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data.movielens import indexed, read_movielens
from moovier.models import timeline
from moovier.models.bundle import Bundle, Card, DataFacts
from moovier.recommending import cursor
from moovier.recommending.facets import Filter
from moovier.recommending.people import People
from moovier.recommending.recommender import Recommender

pytestmark = [pytest.mark.slow, pytest.mark.real_data]
PAGE = 1000


@pytest.fixture(scope="module")
def model(real_data: Path) -> Bundle:
    index, ratings, catalogue = indexed(read_movielens(real_data))
    params = timeline.TimelineParams()
    arrays = timeline.remembered(ratings, params, catalogue)
    facts = DataFacts(name="real", hash="", synthetic=False, ratings=1, users=1, movies=1)
    card = Card(name="moovier_timeline_60_trained_0", family="timeline", params={}, data=facts)
    return Bundle(card, index, ratings.histories, catalogue, arrays)


@pytest.mark.parametrize(
    "wanted",
    [Filter(), Filter(("Comedy", "Film-Noir")), Filter(("Drama",), 1990, 1999)],
    ids=["all", "genres", "genre and years"],
)
def test_pages_of_everybody(model: Bundle, wanted: Filter) -> None:
    people = Recommender(model).people
    passing = model.index.movies[people.facets.mask(wanted)]
    for row, user in enumerate(model.index.users.tolist()):
        seen = model.index.movies[model.histories[row].movies]
        shown = _all_pages(people, user, wanted)
        assert np.unique(shown).size == shown.size
        np.testing.assert_array_equal(np.sort(shown), np.setdiff1d(passing, seen))


def _all_pages(people: People, user: int, wanted: Filter) -> np.ndarray:
    """MovieLens ids of all pages, as they come; what was shown travels in the cursor."""
    person, ids = people.user(user), np.zeros(0, dtype=np.int64)
    more = True
    while more:
        exclude = cursor.decode(cursor.encode(ids)) if ids.size else ids
        page = people.page(person, wanted, exclude=exclude, top_k=PAGE, reasons=False)
        ids, more = np.concatenate([ids, page.ids]), page.more
    return ids
