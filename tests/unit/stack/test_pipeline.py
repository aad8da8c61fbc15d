"""Follow the first retraining on a server that imitates Airflow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from moovier.errors import StackError
from moovier.registry.listing import Listing
from moovier.registry.version import CHAMPION, Version
from moovier.stack import pipeline
from moovier.stack.airflow_api import AirflowApi
from moovier.stack.console import Report
from tests.unit.stack.fake_airflow import OLD_FAILED_RUN, PASSWORD, FakeAirflow, serving, task


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    monkeypatch.setattr(pipeline, "_POLL_S", 0.01)
    scripted = FakeAirflow(
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
    with serving(scripted) as airflow:
        yield airflow


@pytest.fixture
def airflow(fake: FakeAirflow) -> Iterator[AirflowApi]:
    with AirflowApi(fake.url, "admin", PASSWORD) as api:
        yield api


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def report(output: io.StringIO) -> Report:
    return Report(Console(file=output, width=80))


def no_check() -> None:
    """Find no problem with the processes."""


def test_ingest_and_the_retraining_that_it_starts_are_followed(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, output: io.StringIO, tmp_path: Path
) -> None:
    pipeline.first_retraining(airflow, tmp_path, report, no_check)
    assert fake.triggered == ["moovier_ingest"]
    lines = [line.strip() for line in output.getvalue().splitlines()]
    assert lines == [
        "moovier_ingest (manual__0)",
        "✓   pull (1 s)",
        "✓   validate (1 s)",
        "moovier_retrain (asset_triggered__0)",
        "✓   tune [emb, worker 0] (1 s)",
    ]


def test_running_retraining_is_followed_not_started_again(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, tmp_path: Path
) -> None:
    fake.runs["moovier_retrain"] = ["asset_triggered__before"]
    pipeline.first_retraining(airflow, tmp_path, report, no_check)
    assert fake.triggered == []


def test_old_failed_retraining_is_ignored(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, tmp_path: Path
) -> None:
    fake.runs["moovier_retrain"] = [OLD_FAILED_RUN]
    pipeline.first_retraining(airflow, tmp_path, report, no_check)
    assert fake.triggered == ["moovier_ingest"]


def test_paused_dags_are_resumed_and_reported(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, output: io.StringIO, tmp_path: Path
) -> None:
    fake.paused = {"moovier_ingest", "moovier_retrain"}
    pipeline.first_retraining(airflow, tmp_path, report, no_check)
    assert fake.paused == set()
    assert "moovier_retrain was paused: resumed" in output.getvalue()


def test_task_that_waits_for_a_person_names_page_and_login(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, output: io.StringIO, tmp_path: Path
) -> None:
    fake.script["moovier_retrain"] = [
        ("running", [task("approve", "awaiting_input")]),
        ("success", [task("approve", "success")]),
    ]
    pipeline.first_retraining(airflow, tmp_path, report, no_check)
    *_, waiting, approved = output.getvalue().splitlines()
    assert approved.strip() == "✓   approve (1 s)"
    assert waiting.strip() == (
        "approve: waiting until a person approves or rejects it at "
        f"{fake.url}/required_actions (user admin, password {PASSWORD})"
    )


def test_failed_task_raises_with_the_end_of_its_log(
    fake: FakeAirflow, airflow: AirflowApi, report: Report, output: io.StringIO, tmp_path: Path
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
        pipeline.first_retraining(airflow, tmp_path, report, no_check)
    message = str(error.value)
    assert message.startswith("moovier_ingest: task validate failed")
    assert "InvalidData: ratings.csv, row 7: 5.3 is off the scale" in message
    assert "not json" in message
    assert "::group" not in message
    assert str(log) in message
    assert "attempt 1 failed, retrying" in output.getvalue()


def test_missing_retraining_after_the_ingest_times_out(
    fake: FakeAirflow,
    airflow: AirflowApi,
    report: Report,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake.asset = None
    monkeypatch.setattr(pipeline, "_ASSET_TIMEOUT_S", 0.1)
    with pytest.raises(StackError, match="moovier_retrain was not started"):
        pipeline.first_retraining(airflow, tmp_path, report, no_check)


def test_failing_check_ends_the_wait(airflow: AirflowApi, report: Report, tmp_path: Path) -> None:
    def failing_check() -> None:
        raise StackError("airflow-scheduler does not stay up")

    with pytest.raises(StackError, match="airflow-scheduler"):
        pipeline.first_retraining(airflow, tmp_path, report, failing_check)


def test_dag_import_error_is_raised(fake: FakeAirflow, airflow: AirflowApi) -> None:
    del fake.script["moovier_retrain"]
    fake.import_errors = [{"filename": "moovier_retrain.py", "stack_trace": "SyntaxError: bad\n"}]
    with pytest.raises(StackError, match=r"moovier_retrain\.py: SyntaxError: bad"):
        pipeline.await_dags(airflow, no_check)


def test_missing_dags_time_out(
    fake: FakeAirflow, airflow: AirflowApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script.clear()
    monkeypatch.setattr(pipeline, "_DAGS_TIMEOUT_S", 0.1)
    with pytest.raises(StackError, match="did not find the DAGs"):
        pipeline.await_dags(airflow, no_check)


def test_existing_pool_keeps_its_size(fake: FakeAirflow, airflow: AirflowApi) -> None:
    airflow.ensure_pool("moovier", 2, "")
    airflow.ensure_pool("moovier", 5, "")
    assert fake.pools == {"moovier": 2}


def test_wrong_password_is_refused(fake: FakeAirflow) -> None:
    with (
        AirflowApi(fake.url, "admin", "wrong") as api,
        pytest.raises(StackError, match="refused GET"),
    ):
        api.latest_run("moovier_ingest")


def test_unreachable_airflow_is_unhealthy_and_raises(fake: FakeAirflow) -> None:
    with AirflowApi("http://127.0.0.1:1", "admin", PASSWORD) as api:
        assert api.unhealthy() == ["api-server"]
        with pytest.raises(StackError, match="does not answer"):
            api.latest_run("moovier_ingest")
    with AirflowApi(fake.url, "admin", PASSWORD) as api:
        assert api.unhealthy() == []


class StubRegistry:
    """A registry with a given champion."""

    def __init__(self, champion: Version | None) -> None:
        self._champion = champion

    def listing(self) -> Listing:
        if self._champion is None:
            return Listing((), (), {})
        return Listing((self._champion,), (), {CHAMPION: self._champion.number})


def test_first_ingest_is_triggered_once(fake: FakeAirflow, airflow: AirflowApi) -> None:
    registry: Any = StubRegistry(None)
    assert "triggered" in pipeline.trigger_first_ingest(airflow, registry)
    assert fake.triggered == [pipeline.INGEST]
    assert "is running" in pipeline.trigger_first_ingest(airflow, registry)
    assert fake.triggered == [pipeline.INGEST]


def test_first_ingest_is_not_triggered_with_a_champion(
    fake: FakeAirflow, airflow: AirflowApi
) -> None:
    name, created = "moovier_ease_4_trained_0", datetime(2026, 1, 1, tzinfo=UTC)
    champion = Version(1, name, "ease", "run", (CHAMPION,), {}, created, None, {}, "READY")
    registry: Any = StubRegistry(champion)
    assert name in pipeline.trigger_first_ingest(airflow, registry)
    assert fake.triggered == []
