"""Tuning within a retraining: one study per family, each of its trials a run in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moovier.data.split import development_split
from moovier.jobs.dataset import read_dataset
from moovier.jobs.registration import open_tracking
from moovier.jobs.retrain_plan import Plan
from moovier.registry.tracking import Tracking
from moovier.settings import Settings
from moovier.tuning import study as studies
from moovier.tuning.study import TrialReport

#: How MLflow calls what Optuna calls a state.
_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "fail": "FAILED"}


def run_worker(plan: Plan, family: str, worker: int, settings: Settings) -> dict[str, Any]:
    """Run trials until the family's study has the plan's, all workers together."""
    study = _open(plan, family, worker, settings)
    tracking = open_tracking(settings)
    data = read_dataset(plan.data_folder)
    studies.run_worker(
        study,
        development_split(data.ratings),
        family,
        catalogue=data.catalogue,
        worker=worker,
        trials=plan.trials,
        seed=plan.seed,
        threads=settings.threads,
        on_trial=lambda report: _log(plan, family, report, tracking),
    )
    found = studies.best(study, family)
    return {
        "family": family,
        "trials": len(studies.finished_trials(study, family)),
        "best": None if found is None else found.model_dump(mode="json"),
    }


def best_params(plan: Plan, family: str, settings: Settings) -> Mapping[str, Any] | None:
    """The best hyper-parameters found, None where no trial completed.

    Trials whose worker was killed between ending and logging them are logged now.
    """
    study = _open(plan, family, 0, settings)
    tracking = open_tracking(settings)
    there = tracking.finished_parts(plan.key)
    for report in studies.finished_trials(study, family):
        if _part(family, report) not in there:
            _log(plan, family, report, tracking)
    found = studies.best(study, family)
    return None if found is None else found.model_dump(mode="json")


def study_of(plan: Plan, family: str, settings: Settings) -> Any:
    """The family's Optuna study, to look at."""
    return _open(plan, family, 0, settings)


def create_studies(plan: Plan, settings: Settings) -> None:
    """Make the studies, before workers on several machines do so at the same moment."""
    if settings.optuna_storage is None:
        # That this folder is here says that the studies are this machine's.
        plan.studies_folder.mkdir(parents=True, exist_ok=True)
    for family in plan.families:
        studies.enqueue_defaults(_open(plan, family, 0, settings), family)


def _open(plan: Plan, family: str, worker: int, settings: Settings) -> Any:
    """
    Raises:
        StudyError: the study lies in a file of another machine.
    """
    place = settings.optuna_storage or plan.studies_folder / f"{family}.journal"
    if settings.optuna_storage is None and not plan.studies_folder.is_dir():
        raise studies.StudyError(
            f"the studies of retraining {plan.key} lie in files on the machine that prepared it: "
            "name a database that all workers reach in MOOVIER_OPTUNA_STORAGE and start a new "
            "retraining"
        )
    storage = studies.storage_of(place)
    name = f"{plan.key}-{family}"
    return studies.open_study(storage, name, family, seed=plan.seed, worker=worker)


def _part(family: str, report: TrialReport) -> str:
    return f"{family}-trial-{report.number}"


def _log(plan: Plan, family: str, report: TrialReport, tracking: Tracking) -> None:
    run_id = tracking.start(
        f"{family} trial {report.number}",
        retraining=plan.key,
        part=_part(family, report),
        parent=plan.run_id,
    )
    metrics = {"seconds": report.seconds}
    if report.value is not None:
        metrics["objective"] = report.value
    tracking.log(
        run_id,
        params={"family": family, **report.params},
        metrics=metrics,
        curves=report.curves,
        tags={"state": report.state},
    )
    tracking.log_data(run_id, plan.data)
    tracking.finish(run_id, _STATUS[report.state])
