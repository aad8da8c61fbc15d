"""A list is narrowed by TMDB's facts about its best movies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from moovier.data.catalogue import Catalogue
from moovier.errors import BadRequest
from moovier.feedback.cache import FeedbackCache
from moovier.models import ease
from moovier.models.ease import EaseParams
from moovier.serving import tmdb_choice
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.filters import Filter
from moovier.serving.recommender import Recommender
from moovier.serving.requests import RecommendRequest
from moovier.serving.tmdb_choice import with_choice
from moovier.serving.tmdb_filter import TmdbFilter
from moovier.tmdb.providers import empty_region
from tests.contracts import toy as toy_data
from tests.unit.serving.fake_tmdb_client import FakeTmdbClient
from tests.unit.serving.toy_context import Toy, toy_of
from tests.unit.serving.toy_users import USERS, catalogue

N = toy_data.N_MOVIES


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    """A model whose movies have ten times their id at TMDB, except for the first."""
    known, params = toy_data.ratings(), EaseParams(size=1, lambda_=1.0)
    bundle = toy_data.bundle_of("ease", params, ease.build_arrays(known, params), known)
    movies = [replace(m, tmdb_id=None if m.id == 10 else 10 * m.id) for m in catalogue()]
    return LoadedModel(1, "m", "1", Recommender(replace(bundle, catalogue=Catalogue.of(movies))))


def choose(
    feedback: FeedbackCache, tmdb: Any, model: LoadedModel, tmdb_filter: TmdbFilter, **fields: Any
) -> RecommendRequest:
    toy: Toy = toy_of(feedback, tmdb)
    request = RecommendRequest(user_id=USERS[0], tmdb_filter=tmdb_filter, **fields)
    return toy.run(with_choice(toy.context, model, request))


def details(language: str, ids: list[int]) -> dict[int, Any]:
    return {id_: {"original_language": language} for id_ in ids}


def ranked(model: LoadedModel) -> list[int]:
    """Return the TMDB ids of the user's list, best first."""
    answer = model.recommender.recommend([USERS[0]], N)[0]
    return [item.movie.tmdb_id for item in answer.items if item.movie.tmdb_id is not None]


def test_the_filter_becomes_the_movies_that_pass(
    feedback: FeedbackCache, model: LoadedModel
) -> None:
    best = ranked(model)
    tmdb = FakeTmdbClient(details("fr", best[::2]) | details("en", best[1::2]), {})
    chosen = choose(feedback, tmdb, model, TmdbFilter(language="fr"), top_k=2)
    assert chosen.filter.tmdb_ids == frozenset(best[::2])
    assert (chosen.tmdb_filter, chosen.top_k) == (None, 2)


def test_only_the_facts_that_the_filter_needs_are_asked_for(
    feedback: FeedbackCache, model: LoadedModel
) -> None:
    best = ranked(model)
    offers = {best[1]: {"regions": {"US": {**empty_region(), "stream": [{"id": 8}]}}}}
    tmdb = FakeTmdbClient({}, offers)
    chosen = choose(feedback, tmdb, model, TmdbFilter(providers=(8,)))
    assert chosen.filter.tmdb_ids == frozenset([best[1]])
    assert sorted(tmdb.asked) == sorted(best), "once, for the providers"
    tmdb = FakeTmdbClient(details("fr", best), offers)
    choose(feedback, tmdb, model, TmdbFilter(providers=(8,), language="fr"))
    assert len(tmdb.asked) == 2 * len(best)


def test_of_further_movies_the_cache_decides(
    feedback: FeedbackCache, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tmdb_choice, "LOOKED_UP", 2)
    best = ranked(model)
    tmdb = FakeTmdbClient(details("fr", best), {})
    tmdb.cached = {best[4]}
    chosen = choose(feedback, tmdb, model, TmdbFilter(language="fr"))
    assert tmdb.asked == best[:2]
    assert chosen.filter.tmdb_ids == frozenset([best[0], best[1], best[4]])


def test_only_the_best_movies_of_the_other_filter_are_considered(
    feedback: FeedbackCache, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tmdb_choice, "CONSIDERED", 3)
    wars = [movie.tmdb_id for movie in model.recommender.bundle.catalogue if "War" in movie.genres]
    best = [id_ for id_ in ranked(model) if id_ in wars]
    tmdb = FakeTmdbClient(details("fr", ranked(model)), {})
    chosen = choose(feedback, tmdb, model, TmdbFilter(language="fr"), filter=Filter(("War",)))
    assert set(tmdb.asked) == set(best[:3])
    assert chosen.filter == Filter(("War",), tmdb_ids=frozenset(best[:3]))


def test_a_request_without_the_filter_stays_as_it_is(
    feedback: FeedbackCache, model: LoadedModel
) -> None:
    toy, request = toy_of(feedback), RecommendRequest(user_id=USERS[0])
    assert toy.run(with_choice(toy.context, model, request)) is request


def test_without_a_key_the_filter_is_refused(feedback: FeedbackCache, model: LoadedModel) -> None:
    with pytest.raises(BadRequest, match="set TMDB_API_KEY"):
        choose(feedback, None, model, TmdbFilter(language="fr"))
