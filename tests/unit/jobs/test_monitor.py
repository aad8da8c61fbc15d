"""A look, against a real MLflow."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.errors import BadRequest, InvalidData
from moovier.feedback.store import FeedbackStore, NewRating
from moovier.jobs import monitor, monitoring_metrics, retrain
from moovier.jobs.registration import open_registry
from moovier.jobs.retrain_plan import RetrainConfig
from moovier.registry.monitoring_summary import MonitoringSummary
from moovier.registry.version import MONITORING
from moovier.settings import Settings
from tests.fixtures import toy_movielens
from tests.registry_fixtures import register_trained
from tests.servers import free_port

NOON = 1_700_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return toy_movielens(tmp_path / "data")


@pytest.fixture
def champion(settings: Settings, tmp_path: Path, data: Path) -> int:
    version = register_trained(settings, tmp_path / "model", data, "popular", 1)
    open_registry(settings).promote(version, "for a test")
    return version.number


def angry(data: Path, folder: Path, people: int = 30) -> Path:
    """The same data, and people who give the lowest stars to what others rated."""
    shutil.copytree(data, folder)
    rows = (folder / "ratings.csv").read_text().splitlines()
    new = []
    for row in rows[1:]:
        user, movie, _, moment = row.split(",")
        if int(user) <= people:
            new.append(f"{int(user) + 1000},{movie},0.5,{moment}")
    (folder / "ratings.csv").write_text("\n".join([*rows, *new, ""]))
    return folder


def look(settings: Settings, data: Path, **more: Any) -> dict[str, Any]:
    found = monitor.run_check({"data": str(data), **more}, settings=settings)
    assert found is not None
    return found


def run_of(settings: Settings, run_id: str) -> dict[str, Any]:
    api = f"{settings.mlflow_tracking_uri}/api/2.0/mlflow"
    got = httpx.get(f"{api}/runs/get", params={"run_id": run_id}, trust_env=False)
    run: dict[str, Any] = got.raise_for_status().json()["run"]
    listed = httpx.get(
        f"{api}/artifacts/list", params={"run_id": run_id, "path": "report"}, trust_env=False
    ).raise_for_status()
    pairs = {
        part: {one["key"]: one["value"] for one in run["data"].get(part, [])}
        for part in ("params", "metrics", "tags")
    }
    pages = {Path(file["path"]).name for file in listed.json().get("files", [])}
    return {**pairs, "status": run["info"]["status"], "pages": pages}


def test_without_a_champion_there_is_nothing_to_look_at(settings: Settings, data: Path) -> None:
    assert monitor.run_check({"data": str(data)}, settings=settings) is None


def test_the_data_that_the_champion_knows_are_no_alarm(
    settings: Settings, data: Path, champion: int
) -> None:
    found = look(settings, data)
    assert (found["alarm"], found["trigger"], found["reasons"]) == (False, False, [])
    assert found["champion"]["version"] == champion
    assert any("trained on all ratings" in note for note in found["notes"])
    tag = open_registry(settings).model_tags()[MONITORING]
    said = json.loads(tag)
    assert len(tag) < 5000
    assert set(said) == {"at", "run_id", "alarm", "reasons", "figures", "data", "champion"}
    assert said["figures"]["ratings"] == 600
    assert said["figures"]["came"] == 0
    assert 0 <= said["figures"]["champion_age_days"] < 1
    run = run_of(settings, said["run_id"])
    assert run["status"] == "FINISHED"
    assert run["params"]["data_hash"] == run["params"]["champion_data_hash"] == said["data"]["hash"]
    assert run["metrics"]["alarm"] == 0
    assert run["pages"] == {"monitoring.html", "ratings.png", "genres.png", "popularity.png"}


def test_a_drift_asks_for_a_retraining_once(
    settings: Settings, tmp_path: Path, data: Path, champion: int
) -> None:
    planted = angry(data, tmp_path / "planted")
    shown = look(settings, planted, act=False)
    assert (shown["alarm"], shown["trigger"]) == (True, False)

    found = look(settings, planted)
    assert (found["alarm"], found["trigger"]) == (True, True)
    assert any(reason.startswith("ratings: ") for reason in found["reasons"])
    assert found["figures"]["came"] == 300
    assert found["figures"]["came_by_new_users"] == 1
    # The retraining is asked for on the data that were looked at, and takes what it is given.
    assert found["retraining"]["data"] == str(planted)
    config = RetrainConfig.of(found["retraining"])
    assert config.reason is not None
    assert "ratings: " in config.reason
    run = run_of(settings, found["run_id"])
    assert "drift.png" in run["pages"]
    assert run["tags"]["alarm"] == "true"
    # Nothing was triggered yet, as after a task that died: it is still asked for, by the same key.
    again = look(settings, planted)
    assert again["trigger"]
    assert again["trigger_key"] == found["trigger_key"]

    monitor.record_trigger(json.loads(json.dumps(found)), settings=settings)
    after = look(settings, planted)
    assert (after["alarm"], after["trigger"]) == (True, False)
    assert "already" in after["why"]
    # A day later there are other data, as bad, and the same champion.
    more = look(settings, angry(data, tmp_path / "more", people=31))
    assert (more["alarm"], more["trigger"]) == (True, False)
    # The page that says so is in the tag that the service reads.
    summary = MonitoringSummary.of(open_registry(settings).model_tags()[MONITORING])
    assert summary is not None
    assert summary.alarm


def test_limits_can_be_asked_for(
    settings: Settings, tmp_path: Path, data: Path, champion: int
) -> None:
    wide = {"ratings": 9, "users": 9, "movies": 9, "genres": 9}
    assert not look(settings, angry(data, tmp_path / "planted"), **wide)["alarm"]
    for nonsense in ({"ratings": -1}, {"significance": 1.5}, {"unknown": 1}):
        with pytest.raises(BadRequest):
            monitor.run_check(nonsense, settings=settings)


def test_bad_data_are_named_and_no_figure_moves(
    settings: Settings, tmp_path: Path, data: Path, champion: int
) -> None:
    (data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,9.5,10\n")
    with pytest.raises(InvalidData):
        monitor.run_check({"data": str(data)}, settings=settings)
    assert MONITORING not in open_registry(settings).model_tags()


def test_lists_are_compared_with_the_champion_s_before(
    settings: Settings, tmp_path: Path, data: Path, champion: int
) -> None:
    figures = look(settings, data)["figures"]
    assert "overlap_at_10" not in figures
    registry = open_registry(settings)
    registry.promote(register_trained(settings, tmp_path / "ease", data, "ease", 1), "better")
    figures = look(settings, data)["figures"]
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
    found = look(settings, data)
    figures = found["figures"]
    assert (figures["feedback_of_lists"], figures["feedback_others"]) == (60, 75)
    assert (figures["recommended_liked_share"], figures["other_liked_share"]) == (0, 1)
    assert figures["liked_gain"] == -1
    assert any(reason.startswith("quality: ") for reason in found["reasons"])
    assert any("not recorded" in note for note in found["notes"])
    # It was merged in, as an ingest would.
    assert found["data"]["name"].endswith("+feedback")
    assert figures["came"] == 135


def test_the_service_is_asked_where_it_is_named(settings: Settings) -> None:
    figures, notes = monitoring_metrics.of_service(settings)
    assert figures == {}
    assert "MOOVIER_SERVICE_URL" in notes[0]
    away = settings.model_copy(update={"service_url": f"http://127.0.0.1:{free_port()}"})
    figures, notes = monitoring_metrics.of_service(away)
    assert figures == {}
    assert "cannot be asked" in notes[0]


def test_the_fallback_share_is_read_off_the_metrics() -> None:
    text = """# TYPE moovier_answers_total counter
moovier_answers_total{model="a",source="model"} 6.0
moovier_answers_total{model="b",source="model"} 3.0
moovier_answers_total{model="b",source="popular"} 1.0
moovier_other_total{source="popular"} 90.0
"""
    assert monitoring_metrics.fallback(text) == {"service_lists": 10.0, "fallback_share": 0.1}
    assert monitoring_metrics.fallback("") == {"service_lists": 0.0}


def test_the_command_shows_figures_and_verdict(
    settings: Settings,
    tmp_path: Path,
    data: Path,
    champion: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOOVIER_HOME", str(settings.home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.mlflow_tracking_uri)
    monkeypatch.setenv("MOOVIER_REGISTERED_MODEL", settings.registered_model)
    monkeypatch.setenv("MOOVIER_EXPERIMENT", settings.experiment)
    planted = str(angry(data, tmp_path / "planted"))
    shown = CliRunner().invoke(app, ["monitor", "--data", planted])
    assert shown.exit_code == 0, shown.output
    assert "drift_stars" in shown.output
    assert "alarm; retraining" in shown.output
    told = json.loads(CliRunner().invoke(app, ["monitor", "--data", str(data), "--json"]).stdout)
    assert told["alarm"] is False


def test_the_reason_is_on_the_retraining_s_run(settings: Settings, data: Path) -> None:
    config = {"data": str(data), "families": ["ease"], "reason": "ratings: one star lower"}
    plan = retrain.prepare(config, settings=settings)
    assert plan is not None
    assert run_of(settings, plan["run_id"])["tags"]["reason"] == "ratings: one star lower"
    # The reason makes no other retraining of it: the same one goes on.
    again = retrain.prepare({**config, "reason": "by hand"}, settings=settings)
    assert again is not None
    assert again["key"] == plan["key"]


@pytest.mark.parametrize(
    "tag",
    [None, "", "no json", "[]", '{"at": 1}', '{"at": 1, "alarm": true, "figures": {"a": "x"}}'],
)
def test_a_tag_that_somebody_wrote_is_no_summary(tag: str | None) -> None:
    assert MonitoringSummary.of(tag) is None
