"""Candidates of a retraining: stored once, uploaded once, and fetched by other machines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from moovier.data.ratings import Index
from moovier.errors import InvalidData, RegistryError, StaleResult
from moovier.jobs import candidates
from moovier.jobs.candidates import Candidate
from moovier.jobs.registration import EVALUATION, REPORT, write_evaluation
from moovier.jobs.retrain_plan import Recipe, RetrainPlan
from moovier.json_files import write_json
from moovier.models.bundle import Card
from moovier.models.ease import EaseParams
from moovier.registry.gate import HoldOutResult
from moovier.registry.version import Version
from moovier.report.model_report import ModelReport
from tests.unit.jobs.toy_plan import FACTS, plan_in, settings_in

RESULT = HoldOutResult("", users=np.array([5, 7]), ndcg=np.array([0.25, 0.5]))


@pytest.fixture
def plan(tmp_path: Path) -> RetrainPlan:
    return plan_in(tmp_path)


def candidate_of(recipe_id: str, family: str = "ease", **params: Any) -> Candidate:
    params = {"size": 1, **params}
    return Candidate(
        recipe=Recipe(id=recipe_id, kind="tuned", family=family, params=params),
        card=Card(
            name=f"moovier_{family}_1_trained_0",
            family=family,
            params=params,
            data=FACTS,
            metrics={"visitor_ndcg_at_10": 0.3},
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        run_id="run",
        validation_ndcg=0.4,
        validation_mae=None,
        fit_s=2.0,
    )


def store(plan: RetrainPlan, candidate: Candidate) -> Path:
    """Write the summary of a trained candidate; return its folder."""
    folder = candidates.model_folder(plan, candidate.recipe.id)
    (folder / "bundle").mkdir(parents=True)
    write_json(folder / "candidate.json", candidate.model_dump(mode="json"))
    write_evaluation(folder / EVALUATION, RESULT)
    report = ModelReport(name=candidate.card.name, kind="tuned", fit_s=2.0)
    write_json(folder / REPORT, report.model_dump(mode="json"))
    return folder


def test_trained_candidates_are_sorted_and_complete(plan: RetrainPlan) -> None:
    assert candidates.trained_candidates(plan) == []
    second, first = candidate_of("emb-25", "emb"), candidate_of("ease-tuned")
    for candidate in (second, first):
        store(plan, candidate)
    # Unfinished folders of killed processes.
    (plan.candidates_folder / ".dae-x" / "model").mkdir(parents=True)
    (plan.candidates_folder / ".dae-x" / "model" / "candidate.json").write_text("{")
    (plan.candidates_folder / "taste" / "model").mkdir(parents=True)
    assert candidates.trained_candidates(plan) == [first, second]
    assert candidates.report_of(plan, first).name == first.card.name


def test_a_candidate_of_another_version_is_named_by_its_stage(plan: RetrainPlan) -> None:
    folder = store(plan, candidate_of("ease-tuned"))
    write_json(folder / "candidate.json", {"recipe": {}})
    with pytest.raises(StaleResult, match="`train`"):
        candidates.trained_candidates(plan)


def test_only_ranking_families_rank() -> None:
    assert candidate_of("x", "ease").ranks
    assert not candidate_of("x", "taste").ranks


def test_the_record_has_what_decides_and_how_it_was_made(plan: RetrainPlan) -> None:
    candidate = candidate_of("ease-tuned", lambda_=5.0)
    record = candidates.record_of_candidate(plan, candidate)
    assert record.metrics == {
        "visitor_ndcg_at_10": 0.3,
        "validation_ndcg_at_10": 0.4,
        "fit_s": 2.0,
    }
    assert record.hyper_parameters == {"size": 1, "lambda_": 5.0}
    assert {"retraining": "k", "candidate": "ease-tuned", "hold_out": plan.hold_out}.items() <= (
        record.tags.items()
    )
    earlier = candidate.model_copy(update={"fit_s": None})
    assert "fit_s" not in candidates.record_of_candidate(plan, earlier).metrics


def test_a_result_has_the_users_ids() -> None:
    index = Index(np.array([100, 30, 77]), np.arange(2))
    rows = SimpleNamespace(users=np.array([2, 0]), ndcg=np.array([0.1, 0.2]))
    evaluation: Any = SimpleNamespace(by_time=None, visitor=rows, next_visit=rows)
    result = candidates._result("m", index, evaluation)
    assert result.visitor_users.tolist() == result.next_visit_users.tolist() == [77, 100]
    assert result.visitor_ndcg is rows.ndcg
    assert result.users.size == 0
    evaluation = SimpleNamespace(by_time=rows, visitor=None, next_visit=None)
    assert candidates._result("m", index, evaluation).users.tolist() == [77, 100]


class Tracking:
    """Uploaded candidates by key, whose files another machine has."""

    def __init__(self, elsewhere: Path) -> None:
        self._elsewhere = elsewhere
        self.by_key: dict[str, str] = {}
        self.uploads: list[Mapping[str, Any]] = []

    def uploaded(self, key: str) -> str | None:
        return self.by_key.get(key)

    def download_uploaded(self, model_id: str, name: str, file: Path) -> Path | None:
        source = self._elsewhere / name
        if not source.exists():
            return None
        file.write_bytes(source.read_bytes())
        return file

    def upload(self, folder: Path, name: str, **options: Any) -> None:
        assert (folder / "candidate.json").exists()
        self.uploads.append({"name": name, **options})
        self.by_key[options["key"]] = "m1"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The folder of the candidate on the machine that trained it."""
    return store(plan_in(tmp_path / "elsewhere"), candidate_of("ease-tuned"))


@pytest.fixture
def tracking(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    tracking = Tracking(elsewhere)
    monkeypatch.setattr(candidates, "open_tracking", lambda _settings: tracking)
    return tracking


def train(plan: RetrainPlan, candidate: Candidate) -> Candidate:
    settings = settings_in(plan.folder)
    return candidates.train_candidate(plan, candidate.recipe, settings, lambda _text: None)


def test_a_stored_candidate_is_uploaded_once_and_not_trained_again(
    plan: RetrainPlan, tracking: Tracking
) -> None:
    candidate = candidate_of("ease-tuned")
    store(plan, candidate)
    assert train(plan, candidate) == train(plan, candidate) == candidate
    [upload] = tracking.uploads
    assert (upload["key"], upload["run_id"], upload["name"]) == (
        "k:ease-tuned",
        "run",
        candidate.card.name,
    )
    assert upload["record"].metrics["validation_ndcg_at_10"] == 0.4
    assert upload["data"] == plan.data


def test_a_candidate_of_another_machine_is_fetched_without_its_model(
    plan: RetrainPlan, tracking: Tracking
) -> None:
    tracking.by_key["k:ease-tuned"] = "m1"
    candidate = candidate_of("ease-tuned")
    assert train(plan, candidate) == candidate
    assert tracking.uploads == []
    folder = candidates.model_folder(plan, "ease-tuned")
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["candidate.json", EVALUATION, REPORT]
    )
    result = candidates.result_of(plan, candidate)
    assert (result.name, result.ndcg.tolist()) == (candidate.card.name, [0.25, 0.5])
    assert candidates.result_of(plan, candidate, "other").name == "other"


def test_a_candidate_with_a_missing_file_is_not_half_fetched(
    plan: RetrainPlan, tracking: Tracking, elsewhere: Path
) -> None:
    tracking.by_key["k:ease-tuned"] = "m1"
    (elsewhere / REPORT).unlink()
    with pytest.raises(RegistryError, match=f"ease-tuned has no {REPORT} in MLflow"):
        train(plan, candidate_of("ease-tuned"))
    assert candidates.trained_candidates(plan) == []
    assert not (plan.candidates_folder / "ease-tuned").exists()


class Registry:
    """A registry whose versions have the files of ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.downloads = 0

    def download_file(self, version: Version, name: str, file: Path) -> Path | None:
        self.downloads += 1
        if not (self._folder / name).exists():
            return None
        file.write_bytes((self._folder / name).read_bytes())
        return file

    def card(self, version: Version) -> Card | None:
        return candidate_of("x", version.family, **version.params).card


def version(hold_out: str, family: str = "ease", **params: Any) -> Version:
    return Version(
        number=4,
        name="moovier_ease_1_trained_0",
        family=family,
        run_id="r",
        aliases=("champion",),
        tags={"candidate": "ease-tuned", "hold_out": hold_out},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        parent=None,
        metrics={},
        status="READY",
        params={"size": 1, **params},
    )


def test_summaries_of_registered_candidates_are_fetched_once(
    plan: RetrainPlan, elsewhere: Path
) -> None:
    registry: Any = Registry(elsewhere)
    for _ in range(2):
        candidates.fetch_summaries(plan, [version(plan.hold_out)], registry)
    assert registry.downloads == 3
    assert candidates.trained_candidates(plan) == [candidate_of("ease-tuned")]


def champions(
    plan: RetrainPlan, champion: Version, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> tuple[HoldOutResult | None, Registry]:
    registry = Registry(folder)
    monkeypatch.setattr(candidates, "open_registry", lambda _settings: registry)

    def refuse(*_: Any) -> None:
        raise AssertionError("nothing may be trained")

    monkeypatch.setattr(candidates, "fit_and_evaluate", refuse)
    settings = settings_in(plan.folder)
    return candidates.result_of_champion(plan, champion, settings, lambda _: None), registry


def test_the_champions_result_on_the_same_hold_out_is_downloaded(
    plan: RetrainPlan, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = version(plan.hold_out)
    result, _ = champions(plan, champion, monkeypatch, elsewhere)
    assert result is not None
    assert (result.name, result.users.tolist()) == (champion.name, [5, 7])


def test_a_candidate_of_the_champions_recipe_stands_for_it(
    plan: RetrainPlan, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = EaseParams(lambda_=5.0).model_dump(mode="json")
    other = store(plan, candidate_of("ease-other", **{**params, "lambda_": 6.0}))
    write_evaluation(other / EVALUATION, HoldOutResult("", ndcg=np.array([0.9, 0.9])))
    store(plan, candidate_of("ease-tuned", **params))
    champion = version("other.dir/1", **params)
    result, registry = champions(plan, champion, monkeypatch, elsewhere)
    assert result is not None
    assert result.name == "moovier_ease_1_trained_0 trained on the same data"
    assert result.ndcg.tolist() == RESULT.ndcg.tolist()
    assert registry.downloads == 0


def test_a_champion_of_a_family_that_is_gone_has_no_result(
    plan: RetrainPlan, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = version("other.dir/1", family="svd")
    assert champions(plan, champion, monkeypatch, elsewhere)[0] is None


@pytest.mark.parametrize("counts", [[], [4, 4]])
def test_without_a_user_of_five_ratings_nothing_can_be_held_out(
    plan: RetrainPlan, counts: list[int]
) -> None:
    ratings = SimpleNamespace(counts=np.array(counts, dtype=np.int64))
    data: Any = SimpleNamespace(ratings=ratings, facts=FACTS)
    with pytest.raises(InvalidData, match="toy: no user has five ratings"):
        candidates.evaluate_popularity(plan, data, cast(Any, None))
