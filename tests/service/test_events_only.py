"""A data set of events trains the ranking families, and the service gives no stars."""

from __future__ import annotations

import csv
from pathlib import Path

from moovier.jobs.retrain import retrain_all
from tests.fixtures import toy_movielens
from tests.servers import Server
from tests.service.conftest import own_settings
from tests.service.in_process import started


def without_stars(folder: Path) -> Path:
    """Turn the ratings of a folder into events."""
    ratings = folder / "ratings.csv"
    with ratings.open() as file:
        lines = [
            f"{row['userId']},{row['movieId']},"
            f"{'finished' if float(row['rating']) > 4 else 'clicked'},{row['timestamp']}"
            for row in csv.DictReader(file)
        ]
    (folder / "events.csv").write_text("\n".join(["userId,movieId,event,timestamp", *lines, ""]))
    ratings.unlink()
    return folder


def test_events_train_a_champion_without_stars(mlflow: Server, tmp_path: Path) -> None:
    settings = own_settings(mlflow, tmp_path / "home")
    folder = without_stars(toy_movielens(tmp_path / "clicks"))
    config = {"data": str(folder), "families": ["ease", "taste"], "trials": 1, "workers": 1}
    decision = retrain_all(config, lambda _: None, settings=settings)
    assert decision["promote"]
    assert decision["stars"] is None
    with started(settings) as client:
        names = client.get("/models").json()
        assert all("ease" in name for name in names)
        ready = client.get("/readyz").json()
        assert "the data set has events and no stars: lists have no stars" in ready["degraded"]
        for body in ({"user_id": 1}, {"ratings": {"1": 5, "3": 5}}):
            items = client.post("/recommend", json=body).json()["items"]
            assert {item["source"] for item in items} == {"model"}
            assert all(item["stars"] is None for item in items)
        assert client.get("/movies/1").json()["mean_stars"] is None
