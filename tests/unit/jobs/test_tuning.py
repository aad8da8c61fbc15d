"""The studies of a retraining, and the runs of their trials; MLflow is a list here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from moovier.jobs import tuning
from moovier.jobs.retrain_plan import RetrainPlan
from moovier.models import families
from moovier.settings import Settings
from moovier.tuning import study as studies
from moovier.tuning.study import StudyError, TrialReport
from tests.unit.jobs.toy_plan import plan_in, settings_in


class Tracking:
    """The runs of the trials by part."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.status: dict[str, str] = {}

    def start(self, name: str, *, retraining: str, part: str, parent: str) -> str:
        assert (retraining, parent) == ("k", "r")
        self.runs[part] = {"name": name}
        return part

    def log(self, run_id: str, **values: Any) -> None:
        self.runs[run_id] |= values

    def log_data(self, run_id: str, data: Any) -> None:
        self.runs[run_id]["data"] = data.hash

    def finish(self, run_id: str, status: str) -> None:
        self.status[run_id] = status

    def finished_parts(self, retraining: str) -> set[str]:
        assert retraining == "k"
        return set(self.status)


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> Tracking:
    tracking = Tracking()
    monkeypatch.setattr(tuning, "open_tracking", lambda _settings: tracking)
    return tracking


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def plan(tmp_path: Path, settings: Settings) -> RetrainPlan:
    """A plan whose studies exist."""
    plan = plan_in(tmp_path, families=("ease", "dae"))
    tuning.create_studies(plan, settings)
    return plan


def finish_trial(plan: RetrainPlan, settings: Settings, family: str, value: float | None) -> Any:
    """Run the next trial of a study without a training."""
    study = tuning.study_of(plan, family, settings)
    trial = study.ask()
    values = families.family(family).search_space(trial)
    study.tell(trial, value, state=None if value is not None else TrialState.FAIL)
    return values


def test_each_family_has_a_study_that_starts_with_its_defaults(
    plan: RetrainPlan, settings: Settings
) -> None:
    for family in plan.families:
        study = tuning.study_of(plan, family, settings)
        assert study.study_name == f"k-{family}"
        [queued] = study.get_trials()
        assert queued.system_attrs["fixed_params"] == studies.default_values(family)
    assert sorted(path.name for path in plan.studies_folder.glob("*.journal")) == [
        "dae.journal",
        "ease.journal",
    ]


def test_creating_the_studies_again_queues_nothing_more(
    plan: RetrainPlan, settings: Settings
) -> None:
    tuning.create_studies(plan, settings)
    assert len(tuning.study_of(plan, "ease", settings).get_trials()) == 1


def test_a_window_of_popularity_is_queued_for_families_that_know_it(
    tmp_path: Path, settings: Settings
) -> None:
    plan = plan_in(tmp_path, families=("ease", "dae"))
    tuning.create_studies(plan, settings, popular_days=365)
    counts = [len(tuning.study_of(plan, name, settings).get_trials()) for name in plan.families]
    assert counts == [1, 2]


def test_studies_in_files_of_another_machine_are_explained(
    tmp_path: Path, settings: Settings
) -> None:
    with pytest.raises(StudyError, match=r"retraining k are files.*MOOVIER_OPTUNA_STORAGE"):
        tuning.study_of(plan_in(tmp_path), "ease", settings)


def test_studies_in_a_database_need_no_folder(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, optuna_storage=f"sqlite:///{tmp_path / 'studies.db'}")
    plan = plan_in(tmp_path)
    tuning.create_studies(plan, settings)
    assert not plan.studies_folder.exists()
    assert tuning.study_of(plan, "ease", settings).study_name == "k-ease"


def test_the_best_trial_counts_and_unlogged_trials_are_logged(
    plan: RetrainPlan, settings: Settings, tracking: Tracking
) -> None:
    assert tuning.best_params(plan, "ease", settings) is None
    worse, best = (finish_trial(plan, settings, "ease", value) for value in (0.1, 0.3))
    finish_trial(plan, settings, "ease", None)
    assert tuning.best_params(plan, "ease", settings) == best.model_dump(mode="json")
    assert set(tracking.runs) == {"ease-trial-0", "ease-trial-1"}
    run = tracking.runs["ease-trial-0"]
    assert (run["name"], run["data"]) == ("ease trial 0", plan.data.hash)
    assert run["params"] == {"family": "ease", **worse.model_dump(mode="json")}
    assert run["metrics"]["objective"] == 0.1
    assert run["tags"] == {"state": "complete"}
    # Those that their worker logged are not logged again.
    tracking.runs.clear()
    tuning.best_params(plan, "ease", settings)
    assert tracking.runs == {}


def report(state: str, value: float | None) -> TrialReport:
    return TrialReport(7, {"size": 3}, value, state, {"val_ndcg_at_10": [0.1]}, seconds=2.5)


@pytest.mark.parametrize(
    ("state", "value", "status"),
    [("complete", 0.2, "FINISHED"), ("pruned", None, "KILLED"), ("fail", None, "FAILED")],
)
def test_a_worker_logs_each_trial_with_its_state(
    plan: RetrainPlan,
    settings: Settings,
    tracking: Tracking,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    value: float | None,
    status: str,
) -> None:
    options: dict[str, Any] = {}

    def run_worker(_study: Any, _split: Any, family: str, **given: Any) -> None:
        options.update(given, family=family)
        given["on_trial"](report(state, value))

    monkeypatch.setattr(studies, "run_worker", run_worker)
    monkeypatch.setattr(tuning, "read_dataset", lambda _folder: _Data())
    monkeypatch.setattr(tuning, "development_split", lambda _ratings: None)
    monkeypatch.setattr(tuning, "statistics_of", lambda *_: None)
    result = tuning.run_worker(plan, "dae", 1, settings)
    assert result == {"family": "dae", "trials": 0, "best": None}
    assert tracking.status == {"dae-trial-7": status}
    metrics: Mapping[str, float] = tracking.runs["dae-trial-7"]["metrics"]
    expected = {"seconds": 2.5} if value is None else {"seconds": 2.5, "objective": value}
    assert metrics == expected
    assert (options["worker"], options["trials"], options["seed"]) == (1, 2, 0)
    assert options["threads"] == settings.threads


class _Data:
    ratings, catalogue = None, None
