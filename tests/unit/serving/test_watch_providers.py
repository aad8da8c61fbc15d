"""Where a movie can be watched, and what is answered if TMDB does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from moovier.data.catalogue import Catalogue
from moovier.errors import UnknownMovie
from moovier.feedback.cache import FeedbackCache
from moovier.serving.recommender import Recommender
from moovier.serving.watch_providers import movie_providers
from moovier.tmdb.providers import ATTRIBUTION, empty_region
from tests.unit.serving.fake_tmdb_client import FakeTmdbClient
from tests.unit.serving.toy_context import champion, rating_model, toy_of
from tests.unit.serving.toy_users import MOVIES

STREAMED = {**empty_region(), "link": "https://www.themoviedb.org/x", "stream": [{"id": 8}]}
OFFERS = {7: {"id": 7, "regions": {"US": STREAMED}}}


def providers(feedback: FeedbackCache, tmdb: Any, movie: int, region: str = "US") -> Any:
    """Ask a service whose first movie has the TMDB id 7."""
    toy = toy_of(feedback, tmdb)
    bundle = champion().recommender.bundle
    movies = [replace(m, tmdb_id=7 if m.id == MOVIES[0] else None) for m in bundle.catalogue]
    recommender = Recommender(
        replace(bundle, catalogue=Catalogue.of(movies)), scorer=rating_model().recommender.scorer
    )
    toy.models.champion = replace(champion(), recommender=recommender)
    answer, model = toy.run(movie_providers(toy.context, movie, region))
    assert model is toy.models.champion
    return answer


def test_the_providers_of_the_region_come_with_their_source(feedback: FeedbackCache) -> None:
    answer = providers(feedback, FakeTmdbClient({}, OFFERS), MOVIES[0])
    assert answer == {
        "movie_id": MOVIES[0],
        "region": "US",
        "known": True,
        **STREAMED,
        "attribution": ATTRIBUTION,
    }


def test_a_region_without_providers_is_empty_and_known(feedback: FeedbackCache) -> None:
    answer = providers(feedback, FakeTmdbClient({}, OFFERS), MOVIES[0], "FR")
    assert (answer["known"], answer["region"], answer["stream"]) == (True, "FR", [])


@pytest.mark.parametrize("movie", [MOVIES[0], MOVIES[1]])
def test_a_movie_that_tmdb_does_not_have_is_unknown(feedback: FeedbackCache, movie: int) -> None:
    tmdb = FakeTmdbClient({}, {})
    answer = providers(feedback, tmdb, movie)
    assert (answer["known"], answer["link"], answer["rent"]) == (False, None, [])
    assert tmdb.asked == ([7] if movie == MOVIES[0] else []), "no question without a TMDB id"


def test_without_a_key_nothing_is_known(feedback: FeedbackCache) -> None:
    assert providers(feedback, None, MOVIES[0])["known"] is False


def test_a_movie_outside_the_catalogue_is_an_error(feedback: FeedbackCache) -> None:
    with pytest.raises(UnknownMovie):
        providers(feedback, None, 9999)
