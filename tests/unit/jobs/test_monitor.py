"""Monitoring checks against a real MLflow."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from moovier.errors import BadRequest, InvalidData
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.jobs import monitor, retrain
from moovier.jobs.registration import open_registry
from moovier.jobs.retrain_plan import RetrainConfig
from moovier.registry.monitoring_summary import MonitoringSummary
from moovier.registry.version import MONITORING
from moovier.settings import Settings
from tests.fixtures import toy_movielens
from tests.registry_fixtures import register_trained

NOON = 1_700_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return toy_movielens(tmp_path / "data")


@pytest.fixture
def champion(settings: Settings, tmp_path: Path, data: Path) -> int:
    version = register_trained(settings, tmp_path / "model", data, "popular", 1)
    open_registry(settings).promote(version, "for a test")
    return version.number


def add_low_ratings(data: Path, folder: Path, n_users: int = 30) -> Path:
    """Write the same data with new users who give the lowest stars to rated movies."""
    shutil.copytree(data, folder)
    rows = (folder / "ratings.csv").read_text().splitlines()
    new = []
    for row in rows[1:]:
        user, movie, _, moment = row.split(",")
        if int(user) <= n_users:
            new.append(f"{int(user) + 1000},{movie},0.5,{moment}")
    (folder / "ratings.csv").write_text("\n".join([*rows, *new, ""]))
    return folder


def check(settings: Settings, data: Path, **more: Any) -> dict[str, Any]:
    result = monitor.run_check({"data": str(data), **more}, settings=settings)
    assert result is not None
    return result


def run_of(settings: Settings, run_id: str) -> dict[str, Any]:
    api = f"{settings.mlflow_tracking_uri}/api/2.0/mlflow"
    answer = httpx.get(f"{api}/runs/get", params={"run_id": run_id}, trust_env=False)
    run: dict[str, Any] = answer.raise_for_status().json()["run"]
    listed = httpx.get(
        f"{api}/artifacts/list", params={"run_id": run_id, "path": "report"}, trust_env=False
    ).raise_for_status()
    pairs = {
        part: {entry["key"]: entry["value"] for entry in run["data"].get(part, [])}
        for part in ("params", "metrics", "tags")
    }
    pages = {Path(file["path"]).name for file in listed.json().get("files", [])}
    return {**pairs, "status": run["info"]["status"], "pages": pages}


def test_check_without_a_champion_does_nothing(settings: Settings, data: Path) -> None:
    assert monitor.run_check({"data": str(data)}, settings=settings) is None


def test_training_data_of_the_champion_raise_no_alarm(
    settings: Settings, data: Path, champion: int
) -> None:
    result = check(settings, data)
    assert (result["alarm"], result["trigger"], result["reasons"]) == (False, False, [])
    assert result["champion"]["version"] == champion
    assert any("trained on all current ratings" in note for note in result["notes"])
    tag = open_registry(settings).model_tags()[MONITORING]
    summary = json.loads(tag)
    assert len(tag) < 5000
    assert set(summary) == {"at", "run_id", "alarm", "reasons", "figures", "data", "champion"}
    assert summary["figures"]["ratings"] == 600
    assert summary["figures"]["came"] == 0
    assert 0 <= summary["figures"]["champion_age_days"] < 1
    run = run_of(settings, summary["run_id"])
    assert run["status"] == "FINISHED"
    assert (
        run["params"]["data_hash"] == run["params"]["champion_data_hash"] == summary["data"]["hash"]
    )
    assert run["metrics"]["alarm"] == 0
    assert run["pages"] == {"monitoring.html", "ratings.png", "genres.png", "popularity.png"}


def test_drift_triggers_one_retraining(
    settings: Settings, tmp_path: Path, data: Path, champion: int
) -> None:
    planted = add_low_ratings(data, tmp_path / "planted")
    reported = check(settings, planted, act=False)
    assert (reported["alarm"], reported["trigger"]) == (True, False)

    result = check(settings, planted)
    assert (result["alarm"], result["trigger"]) == (True, True)
    assert any(reason.startswith("ratings: ") for reason in result["reasons"])
    assert result["figures"]["came"] == 300
    assert result["figures"]["came_by_new_users"] == 1
    # The retraining gets the checked data and accepts its configuration.
    assert result["retraining"]["data"] == str(planted)
    config = RetrainConfig.of(result["retraining"])
    assert config.reason is not None
    assert "ratings: " in config.reason
    run = run_of(settings, result["run_id"])
    assert "drift.png" in run["pages"]
    assert run["tags"]["alarm"] == "true"
    # Without a recorded trigger, as after a task that died, the same key triggers again.
    again = check(settings, planted)
    assert again["trigger"]
    assert again["trigger_key"] == result["trigger_key"]

    monitor.record_trigger(json.loads(json.dumps(result)), settings=settings)
    after = check(settings, planted)
    assert (after["alarm"], after["trigger"]) == (True, False)
    assert "already" in after["why"]
    # A day later, other data drift as much for the same champion.
    more = check(settings, add_low_ratings(data, tmp_path / "more", n_users=31))
    assert (more["alarm"], more["trigger"]) == (True, False)
    # The service reads the tag.
    summary = MonitoringSummary.of(open_registry(settings).model_tags()[MONITORING])
    assert summary is not None
    assert summary.alarm


def test_limits_can_be_configured(
    settings: Settings, tmp_path: Path, data: Path, champion: int
) -> None:
    wide = {"ratings": 9, "users": 9, "movies": 9, "genres": 9}
    assert not check(settings, add_low_ratings(data, tmp_path / "planted"), **wide)["alarm"]
    for values in ({"ratings": -1}, {"significance": 1.5}, {"unknown": 1}):
        with pytest.raises(BadRequest):
            monitor.run_check(values, settings=settings)


def test_invalid_data_change_no_metric(
    settings: Settings, tmp_path: Path, data: Path, champion: int
) -> None:
    (data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,9.5,10\n")
    with pytest.raises(InvalidData):
        monitor.run_check({"data": str(data)}, settings=settings)
    assert MONITORING not in open_registry(settings).model_tags()


def test_lists_are_compared_with_those_of_the_previous_champion(
    settings: Settings, tmp_path: Path, data: Path, champion: int
) -> None:
    figures = check(settings, data)["figures"]
    assert "overlap_at_10" not in figures
    registry = open_registry(settings)
    registry.promote(register_trained(settings, tmp_path / "ease", data, "ease", 1), "better")
    figures = check(settings, data)["figures"]
    assert 0 < figures["overlap_at_10"] < 1
    assert figures["coverage_at_10"] > figures["previous_coverage_at_10"] > 0
    assert 0 < figures["popular_share_at_10"] <= 1


def test_feedback_on_lists_is_counted(settings: Settings, data: Path, champion: int) -> None:
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        for user in range(2001, 2016):
            store.add(
                user, [NewRating(movie, 1.0, NOON) for movie in range(1, 5)], request_id="list-1"
            )
            store.add(user, [NewRating(movie, 5.0, NOON) for movie in range(5, 10)])
    result = check(settings, data)
    figures = result["figures"]
    assert (figures["feedback_of_lists"], figures["feedback_others"]) == (60, 75)
    assert (figures["recommended_liked_share"], figures["other_liked_share"]) == (0, 1)
    assert figures["liked_gain"] == -1
    assert any(reason.startswith("quality: ") for reason in result["reasons"])
    assert any("served lists are not recorded" in note for note in result["notes"])
    # The feedback is merged as in an ingest.
    assert result["data"]["name"].endswith("+feedback")
    assert figures["came"] == 135


def test_retraining_run_has_the_reason_as_a_tag(settings: Settings, data: Path) -> None:
    config = {"data": str(data), "families": ["ease"], "reason": "ratings: one star lower"}
    plan = retrain.prepare(config, settings=settings)
    assert plan is not None
    assert run_of(settings, plan["run_id"])["tags"]["reason"] == "ratings: one star lower"
    # The reason does not change the key.
    again = retrain.prepare({**config, "reason": "by hand"}, settings=settings)
    assert again is not None
    assert again["key"] == plan["key"]
