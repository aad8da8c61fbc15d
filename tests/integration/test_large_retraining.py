"""A retraining of data that count as large runs end to end, with shared sums and fewer fits."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.jobs import retrain
from moovier.models import item_statistics
from moovier.settings import Settings
from moovier.training import budget, fit, protocols
from tests.servers import Server

DAY_S = 86_400


def visits(folder: Path) -> Path:
    """Write ratings of 130 users with two visits each: 20 ratings, a pause, and 10 ratings."""
    random = np.random.default_rng(0)
    folder.mkdir()
    lines = ["userId,movieId,rating,timestamp"]
    for user in range(1, 131):
        for place, movie in enumerate(random.permutation(60)[:30].tolist()):
            moment = user * 100 + place + (40 * DAY_S if place >= 20 else 0)
            lines.append(f"{user},{movie + 1},{random.integers(7, 11) / 2},{moment}")
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    movies = ["movieId,title,genres", *(f"{n},Movie {n} (1990),Drama" for n in range(1, 61))]
    (folder / "movies.csv").write_text("\n".join(movies) + "\n")
    return folder


pytestmark = pytest.mark.timeout(900)


def test_large_data_share_sums_and_fit_each_recipe_three_times(
    mlflow: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "LARGE", 100)
    monkeypatch.setitem(budget.MOST_TRIALS, "ease", 6)
    monkeypatch.setitem(budget.MOST_TRIALS, "dae", 1)
    solved: list[float] = []
    refits: list[str] = []
    solve, refit = item_statistics.solve_gram, fit.refit

    def counted_solve(gram: Any, lambda_: float) -> Any:
        solved.append(lambda_)
        return solve(gram, lambda_)

    def counted_refit(ratings: Ratings, family: str, *given: Any, **named: Any) -> Any:
        refits.append(family)
        return refit(ratings, family, *given, **named)

    monkeypatch.setattr(item_statistics, "solve_gram", counted_solve)
    monkeypatch.setattr(protocols, "refit", counted_refit)
    own = f"moovier-{uuid.uuid4().hex[:8]}"
    settings = Settings(
        home=tmp_path / "home",
        data=str(visits(tmp_path / "data")),
        mlflow_tracking_uri=mlflow.address,
        registered_model=own,
        experiment=own,
        first_run_trials=8,
        train_threads=1,
    )
    plan = retrain.tune_all({"families": ["dae", "ease"]}, print, settings=settings)
    assert plan["budgets"] == {"dae": 1, "ease": 6}
    assert plan["hold_out"].endswith("-sampled")
    assert any("fewer trials than 8" in note for note in plan["notes"])
    # One solution for each penalty of the grid; seven trials share them.
    assert 1 <= len(solved) <= 3
    # Popularity was evaluated too.
    refits.clear()
    trained = [
        candidate
        for family in plan["families"]
        for candidate in retrain.train(plan, family, settings=settings)
    ]
    assert len(refits) == len(trained) == 2
    for candidate in trained:
        grid = plan["grids"][candidate["recipe"]["family"]]
        assert candidate["recipe"]["params"]["lambda_"] in grid["lambda_"]
        metrics = candidate["card"]["metrics"]
        assert {"visitor_ndcg_at_10", "next_visit_ndcg_at_10"} <= metrics.keys()
        assert "ndcg_at_10" not in metrics
    versions = retrain.register(plan, trained, settings=settings)
    decision = retrain.gate(plan, versions, settings=settings)
    retrain.promote(plan, decision, settings=settings)
    assert not list(settings.path("retrain").rglob("statistics/*"))
