"""Tags and aliases that somebody changed by hand, as the service and commands see them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from moovier.cli import app
from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.registry_fixtures import register_by_hand, set_alias_by_hand
from tests.service.conftest import promote, published, wait_for
from tests.service.in_process import MODEL, OTHER_MODEL, InProcessClient, becomes_champion, started

THIRD = "moovier_popular_3_trained_0"


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> Iterator[InProcessClient]:
    """Start a service with two champions after another; the second is ``OTHER_MODEL``."""
    promote(settings, published(settings, tmp_path))
    promote(settings, published(settings, tmp_path, OTHER_MODEL))
    with started(settings) as client:
        assert becomes_champion(client, OTHER_MODEL)
        yield client


def degraded(client: InProcessClient) -> str:
    return "\n".join(client.get("/readyz").json()["degraded"])


def command(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr(
        importlib.import_module("moovier.cli.models"), "load_settings", lambda: settings
    )
    monkeypatch.setenv("COLUMNS", "80")
    return CliRunner().invoke(app, list(arguments))


def test_unreadable_tags_are_named_and_take_nothing_with_them(
    client: InProcessClient, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_registry(settings)
    registry.set_tag(registry.resolve("1"), "metrics", '{"ndcg_at_10": null}')
    reason = "the tag `metrics`: ndcg_at_10 is null, not a number"
    wait_for(lambda: reason in degraded(client))
    assert f"{MODEL} (version 1) is partly unreadable: {reason}" in degraded(client)
    assert client.get("/models").json() == [OTHER_MODEL, MODEL]
    assert client.get(f"/models/{MODEL}").json()["unreadable"] == reason
    assert client.get(f"/models/{OTHER_MODEL}").json()["unreadable"] is None
    assert client.post(f"/predict?model_name={MODEL}", json=[7]).status_code == 200
    overview = {model["version"]: model for model in client.get("/overview").json()["models"]}
    assert (overview[1]["unreadable"], overview[1]["usable"]) == (reason, True)
    assert overview[2]["unreadable"] is None

    shown = command(settings, monkeypatch, "models")
    assert shown.exit_code == 0
    # Long lines are wrapped at the width of the terminal.
    lines = " ".join(shown.output.split())
    assert f"! {MODEL} (version 1) [previous] is partly unreadable: {reason}" in lines
    assert OTHER_MODEL in shown.output
    listed = json.loads(command(settings, monkeypatch, "models", "--json").output)
    assert [model["unreadable"] for model in listed] == [None, reason]

    # A promotion and a rollback reach the service.
    published(settings, tmp_path, THIRD)
    assert command(settings, monkeypatch, "promote", THIRD).exit_code == 0
    assert becomes_champion(client, THIRD)
    assert command(settings, monkeypatch, "promote", MODEL).exit_code == 0
    assert becomes_champion(client, MODEL)
    assert command(settings, monkeypatch, "rollback").exit_code == 0
    assert becomes_champion(client, THIRD)


def test_version_without_its_name_is_listed_with_the_reason(
    client: InProcessClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_registry(settings)
    registry.delete_tag(registry.resolve("1"), "name")
    wait_for(lambda: "version 1 is unusable" in degraded(client))
    assert client.get("/models").json() == [OTHER_MODEL]
    answer = client.get("/models/1")
    assert answer.status_code == 404
    assert "the tag `name` is missing" in answer.json()["detail"]
    assert "version 1 [previous] cannot be used" in command(settings, monkeypatch, "models").output
    # The champion has no usable predecessor, which is reported and not mistaken for a first start.
    assert "`moovier rollback` cannot use it" in degraded(client)


def test_champion_set_by_hand_is_rejected_and_rolled_back(
    client: InProcessClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_registry(settings)
    number = register_by_hand(registry)
    for alias in ("champion", "stars", "challenger"):
        set_alias_by_hand(registry, alias, number)
    # The registry may be read between two of the aliases.
    wait_for(lambda: degraded(client).count("version 3 was rejected") == 3)
    problems = degraded(client)
    assert "the champion version 3 was rejected" in problems
    assert "not registered by Moovier" in problems
    assert f"{OTHER_MODEL} (version 2) keeps answering" in problems
    assert "the rating model version 3 was rejected" in problems
    assert "the challenger version 3 was rejected" in problems
    assert client.get("/readyz").status_code == 200
    assert client.post("/predict", json=[7]).headers["x-moovier-model"] == OTHER_MODEL
    overview = client.get("/overview").json()
    assert "version 3 was rejected" in overview["refused"]
    assert [model["usable"] for model in overview["models"]] == [False, True, True]

    shown = command(settings, monkeypatch, "models").output
    assert "the alias 'champion' names version 3, which cannot be used" in shown
    assert "the alias 'stars' names version 3, which cannot be used" in shown
    rolled_back = command(settings, monkeypatch, "rollback")
    assert rolled_back.exit_code == 0
    assert "note: the alias 'champion' names version 3" in rolled_back.output
    assert f"champion: {MODEL} (version 1)" in rolled_back.output
    assert becomes_champion(client, MODEL)
    assert "the champion version 3" not in degraded(client)


def test_deleted_champion_keeps_answering_and_is_named(
    client: InProcessClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpx.request(
        "DELETE",
        f"{settings.mlflow_tracking_uri}/api/2.0/mlflow/model-versions/delete",
        json={"name": settings.registered_model, "version": "2"},
    ).raise_for_status()
    wait_for(lambda: "no version has the alias 'champion'" in degraded(client))
    assert f"{OTHER_MODEL} (version 2) keeps answering" in degraded(client)
    assert client.post("/predict", json=[7]).headers["x-moovier-model"] == OTHER_MODEL
    assert "no version has the alias" in command(settings, monkeypatch, "models").output
    assert command(settings, monkeypatch, "rollback").exit_code == 0
    assert becomes_champion(client, MODEL)
    assert "no version has the alias" not in degraded(client)


def test_restart_with_an_unusable_champion_serves_the_last_one(
    settings: Settings, tmp_path: Path
) -> None:
    promote(settings, published(settings, tmp_path))
    registry = open_registry(settings)
    set_alias_by_hand(registry, "champion", register_by_hand(registry))
    with started(settings) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/predict", json=[7]).headers["x-moovier-model"] == MODEL
        assert "the champion version 2 was rejected" in degraded(client)
