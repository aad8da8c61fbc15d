"""Which models a retraining's report compares, and where it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from moovier.jobs import candidates, retraining_report, tuning
from moovier.jobs.retrain_plan import RetrainPlan
from moovier.registry.version import Version
from moovier.report import page, plots
from moovier.report.model_report import ModelReport
from tests.unit.jobs.toy_plan import plan_in, settings_in

DECISION: dict[str, Any] = {
    "name": "moovier_ease_1_trained_0",
    "kind": "tuned",
    "reasons": ["kept: worse"],
    "promote": False,
    "stars_reason": None,
}


def report(name: str, ndcg: float) -> ModelReport:
    interval = {"mean": ndcg, "low": ndcg, "high": ndcg, "people": 3}
    return ModelReport.model_validate(
        {"name": name, "kind": "tuned", "fit_s": 1.0, "by_time": {"ndcg": interval, "metrics": {}}}
    )


def champion(hold_out: str) -> Version:
    return Version(
        number=4,
        name="moovier_dae_64_trained_0",
        family="dae",
        run_id="r",
        aliases=(),
        tags={"hold_out": hold_out},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        parent=None,
        metrics={},
        status="READY",
    )


class Written:
    """What the page was given, what was uploaded, and the champion's stored report."""

    def __init__(self) -> None:
        self.page: Mapping[str, Any] = {}
        self.uploads: list[tuple[str, list[str], str]] = []
        self.champions_report: bytes | None = None

    def write(self, folder: Path, **content: Any) -> Path:
        self.page = content
        file = folder / "page" / "index.html"
        file.parent.mkdir()
        file.write_text("page")
        return file

    def log_folder(self, run_id: str, folder: Path, name: str) -> None:
        self.uploads.append((run_id, [path.name for path in folder.iterdir()], name))

    def download_file(self, _version: Version, _name: str, file: Path) -> Path | None:
        if self.champions_report is None:
            return None
        file.write_bytes(self.champions_report)
        return file


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    written = Written()
    trained = [SimpleNamespace(name="ease-tuned"), SimpleNamespace(name="emb-10")]
    reports = {"ease-tuned": report("ease", 0.3), "emb-10": report("emb", 0.1)}
    monkeypatch.setattr(candidates, "trained_candidates", lambda _plan: trained)
    monkeypatch.setattr(candidates, "report_of", lambda _plan, item: reports[item.name])
    monkeypatch.setattr(candidates, "report_of_popularity", lambda _plan: report("popularity", 0.2))
    monkeypatch.setattr(retraining_report, "recent_reports", lambda _plan: [report("recent", 0.15)])
    monkeypatch.setattr(tuning, "study_of", lambda _plan, family, _settings: f"study {family}")
    monkeypatch.setattr(plots, "of_models", lambda models: [model.name for model in models])
    monkeypatch.setattr(plots, "tuning", lambda study: [f"plot of {study}"])
    monkeypatch.setattr(page, "write", written.write)
    monkeypatch.setattr(retraining_report, "open_tracking", lambda _settings: written)
    monkeypatch.setattr(retraining_report, "open_registry", lambda _settings: written)
    return written


def names(written: Written) -> list[str]:
    return [model.name for model in written.page["models"]]


def log(plan: RetrainPlan, old: Version | None) -> None:
    retraining_report.log_report(plan, DECISION, old, settings_in(plan.folder))


def test_all_models_are_compared_best_first(tmp_path: Path, written: Written) -> None:
    plan = plan_in(tmp_path, families=("ease", "emb"), notes=("left out dae",))
    log(plan, None)
    assert names(written) == ["ease", "popularity", "recent", "emb"]
    assert written.page["plots"] == names(written)
    assert written.page["tuning"] == {
        "ease": ["plot of study ease"],
        "emb": ["plot of study emb"],
    }
    assert (written.page["chosen"], written.page["promoted"]) == (DECISION["name"], False)
    assert written.page["notes"] == ("left out dae",)
    assert written.uploads == [("r", ["index.html"], "report")]


def test_a_champion_of_the_same_hold_out_gets_a_row(tmp_path: Path, written: Written) -> None:
    plan = plan_in(tmp_path)
    written.champions_report = report("dae", 0.4).model_dump_json().encode()
    log(plan, champion(plan.hold_out))
    assert names(written)[0] == "dae"
    assert written.page["models"][0].kind == "champion until now, version 4"


@pytest.mark.parametrize("content", [None, b"{}", b"no JSON"])
def test_a_champion_without_a_readable_report_gets_no_row(
    tmp_path: Path, written: Written, content: bytes | None
) -> None:
    plan = plan_in(tmp_path)
    written.champions_report = content
    log(plan, champion(plan.hold_out))
    assert "dae" not in names(written)


def test_a_champion_of_another_hold_out_gets_no_row(tmp_path: Path, written: Written) -> None:
    written.champions_report = report("dae", 0.4).model_dump_json().encode()
    log(plan_in(tmp_path), champion("other.dir/1"))
    assert "dae" not in names(written)
