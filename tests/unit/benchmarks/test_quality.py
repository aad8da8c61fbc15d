from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from rich.console import Console

from benchmarks import quality, quality_report, report
from benchmarks.adapters import (
    CHAMPION,
    Contender,
    Middle,
    Ours,
    RankingBaseline,
    RatingBaseline,
    contenders,
)
from benchmarks.baselines import RANKERS, Regressor
from benchmarks.quality_measure import Data, averaged, measure, tune
from benchmarks.quality_rows import difference, rows_of
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.evaluation import ranking
from moovier.models.families import FAMILIES
from tests.fixtures import toy_movielens

VISITOR = ("visitor_ndcg_at_10", "visitor_low", "visitor_high", "visitor_debiased", "visitor_k0")
NEXT_VISIT = ("next_visit_ndcg_at_10", "next_visit_low", "next_visit_high", "next_visit_debiased")
OLDER = ("ndcg_at_10", "global_time_ndcg_at_10", "coverage", "popularity_bias")
AUDIT = {
    "as_rated",
    "within_sittings",
    "shuffled",
    "overlap_within_sittings",
    "overlap_shuffled",
}
KEYS = {
    *("model", "ours", "keras", *VISITOR, *NEXT_VISIT, *OLDER, "visitor", "order_audit"),
    *("visitor_users", "next_visit_users", "visitor_minus_champion", "next_visit_minus_champion"),
    *("rmse", "mae", "seeds", "fit_s", "ms_per_user", "tuned", "epochs", "trials"),
}
ABOUT: dict[str, Any] = {
    "protocol": quality.PROTOCOL,
    "data": {
        "name": "toy <1>",
        "hash": "toy.dir",
        "synthetic": True,
        "ratings": 1800,
        "users": 60,
        "movies": 120,
    },
    "trials": 2,
    "seeds": 2,
    "all": False,
    "threads": 1,
    "tuning_seed": 0,
}


class _Mean:
    def __init__(self, mean: float) -> None:
        self._mean = mean

    def predict(self, users: Ints, movies: Ints) -> Floats:
        return np.full(users.size, self._mean, dtype=np.float32)


MEAN = Regressor(
    "everybody's mean",
    lambda trial: {"add": trial.suggest_float("add", -2.0, 1.0)},
    lambda ratings, params, seed: _Mean(float(ratings.stars.mean()) + params["add"]),
)


class _Random:
    """A scorer that depends only on the seed, as a model with random training does."""

    def __init__(self, n_movies: int, seed: int) -> None:
        self.n_movies = n_movies
        self._scores = np.random.default_rng(seed).random(n_movies).astype(np.float32)

    def score(self, users: Ints, histories: Histories) -> Floats:
        return np.tile(self._scores, (len(users), 1))

    def fold_in(self, history: History) -> Floats:
        return self._scores.copy()

    def explain(self, history: History, movies: Ints) -> Floats:
        return np.zeros((len(movies), len(history)), dtype=np.float32)


def _random_champion() -> RankingBaseline:
    return RankingBaseline(
        dataclasses.replace(
            RANKERS[0],
            name=CHAMPION,
            fit=lambda ratings, params, seed: _Random(ratings.n_movies, seed),
        )
    )


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ratings, Catalogue]:
    folder = toy_movielens(tmp_path_factory.mktemp("toy"), movies=120)
    _, ratings, catalogue = to_arrays(read_movielens(folder))
    return ratings, catalogue


@pytest.fixture(scope="module")
def data(toy: tuple[Ratings, Catalogue]) -> Data:
    return Data.of(toy[0])


@pytest.fixture(scope="module")
def ease(toy: tuple[Ratings, Catalogue]) -> Ours:
    return Ours("ease", toy[1])


@pytest.fixture(scope="module")
def entries(toy: tuple[Ratings, Catalogue], data: Data, ease: Ours) -> list[Any]:
    """Return a stand-in for the champion, two families, a ranking and a rating baseline."""
    chosen: list[Contender] = [
        _random_champion(),
        ease,
        Ours("popular", toy[1]),
        RankingBaseline(RANKERS[0]),
        RatingBaseline(MEAN),
    ]
    return [measure(model, data, trials=2, seeds=2, say=lambda _: None) for model in chosen]


def test_rows_have_every_metric(
    entries: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(report, "OUT", tmp_path)

    rows = orjson.loads(report.write("quality", rows_of(entries)).read_bytes())

    assert [row["model"] for row in rows] == [entry["model"] for entry in entries]
    for row in rows:
        ranks = row["model"] != MEAN.name
        assert set(row) == KEYS
        for name in (*VISITOR, *NEXT_VISIT, *OLDER):
            assert 0 <= row[name] <= 1 if ranks else row[name] is None
        assert (row["rmse"] is None) == (row["mae"] is None) == ranks
        for name in ("visitor", "order_audit", "ms_per_user"):
            assert (row[name] is None) == (not ranks)
        if ranks:
            assert list(row["visitor"]) == ["1", "3", "5", "10", "20"]
            assert row["visitor_ndcg_at_10"] == pytest.approx(np.mean([*row["visitor"].values()]))
            assert row["visitor_low"] <= row["visitor_ndcg_at_10"] <= row["visitor_high"]
            assert row["next_visit_low"] <= row["next_visit_ndcg_at_10"] <= row["next_visit_high"]
            assert set(row["order_audit"]) == AUDIT


def test_ease_beats_popularity_on_two_groups_of_users(entries: list[Any]) -> None:
    _, ease, popular, _, _ = rows_of(entries)

    assert ease["visitor"]["20"] > popular["visitor"]["20"] + 0.1
    assert ease["next_visit_ndcg_at_10"] > popular["next_visit_ndcg_at_10"] + 0.1


def test_popular_family_equals_the_popularity_baseline(entries: list[Any], data: Data) -> None:
    ours = measure(
        Ours("popular", Catalogue.of([])), data, trials=0, seeds=1, say=lambda _: None
    )  # The default counts all ratings.

    assert ours["visitor"]["by_k"] == entries[3]["visitor"]["by_k"]
    assert ours["next_visit"]["ndcg"] == entries[3]["next_visit"]["ndcg"]


def test_second_seed_without_effect_does_not_count(entries: list[Any]) -> None:
    assert [entry["visitor"]["fits"] for entry in entries[:4]] == [2, 1, 1, 1]
    assert [entry["next_visit"]["fits"] for entry in entries[:4]] == [2, 1, 1, 1]
    assert entries[4]["stars"]["fits"] == 1


def test_difference_from_champion_is_paired(entries: list[Any]) -> None:
    champion, ease, *_ = rows_of(entries)

    assert champion["visitor_minus_champion"] is None
    for protocol in ("visitor", "next_visit"):
        gain = ease[f"{protocol}_minus_champion"]
        name = f"{protocol}_ndcg_at_10"
        assert gain["mean"] == pytest.approx(ease[name] - champion[name])
        assert 0 < gain["low"] < gain["mean"] < gain["high"]


def test_difference_survives_the_file(entries: list[Any]) -> None:
    read = orjson.loads(orjson.dumps(entries))

    assert rows_of(read) == orjson.loads(orjson.dumps(rows_of(entries)))


def test_difference_of_different_users_is_refused(entries: list[Any]) -> None:
    other = {**entries[1], "visitor": {**entries[1]["visitor"], "users": [0, 1]}}

    with pytest.raises(ValueError, match="ease and dae were measured on different users"):
        difference(other, entries[0], "visitor")


def test_rows_without_champion_have_no_difference(entries: list[Any]) -> None:
    assert all(row["visitor_minus_champion"] is None for row in rows_of(entries[1:]))


@pytest.mark.parametrize("width", [80, 100])
def test_table_fits(entries: list[Any], width: int) -> None:
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(quality_report.table(rows_of(entries), ABOUT["data"]))
    text = captured.get()

    assert "SYNTHETIC" in text
    assert "…" not in text
    assert " RMSE" in text
    rmse = f"{entries[4]['stars']['rmse']:.4f}".removeprefix("0")
    assert f" {rmse}" in text


def test_best_visitor_comes_first(entries: list[Any]) -> None:
    ordered = quality_report.best_first(rows_of(entries))

    assert ordered[0]["model"] == "ease"
    assert ordered[-1]["model"] == MEAN.name


def page_about() -> dict[str, Any]:
    return ABOUT | {"machine": report.machine(), "versions": report.versions()}


def test_page_is_one_file(entries: list[Any], tmp_path: Path) -> None:
    about = page_about()

    text = quality_report.write_page(tmp_path, about, entries, rows_of(entries)).read_text()

    assert [file.name for file in tmp_path.iterdir()] == ["quality.html"]
    assert "toy &lt;1&gt;" in text
    assert "SYNTHETIC DATA" in text
    assert text.count("data:image/png;base64,") == 6
    assert not any(word in text for word in ("<script", "http:", "https:", 'src="/', "url("))


def test_page_of_a_model_that_only_rates(entries: list[Any], tmp_path: Path) -> None:
    about = page_about()

    text = quality_report.write_page(tmp_path, about, entries[4:], rows_of(entries[4:])).read_text()

    assert text.count("data:image/png;base64,") == 1


def test_tuning_finds_a_better_trial(data: Data) -> None:
    recipe = tune(RatingBaseline(MEAN), data.development, trials=12)

    assert recipe.trials == 12
    assert recipe.trial > 1
    assert abs(recipe.params["add"]) < 0.5


@pytest.mark.parametrize("trials", [0, 1])
def test_baseline_starts_in_the_middle(data: Data, trials: int) -> None:
    recipe = tune(RatingBaseline(MEAN), data.development, trials=trials)

    assert recipe.params == {"add": -0.5}
    assert (recipe.trial, recipe.trials) == (trials, trials)


def test_families_start_in_the_middle(data: Data, ease: Ours) -> None:
    tuned = tune(ease, data.development, trials=1).params

    assert tune(ease, data.development, trials=0).params == ease.default()
    assert tuned == ease.search_space(Middle()) != ease.default()


def test_champion_starts_with_its_defaults(toy: tuple[Ratings, Catalogue]) -> None:
    champion = Ours(CHAMPION, toy[1])
    start = champion.first_trial()

    defaults = champion.default().model_dump()
    assert start
    assert start == {name: defaults[name] for name in start}


def test_tuning_sees_no_test_rating(data: Data) -> None:
    seen: list[Ratings] = []

    class Watched(RankingBaseline):
        def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Any:
            seen.append(ratings)
            return super().fit(ratings, params, epochs=epochs, seed=seed)

    tune(Watched(RANKERS[0]), data.development, trials=1)

    assert len(seen) == 1
    for part in (seen[0], data.development.visitors, data.development.next_visit):
        assert not np.isin(part.users, data.held_out.users).any()
        assert not part.isin(data.after).any()


def test_each_protocol_is_fitted_on_its_training_part(data: Data) -> None:
    fits: list[tuple[int, int]] = []

    class Watched(RankingBaseline):
        def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Any:
            fits.append((len(ratings), seed))
            return super().fit(ratings, params, epochs=epochs, seed=seed)

    measure(Watched(RANKERS[0]), data, trials=3, seeds=3, say=lambda _: None)

    sizes = [len(part) for part in (data.before, data.earlier, data.until)]
    assert fits == [
        (len(data.development.train), 0),
        (len(data.kept), 0),
        (len(data.kept), 1),
        *((size, 0) for size in sizes),
    ]


def test_visitors_are_not_trained_on(data: Data) -> None:
    assert not set(data.kept.users) & set(data.visitors.users)
    assert not data.before.isin(data.after).any()


def test_averaged_is_a_mean_per_user(data: Data) -> None:
    rival = RankingBaseline(RANKERS[0])
    model = rival.fit(data.before, {}, epochs=1, seed=0)
    first = ranking.evaluate(model, data.before.histories, data.after)
    second = dataclasses.replace(first, ndcg=first.ndcg + 0.5, coverage=first.coverage + 0.1)

    mean = averaged([first, second])

    np.testing.assert_allclose(mean.ndcg, first.ndcg + 0.25)
    np.testing.assert_allclose(mean.hit, first.hit)
    np.testing.assert_array_equal(mean.users, first.users)
    assert mean.coverage == pytest.approx(first.coverage + 0.05)


def test_contenders_are_every_family_and_baseline() -> None:
    empty = Catalogue.of([])
    models = contenders(empty)

    assert models[0].name == CHAMPION
    assert {model.name for model in models if model.ours} == set(FAMILIES)
    assert {model.name for model in models if model.keras} == {"dae", "emb", "elsa"}
    assert len({model.name for model in models}) == len(models)
    assert [model.name for model in contenders(empty, ["LIKED"])] == ["most liked"]


def test_families_that_rate_are_ranked_only_on_demand() -> None:
    empty = Catalogue.of([])

    assert not contenders(empty, ["taste"])[0].ranks
    assert contenders(empty, ["taste"], rank_raters=True)[0].ranks


def test_middle_of_a_search_space() -> None:
    middle = Middle()

    assert middle.suggest_float("a", 1.0, 3.0) == 2.0
    assert middle.suggest_float("b", 1.0, 100.0, log=True) == pytest.approx(10.0)
    assert middle.suggest_int("c", 2, 10, step=2) == 6
    assert middle.suggest_categorical("d", ["x", "y", "z"]) == "y"
    assert list(middle.values) == ["a", "b", "c", "d"]


def test_missing_library_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = dataclasses.replace(MEAN, library="no_such_library")

    with pytest.raises(SystemExit, match="everybody's mean: the package no_such_library"):
        quality._prepare([RatingBaseline(gone)])


def test_resume_takes_only_the_same_protocol(
    entries: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(report, "OUT", tmp_path)

    assert quality._earlier(ABOUT) == {}
    quality._write(ABOUT, entries)

    assert list(quality._earlier(ABOUT)) == [entry["model"] for entry in entries]
    assert quality._earlier(ABOUT | {"trials": 3}) == {}


def test_families_report_tuned_parameters(entries: list[Any]) -> None:
    assert "lambda_" in entries[1]["tuning"]["chosen"]
    assert list(entries[2]["tuning"]["chosen"]) == ["days"]
