from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import optuna
import pytest

from moovier.data.split import time_split
from moovier.models.bundle import DataFacts
from moovier.models.families import family
from moovier.report import page, pictures
from moovier.report.figures import EXAMPLES, Figures, examples
from moovier.training import fit
from tests.contracts import toy

PNG = b"\x89PNG\r\n"
CURVES = {"loss": [0.9, 0.8], "val_loss": [0.95, 0.9]}
FACTS = DataFacts(name="toy", hash="toy.dir", synthetic=True, ratings=96, users=12, movies=17)


@pytest.fixture(scope="module")
def figures() -> Figures:
    """EASE on the toy, judged for real."""
    ratings, catalogue = toy.ratings(), toy.catalogue()
    kind = family("ease")
    params = kind.hyper_parameters.model_validate(toy.PARAMS["ease"])
    trained = fit.train(time_split(ratings), "ease", params, catalogue=catalogue, seed=0, threads=1)
    judged = fit.judge(trained, ratings, catalogue=catalogue)
    return Figures.of(
        "moovier_ease_1_trained_0",
        "default",
        judged,
        curves=CURVES,
        examples=examples(
            kind.scorer(trained.fitted.arrays),
            ratings.histories,
            list(range(100, 112)),
            catalogue,
        ),
    )


def written(folder: Path, figures: Figures, facts: DataFacts = FACTS) -> str:
    models = [figures]
    file = page.write(
        folder,
        key="by hand <1>",
        data=facts,
        models=models,
        chosen=figures.name,
        kind=figures.kind,
        reasons=["known users: NDCG@10 1 & more"],
        promoted=True,
        stars_reason="no rating model was trained",
        pictures={
            "quality": pictures.quality(models),
            "segments": pictures.segments(models),
            "coverage": pictures.coverage(models),
        },
        tuning={"ease": pictures.tuning(study(5)), "emb": pictures.tuning(study(0))},
    )
    return file.read_text(encoding="utf-8")


def study(trials: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found.optimize(
        lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 0.1), trials
    )
    return found


def test_the_page_stands_alone(figures: Figures, tmp_path: Path) -> None:
    text = written(tmp_path, figures)
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!data:image/png;base64,)', text)
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    # Three pictures of all models, one of learning curves, history and importances of a study.
    assert len(embedded) == 6
    assert all(base64.b64decode(one).startswith(PNG) for one in embedded)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "coverage.png",
        "quality.png",
        "report.html",
        "segments.png",
    ]


def test_the_page_says_what_came_out(figures: Figures, tmp_path: Path) -> None:
    text = written(tmp_path, figures)
    assert "moovier_ease_1_trained_0 is the new champion" in text
    assert f"{figures.known.metrics['ndcg_at_10']:.4f}" in text
    assert "by hand &lt;1&gt;" in text
    assert "1 &amp; more" in text
    assert "SYNTHETIC" in text
    real = FACTS.model_copy(update={"synthetic": False})
    assert "SYNTHETIC" not in written(tmp_path, figures, real)


def test_a_dozen_people_with_what_they_get_and_why(figures: Figures, tmp_path: Path) -> None:
    assert len(figures.examples) == EXAMPLES
    first = next(one for one in figures.examples if one.user == 100)
    rated = {title for title, _ in first.rated}
    assert first.given[0].title == f"Movie {toy.MOVIE_IDS[toy.held_out(0)]} (1995)"
    assert not rated & {one.title for one in first.given}
    assert first.given[0].because is not None
    assert written(tmp_path, figures).count("<section") == EXAMPLES


def test_figures_survive_json(figures: Figures) -> None:
    assert Figures.model_validate_json(figures.model_dump_json()) == figures


def test_a_recipe_judged_on_nobody_new_has_no_such_row(tmp_path: Path, figures: Figures) -> None:
    alone = figures.model_copy(update={"new": None, "gap": None})
    assert "<td>–</td><td>–</td>" in written(tmp_path, alone)


def test_nobody_with_ratings_gives_no_example() -> None:
    none = toy.ratings().take(np.zeros(0, dtype=np.int64))
    scorer = family("popular").scorer({"counts": np.ones(toy.N_MOVIES)})
    assert examples(scorer, none.histories, list(range(12)), toy.catalogue()) == []
