"""Write the report that a retraining leaves in MLflow, from what its stages kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from moovier.jobs import candidates, tuning
from moovier.jobs.registration import FIGURES, open_registry, open_tracking
from moovier.jobs.retrain_plan import Plan
from moovier.registry.version import Version
from moovier.report import page, pictures
from moovier.report.model_report import ModelReport, best_first
from moovier.settings import Settings

#: Folder of the parent run's artefacts.
ARTEFACTS = "report"


def log_page(
    plan: Plan, decision: Mapping[str, Any], champion: Version | None, settings: Settings
) -> None:
    """Write the page and its plots and attach them to the parent run.

    ``champion``: the one that was compared with; where it was measured on the same hold-out it
    gets a row.
    """
    models = [candidates.figures_of(plan, one) for one in candidates.kept(plan)]
    models.append(candidates.figures_of_popularity(plan))
    if champion is not None and champion.tags.get("hold_out") == plan.hold_out:
        stored = _report_of(champion, settings)
        if stored is not None:
            models.append(stored)
    models = best_first(models)
    with tempfile.TemporaryDirectory() as folder:
        written = page.write(
            Path(folder),
            key=plan.key,
            data=plan.data,
            models=models,
            chosen=decision["name"],
            kind=decision["kind"],
            reasons=decision["reasons"],
            promoted=decision["promote"],
            stars_reason=decision["stars_reason"],
            pictures=pictures.of_models(models),
            tuning={
                family: pictures.tuning(tuning.study_of(plan, family, settings))
                for family in plan.families
            },
        )
        open_tracking(settings).log_folder(plan.run_id, written.parent, ARTEFACTS)


def _report_of(champion: Version, settings: Settings) -> ModelReport | None:
    """Return the champion's stored figures; None where there are none that can be read."""
    with tempfile.TemporaryDirectory() as folder:
        file = open_registry(settings).download_file(champion, FIGURES, Path(folder) / FIGURES)
        if file is None:
            return None
        try:
            stored = ModelReport.model_validate_json(file.read_bytes())
        except ValidationError:
            return None
    return stored.model_copy(update={"kind": f"champion until now, version {champion.number}"})
