from __future__ import annotations

import base64
import re
from pathlib import Path

import optuna
import pytest

from moovier.models.bundle import DataFacts
from moovier.report import page, plots
from moovier.report.examples import EXAMPLES
from moovier.report.model_report import ModelReport, best_first

PNG = b"\x89PNG\r\n"
FACTS = DataFacts(name="toy", hash="toy.dir", synthetic=True, ratings=1200, users=60, movies=40)


def write_page(
    folder: Path, models: list[ModelReport], facts: DataFacts = FACTS, promoted: bool = True
) -> str:
    models = best_first(models)
    file = page.write(
        folder,
        key="by hand <1>",
        data=facts,
        models=models,
        chosen="moovier_ease_1_trained_0",
        kind="default",
        reasons=["visitor: NDCG@10 1 & more"],
        promoted=promoted,
        stars_reason="no rating model was trained",
        plots=plots.of_models(models),
        tuning={"ease": plots.tuning(study(5)), "emb": plots.tuning(study(0))},
    )
    return file.read_text(encoding="utf-8")


def study(trials: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    new_study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    new_study.optimize(
        lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 0.1), trials
    )
    return new_study


def row_of(text: str, heading: str, name: str) -> list[str]:
    """Return the cells of a model's row in the first table after a heading, without tags."""
    section = text[text.index(heading) :]
    row = next(
        part for part in re.findall(r"<tr[^>]*>(.*?)</tr>", section, re.DOTALL) if name in part
    )
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in cells]


def test_page_is_self_contained(ease: ModelReport, popularity: ModelReport, tmp_path: Path) -> None:
    text = write_page(tmp_path, [ease, popularity])
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!data:image/png;base64,)', text)
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    # Five plots of all models, one of learning curves, history and importances of a study.
    assert len(embedded) == 8
    assert all(base64.b64decode(content).startswith(PNG) for content in embedded)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "coverage.png",
        "order_audit.png",
        "quality.png",
        "report.html",
        "segments.png",
        "visitors.png",
    ]


def test_models_table_has_both_protocols_with_intervals(
    ease: ModelReport, popularity: ModelReport, tmp_path: Path
) -> None:
    assert ease.visitor is not None
    assert ease.next_visit is not None
    text = write_page(tmp_path, [popularity, ease])
    cells = row_of(text, "<h2>Models", "moovier_ease_1_trained_0")
    visitor, next_visit = ease.visitor, ease.next_visit
    assert cells[1:7] == [
        f"{visitor.ndcg.mean:.4f}",
        f"{visitor.ndcg.low:.3f}–{visitor.ndcg.high:.3f}",
        f"{visitor.debiased:.4f}",
        f"{next_visit.ndcg.mean:.4f}",
        f"{next_visit.ndcg.low:.3f}–{next_visit.ndcg.high:.3f}",
        f"{next_visit.metrics['debiased_ndcg_at_10']:.4f}",
    ]
    assert f"visitors</strong> ({visitor.ndcg.people} users)" in text
    assert text.index("moovier_ease_1_trained_0 <small>") < text.index("popularity <small>")


def test_page_has_visitors_by_k_order_audit_and_splits_of_papers(
    ease: ModelReport, tmp_path: Path
) -> None:
    text = write_page(tmp_path, [ease])
    assert ease.visitor is not None
    by_k = row_of(text, "<h2>Visitors, by number", ease.name)
    # Each toy user has 20 ratings, so none can bring 20 and have ten more.
    assert by_k[1:] == [*(f"{ease.visitor.by_k[k].mean:.4f}" for k in (0, 1, 3, 5, 10)), "–"]
    assert ease.order_audit is not None
    audit = row_of(text, "<h2>Order audit", ease.name)
    assert audit[1] == f"{ease.order_audit.as_rated:.4f}"
    assert audit[5] == f"{ease.order_audit.overlap_shuffled:.3f}"
    assert ease.by_time is not None
    assert ease.global_time is not None
    papers = row_of(text, "<h2>For comparison with papers", ease.name)
    assert papers[1] == f"{ease.by_time.ndcg.mean:.4f}"
    assert papers[5] == f"{ease.global_time.ndcg.mean:.4f}"


def test_page_escapes_text_and_marks_synthetic_data(ease: ModelReport, tmp_path: Path) -> None:
    text = write_page(tmp_path, [ease])
    assert "moovier_ease_1_trained_0 is the new champion" in text
    assert "by hand &lt;1&gt;" in text
    assert "1 &amp; more" in text
    assert "SYNTHETIC" in text
    real = FACTS.model_copy(update={"synthetic": False})
    kept_back = write_page(tmp_path, [ease], real, promoted=False)
    assert "SYNTHETIC" not in kept_back
    assert "moovier_ease_1_trained_0 was kept back" in kept_back


def test_page_has_the_challengers_examples(ease: ModelReport, tmp_path: Path) -> None:
    assert write_page(tmp_path, [ease]).count("<section") == EXAMPLES


def test_model_without_any_protocol_has_dashes(ease: ModelReport, tmp_path: Path) -> None:
    bare = ModelReport(name="bare", kind="default", fit_s=1.0)
    text = write_page(tmp_path, [ease, bare])
    assert "fewer than 20 users" not in text
    assert row_of(text, "<h2>Models", "bare") == ["bare default", *["–"] * 8, "1.0"]
    alone = write_page(tmp_path / "alone", [bare])
    assert "fewer than 20 users decides nothing" in alone
    assert "Order audit" not in alone
    assert "For comparison with papers" not in alone
    assert "Coverage" not in alone
    assert "Fine-tuning" not in alone


def test_rating_model_has_stars_and_no_order_audit(
    ease: ModelReport, popularity: ModelReport, tmp_path: Path
) -> None:
    rating = popularity.model_copy(
        update={
            "name": "moovier_taste_8_trained_0",
            "order_audit": None,
            "by_time": None,
            "global_time": None,
            "stars": {"rmse": 0.79, "mae": 0.6},
        }
    )
    text = write_page(tmp_path, [ease, rating])
    assert row_of(text, "<h2>Models", rating.name)[7:9] == ["0.7900", "0.6000"]
    papers = text[text.index("<h2>For comparison") : text.index("<h2>Next visit")]
    assert rating.name not in papers


@pytest.mark.parametrize("plot", ["visitors", "quality", "segments", "coverage"])
def test_plots_without_values_are_drawn(plot: str) -> None:
    bare = [ModelReport(name="bare", kind="default", fit_s=1.0)]
    assert plots.of_models(bare)[plot].startswith(PNG)
