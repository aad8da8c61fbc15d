"""The stages of `dvc.yaml`: the stages of a retraining, with files between them.

Each stage reads `params.yaml` and the files of the stages before it, calls the function that
Airflow's task of the same name calls, and writes its result to ``pipeline/`` of the checkout. The
models themselves stay in ``<home>/retrain`` and in MLflow, which must run::

    pipeline/data.json         ingest: name, hash and size of the validated data set
    pipeline/plan.json         tune: the plan of the retraining
    pipeline/trials.csv        tune: every trial and its objective
    pipeline/candidates.json   train: the trained candidates
    pipeline/metrics.json      evaluate: metrics of the best candidate and of all models
    pipeline/models.csv        evaluate: the same for `dvc plots`
    pipeline/visitor.csv       evaluate: the best candidate's NDCG@10 by number of ratings

No stage promotes a model, so that an experiment changes nothing that is served; :func:`promote`
does it for the last result.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from moovier.errors import BadRequest, UnknownData
from moovier.jobs import candidates, ingest, retrain, tuning
from moovier.jobs.candidates import Candidate
from moovier.jobs.retrain_plan import RetrainConfig, RetrainPlan
from moovier.jobs.stage_results import parse_result
from moovier.json_files import read_json, write_json
from moovier.report.model_report import ModelReport
from moovier.settings import Settings
from moovier.tuning import study as studies

OnProgress = Callable[[str], None]
PARAMS, FOLDER = "params.yaml", "pipeline"
#: What a person does about the files of another version of Moovier.
_REPRO = "run `dvc repro --force`"
#: Metrics of a model in ``metrics.json`` and ``models.csv``.
_METRICS = ("visitor_ndcg_at_10", "next_visit_ndcg_at_10", "rmse", "mae")


def read_params(settings: Settings) -> RetrainConfig:
    """Read the options of a retraining from `params.yaml` of the checkout.

    Raises:
        BadRequest: the file cannot be read, or an option is unknown or out of range.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    file = settings.project / PARAMS
    try:
        params = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    except (OSError, YAMLError) as error:
        raise BadRequest(f"{file} cannot be read ({error}): set MOOVIER_PROJECT") from error
    # One worker in this process, as in `moovier train`, which so finds the same retraining.
    return RetrainConfig.of({**(params or {}), "workers": 1})


def run_ingest(settings: Settings) -> None:
    """Fetch, merge and validate the data set.

    Raises:
        DataError: the data set is unavailable or invalid.
    """
    pulled = ingest.pull(read_params(settings).data, settings=settings)
    report = ingest.validate(pulled, settings=settings)
    facts = {name: report[name] for name in ("ratings", "users", "movies")}
    # Without paths of this machine: equal data must give equal bytes.
    content = {name: pulled[name] for name in ("name", "hash", "synthetic")} | facts
    write_json(_file(settings, "data.json"), content)


def run_tune(settings: Settings, on_progress: OnProgress) -> None:
    """Prepare a retraining and run all trials of its studies."""
    plan = retrain.tune_all(read_params(settings), on_progress, settings=settings)
    expected, hash_ = _read(settings, "data.json")["hash"], plan["data"]["hash"]
    if hash_ != expected:
        raise UnknownData(
            f"the data set is {hash_} now, but the stage `ingest` validated {expected}: "
            "run `dvc repro` again"
        )
    parsed = RetrainPlan.from_json(plan, settings)
    rows = [
        (family, report.number, report.state, report.value)
        for family in parsed.families
        for report in studies.finished_trials(tuning.study_of(parsed, family, settings), family)
    ]
    _write_csv(_file(settings, "trials.csv"), ("family", "trial", "state", "objective"), rows)
    write_json(_file(settings, "plan.json"), plan)


def run_train(settings: Settings, on_progress: OnProgress) -> None:
    """Train, evaluate and store all candidates."""
    plan = _read(settings, "plan.json")
    trained = [
        candidate
        for family in plan["families"]
        for candidate in retrain.train(plan, family, settings=settings, on_progress=on_progress)
    ]
    write_json(_file(settings, "candidates.json"), trained)


def run_evaluate(settings: Settings) -> None:
    """Write the metrics of all candidates on the hold-out.

    The best candidate is the ranking model with the highest validation objective; the hold-out only
    reports.
    """
    plan = RetrainPlan.from_json(_read(settings, "plan.json"), settings)
    trained = [
        parse_result(Candidate, item, "train", _REPRO)
        for item in _read(settings, "candidates.json")
    ]
    best = max(trained, key=lambda candidate: (candidate.ranks, candidate.validation_ndcg))
    reports = {item.recipe.id: candidates.report_of(plan, item) for item in trained}
    reports["popularity"] = candidates.report_of_popularity(plan)
    models = {name: _metrics(report) for name, report in sorted(reports.items())}
    name = best.recipe.id
    write_json(
        _file(settings, "metrics.json"),
        {
            "best": {"validation_ndcg_at_10": best.validation_ndcg, **models[name]},
            "models": models,
        },
    )
    rows = [
        (model, *(values.get(metric) for metric in _METRICS)) for model, values in models.items()
    ]
    _write_csv(_file(settings, "models.csv"), ("model", *_METRICS), rows)
    visitor = reports[name].visitor
    by_k = {} if visitor is None else visitor.by_k
    points = [(k, interval.mean) for k, interval in sorted(by_k.items())]
    _write_csv(_file(settings, "visitor.csv"), ("ratings", "ndcg_at_10"), points)


def promote(settings: Settings) -> dict[str, Any]:
    """Register the candidates of the last `dvc repro`, and promote the best one if it wins.

    Returns the gate's decision.
    """
    plan, trained = _read(settings, "plan.json"), _read(settings, "candidates.json")
    versions = retrain.register(plan, trained, settings=settings)
    decision = retrain.gate(plan, versions, settings=settings)
    return retrain.promote(plan, decision, settings=settings)


def _metrics(report: ModelReport) -> dict[str, float]:
    """Return the model's metrics that were evaluated, by name."""
    values = {
        "visitor_ndcg_at_10": None if report.visitor is None else report.visitor.ndcg.mean,
        "next_visit_ndcg_at_10": None if report.next_visit is None else report.next_visit.ndcg.mean,
        "rmse": report.stars.get("rmse"),
        "mae": report.stars.get("mae"),
    }
    return {name: value for name, value in values.items() if value is not None}


def _file(settings: Settings, name: str) -> Path:
    return settings.project / FOLDER / name


def _read(settings: Settings, name: str) -> Any:
    """Read the file of an earlier stage.

    Raises:
        BadRequest: the stage has not run.
    """
    content = read_json(_file(settings, name))
    if content is None:
        raise BadRequest(f"{FOLDER}/{name} does not exist: run `dvc repro`")
    return content


def _write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as output:
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
