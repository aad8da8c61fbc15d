from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from rich.console import Console

from benchmarks import quality, quality_report, report
from benchmarks.baselines import RANKERS, Regressor
from benchmarks.contenders import Middle, Ours, RivalRanker, RivalRegressor, contenders
from benchmarks.quality import rows_of
from benchmarks.quality_measure import Data, averaged, measure, tune
from moovier.data.arrays import Floats, Ints, Ratings
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import indexed, read_movielens
from moovier.evaluation import ranking
from moovier.models.families import FAMILIES
from tests.toys import toy_movielens

FIGURES = ("ndcg_at_10", "ndcg_at_10_low", "ndcg_at_10_high", "recall_at_10", "hit_at_10")
KEYS = {
    *("model", "ours", "users", *FIGURES, "coverage", "rmse", "mae", "fit_s", "ms_per_user"),
}
ABOUT = {
    "data": {
        "name": "toy <1>",
        "hash": "toy.dir",
        "synthetic": True,
        "ratings": 600,
        "users": 60,
        "movies": 40,
    },
    "trials": 2,
    "seeds": 2,
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


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ratings, Catalogue]:
    folder = toy_movielens(tmp_path_factory.mktemp("toy"))
    _, ratings, catalogue = indexed(read_movielens(folder))
    return ratings, catalogue


@pytest.fixture(scope="module")
def data(toy: tuple[Ratings, Catalogue]) -> Data:
    return Data.of(toy[0])


@pytest.fixture(scope="module")
def ease(toy: tuple[Ratings, Catalogue]) -> Ours:
    return Ours("ease", toy[1])


@pytest.fixture(scope="module")
def entries(toy: tuple[Ratings, Catalogue], data: Data, ease: Ours) -> list[Any]:
    """Two of ours, a rival that ranks, and one that rates: no optional library needed."""
    chosen = [
        ease,
        Ours("popular", toy[1]),
        RivalRanker(next(one for one in RANKERS if one.library is None)),
        RivalRegressor(MEAN),
    ]
    return [measure(one, data, trials=2, seeds=2, say=lambda _: None) for one in chosen]


def test_rows(entries: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(report, "OUT", tmp_path)

    rows = orjson.loads(report.write("quality", rows_of(entries)).read_bytes())

    assert isinstance(rows, list)
    assert [(row["model"], row["ours"], row["users"]) for row in rows] == [
        ("ease", True, "known"),
        ("ease", True, "new"),
        ("popular", True, "known"),
        ("popular", True, "new"),
        ("most popular", False, "known"),
        ("most popular", False, "new"),
        ("everybody's mean", False, "known"),
    ]
    for row in rows:
        assert set(row) == KEYS
        assert row["fit_s"] >= 0
        ranks = row["model"] != MEAN.name
        for name in (*FIGURES, "coverage"):
            assert 0 <= row[name] <= 1 if ranks else row[name] is None
        assert (row["rmse"] is None) == (row["mae"] is None) == ranks
        assert (row["ms_per_user"] is None) == (not ranks)
        if ranks:
            assert row["ndcg_at_10_low"] <= row["ndcg_at_10"] <= row["ndcg_at_10_high"]


def test_ours_and_the_rival_agree_on_popularity(entries: list[Any]) -> None:
    _, ours, rival, _ = entries

    assert ours["known"]["ndcg_at_10"] == rival["known"]["ndcg_at_10"]
    assert ours["new"]["by_shown"] == rival["new"]["by_shown"]


def test_a_second_seed_that_changes_nothing_does_not_count(entries: list[Any]) -> None:
    assert [entry["known"]["fits"] for entry in entries[:3]] == [1, 1, 1]
    assert entries[3]["stars"]["fits"] == 1


@pytest.mark.parametrize("width", [80, 100])
def test_table_fits(entries: list[Any], width: int) -> None:
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(quality_report.table(rows_of(entries), ABOUT["data"]))
    text = captured.get()

    assert "SYNTHETIC" in text
    assert "ms a" in text
    assert "Moovier ease" in text
    assert text.count(" known ") == 4
    assert text.count(" new ") == 3


def page_about() -> dict[str, Any]:
    return ABOUT | {"machine": report.machine(), "versions": report.versions()}


def test_page_is_one_file(entries: list[Any], tmp_path: Path) -> None:
    about = page_about()

    text = quality_report.write_page(tmp_path, about, entries, rows_of(entries)).read_text()

    assert [file.name for file in tmp_path.iterdir()] == ["quality.html"]
    assert "toy &lt;1&gt;" in text
    assert "SYNTHETIC DATA" in text
    assert text.count("data:image/png;base64,") == 4
    assert not any(word in text for word in ("<script", "http:", "https:", 'src="/', "url("))


def test_page_of_one_that_only_rates(entries: list[Any], tmp_path: Path) -> None:
    about = page_about()

    text = quality_report.write_page(tmp_path, about, entries[3:], rows_of(entries[3:])).read_text()

    assert text.count("data:image/png;base64,") == 1


def test_tuning_never_sees_the_test(data: Data) -> None:
    none = data.ranking.test.take(np.zeros(0, dtype=np.int64))
    blind = dataclasses.replace(data.inner, test=none)

    found = tune(RivalRegressor(MEAN), blind, trials=12)

    assert found.trials == 12
    assert found.trial > 1
    assert abs(found.params["add"]) < 0.5


@pytest.mark.parametrize("trials", [0, 1])
def test_a_rival_starts_in_the_middle(data: Data, trials: int) -> None:
    found = tune(RivalRegressor(MEAN), data.inner, trials=trials)

    assert found.params == {"add": -0.5}
    assert (found.trial, found.trials) == (trials, trials)


def test_ours_start_in_the_middle_too(data: Data, ease: Ours) -> None:
    tuned = tune(ease, data.ranking, trials=1).params

    assert tune(ease, data.ranking, trials=0).params == ease.default()
    assert tuned == ease.search_space(Middle()) != ease.default()


def test_what_is_measured_precedes_the_test(data: Data) -> None:
    asked: list[tuple[int, int]] = []

    class Watched(RivalRegressor):
        def fit(self, ratings: Ratings, params: Any, *, epochs: int, seed: int) -> Any:
            asked.append((len(ratings), seed))
            return super().fit(ratings, params, epochs=epochs, seed=seed)

    measure(Watched(MEAN), data, trials=3, seeds=3, say=lambda _: None)

    inner, rows = len(data.inner.train), len(data.rows)
    assert asked == [(inner, 0)] * 3 + [(rows, 0), (rows, 1)]


def test_nobody_is_known_and_new(data: Data) -> None:
    assert not set(data.kept.users) & set(data.later.users)
    assert set(data.shown.users) == set(data.later.users)


def test_averaged_is_a_mean_per_user(data: Data) -> None:
    rival = RivalRanker(RANKERS[0])
    split = data.ranking
    model = rival.fit(split.train, {}, epochs=1, seed=0)
    one = ranking.evaluate(model, split.train.histories, split.validation)
    other = dataclasses.replace(one, ndcg=one.ndcg + 0.5, coverage=one.coverage + 0.1)

    found = averaged([one, other])

    np.testing.assert_allclose(found.ndcg, one.ndcg + 0.25)
    np.testing.assert_allclose(found.hit, one.hit)
    assert found.coverage == pytest.approx(one.coverage + 0.05)


def test_contenders_are_every_family_and_rival() -> None:
    empty = Catalogue.of([])
    every = contenders(empty)

    assert {one.name for one in every if one.ours} == set(FAMILIES)
    assert len({one.name for one in every}) == len(every)
    assert [one.name for one in contenders(empty, ["POPULAR"])] == ["popular", "most popular"]


def test_middle_of_a_search_space() -> None:
    middle = Middle()

    assert middle.suggest_float("a", 1.0, 3.0) == 2.0
    assert middle.suggest_float("b", 1.0, 100.0, log=True) == pytest.approx(10.0)
    assert middle.suggest_int("c", 2, 10, step=2) == 6
    assert middle.suggest_categorical("d", ["x", "y", "z"]) == "y"
    assert list(middle.values) == ["a", "b", "c", "d"]


def test_a_missing_library_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = dataclasses.replace(MEAN, library="no_such_library")

    with pytest.raises(SystemExit, match="everybody's mean: the package no_such_library"):
        quality._prepare([RivalRegressor(gone)])


def test_resuming_takes_only_the_same_protocol(
    entries: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(report, "OUT", tmp_path)

    assert quality._earlier(ABOUT) == {}
    quality._write(ABOUT, entries)

    assert list(quality._earlier(ABOUT)) == [entry["model"] for entry in entries]
    assert quality._earlier(ABOUT | {"trials": 3}) == {}


def test_ours_tells_what_was_tuned(entries: list[Any]) -> None:
    assert "lambda_" in entries[0]["tuning"]["chosen"]
    assert entries[1]["tuning"]["chosen"] == {}
    assert entries[1]["tuning"]["trials"] == 1
