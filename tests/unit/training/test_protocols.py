"""The ratings that each protocol trains on, and its results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Histories, Ints, Ratings
from moovier.data.split import (
    development_split,
    hold_out_users,
    random_split,
    split_at_time,
    split_last_share,
    split_last_visit,
)
from moovier.evaluation import visitor
from moovier.models.family import Arrays, Scorer
from moovier.training import protocols
from moovier.training.cluster import Cluster
from tests.unit.training.spy import (
    CATALOGUE,
    N_MOVIES,
    N_USERS,
    SpyFamily,
    SpyScorer,
    pairs,
    trained_on,
)


def test_each_protocol_fits_its_own_training_part(spy: SpyFamily, ratings: Ratings) -> None:
    trained = trained_on(development_split(ratings))
    spy.fits.clear()
    steps: list[str] = []
    evaluation = protocols.evaluate(trained, ratings, catalogue=CATALOGUE, on_progress=steps.append)
    assert steps == ["visitor", "next visit", "split by time", "global time", "fine-tuning"]
    kept, held_out = hold_out_users(ratings, 0)
    before, after = split_last_visit(ratings)
    expected = [kept, before, split_last_share(ratings)[0], split_at_time(ratings)[0]]
    assert [pairs(train) for train, _ in spy.fits] == list(map(pairs, expected))
    for _, context in spy.fits:
        assert (context.epochs, context.seed, context.validation) == (3, 7, None)
    assert evaluation.visitor is not None
    assert set(evaluation.visitor.users) <= set(held_out.users)
    assert evaluation.next_visit is not None
    assert set(evaluation.next_visit.users) == set(after.users)
    assert evaluation.order_audit is not None
    assert evaluation.by_time is not None
    assert (evaluation.stars, evaluation.gap) == (None, None)
    names = {
        "visitor_ndcg_at_10",
        "visitor_ndcg_at_10_k0",
        "visitor_ndcg_at_10_k1",
        "visitor_debiased_ndcg_at_10",
        "next_visit_ndcg_at_10",
        "next_visit_debiased_ndcg_at_10",
        "order_audit_ndcg_at_10_as_rated",
        "order_audit_overlap_within_sittings",
        "ndcg_at_10",
        "recall_at_10",
    }
    assert names <= set(evaluation.metrics())


def test_results_that_decide_nothing_can_be_left_out(spy: SpyFamily, ratings: Ratings) -> None:
    trained = trained_on(development_split(ratings))
    spy.fits.clear()
    evaluation = protocols.evaluate(trained, ratings, catalogue=CATALOGUE, reported=False)
    assert len(spy.fits) == 2
    assert evaluation.visitor is not None
    assert evaluation.next_visit is not None
    assert (evaluation.by_time, evaluation.global_time, evaluation.order_audit, evaluation.gap) == (
        None,
    ) * 4


def test_few_next_visits_add_the_split_by_time(spy: SpyFamily, ratings: Ratings) -> None:
    trained = trained_on(development_split(ratings))
    few = ratings.take(ratings.users < 19)
    assert protocols.evaluate(trained, few, catalogue=CATALOGUE, reported=False).by_time is not None


def test_the_gap_is_measured_on_users_of_both_models(spy: SpyFamily, ratings: Ratings) -> None:
    spy.keras_model = object()
    split = development_split(ratings)
    trained = trained_on(split)
    evaluation = protocols.evaluate(trained, ratings, catalogue=CATALOGUE)
    (tuning,) = spy.tunings
    assert pairs(tuning.batch) == pairs(split.next_visit)
    assert pairs(tuning.merged) == pairs(split.train) | pairs(split.next_visit)
    assert evaluation.gap is not None
    assert evaluation.gap.metric == "next_visit_ndcg_at_10"
    # The spy has no weights, so fine-tuning changes nothing.
    assert evaluation.gap.fine_tuned == pytest.approx(evaluation.gap.retrained)
    assert "fine_tuned_next_visit_ndcg_at_10" in evaluation.metrics()


def test_a_rating_family_is_evaluated_in_stars(spy: SpyFamily, ratings: Ratings) -> None:
    spy.objective = "rating"
    spy.keras_model = object()
    trained = trained_on(development_split(ratings))
    evaluation = protocols.evaluate(trained, ratings, catalogue=CATALOGUE)
    known, hidden = random_split(ratings, 0)
    assert pairs(spy.fits[-1][0]) == pairs(known)
    assert evaluation.metrics()["mae"] == pytest.approx(
        np.abs(-hidden.movies - hidden.stars).mean()
    )
    assert (evaluation.visitor, evaluation.next_visit) == (None, None)
    assert (evaluation.order_audit, evaluation.by_time, evaluation.global_time) == (
        None,
        None,
        None,
    )
    assert evaluation.gap is not None
    assert (evaluation.gap.metric, evaluation.gap.fine_tuned) == ("mae", evaluation.gap.retrained)
    assert pairs(spy.tunings[0].merged) == pairs(known)


def test_a_single_user_is_no_visitor(spy: SpyFamily, ratings: Ratings) -> None:
    single = ratings.take(ratings.users == 0)
    trained = trained_on(development_split(single))
    evaluation = protocols.evaluate(trained, single, catalogue=CATALOGUE)
    assert evaluation.visitor is None
    assert evaluation.order_audit is None
    assert evaluation.next_visit is not None


def test_concat_keeps_the_rows_and_the_index(ratings: Ratings) -> None:
    first, second = split_last_share(ratings)
    both = protocols.concat(first, second)
    assert len(both) == len(ratings)
    assert (both.n_users, both.n_movies) == (N_USERS, N_MOVIES)
    assert both.stars[-1] == second.stars[-1]
    assert both.timestamps[0] == first.timestamps[0]


def test_large_data_are_fitted_once_for_both_tests(
    spy: SpyFamily, ratings: Ratings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "LARGE", 100)
    monkeypatch.setattr(visitor, "LEAST_PEOPLE", 5)
    trained = trained_on(development_split(ratings))
    spy.fits.clear()
    evaluation = protocols.evaluate(trained, ratings, catalogue=CATALOGUE)
    ((train, _),) = spy.fits
    kept, held_out = hold_out_users(ratings, 0)
    before, after = split_last_visit(kept)
    assert pairs(train) == pairs(before)
    assert evaluation.visitor is not None
    assert set(evaluation.visitor.users) <= set(held_out.users)
    assert evaluation.next_visit is not None
    assert set(evaluation.next_visit.users) == set(after.users)
    assert (evaluation.order_audit, evaluation.by_time, evaluation.gap) == (None, None, None)


def test_the_cluster_fits_and_lists_large_data(
    spy: SpyFamily, ratings: Ratings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def factorise(*_: Any) -> Any:
        raise AssertionError("the spy has no factors")

    listed: list[int] = []

    class Lists(SpyScorer):
        def top_lists(self, users: Ints, known: Histories, k: int) -> Ints:
            listed.append(users.size)
            return np.tile(np.arange(k), (users.size, 1))

    names: list[str] = []

    def scorer_of(name: str, _arrays: Arrays) -> Scorer:
        names.append(name)
        return Lists([])

    cluster = Cluster(factorise, scorer_of)
    trained = trained_on(development_split(ratings), cluster=cluster)
    protocols.evaluate(trained, ratings, catalogue=CATALOGUE, cluster=cluster)
    assert not names, "small data are listed on this machine"
    monkeypatch.setattr(protocols, "LARGE", 100)
    monkeypatch.setattr(visitor, "LEAST_PEOPLE", 5)
    evaluation = protocols.evaluate(trained, ratings, catalogue=CATALOGUE, cluster=cluster)
    assert names == ["spy"]
    assert evaluation.next_visit is not None
    assert evaluation.visitor is not None
    assert len(listed) == 2
    assert listed[1] == evaluation.next_visit.users.size
    assert (evaluation.next_visit.top == np.arange(10)).all()
    assert {context.factorise for _, context in spy.fits} == {factorise}
