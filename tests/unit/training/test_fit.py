"""Training, and which ratings each protocol trains and evaluates on."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.data.split import (
    Development,
    development_split,
    hold_out_users,
    random_split,
    split_at_time,
    split_last_share,
    split_last_visit,
)
from moovier.models import families
from moovier.models.family import FineTuneRequest, FitContext, FitResult, HyperParameters
from moovier.models.popular import PopularFamily, PopularParams
from moovier.training import fit, protocols

N_USERS, N_MOVIES, PARAMS = 30, 90, PopularParams()
CATALOGUE = Catalogue.of(Movie(i, f"Movie {i}", 1995, (), None, None) for i in range(N_MOVIES))
DAY_S = 86_400


class SpyScorer:
    """A scorer that prefers low movie rows and records the histories."""

    def __init__(self, shown: list[Histories]) -> None:
        self.n_movies = N_MOVIES
        self._shown = shown

    def score(self, users: Ints, histories: Histories) -> Floats:
        self._shown.append(histories)
        return np.tile(-np.arange(N_MOVIES, dtype=np.float32), (len(users), 1))

    def fold_in(self, history: History) -> Floats:
        return -np.arange(N_MOVIES, dtype=np.float32)

    def explain(self, history: History, movies: Ints) -> Floats:
        return np.zeros((len(movies), len(history)), dtype=np.float32)


class SpyFamily(PopularFamily):
    """A family that records its trainings; its best epoch is always the third."""

    name = "spy"

    def __init__(self) -> None:
        self.fits: list[tuple[Ratings, FitContext]] = []
        self.tunings: list[FineTuneRequest] = []
        self.shown: list[Histories] = []
        self.keras_model: Any = None

    def fit(self, train: Ratings, params: HyperParameters, context: FitContext) -> FitResult:
        self.fits.append((train, context))
        if context.on_epoch is not None:
            context.on_epoch(0, {"loss": 1.0})
        return FitResult(arrays={}, epochs=3, keras_model=self.keras_model)

    def fine_tune(
        self, parent: FitResult, params: HyperParameters, request: FineTuneRequest
    ) -> FitResult:
        self.tunings.append(request)
        return parent

    def scorer(self, arrays: Any) -> Any:
        return SpyScorer(self.shown)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> SpyFamily:
    family = SpyFamily()
    table = MappingProxyType({**families.FAMILIES, "spy": family})
    monkeypatch.setattr(families, "FAMILIES", table)
    return family


@pytest.fixture
def ratings() -> Ratings:
    """Return three visits of twelve ratings per user; the users start two days apart."""
    random = np.random.default_rng(2)
    users = np.repeat(np.arange(N_USERS), 36)
    movies = np.concatenate([random.permutation(N_MOVIES)[:36] for _ in range(N_USERS)])
    place = np.tile(np.arange(36), N_USERS)
    moments = users * 2 * DAY_S + place // 12 * 10 * DAY_S + place
    stars = random.integers(1, 11, users.size).astype(np.float32) / np.float32(2)
    shuffled = random.permutation(users.size)
    return Ratings(users, movies, stars, moments, N_USERS, N_MOVIES).take(shuffled)


def pairs(ratings: Ratings) -> set[tuple[int, int]]:
    return set(zip(ratings.users.tolist(), ratings.movies.tolist(), strict=True))


def trained_on(split: Development, **options: Any) -> fit.Trained:
    return fit.train(split, "spy", PARAMS, catalogue=CATALOGUE, seed=7, threads=1, **options)


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


def test_a_refit_has_at_least_one_epoch(spy: SpyFamily, ratings: Ratings) -> None:
    fit.refit(ratings, "spy", PARAMS, catalogue=CATALOGUE, epochs=0, seed=0, threads=1)
    assert spy.fits[-1][1].epochs == 1


def test_concat_keeps_the_rows_and_the_index(ratings: Ratings) -> None:
    first, second = split_last_share(ratings)
    both = protocols.concat(first, second)
    assert len(both) == len(ratings)
    assert (both.n_users, both.n_movies) == (N_USERS, N_MOVIES)
    assert both.stars[-1] == second.stars[-1]
    assert both.timestamps[0] == first.timestamps[0]
