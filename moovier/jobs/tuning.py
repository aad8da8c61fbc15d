"""Tune hyper-parameters: one study per family, one MLflow run per trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moovier.data.split import development_split
from moovier.jobs.dataset import read_dataset
from moovier.jobs.registration import open_tracking
from moovier.jobs.retrain_plan import RetrainPlan
from moovier.jobs.shared_statistics import cluster_of, statistics_of
from moovier.registry.tracking import Tracking
from moovier.settings import Settings
from moovier.tuning import study as studies
from moovier.tuning.study import TrialReport

#: Optuna's trial state: MLflow's run status.
_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "fail": "FAILED"}


def run_worker(plan: RetrainPlan, family: str, worker: int, settings: Settings) -> dict[str, Any]:
    """Run trials until the family's study has finished the plan's trials.

    Returns ``family``, ``trials`` (the number of finished trials) and ``best``, the best
    hyper-parameters, or None if no trial completed.
    """
    study = _open(plan, family, worker, settings)
    tracking = open_tracking(settings)
    data = read_dataset(plan.data_folder)
    studies.run_worker(
        study,
        development_split(data.ratings),
        family,
        catalogue=data.catalogue,
        worker=worker,
        trials=plan.trials_of(family),
        seed=plan.seed,
        threads=settings.threads,
        on_trial=lambda report: _log(plan, family, report, tracking),
        statistics=statistics_of(plan, data, settings),
        cluster=cluster_of(data, settings),
        grids=plan.grids.get(family, {}),
    )
    best = studies.best(study, family)
    return {
        "family": family,
        "trials": len(studies.finished_trials(study, family)),
        "best": None if best is None else best.model_dump(mode="json"),
    }


def best_params(plan: RetrainPlan, family: str, settings: Settings) -> Mapping[str, Any] | None:
    """Return the best hyper-parameters, or None if no trial completed.

    Also log the trials whose worker was killed before it logged them.
    """
    study = _open(plan, family, 0, settings)
    tracking = open_tracking(settings)
    logged_parts = tracking.finished_parts(plan.key)
    for report in studies.finished_trials(study, family):
        if _part(family, report) not in logged_parts:
            _log(plan, family, report, tracking)
    best = studies.best(study, family)
    return None if best is None else best.model_dump(mode="json")


def study_of(plan: RetrainPlan, family: str, settings: Settings) -> Any:
    """Return the family's Optuna study, for plots."""
    return _open(plan, family, 0, settings)


def create_studies(plan: RetrainPlan, settings: Settings, *, popular_days: int = 0) -> None:
    """Create the studies before workers on several machines open them.

    ``popular_days``: the window of popularity that is best on validation; 0 is all time.
    """
    if settings.optuna_storage is None:
        # The folder marks the machine that holds the studies.
        plan.studies_folder.mkdir(parents=True, exist_ok=True)
    for family in plan.families:
        study = _open(plan, family, 0, settings)
        studies.enqueue_defaults(
            study, family, popular_days=popular_days, grids=plan.grids.get(family, {})
        )


def _open(plan: RetrainPlan, family: str, worker: int, settings: Settings) -> Any:
    """Open the family's study.

    Raises:
        StudyError: the study is in a file on another machine.
    """
    storage_url = settings.optuna_storage or plan.studies_folder / f"{family}.journal"
    if settings.optuna_storage is None and not plan.studies_folder.is_dir():
        raise studies.StudyError(
            f"the studies of retraining {plan.key} are files on the machine that prepared it; "
            "set MOOVIER_OPTUNA_STORAGE to a database that all workers can reach and start a new "
            "retraining"
        )
    storage = studies.storage_of(storage_url)
    name = f"{plan.key}-{family}"
    return studies.open_study(storage, name, family, seed=plan.seed, worker=worker)


def _part(family: str, report: TrialReport) -> str:
    return f"{family}-trial-{report.number}"


def _log(plan: RetrainPlan, family: str, report: TrialReport, tracking: Tracking) -> None:
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
