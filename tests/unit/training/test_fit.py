"""Who may see which part: tuning and stopping by the validation part, judging by the test part."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from moovier.data.arrays import Floats, Histories, History, Ints, Ratings
from moovier.data.catalogue import Catalogue, Movie
from moovier.data.split import Split, random_split, time_split
from moovier.models import families
from moovier.models.family import Fitted
from moovier.models.popular import PopularFamily, PopularParams
from moovier.training import fit

N_USERS, N_MOVIES, PARAMS = 5, 13, PopularParams()
CATALOGUE = Catalogue.of(Movie(i, f"Movie {i}", 1995, (), None, None) for i in range(N_MOVIES))


class Poison:
    """Test rows that break whoever looks at them."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the test part was looked at: {name}")


class SpyScorer:
    """Prefers high movie rows, and notes whose past it was shown."""

    def __init__(self, shown: list[Histories]) -> None:
        self.n_movies = N_MOVIES
        self._shown = shown

    def score(self, users: Ints, histories: Histories) -> Floats:
        self._shown.append(histories)
        return np.tile(np.arange(N_MOVIES, dtype=np.float32), (len(users), 1))

    def fold_in(self, history: History) -> Floats:
        return np.arange(N_MOVIES, dtype=np.float32)

    def because(self, history: History, movies: Ints) -> Floats:
        return np.zeros((len(movies), len(history)), dtype=np.float32)


class SpyFamily(PopularFamily):
    """Notes how it is trained; it says that its third epoch was the best."""

    name = "spy"

    def __init__(self) -> None:
        self.fits: list[dict[str, Any]] = []
        self.shown: list[Histories] = []

    def fit(self, train: Ratings, params: Any, **options: Any) -> Fitted:
        self.fits.append({"train": train, "params": params, **options})
        if options.get("on_epoch") is not None:
            options["on_epoch"](0, {"loss": 1.0})
        return Fitted(arrays={}, epochs=3)

    def scorer(self, arrays: Any) -> Any:
        return SpyScorer(self.shown)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> SpyFamily:
    family = SpyFamily()
    table = MappingProxyType({**families.FAMILIES, "spy": family})
    monkeypatch.setattr(families, "FAMILIES", table)
    return family


@pytest.fixture
def split() -> Split:
    """Ten of thirteen movies rated by each user: seven, one and two in the three parts."""
    random = np.random.default_rng(2)
    users = np.repeat(np.arange(N_USERS), 10)
    movies = np.concatenate([random.permutation(N_MOVIES)[:10] for _ in range(N_USERS)])
    stars = random.integers(1, 11, users.size).astype(np.float32) / 2
    moments = random.permutation(users.size)
    return time_split(Ratings(users, movies, stars, moments, N_USERS, N_MOVIES))


def pairs(ratings: Ratings) -> set[tuple[int, int]]:
    return set(zip(ratings.users.tolist(), ratings.movies.tolist(), strict=True))


def test_training_never_looks_at_the_test_part(spy: SpyFamily, split: Split) -> None:
    poisoned = replace(split, test=Poison())
    trained = fit.train(poisoned, "spy", PARAMS, catalogue=CATALOGUE, seed=7, threads=1)
    (call,) = spy.fits
    assert call["train"] is split.train
    assert call["validation"] is split.validation
    assert call["seed"] == 7
    assert call.get("epochs") is None
    assert trained.fitted.epochs == 3
    assert trained.fit_s >= 0


def test_the_validation_figure_ranks_what_training_does_not_hold(
    spy: SpyFamily, split: Split
) -> None:
    trained = fit.train(split, "spy", PARAMS, catalogue=CATALOGUE, seed=0, threads=1)
    assert pairs(spy.shown[-1].ratings()) == pairs(split.train)
    expected = []
    for user in range(N_USERS):
        seen = split.train.movies[split.train.users == user]
        unseen = [movie for movie in reversed(range(N_MOVIES)) if movie not in seen][:10]
        (wanted,) = split.validation.movies[split.validation.users == user]
        expected.append(1 / np.log2(unseen.index(wanted) + 2))
    assert trained.validation_ndcg == pytest.approx(np.mean(expected))
    assert spy.fits[0]["validation_ndcg"](spy.scorer({})) == trained.validation_ndcg


def test_progress_is_passed_on_and_may_end_the_training(spy: SpyFamily, split: Split) -> None:
    told: list[tuple[int, Any]] = []
    fit.train(
        split,
        "spy",
        PARAMS,
        catalogue=CATALOGUE,
        seed=0,
        threads=1,
        on_epoch=lambda *epoch: told.append(epoch),
    )
    assert told == [(0, {"loss": 1.0})]

    def stop(epoch: int, figures: Any) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        fit.train(split, "spy", PARAMS, catalogue=CATALOGUE, seed=0, threads=1, on_epoch=stop)


def test_the_test_part_is_judged_by_a_model_of_all_that_precedes_it(
    spy: SpyFamily, split: Split
) -> None:
    trained = fit.train(split, "spy", PARAMS, catalogue=CATALOGUE, seed=7, threads=1)
    result = fit.evaluate(trained, split, catalogue=CATALOGUE)
    again = spy.fits[-1]
    assert pairs(again["train"]) == pairs(split.train) | pairs(split.validation)
    assert (again["epochs"], again["seed"], again.get("validation")) == (3, 7, None)
    assert pairs(spy.shown[-1].ratings()) == pairs(again["train"])
    for user, top in zip(result.users, result.top, strict=True):
        known = again["train"].movies[again["train"].users == user]
        assert not set(known.tolist()) & set(top.tolist())


def test_new_people_are_in_no_training(spy: SpyFamily, split: Split) -> None:
    ratings = fit.both(fit.both(split.train, split.validation), split.test)
    trained = fit.train(split, "spy", PARAMS, catalogue=CATALOGUE, seed=0, threads=1)
    result = fit.evaluate_new_people(trained, ratings, catalogue=CATALOGUE)
    assert result is not None
    trained_on = set(spy.fits[-1]["train"].users.tolist())
    assert len(result.users) == 1
    assert trained_on == set(range(N_USERS)) - set(result.users.tolist())
    assert result.history.tolist() == [8]


def test_one_user_leaves_no_new_people(spy: SpyFamily, split: Split) -> None:
    trained = fit.train(split, "spy", PARAMS, catalogue=CATALOGUE, seed=0, threads=1)
    alone = split.train.take(split.train.users == 0)
    assert fit.evaluate_new_people(trained, alone, catalogue=CATALOGUE) is None


def test_only_a_family_that_rates_is_judged_by_stars(spy: SpyFamily, split: Split) -> None:
    ratings = fit.both(fit.both(split.train, split.validation), split.test)
    trained = fit.train(split, "spy", PARAMS, catalogue=CATALOGUE, seed=0, threads=1)
    judged = fit.judge(trained, ratings, catalogue=CATALOGUE)
    assert judged.stars is None
    assert "new_ndcg_at_10" in judged.metrics()
    spy.learns = "rating"
    judged = fit.judge(trained, ratings, catalogue=CATALOGUE)
    tenth, hidden = random_split(ratings, 0)
    assert judged.metrics()["mae"] == pytest.approx(np.abs(hidden.movies - hidden.stars).mean())
    assert pairs(spy.fits[-1]["train"]) == pairs(tenth)


def test_a_refit_lasts_an_epoch_at_least(spy: SpyFamily, split: Split) -> None:
    fit.refit(split.train, "spy", PARAMS, catalogue=CATALOGUE, epochs=0, seed=0, threads=1)
    assert spy.fits[-1]["epochs"] == 1


def test_two_parts_together_are_over_the_same_index(split: Split) -> None:
    whole = fit.both(split.train, split.test)
    assert len(whole) == len(split.train) + len(split.test)
    assert (whole.n_users, whole.n_movies) == (N_USERS, N_MOVIES)
    assert whole.stars[-1] == split.test.stars[-1]
    assert whole.timestamps[0] == split.train.timestamps[0]
