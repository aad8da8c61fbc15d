"""The overview of models, retraining and monitoring."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.serving.model_store import ModelStore
from moovier.serving.overview import (
    build_overview,
    compare_models,
    last_retraining,
    parse_monitoring,
)
from moovier.settings import Settings
from tests.servers import Server, free_port
from tests.service.conftest import promote, published


def version(
    number: int, *aliases: str, metrics: dict[str, float] | None = None, **tags: str
) -> Version:
    return Version(
        number=number,
        name=f"moovier_ease_{number}_trained_0",
        family="ease",
        run_id=f"run{number}",
        aliases=aliases,
        tags={"hold_out": "a", **tags},
        created_at=datetime(2026, 1, number, tzinfo=UTC),
        parent=None,
        metrics=metrics or {},
        status="READY",
    )


def test_champion_is_compared_with_its_challenger() -> None:
    champion = version(1, "champion", metrics={"ndcg_at_10": 0.2, "hit_at_10": 0.5})
    challenger = version(3, "challenger", metrics={"ndcg_at_10": 0.1, "rmse": float("nan")})
    previous = version(2, "previous", metrics={"ndcg_at_10": 0.3})
    comparison = compare_models([challenger, previous, champion])
    assert comparison is not None
    assert (comparison.champion, comparison.rival, comparison.role, comparison.comparable) == (
        1,
        3,
        "challenger",
        True,
    )
    assert {name: (pair.champion, pair.rival) for name, pair in comparison.figures.items()} == {
        "ndcg_at_10": (0.2, 0.1)
    }


def test_champion_is_compared_with_the_previous_one_without_a_challenger() -> None:
    comparison = compare_models([version(2, "champion"), version(1, "previous", hold_out="b")])
    assert comparison is not None
    assert (comparison.role, comparison.comparable) == ("previous", False)


@pytest.mark.parametrize(
    "versions", [[], [version(1)], [version(1, "champion")], [version(1, "champion", "challenger")]]
)
def test_no_comparison_without_two_models(versions: list[Version]) -> None:
    assert compare_models(versions) is None


def test_last_retraining_is_that_of_the_newest_candidate() -> None:
    versions = [
        version(5, retraining="fine-tune-x"),  # a fine-tuned model is no candidate
        version(4, candidate="ease-3", retraining="b", gate="kept"),
        version(3, candidate="emb-25", retraining="b", gate="promoted"),
        version(2, candidate="emb-25", retraining="a", gate="promoted"),
    ]
    retraining = last_retraining(versions)
    assert retraining is not None
    assert (retraining.key, retraining.at.day, retraining.promoted, len(retraining.models)) == (
        "b",
        4,
        True,
        2,
    )
    assert last_retraining([version(5)]) is None


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]", '{"alarm": {}}'])
def test_invalid_tag_gives_no_monitoring(text: str | None) -> None:
    assert parse_monitoring(text, "http://mlflow") is None


def test_monitoring_is_parsed_with_a_link_to_its_run() -> None:
    text = json.dumps({"at": "2026-01-02T00:00:00Z", "run_id": "r1", "figures": {"psi": 0.1}})
    monitoring = parse_monitoring(text, "http://mlflow")
    assert monitoring is not None
    assert (monitoring.run_url, monitoring.alarm, monitoring.figures) == (
        "http://mlflow/#/runs/r1",
        False,
        {"psi": 0.1},
    )


def test_overview_after_a_restart_without_mlflow_shows_the_saved_champion(
    mlflow: Server, settings: Settings, tmp_path: Path
) -> None:
    promote(settings, published(settings, tmp_path))
    registry = Registry(settings.mlflow_tracking_uri, settings.registered_model)
    model_store = ModelStore(registry, tmp_path / "bundles", capacity=1)
    model_store.refresh()
    before = build_overview(model_store, settings)
    assert [model.aliases for model in before.models] == [["champion"]]
    assert before.models[0].synthetic is True
    assert before.links.mlflow == settings.mlflow_tracking_uri

    away = Registry(f"http://127.0.0.1:{free_port()}", settings.registered_model, timeout_s=1)
    again = ModelStore(away, tmp_path / "bundles", capacity=1)
    again.restore()
    again.refresh()
    public = settings.model_copy(update={"mlflow_public_url": "https://ml.example/"})
    after = build_overview(again, public)
    assert after.trouble
    assert (after.serving, after.serving_version) == (before.serving, before.serving_version)
    assert after.data == before.data
    assert [(model.name, model.synthetic, model.loaded) for model in after.models] == [
        (before.serving, True, True)
    ]
    assert after.links.mlflow == "https://ml.example"
