"""One retraining on several machines: every stage in a process and a home of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from moovier.jobs.registration import connect
from moovier.models import bundle
from tests.machines import Machines
from tests.postgres import own_database
from tests.retrainings import CONFIG, Retraining, by_id
from tests.servers import Server
from tests.toys import RANKING


@pytest.fixture(scope="module")
def studies() -> Iterator[str]:
    with own_database() as url:
        yield url


@pytest.fixture
def retraining(mlflow: Server, studies: str, tmp_path: Path, started: Machines) -> Retraining:
    return Retraining(mlflow.address, studies, tmp_path, started)


def test_every_stage_on_a_machine_of_its_own(retraining: Retraining, mlflow: Server) -> None:
    plan = retraining.prepare("first")
    assert str(retraining.folder) not in json.dumps(plan)
    # A `prepare` that is tried again elsewhere finds the plan, rather than making one.
    assert retraining.prepare("second") == plan
    workers = retraining.tune("second", "third")
    assert max(found["trials"] for found in workers) == CONFIG["trials"]
    trained = retraining.run("fourth", "train", plan, RANKING)
    assert [one["recipe"]["kind"] for one in trained] == ["default", "tuned"]
    # Tried again elsewhere, it trains nothing: the same runs, the same figures.
    assert retraining.run("fifth", "train", plan, RANKING) == trained
    assert set(retraining.fetched["train", "fifth"]) >= {"candidate.json"}
    assert not list((retraining.folder / "fifth").rglob("candidates/**/scoring.npz"))
    versions = retraining.run("sixth", "register", plan, trained)
    assert retraining.fetched["register", "sixth"] == []
    assert retraining.run("first", "register", plan, trained) == versions
    decision = retraining.run("seventh", "gate", plan, versions)
    assert retraining.run("first", "gate", plan, versions) == decision
    assert decision["promote"], decision["reasons"]
    said = retraining.run("eighth", "promote", plan, decision)
    assert said["champion"] == decision["name"]

    registry = connect(retraining.settings)
    assert len(registry.versions()) == len(trained)
    folder = registry.download_bundle(registry.resolve("champion"), retraining.folder / "check")
    assert bundle.load(folder).card.data.ratings == 600
    # Nothing is stored twice: no model lies in the store but those that versions point at.
    bundles = [
        file
        for file in (mlflow.folder / "artifacts").rglob("scoring.npz")
        if f"moovier_{RANKING}" in file.with_name("bundle.json").read_text()
        and plan["data"]["hash"] in file.with_name("bundle.json").read_text()
    ]
    assert len(bundles) == len(trained)
    assert retraining.parts() == {"decision", "done"}
    assert not list(
        (mlflow.folder / "artifacts").rglob(f"{plan['run_id']}/artifacts/parts/*/*.zip")
    )

    # Whatever is run again afterwards, wherever, gives the same and makes nothing.
    assert retraining.prepare("ninth") == plan
    again = retraining.run("ninth", "train", plan, RANKING)
    assert by_id(again) == by_id(trained)
    assert retraining.run("ninth", "register", plan, trained) == versions
    assert retraining.run("ninth", "promote", plan, decision) == said
    assert len(registry.versions()) == len(trained)


def test_on_one_machine_nothing_is_fetched(retraining: Retraining) -> None:
    plan = retraining.prepare("only")
    retraining.tune("only", "only")
    trained = retraining.run("only", "train", plan, RANKING)
    versions = retraining.run("only", "register", plan, trained)
    decision = retraining.run("only", "gate", plan, versions)
    said = retraining.run("only", "promote", plan, decision)
    assert said["champion"] == decision["name"]
    assert all(fetched == [] for fetched in retraining.fetched.values())
    assert {stage for stage, _ in retraining.fetched} == {
        *("prepare", "tune", "train", "register", "gate", "promote")
    }
    left = [path.name for path in retraining.at("only").path("retrain", plan["key"]).iterdir()]
    assert sorted(left) == ["decision.json", "done.json", "prepared"]


def test_without_a_shared_study_another_machine_says_so(retraining: Retraining) -> None:
    retraining.settings = retraining.settings.model_copy(update={"optuna_storage": None})
    plan = retraining.prepare("first")
    with pytest.raises(RuntimeError, match="MOOVIER_OPTUNA_STORAGE"):
        retraining.run("second", "tune", plan, RANKING, 1)
    retraining.run("first", "tune", plan, RANKING, 0)
