"""One retraining on several machines: each stage runs in its own process and home."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from moovier.jobs.registration import open_registry
from moovier.registry.rest_client import Rest
from tests.postgres import own_database
from tests.retraining_harness import Retraining, by_id
from tests.servers import Server
from tests.worker_processes import WorkerProcesses

#: The fastest family: stages run some twenty times. test_outages.py transfers a Keras model.
FAMILY = "ease"


@pytest.fixture(scope="module")
def studies() -> Iterator[str]:
    with own_database() as url:
        yield url


@pytest.fixture
def retraining(
    mlflow: Server, studies: str, tmp_path: Path, worker_processes: WorkerProcesses
) -> Retraining:
    return Retraining(mlflow, studies, tmp_path, worker_processes, family=FAMILY)


_send = Rest.send


def die(*_arguments: Any, **_options: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def die_before_the_tag(self: Rest, method: str, path: str, body: Mapping[str, Any]) -> Any:
    """Kill the process when the artefact is stored and its tag is not."""
    return die() if path == "/runs/set-tag" else _send(self, method, path, body)


#: Functions that kill a stage.
ARTEFACT_SENT = {"moovier.registry.rest_client:Rest.send": die_before_the_tag}
MODEL_SENT = {"mlflow:MlflowClient.finalize_logged_model": die}


def test_killed_stages_are_finished_on_other_machines(
    retraining: Retraining, mlflow: Server
) -> None:
    key = retraining.settings.experiment
    retraining.killed("unlucky", "prepare", retraining.config, key=key, changed=ARTEFACT_SENT)
    plan = retraining.prepare("first")
    assert retraining.fetched["prepare", "first"] == []
    assert str(retraining.folder) not in json.dumps(plan)
    # A repeated `prepare` on another machine returns the same plan.
    assert retraining.prepare("second") == plan
    workers = retraining.tune("second", "third")
    assert max(result["trials"] for result in workers) == retraining.config["trials"]
    retraining.killed("unlucky", "train", plan, FAMILY, changed=MODEL_SENT)
    trained = retraining.run("fourth", "train", plan, FAMILY)
    assert [candidate["recipe"]["kind"] for candidate in trained] == ["tuned"]
    # A repeated `train` on another machine trains nothing and returns the same candidates.
    assert retraining.run("fifth", "train", plan, FAMILY) == trained
    assert set(retraining.fetched["train", "fifth"]) >= {"candidate.json"}
    assert not list((retraining.folder / "fifth").rglob("candidates/**/scoring.npz"))
    versions = retraining.run("sixth", "register", plan, trained)
    assert retraining.fetched["register", "sixth"] == []
    assert retraining.run("first", "register", plan, trained) == versions
    retraining.killed("unlucky", "gate", plan, versions, changed=ARTEFACT_SENT)
    decision = retraining.run("seventh", "gate", plan, versions)
    assert retraining.run("first", "gate", plan, versions) == decision
    assert decision["promote"], decision["reasons"]
    retraining.killed("unlucky", "promote", plan, decision, changed=ARTEFACT_SENT)
    result = retraining.run("eighth", "promote", plan, decision)
    assert result["champion"] == decision["name"]

    registry = open_registry(retraining.settings)
    assert len(registry.versions()) == len(trained)
    model = registry.load_bundle(registry.resolve("champion"), retraining.folder / "check")
    assert model.card.data.ratings == 600
    # Nothing is stored twice: the store has only the models of versions.
    bundles = [
        file
        for file in (mlflow.folder / "artifacts").rglob("scoring.npz")
        if f"moovier_{FAMILY}" in file.with_name("bundle.json").read_text()
        and plan["data"]["hash"] in file.with_name("bundle.json").read_text()
    ]
    # A killed upload may leave one more, which MLflow marks as deleted.
    assert len(bundles) - len(trained) in (0, 1)
    assert len(retraining.models()) == len(trained)
    assert retraining.parts() == {"decision", "done"}
    assert not list(
        (mlflow.folder / "artifacts").rglob(f"{plan['run_id']}/artifacts/parts/*/*.zip")
    )

    # Stages that run again afterwards return the same and create nothing.
    assert retraining.prepare("ninth") == plan
    again = retraining.run("ninth", "train", plan, FAMILY)
    assert by_id(again) == by_id(trained)
    assert retraining.run("ninth", "register", plan, trained) == versions
    assert retraining.run("ninth", "promote", plan, decision) == result
    assert len(registry.versions()) == len(trained)


def test_retraining_on_one_machine_downloads_nothing(retraining: Retraining) -> None:
    plan = retraining.prepare("only")
    retraining.tune("only", "only")
    trained = retraining.run("only", "train", plan, FAMILY)
    versions = retraining.run("only", "register", plan, trained)
    decision = retraining.run("only", "gate", plan, versions)
    result = retraining.run("only", "promote", plan, decision)
    assert result["champion"] == decision["name"]
    assert all(fetched == [] for fetched in retraining.fetched.values())
    assert {stage for stage, _ in retraining.fetched} == {
        *("prepare", "tune", "train", "register", "gate", "promote")
    }
    names = [path.name for path in retraining.at("only").path("retrain", plan["key"]).iterdir()]
    assert sorted(names) == ["decision.json", "done.json", "prepared"]


def test_tuning_on_another_machine_without_a_shared_study_is_rejected(
    retraining: Retraining,
) -> None:
    retraining.settings = retraining.settings.model_copy(update={"optuna_storage": None})
    plan = retraining.prepare("first")
    with pytest.raises(RuntimeError, match="MOOVIER_OPTUNA_STORAGE"):
        retraining.run("second", "tune", plan, FAMILY, 1)
    retraining.run("first", "tune", plan, FAMILY, 0)
