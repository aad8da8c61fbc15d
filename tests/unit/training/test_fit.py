"""Training on the development split, and refits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.data.split import (
    Development,
    development_split,
    split_last_share,
)
from moovier.training import fit
from tests.unit.training.spy import CATALOGUE, DAY_S, N_MOVIES, PARAMS, SpyFamily, pairs, trained_on


def test_a_ranking_family_is_fitted_on_the_development_training_part(
    spy: SpyFamily, ratings: Ratings
) -> None:
    split = development_split(ratings)
    trained = trained_on(split)
    ((train, context),) = spy.fits
    assert train is split.train
    assert context.validation is split.next_visit
    assert context.catalogue is CATALOGUE
    assert context.seed == 7
    assert context.epochs is None
    assert trained.fitted.epochs == 3
    assert trained.fit_s >= 0


def test_the_objective_is_the_geometric_mean_of_both_validation_metrics(
    spy: SpyFamily, ratings: Ratings
) -> None:
    split = development_split(ratings)
    trained = trained_on(split)
    assert set(trained.validation) == {"val_visitor_ndcg_at_10", "val_next_visit_ndcg_at_10"}
    expected = np.sqrt(np.prod(list(trained.validation.values())))
    assert trained.validation_ndcg == pytest.approx(expected)
    _, context = spy.fits[0]
    assert context.validation_ndcg is not None
    assert context.validation_ndcg(spy.scorer({})) == trained.validation_ndcg
    # User by user: the first ten unseen movies against the next visit.
    values = []
    for user in np.unique(split.next_visit.users):
        seen = split.train.movies[split.train.users == user]
        later = split.next_visit.movies[split.next_visit.users == user]
        top = [movie for movie in range(N_MOVIES) if movie not in seen][:10]
        gains = 1 / np.log2(np.arange(2, 12))
        values.append(gains[np.isin(top, later)].sum() / gains[: later.size].sum())
    assert trained.validation["val_next_visit_ndcg_at_10"] == pytest.approx(np.mean(values))


def test_the_objective_is_one_metric_if_the_other_has_no_users(
    spy: SpyFamily, ratings: Ratings
) -> None:
    split = development_split(ratings)
    no_ratings = ratings.take(np.empty(0, dtype=np.int64))
    for part, name in (
        ("visitors", "val_next_visit_ndcg_at_10"),
        ("next_visit", "val_visitor_ndcg_at_10"),
    ):
        other_split = Development(**{**vars(split), part: no_ratings})
        trained = trained_on(other_split)
        assert trained.validation == {name: trained.validation_ndcg}
        assert trained.validation_ndcg > 0


def test_validation_is_by_time_if_no_user_qualifies(spy: SpyFamily, ratings: Ratings) -> None:
    short = ratings.take(ratings.movies < 20)
    first = short.take(short.timestamps < (short.users * 2 + 5) * DAY_S)
    split = development_split(first)
    trained = trained_on(split)
    earlier, later = split_last_share(split.train)
    train, context = spy.fits[0]
    assert context.validation is not None
    assert pairs(train) == pairs(earlier)
    assert pairs(context.validation) == pairs(later)
    assert set(trained.validation) == {"val_ndcg_at_10"}


def test_a_rating_family_is_fitted_on_random_rows(spy: SpyFamily, ratings: Ratings) -> None:
    spy.objective = "rating"
    split = development_split(ratings)
    trained_on(split)
    train, context = spy.fits[0]
    assert train is split.stars_train
    assert context.validation is split.stars_validation


def test_the_epoch_callback_gets_metrics_and_may_end_the_training(
    spy: SpyFamily, ratings: Ratings
) -> None:
    split = development_split(ratings)
    epochs: list[tuple[int, Any]] = []
    trained_on(split, on_epoch=lambda *epoch: epochs.append(epoch))
    assert epochs == [(0, {"loss": 1.0})]

    def stop(epoch: int, figures: Any) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        trained_on(split, on_epoch=stop)


def test_a_refit_has_at_least_one_epoch(spy: SpyFamily, ratings: Ratings) -> None:
    fit.refit(ratings, "spy", PARAMS, catalogue=CATALOGUE, epochs=0, seed=0, threads=1)
    assert spy.fits[-1][1].epochs == 1
