"""Following the first retraining, against a server that answers as Airflow does."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from moovier.errors import StackError
from moovier.registry.version import CHAMPION, Version
from moovier.stack import pipeline
from moovier.stack.airflow_api import AirflowApi
from moovier.stack.console import Report
from tests.unit.stack.fake_airflow import OLD_FAILED_RUN, PASSWORD, FakeAirflow, serving, task


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    monkeypatch.setattr(pipeline, "_POLL_S", 0.01)
    done = FakeAirflow(
        script={
            "moovier_ingest": [
                ("queued", [task("pull", None)]),
                ("running", [task("pull", "running"), task("validate", None)]),
                ("success", [task("pull", "success"), task("validate", "success")]),
            ],
            "moovier_retrain": [
                ("running", [task("tune", "running", label="emb, worker 0")]),
                ("success", [task("tune", "success", label="emb, worker 0")]),
            ],
        }
    )
    with serving(done) as airflow:
        yield airflow


@pytest.fixture
def airflow(fake: FakeAirflow) -> Iterator[AirflowApi]:
    with AirflowApi(fake.url, "admin", PASSWORD) as api:
        yield api


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def report(said: io.StringIO) -> Report:
    return Report(Console(file=said, width=80))


def fine() -> None:
    """All parts are up."""


def test_ingest_then_the_retraining_that_its_asset_starts(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, said: io.StringIO, tmp_path: Path
) -> None:
    pipeline.first_retraining(airflow, tmp_path, report, fine)
    assert fake.triggered == ["moovier_ingest"]
    lines = [line.strip() for line in said.getvalue().splitlines()]
    assert lines == [
        "moovier_ingest (manual__0)",
        "✓   pull (1 s)",
        "✓   validate (1 s)",
        "moovier_retrain (asset_triggered__0)",
        "✓   tune [emb, worker 0] (1 s)",
    ]


def test_a_retraining_under_way_is_followed_not_started_again(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, tmp_path: Path
) -> None:
    fake.runs["moovier_retrain"] = ["asset_triggered__before"]
    pipeline.first_retraining(airflow, tmp_path, report, fine)
    assert fake.triggered == []


def test_an_old_failed_retraining_is_not_mistaken_for_the_new_one(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, tmp_path: Path
) -> None:
    fake.runs["moovier_retrain"] = [OLD_FAILED_RUN]
    pipeline.first_retraining(airflow, tmp_path, report, fine)
    assert fake.triggered == ["moovier_ingest"]


def test_paused_dags_are_resumed_and_said_so(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, said: io.StringIO, tmp_path: Path
) -> None:
    fake.paused = {"moovier_ingest", "moovier_retrain"}
    pipeline.first_retraining(airflow, tmp_path, report, fine)
    assert fake.paused == set()
    assert "moovier_retrain was paused: resumed" in said.getvalue()


def test_a_failed_task_ends_it_with_the_end_of_its_log(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, said: io.StringIO, tmp_path: Path
) -> None:
    fake.script["moovier_ingest"] = [
        ("running", [task("validate", "up_for_retry")]),
        ("failed", [task("validate", "failed", attempt=2)]),
    ]
    log = tmp_path / "dag_id=moovier_ingest/run_id=manual__0/task_id=validate/attempt=2.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        '{"event": "::group::Log"}\n'
        "not json\n"
        '{"event": "Task failed", "error_detail": [{"exc_type": "InvalidData", '
        '"exc_value": "ratings.csv, row 7: 5.3 is off the scale"}]}\n'
    )
    with pytest.raises(StackError) as error:
        pipeline.first_retraining(airflow, tmp_path, report, fine)
    message = str(error.value)
    assert message.startswith("moovier_ingest: task validate failed")
    assert "InvalidData: ratings.csv, row 7: 5.3 is off the scale" in message
    assert "not json" in message
    assert "::group" not in message
    assert str(log) in message
    assert "attempt 1 failed, trying again" in said.getvalue()


def test_an_asset_that_starts_nothing(
    fake: FakeAirflow,
    airflow: AirflowApi,
    report: Report,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake.asset = None
    monkeypatch.setattr(pipeline, "_ASSET_TIMEOUT_S", 0.1)
    with pytest.raises(StackError, match="moovier_retrain was not started"):
        pipeline.first_retraining(airflow, tmp_path, report, fine)


def test_a_part_that_dies_meanwhile_ends_the_wait(
    airflow: AirflowApi, report: Report, tmp_path: Path
) -> None:
    def dead() -> None:
        raise StackError("airflow-scheduler does not stay up")

    with pytest.raises(StackError, match="airflow-scheduler"):
        pipeline.first_retraining(airflow, tmp_path, report, dead)


def test_a_dag_file_that_cannot_be_imported(fake: FakeAirflow, airflow: AirflowApi) -> None:
    del fake.script["moovier_retrain"]
    fake.import_errors = [{"filename": "moovier_retrain.py", "stack_trace": "SyntaxError: bad\n"}]
    with pytest.raises(StackError, match=r"moovier_retrain\.py: SyntaxError: bad"):
        pipeline.await_dags(airflow, fine)


def test_dags_that_never_appear(
    fake: FakeAirflow, airflow: AirflowApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script.clear()
    monkeypatch.setattr(pipeline, "_DAGS_TIMEOUT_S", 0.1)
    with pytest.raises(StackError, match="did not find the DAGs"):
        pipeline.await_dags(airflow, fine)


def test_a_pool_is_made_once_and_its_size_left_alone(
    fake: FakeAirflow, airflow: AirflowApi
) -> None:
    airflow.ensure_pool("moovier", 2, "")
    airflow.ensure_pool("moovier", 5, "")
    assert fake.pools == {"moovier": 2}


def test_a_wrong_password_is_said(fake: FakeAirflow) -> None:
    with (
        AirflowApi(fake.url, "admin", "wrong") as api,
        pytest.raises(StackError, match="refused GET"),
    ):
        api.latest_run("moovier_ingest")


def test_no_airflow_is_unhealthy_and_an_error_otherwise(fake: FakeAirflow) -> None:
    with AirflowApi("http://127.0.0.1:1", "admin", PASSWORD) as api:
        assert api.unhealthy() == ["api-server"]
        with pytest.raises(StackError, match="does not answer"):
            api.latest_run("moovier_ingest")
    with AirflowApi(fake.url, "admin", PASSWORD) as api:
        assert api.unhealthy() == []


class Models:
    """A registry with this champion."""

    def __init__(self, champion: Version | None) -> None:
        self._champion = champion

    def alias(self, alias: str) -> Version | None:
        assert alias == CHAMPION
        return self._champion


def test_the_first_ingest_is_asked_for_once(fake: FakeAirflow, airflow: AirflowApi) -> None:
    none: Any = Models(None)
    assert "asked for" in pipeline.trigger_first_ingest(airflow, none)
    assert fake.triggered == [pipeline.INGEST]
    assert "under way" in pipeline.trigger_first_ingest(airflow, none)
    assert fake.triggered == [pipeline.INGEST]


def test_with_a_champion_nothing_is_asked_for(fake: FakeAirflow, airflow: AirflowApi) -> None:
    name, made = "moovier_ease_4_trained_0", datetime(2026, 1, 1, tzinfo=UTC)
    champion = Version(1, name, "ease", "run", (CHAMPION,), {}, made, None, {}, "READY")
    models: Any = Models(champion)
    assert name in pipeline.trigger_first_ingest(airflow, models)
    assert fake.triggered == []
