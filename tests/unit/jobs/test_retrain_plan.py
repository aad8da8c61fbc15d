from __future__ import annotations

import json
from pathlib import Path

import pytest

from moovier.errors import BadRequest
from moovier.jobs.retrain_plan import DONE, RetrainConfig, RetrainPlan, key_of
from moovier.json_files import write_json
from moovier.models.bundle import DataFacts
from moovier.models.families import FOR_LARGE_CATALOGUES, RETIRED
from moovier.settings import Settings, load_settings
from moovier.training import budget
from tests.fixtures import LEARNING

HASH = "0123456789abcdef.dir"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def finish(settings: Settings, key: str) -> None:
    write_json(settings.path("retrain", key, DONE), {})


def test_same_call_continues_an_unfinished_retraining(settings: Settings) -> None:
    config = RetrainConfig()
    key = key_of(settings, config, HASH, None)
    assert key_of(settings, config, HASH, None) == key
    finish(settings, key)
    second = key_of(settings, config, HASH, None)
    assert second != key
    assert second.endswith("-2")


@pytest.mark.parametrize("other", [{"trials": 3}, {"embedding_sizes": [10]}, {"seed": 1}])
def test_other_configuration_or_data_gives_another_key(
    settings: Settings, other: dict[str, object]
) -> None:
    key = key_of(settings, RetrainConfig(), HASH, None)
    assert key_of(settings, RetrainConfig.of(other), HASH, None) != key
    assert key_of(settings, RetrainConfig(), "fedcba.dir", None) != key


def test_given_key_becomes_a_folder_name(settings: Settings) -> None:
    airflow_key = "scheduled__2026-11-22T03:00:00+00:00"
    key = key_of(settings, RetrainConfig(), HASH, airflow_key)
    assert key.startswith("scheduled__2026-11-22T03-00-00-00-00-")
    finish(settings, key)
    assert key_of(settings, RetrainConfig(), HASH, airflow_key) == key
    assert "/" not in key_of(settings, RetrainConfig(), HASH, "../../etc")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"trails": 3}, "trails"),
        ({"trials": 0}, "trials: .* greater than or equal to 1, not '0'"),
        ({"trials": 10_001}, "trials: .*10000, not '10001'"),
        ({"seed": 2**32}, "seed: .*4294967295, not '4294967296'"),
        ({"seed": -1}, "seed"),
        ({"workers": 65}, "workers"),
        ({"embedding_sizes": [1025]}, "embedding_sizes.0"),
        ({"embedding_sizes": [10] * 21}, "embedding_sizes"),
        ({"embedding_sizes": ["big"]}, "embedding_sizes.0"),
        ({"families": []}, "families"),
    ],
)
def test_invalid_configuration_is_rejected(config: dict[str, object], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        RetrainConfig.of(config)


def test_runs_with_similar_ids_are_different_retrainings(settings: Settings) -> None:
    ids = ["week.47", "week:47", "week 47", "Week-47", "week-47", "x" * 100, "x" * 101]
    folders = {key_of(settings, RetrainConfig(), HASH, run_id).lower() for run_id in ids}
    assert len(folders) == len(ids)


def test_default_families_are_all_current_ones() -> None:
    others = RETIRED | FOR_LARGE_CATALOGUES
    assert RetrainConfig().trained_families() == tuple(
        name for name in LEARNING if name not in others
    )
    assert RetrainConfig(families=("elsa",)).trained_families() == ("elsa",)
    assert RetrainConfig(families=("emb", "emb")).trained_families() == ("emb",)
    for unknown in ("lightgcn", "popular"):
        with pytest.raises(BadRequest, match=f"unknown family {unknown}"):
            RetrainConfig(families=(unknown,)).trained_families()


def test_setting_families_applies_where_the_request_names_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOOVIER_FAMILIES", " dae, ease,")
    families = load_settings().families
    assert RetrainConfig().trained_families(families) == ("dae", "ease")
    assert RetrainConfig(families=("emb",)).trained_families(families) == ("emb",)
    with pytest.raises(BadRequest, match="unknown family lightgcn"):
        RetrainConfig().trained_families(("lightgcn",))


@pytest.mark.parametrize(
    ("first", "config", "trials"), [(True, {}, 2), (False, {}, 20), (True, {"trials": 7}, 7)]
)
def test_first_retraining_has_fewer_trials(
    settings: Settings, first: bool, config: dict[str, object], trials: int
) -> None:
    facts = DataFacts(name="toy", hash=HASH, synthetic=True, ratings=1, users=1, movies=1)
    plan = RetrainPlan.of(
        RetrainConfig.of(config),
        settings,
        folder=settings.path("retrain", "k"),
        run_id="r",
        data=facts,
        first=first,
        recipe=None,
    )
    assert (plan.key, plan.trials) == ("k", trials)
    expected = RetrainConfig().trained_families()
    assert sorted(plan.families) == sorted(expected)
    workers = 1 if trials == 2 else settings.tuning_workers
    assert len(plan.work) == len(expected) * workers
    assert RetrainPlan.from_json(plan.to_json(), settings) == plan
    other_machine = settings.model_copy(update={"home": Path("other")})
    assert str(settings.home) not in json.dumps(plan.to_json())
    assert RetrainPlan.from_json(plan.to_json(), other_machine).folder == other_machine.path(
        "retrain", "k"
    )


@pytest.mark.parametrize(
    ("frequent", "config", "setting", "trains_elsa"),
    [
        (4_980, {}, (), False),
        (9_000, {}, (), True),
        (9_000, {"families": ["ease"]}, (), False),
        (9_000, {}, ("ease",), False),
        (4_980, {}, ("elsa",), True),
    ],
)
def test_a_large_catalogue_gets_elsa_unless_a_person_chose_families(
    settings: Settings,
    frequent: int,
    config: dict[str, object],
    setting: tuple[str, ...],
    trains_elsa: bool,
) -> None:
    facts = DataFacts(
        name="toy", hash=HASH, synthetic=True, ratings=100_000, users=600, movies=9_742
    )
    chosen = settings.model_copy(update={"families": setting})
    plan = RetrainPlan.of(
        RetrainConfig.of(config),
        chosen,
        folder=settings.path("retrain", "k"),
        run_id="r",
        data=facts,
        first=False,
        recipe=None,
        frequent=frequent,
    )
    assert ("elsa" in plan.families) is trains_elsa
    assert ("elsa" in {task.family for task in plan.work}) is trains_elsa
    # A long task that started last would run alone.
    longest_first = [family for family in budget.LONGEST_FIRST if family in plan.families]
    assert plan.families[: len(longest_first)] == tuple(longest_first)
    assert list(dict.fromkeys(task.family for task in plan.work)) == list(plan.families)
    assert any("6,000 most rated of 9,000" in note for note in plan.notes) is (frequent == 9_000)


@pytest.mark.parametrize(
    ("engine", "frequent", "added"),
    [("local", 9_000, ("elsa",)), ("spark", 9_000, ("elsa", "als")), ("spark", 4_980, ())],
)
def test_a_large_catalogue_gets_als_with_a_cluster_only(
    settings: Settings, engine: str, frequent: int, added: tuple[str, ...]
) -> None:
    facts = DataFacts(
        name="toy", hash=HASH, synthetic=True, ratings=100_000, users=600, movies=9_742
    )
    plan = RetrainPlan.of(
        RetrainConfig(),
        settings.model_copy(update={"engine": engine}),
        folder=settings.path("retrain", "k"),
        run_id="r",
        data=facts,
        first=False,
        recipe=None,
        frequent=frequent,
    )
    assert sorted(plan.families) == sorted((*RetrainConfig().trained_families(), *added))
    assert [task.worker for task in plan.work if task.family == "als"] == [0] * ("als" in added)
