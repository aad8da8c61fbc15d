from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from moovier.errors import RegistryUnavailable
from moovier.models.bundle import DataFacts
from moovier.registry.client import Registry
from moovier.registry.model_record import ModelRecord
from moovier.registry.rest_client import Rest
from moovier.registry.tracking import Tracking
from tests.fixtures import toy_bundle, toy_model
from tests.servers import Server, free_port

NAME = "moovier_popular_1_trained_0"


def run_of(server: Server, run_id: str) -> dict[str, dict[str, Any]]:
    """Return the run as MLflow's API shows it."""
    answer = httpx.get(f"{server.address}/api/2.0/mlflow/runs/get", params={"run_id": run_id})
    run: dict[str, dict[str, Any]] = answer.raise_for_status().json()["run"]
    return run


def pairs(entries: object) -> dict[str, object]:
    assert isinstance(entries, list)
    return {entry["key"]: entry["value"] for entry in entries}


def test_starting_a_run_again_returns_the_same_run(mlflow: Server, tracking: Tracking) -> None:
    parent = tracking.start("retraining", retraining="k1", part="retraining")
    child = tracking.start("trial 0", retraining="k1", part="trial-0", parent=parent)
    tracking.finish(child, "FAILED")
    assert tracking.start("trial 0", retraining="k1", part="trial-0", parent=parent) == child
    assert tracking.start("trial 0", retraining="k2", part="trial-0") != child
    run = run_of(mlflow, child)
    assert run["info"]["status"] == "RUNNING"
    assert pairs(run["data"]["tags"])["mlflow.parentRunId"] == parent


def test_logged_values_can_be_read(mlflow: Server, tracking: Tracking) -> None:
    run_id = tracking.start("fit", retraining="k", part="fit")
    curves = {"loss": [0.9, 0.7, 0.6], "val_loss": [0.8, 0.75, 0.78]}
    tracking.log(run_id, params={"size": 10}, metrics={"ndcg_at_10": 0.12}, curves=curves)
    tracking.log_curves_plot(run_id, curves, NAME)
    tracking.log_data(run_id, toy_bundle().card.data)
    tracking.finish(run_id)
    run = run_of(mlflow, run_id)
    assert pairs(run["data"]["params"]) == {"size": "10"}
    assert pairs(run["data"]["metrics"]) == {"ndcg_at_10": 0.12, "loss": 0.6, "val_loss": 0.78}
    (used,) = run["inputs"]["dataset_inputs"]
    assert used["dataset"]["digest"] == "toy.dir"
    history = httpx.get(
        f"{mlflow.address}/api/2.0/mlflow/metrics/get-history",
        params={"run_id": run_id, "metric_key": "loss"},
    ).json()["metrics"]
    assert [(point["step"], point["value"]) for point in history] == [(1, 0.9), (2, 0.7), (3, 0.6)]
    plot = httpx.get(
        f"{mlflow.address}/get-artifact",
        params={"run_uuid": run_id, "path": "learning_curves.png"},
    ).content
    assert plot.startswith(b"\x89PNG")


def test_curves_longer_than_a_request_are_logged(mlflow: Server, tracking: Tracking) -> None:
    run_id = tracking.start("long", retraining="k", part="long")
    tracking.log(run_id, curves={"loss": [1 / (epoch + 1) for epoch in range(1500)]})
    assert pairs(run_of(mlflow, run_id)["data"]["metrics"]) == {"loss": 1 / 1500}


def test_digest_of_the_real_data_set_is_stored_completely(
    mlflow: Server, tracking: Tracking
) -> None:
    digest = "7a07225112ccf8cdc73da1f2d56610d0.dir"
    facts = DataFacts(
        name="ml-latest-small", hash=digest, synthetic=False, ratings=1, users=1, movies=1
    )
    run_id = tracking.start("data", retraining="k", part="data")
    tracking.log_data(run_id, facts)
    (used,) = run_of(mlflow, run_id)["inputs"]["dataset_inputs"]
    assert used["dataset"]["digest"] == digest
    assert json.loads(used["dataset"]["source"])["synthetic"] is False


def test_registering_twice_returns_the_same_version(
    registry: Registry, tracking: Tracking, tmp_path: Path
) -> None:
    run_id = tracking.start("fit", retraining="k", part="fit")
    folder = toy_model(tmp_path / "model")
    record = ModelRecord(
        params={"family": "popular", "days": 365, "kind": "ewma"},
        metrics={"ndcg_at_10": 0.087, "rmse": float("nan")},
        tags={"family": "popular", "data_hash": "a.dir", "hold_out": "a.dir/2"},
    )
    first = tracking.register(folder, NAME, run_id=run_id, key="k:popular", record=record)
    again = tracking.register(folder, NAME, run_id=run_id, key="k:popular", record=record)
    other = tracking.register(folder, NAME, run_id=run_id, key="k2:popular", record=record)
    assert (first.number, again.number, other.number) == (1, 1, 2)
    assert (first.name, first.family, first.run_id) == (NAME, "popular", run_id)
    assert first.metrics == {"ndcg_at_10": 0.087}
    assert first.params == {"days": 365, "kind": "ewma"}
    assert first.tags["hold_out"] == "a.dir/2"
    assert [version.number for version in registry.find(data_hash="a.dir")] == [2, 1]
    assert [version.metrics for version in registry.versions()] == [first.metrics] * 2


def test_model_of_an_earlier_moovier_is_completed_when_it_is_registered(
    registry: Registry, tracking: Tracking, tmp_path: Path
) -> None:
    run_id = tracking.start("fit", retraining="k", part="fit")
    folder = toy_model(tmp_path / "model")
    # An upgrade between the training and the registration: the earlier version wrote no record.
    model_id = tracking.upload(folder, NAME, run_id=run_id, key="k:ease")
    record = ModelRecord(
        params={"family": "ease", "l2": 300},
        metrics={"rmse": 0.9},
        tags={"family": "ease", "candidate": "ease-tuned", "hold_out": "a.dir/2"},
    )
    version = tracking.register(folder, NAME, run_id=run_id, key="k:ease", record=record)
    assert tracking.uploaded("k:ease") == model_id
    assert (version.params, version.metrics) == ({"l2": 300}, {"rmse": 0.9})
    assert {**version.tags, **record.tags} == version.tags


@pytest.mark.parametrize("path", ["/runs/create", "/model-versions/create"])
def test_lost_answer_creates_no_duplicate(
    path: str,
    registry: Registry,
    tracking: Tracking,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send = Rest.send
    lost: list[Any] = []

    def lose_first_answer(self: Rest, method: str, called: str, body: Mapping[str, Any]) -> Any:
        answer = send(self, method, called, body)
        if called == path and not lost:
            lost.append(answer)
            raise RegistryUnavailable("the connection was lost")
        return answer

    monkeypatch.setattr(Rest, "send", lose_first_answer)
    run_id = tracking.start("fit", retraining="k", part="fit")
    folder = toy_model(tmp_path / "model")
    version = tracking.register(folder, NAME, run_id=run_id, key="k:x", record=ModelRecord())
    assert len(lost) == 1
    assert [each.number for each in registry.versions()] == [version.number] == [1]
    assert tracking.find(retraining="k", part="fit") == version.run_id == run_id


_REGISTER = """
    import os, signal, sys
    from pathlib import Path
    from moovier.registry.client import Registry
    from moovier.registry.tracking import Tracking
    from moovier.registry.rest_client import Rest
    from mlflow import MlflowClient

    address, model, folder, step = sys.argv[1:]
    registry = Registry(address, model)
    tracking = Tracking(registry, address, model)

    def dying(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    send = Rest.send

    def sending(self, method, path, body):
        return dying() if path == step else send(self, method, path, body)

    setattr(MlflowClient, step, dying) if hasattr(MlflowClient, step) else None
    Rest.send = sending
    run = tracking.start("fit", retraining="k", part="fit")
    tracking.register(Path(folder), "{name}", run_id=run, key="k:x")
"""


@pytest.mark.parametrize(
    "step", ["log_model_artifacts", "finalize_logged_model", "/model-versions/create"]
)
def test_killed_registration_is_invisible_and_can_be_repeated(
    mlflow: Server, registry: Registry, tracking: Tracking, tmp_path: Path, step: str
) -> None:
    folder = toy_model(tmp_path / "model")
    script = textwrap.dedent(_REGISTER).format(name=NAME)
    killed = subprocess.run(
        [sys.executable, "-c", script, mlflow.address, registry.model_name, str(folder), step],
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert registry.names() == []
    run_id = tracking.start("fit", retraining="k", part="fit")
    version = tracking.register(folder, NAME, run_id=run_id, key="k:x")
    assert registry.names() == [NAME]
    assert registry.load_bundle(version, tmp_path / "bundle").card.name == NAME


def test_experiment_opens_as_model_training(mlflow: Server, registry: Registry) -> None:
    def kind(name: str) -> object:
        answer = httpx.get(
            f"{mlflow.address}/api/2.0/mlflow/experiments/get-by-name",
            params={"experiment_name": name},
        ).json()
        return pairs(answer["experiment"]["tags"])["mlflow.experimentKind"]

    own, earlier = f"own-{uuid.uuid4().hex}", f"earlier-{uuid.uuid4().hex}"
    httpx.post(f"{mlflow.address}/api/2.0/mlflow/experiments/create", json={"name": earlier})
    for name in (own, earlier):
        Tracking(registry, mlflow.address, name)
        assert kind(name) == "custom_model_development"


def test_models_can_be_compared_by_their_metrics(
    mlflow: Server, registry: Registry, tracking: Tracking, tmp_path: Path
) -> None:
    data = toy_bundle().card.data
    for key, value in {"a": 0.3, "b": 0.5, "c": 0.4}.items():
        run_id = tracking.start(key, retraining="k", part=key)
        record = ModelRecord(params={"family": "dae"}, metrics={"visitor_ndcg_at_10": value})
        folder = toy_model(tmp_path / key)
        tracking.register(folder, key, run_id=run_id, key=key, record=record, data=data)
    experiment = run_of(mlflow, run_id)["info"]["experiment_id"]
    answer = httpx.post(
        f"{mlflow.address}/api/2.0/mlflow/logged-models/search",
        json={
            "experiment_ids": [experiment],
            "order_by": [{"field_name": "metrics.visitor_ndcg_at_10", "ascending": False}],
        },
    ).json()
    assert [model["info"]["name"] for model in answer["models"]] == ["b", "c", "a"]
    (metric,) = answer["models"][0]["data"]["metrics"]
    assert (metric["dataset_name"], metric["dataset_digest"]) == (data.name, data.hash)
    version = registry.versions()[0]
    own_tags = httpx.get(
        f"{mlflow.address}/api/2.0/mlflow/model-versions/get",
        params={"name": registry.model_name, "version": version.number},
    ).json()["model_version"]["tags"]
    assert len(own_tags) <= 5


def test_run_names_its_source(mlflow: Server, tracking: Tracking) -> None:
    tags = pairs(run_of(mlflow, tracking.start("fit", retraining="k", part="f"))["data"]["tags"])
    assert tags["mlflow.source.type"] == "LOCAL"
    assert tags["mlflow.source.name"]


def test_missing_server_is_reported_at_once() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnavailable, match="does not answer"):
        Tracking(Registry(address), address, f"moovier-{uuid.uuid4().hex}")
