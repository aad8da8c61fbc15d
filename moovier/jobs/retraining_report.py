"""Write the report of a retraining and attach it to its parent run in MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from moovier.jobs import candidates, tuning
from moovier.jobs.recent_baselines import recent_reports
from moovier.jobs.registration import REPORT, open_registry, open_tracking
from moovier.jobs.retrain_plan import RetrainPlan
from moovier.registry.version import Version
from moovier.report import page, plots
from moovier.report.model_report import ModelReport, best_first
from moovier.settings import Settings

#: Folder of the report in the parent run's artefacts.
ARTEFACTS = "report"


def log_report(
    plan: RetrainPlan, decision: Mapping[str, Any], champion: Version | None, settings: Settings
) -> None:
    """Write the page and its plots and attach them to the parent run.

    ``champion``: the one that the candidates were compared with. It gets a row if it was evaluated
    on the same hold-out.
    """
    models = [
        candidates.report_of(plan, candidate) for candidate in candidates.trained_candidates(plan)
    ]
    models += [candidates.report_of_popularity(plan), *recent_reports(plan)]
    if champion is not None and champion.tags.get("hold_out") == plan.hold_out:
        champion_report = _report_of(champion, settings)
        if champion_report is not None:
            models.append(champion_report)
    models = best_first(models)
    with tempfile.TemporaryDirectory() as folder:
        page_file = page.write(
            Path(folder),
            key=plan.key,
            data=plan.data,
            models=models,
            chosen=decision["name"],
            kind=decision["kind"],
            reasons=decision["reasons"],
            notes=plan.notes,
            promoted=decision["promote"],
            stars_reason=decision["stars_reason"],
            plots=plots.of_models(models),
            tuning={
                family: plots.tuning(tuning.study_of(plan, family, settings))
                for family in plan.families
            },
        )
        open_tracking(settings).log_folder(plan.run_id, page_file.parent, ARTEFACTS)


def _report_of(champion: Version, settings: Settings) -> ModelReport | None:
    """Return the champion's stored report, or None if it has no readable one."""
    with tempfile.TemporaryDirectory() as folder:
        file = open_registry(settings).download_file(champion, REPORT, Path(folder) / REPORT)
        if file is None:
            return None
        try:
            report = ModelReport.model_validate_json(file.read_bytes())
        except ValidationError:
            return None
    return report.model_copy(update={"kind": f"champion until now, version {champion.number}"})
