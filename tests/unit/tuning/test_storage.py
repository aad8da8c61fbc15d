"""Storages of studies: journals and databases, heartbeats, and trials of dead workers."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from moovier.tuning import storage
from moovier.tuning.storage import (
    StudyError,
    fail_stale_trials,
    has_heartbeat,
    heartbeat,
    requeue,
    retry,
    storage_of,
)


def study_in(place: str | Path) -> Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(storage=storage_of(place), study_name="s", load_if_exists=True)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database: creating the tables takes most of the time of a test."""
    return f"sqlite:///{tmp_path_factory.mktemp('studies') / 'studies.db'}"


def test_a_journal_makes_its_folder_and_keeps_the_study(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "s.journal"
    study_in(file).enqueue_trial({"x": 1})
    assert len(study_in(str(file)).trials) == 1
    assert not has_heartbeat(study_in(file))


def test_a_database_records_heartbeats(database: str) -> None:
    assert has_heartbeat(study_in(database))


def test_a_storage_that_cannot_be_opened_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="nothing://host/x cannot be opened") as caught:
        storage_of("nothing://ann:s3cret@host/x")
    assert "s3cret" not in str(caught.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"file/s\.journal cannot be opened"):
        storage_of(tmp_path / "file" / "s.journal")


def test_heartbeats_are_sent_while_the_block_runs(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_in(database)
    trial = study.ask()
    beats: list[int] = []

    def record(trial_id: int) -> None:
        beats.append(trial_id)
        if len(beats) == 2:
            raise OperationalError("", None, Exception("away"))

    monkeypatch.setattr(storage, "_interval", lambda _study: 0.01)
    monkeypatch.setattr(trial.storage, "record_heartbeat", record)
    threads = threading.active_count()
    with heartbeat(study, trial):
        end = time.monotonic() + 90
        while len(beats) < 4:
            assert time.monotonic() < end, "an outage must not end the heartbeats"
            time.sleep(0.001)
    assert set(beats) == {trial._trial_id}
    assert threading.active_count() == threads, "no thread is left to send more"


def test_without_heartbeats_the_block_just_runs(tmp_path: Path) -> None:
    study = study_in(tmp_path / "s.journal")
    ran = []
    with heartbeat(study, study.ask()):
        ran.append(True)
    fail_stale_trials(study)
    assert ran == [True]
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING]


def test_a_failed_trial_is_tried_once_more(tmp_path: Path) -> None:
    study = study_in(tmp_path / "s.journal")
    study.enqueue_trial({"x": 0.25})
    for _ in range(2):
        trial = study.ask()
        assert trial.suggest_float("x", 0, 1) == 0.25
        failed = study.tell(trial, state=TrialState.FAIL)
        requeue(study, failed)
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.FAIL, TrialState.FAIL], "the retry is not queued again"


def test_a_step_is_retried_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _seconds: None)
    calls: list[int] = []

    def step() -> str:
        calls.append(1)
        if len(calls) < 4:
            raise OperationalError("", None, Exception("away"))
        return "done"

    assert retry(step) == "done"
    assert len(calls) == 4


def test_other_errors_and_long_outages_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _seconds: None)
    calls: list[int] = []

    def fail(error: Exception) -> Any:
        calls.append(1)
        raise error

    with pytest.raises(ZeroDivisionError):
        retry(lambda: fail(ZeroDivisionError()))
    assert len(calls) == 1
    monkeypatch.setattr(storage, "PATIENCE_S", 0.0)
    with pytest.raises(OperationalError):
        retry(lambda: fail(OperationalError("", None, Exception("away"))))
    assert len(calls) == 2
