"""The model store with a running experiment, on a real registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moovier.experiments.experiment import TAG, Experiment
from moovier.registry.client import Registry
from moovier.registry.tracking import Tracking
from moovier.registry.version import Version
from moovier.serving.model_store import ModelStore
from tests.fixtures import toy_model
from tests.servers import Server, free_port
from tests.unit.registry.conftest import Publish

ONE, TWO, THREE = (f"moovier_popular_{size}_trained_0" for size in (1, 2, 3))
USERS = range(1, 41)


def tag(**changes: Any) -> str:
    fields = {"id": "autumn", "mode": "canary", "share": 0.5, "started_at": 1, "salt": "x"}
    return json.dumps({**fields, **changes})


@pytest.fixture
def model_store(registry: Registry, tmp_path: Path) -> ModelStore:
    return ModelStore(registry, tmp_path / "bundles", capacity=2)


@pytest.fixture
def challenger(registry: Registry, publish: Publish) -> Version:
    """Version 2 challenges version 1; nothing is on experiment yet."""
    registry.promote(publish(ONE), "first")
    version = publish(TWO)
    registry.set_challenger(version)
    return version


def begin(
    registry: Registry, model_store: ModelStore, version: Version, **changes: Any
) -> Experiment:
    registry.set_tag(version, TAG, tag(**changes))
    model_store.refresh()
    return Experiment.parse(tag(**changes))


def answering(model_store: ModelStore, *users: int) -> tuple[int, str, str | None]:
    assignment = model_store.assignment(None, users)
    assert assignment is not None
    return assignment.model.number, assignment.arm, assignment.experiment


def test_champion_answers_everybody_without_an_experiment(
    model_store: ModelStore, challenger: Version
) -> None:
    model_store.refresh()
    assert model_store.experiment is None
    assert {answering(model_store, user) for user in USERS} == {(1, "champion", None)}


def test_canary_challenger_answers_only_its_users(
    model_store: ModelStore, registry: Registry, challenger: Version
) -> None:
    plan = begin(registry, model_store, challenger)
    key = plan.key(1, 2)
    expected = {
        user: (2, "challenger", key) if plan.takes(user) else (1, "champion", key) for user in USERS
    }
    assert {user: answering(model_store, user) for user in USERS} == expected
    assert len(set(expected.values())) == 2
    # Visitors and requests by model name get the champion and take no part.
    assert answering(model_store) == (1, "champion", None)
    for name in (ONE, "champion", "1"):
        assignment = model_store.assignment(name, USERS)
        assert assignment is not None
        assert (assignment.model.number, assignment.arm, assignment.experiment) == (
            1,
            "other",
            None,
        )
    own = [user for user in USERS if plan.takes(user)]
    assert answering(model_store, *own) == (2, "challenger", key)
    assert answering(model_store, *USERS) == (1, "champion", key)


def test_shadow_challenger_answers_nobody(
    model_store: ModelStore, registry: Registry, challenger: Version
) -> None:
    plan = begin(registry, model_store, challenger, mode="shadow", share=0.5)
    key = plan.key(1, 2)
    assert model_store.experiment is not None
    assert {user: answering(model_store, user) for user in USERS} == {
        user: (1, "champion", key if plan.takes(user) else None) for user in USERS
    }


def test_challenger_is_loaded_once_and_stays_in_memory(
    model_store: ModelStore, registry: Registry, challenger: Version, publish: Publish
) -> None:
    begin(registry, model_store, challenger)
    experiment = model_store.experiment
    assert experiment is not None
    assert model_store.loaded(TWO) is experiment.challenger
    assert model_store.count() == 2
    for _ in range(3):
        model_store.get(publish(THREE).name)  # more than there is room for beside it
    model_store.refresh()
    assert model_store.experiment is not None
    assert model_store.experiment.challenger is experiment.challenger


def test_experiment_ends_with_its_tag_or_alias(
    model_store: ModelStore, registry: Registry, challenger: Version, publish: Publish
) -> None:
    begin(registry, model_store, challenger)
    registry.delete_tag(challenger, TAG)
    model_store.refresh()
    assert model_store.experiment is None
    begin(registry, model_store, challenger)
    registry.promote(challenger, "won")
    model_store.refresh()
    assert model_store.experiment is None
    assert {answering(model_store, user) for user in USERS} == {(2, "champion", None)}


def test_new_champion_restarts_the_experiment(
    model_store: ModelStore, registry: Registry, challenger: Version, publish: Publish
) -> None:
    plan = begin(registry, model_store, challenger)
    registry.promote(publish(THREE), "better")
    model_store.refresh()
    keys = {answering(model_store, user)[2] for user in USERS}
    assert keys == {plan.key(3, 2)} != {plan.key(1, 2)}
    assert {answering(model_store, user)[0] for user in USERS} == {2, 3}


def test_broken_challenger_is_rejected_and_downloaded_once(
    model_store: ModelStore,
    registry: Registry,
    tracking: Tracking,
    publish: Publish,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.promote(publish(ONE), "first")
    run_id = tracking.start(TWO, retraining="ghost", part="train")
    folder = toy_model(tmp_path / "ghost", TWO, family="ghost")
    ghost = tracking.register(folder, TWO, run_id=run_id, key="ghost")
    registry.set_challenger(ghost)
    begin(registry, model_store, ghost)
    assert model_store.experiment is None
    assert model_store.experiment_rejected is not None
    assert "unknown family 'ghost'" in model_store.experiment_rejected.reason
    assert {answering(model_store, user) for user in USERS} == {(1, "champion", None)}
    # The champion is well, so the registry is.
    assert (model_store.registry_error, model_store.champion_rejected) == (None, None)
    monkeypatch.setattr(registry, "load_bundle", None)
    for _ in range(3):
        model_store.refresh()
    assert "unknown family 'ghost'" in str(model_store.experiment_rejected)
    assert sum("rejected the experiment" in line for line in caplog.messages) == 1
    registry.delete_tag(ghost, TAG)
    model_store.refresh()
    assert model_store.experiment_rejected is None


def test_invalid_tag_is_rejected(
    model_store: ModelStore, registry: Registry, challenger: Version
) -> None:
    begin(registry, model_store, challenger)
    registry.set_tag(challenger, TAG, tag(share=7))
    model_store.refresh()
    assert model_store.experiment is None
    assert "share" in str(model_store.experiment_rejected)
    assert {answering(model_store, user)[0] for user in USERS} == {1}
    begin(registry, model_store, challenger)
    assert model_store.experiment is not None
    assert model_store.experiment_rejected is None


def test_experiment_continues_after_a_restart_without_mlflow(
    model_store: ModelStore, registry: Registry, challenger: Version, mlflow: Server, tmp_path: Path
) -> None:
    begin(registry, model_store, challenger)
    before = {user: answering(model_store, user) for user in USERS}
    away = Registry(f"http://127.0.0.1:{free_port()}", registry.model_name)
    again = ModelStore(away, tmp_path / "bundles", capacity=2)
    again.restore()
    again.refresh()
    assert again.registry_error is not None
    assert {user: answering(again, user) for user in USERS} == before
