from __future__ import annotations

import json
from pathlib import Path

import pytest

from moovier.errors import BadRequest
from moovier.jobs.retrain_plan import DONE, Plan, RetrainConfig, key_of, read_json, write_json
from moovier.models.bundle import DataFacts
from moovier.models.families import RETIRED
from moovier.settings import Settings
from tests.fixtures import LEARNING

HASH = "0123456789abcdef.dir"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def finish(settings: Settings, key: str) -> None:
    write_json(settings.path("retrain", key, DONE), {})


def test_the_same_retraining_goes_on_until_it_is_finished(settings: Settings) -> None:
    config = RetrainConfig()
    key = key_of(settings, config, HASH, None)
    assert key_of(settings, config, HASH, None) == key
    finish(settings, key)
    second = key_of(settings, config, HASH, None)
    assert second != key
    assert second.endswith("-2")


@pytest.mark.parametrize("other", [{"trials": 3}, {"embedding_sizes": [10]}, {"seed": 1}])
def test_another_configuration_or_other_data_is_another_retraining(
    settings: Settings, other: dict[str, object]
) -> None:
    key = key_of(settings, RetrainConfig(), HASH, None)
    assert key_of(settings, RetrainConfig.of(other), HASH, None) != key
    assert key_of(settings, RetrainConfig(), "fedcba.dir", None) != key


def test_a_given_key_is_made_fit_for_a_folder_and_kept(settings: Settings) -> None:
    given = "scheduled__2026-11-22T03:00:00+00:00"
    key = key_of(settings, RetrainConfig(), HASH, given)
    assert key == "scheduled__2026-11-22T03-00-00-00-00"
    finish(settings, key)
    assert key_of(settings, RetrainConfig(), HASH, given) == key
    assert "/" not in key_of(settings, RetrainConfig(), HASH, "../../etc")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"trails": 3}, "trails"),
        ({"trials": 0}, "greater than 0"),
        ({"embedding_sizes": ["big"]}, "embedding_sizes.0"),
        ({"families": []}, "families"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(
    config: dict[str, object], said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        RetrainConfig.of(config)


def test_json_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "x.json"
    assert read_json(file) is None
    write_json(file, {"a": 1})
    assert read_json(file) == {"a": 1}
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert read_json(file) == {"a": 1}
    assert [path.name for path in file.parent.iterdir()] == ["x.json"]


def test_families_are_all_that_learn_and_are_not_retired_unless_named() -> None:
    assert RetrainConfig().learning() == tuple(name for name in LEARNING if name not in RETIRED)
    assert RetrainConfig(families=("emb", "emb")).learning() == ("emb",)
    for unknown in ("lightgcn", "popular"):
        with pytest.raises(BadRequest, match=f"unknown family {unknown}"):
            RetrainConfig(families=(unknown,)).learning()


@pytest.mark.parametrize(
    ("first", "config", "trials"), [(True, {}, 2), (False, {}, 20), (True, {"trials": 7}, 7)]
)
def test_the_first_retraining_is_a_short_one(
    settings: Settings, first: bool, config: dict[str, object], trials: int
) -> None:
    facts = DataFacts(name="toy", hash=HASH, synthetic=True, ratings=1, users=1, movies=1)
    plan = Plan.of(
        RetrainConfig.of(config),
        settings,
        folder=settings.path("retrain", "k"),
        run_id="r",
        data=facts,
        first=first,
        recipe=None,
    )
    assert (plan.key, plan.trials) == ("k", trials)
    expected = RetrainConfig().learning()
    assert plan.families == expected
    workers = 1 if trials == 2 else settings.tuning_workers
    assert len(plan.work) == len(expected) * workers
    assert Plan.from_json(plan.to_json(), settings) == plan
    elsewhere = settings.model_copy(update={"home": Path("other")})
    assert str(settings.home) not in json.dumps(plan.to_json())
    assert Plan.from_json(plan.to_json(), elsewhere).folder == elsewhere.path("retrain", "k")
