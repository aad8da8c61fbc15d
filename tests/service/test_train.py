"""`/train` in this process, with a fake trainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moovier.settings import Settings
from tests.service.conftest import promote, published
from tests.service.in_process import (
    BATCH,
    MODEL,
    FakeTrainer,
    InProcessClient,
    started,
)


@pytest.mark.parametrize(
    "change",
    [
        {"ratings": [float("nan"), 3]},
        {"ratings": [float("inf"), 3]},
        {"ratings": [0, 3]},
        {"ratings": [5.5, 3]},
        {"ratings": [3.3, 3]},
        {"ratings": ["three", 3]},
        {"users": []},
        {"users": [7]},
        {"users": ["seven", 7]},
        {"movies": [-1, 2]},
        {"movies": None},
        {"extra": 1},
    ],
)
def test_invalid_ratings_never_reach_the_trainer(
    client: InProcessClient, trainer: FakeTrainer, change: dict[str, Any]
) -> None:
    # httpx refuses to write NaN as JSON.
    answer = client.post(
        "/train",
        content=json.dumps({**BATCH, **change}),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text
    [field] = change
    assert field in answer.json()["detail"]
    assert trainer.calls == []


def test_lists_of_different_lengths_are_refused_with_their_lengths(client: InProcessClient) -> None:
    answer = client.post("/train", json={**BATCH, "movies": [1, 2, 3]})
    assert answer.json()["detail"] == (
        "users, movies and ratings must have the same length, not 2, 3 and 2"
    )


@pytest.mark.parametrize("query", ["validation_split=1", "validation_split=nan", "patience=0"])
def test_options_out_of_range_never_reach_the_trainer(
    client: InProcessClient, trainer: FakeTrainer, query: str
) -> None:
    assert client.post(f"/train?{query}", json=BATCH).status_code == 422
    assert trainer.calls == []


def test_train_passes_its_arguments_on_and_names_skipped_movies(
    client: InProcessClient, trainer: FakeTrainer
) -> None:
    trainer.result = {"name": "moovier_emb_3_trained_1", "version": 9, "skipped": [2437, 8265]}
    answer = client.post(
        "/train?model_name=moovier_emb_3_trained_0.h5&validation_split=0.25&patience=3", json=BATCH
    )
    assert answer.json() == "moovier_emb_3_trained_1"
    assert answer.headers["x-moovier-skipped-movies"] == "2437,8265"
    assert answer.headers["x-moovier-model-version"] == "9"
    assert trainer.calls == [
        {
            "model_name": "moovier_emb_3_trained_0",
            **BATCH,
            "validation_split": 0.25,
            "patience": 3,
        }
    ]
    client.post("/train", json=BATCH)
    assert trainer.calls[1]["model_name"] == "champion"


def test_new_models_name_is_known_at_once(settings: Settings, tmp_path: Path) -> None:
    child = "moovier_popular_1_trained_1"
    promote(settings, published(settings, tmp_path))
    # Only the training may refresh the registry.
    with started(settings, MOOVIER_REGISTRY_POLL_S="600") as client:
        assert client.post(f"/predict?model_name={child}", json=[7]).status_code == 404
        published(settings, tmp_path, child)
        result = {"name": child, "version": 2, "skipped": []}
        client.state.trainer = FakeTrainer(result)
        assert client.post("/train", json=BATCH).json() == child
        assert client.get("/models").json() == [child, MODEL]
        assert client.post(f"/predict?model_name={child}", json=[7]).status_code == 200


def test_trainers_errors_become_error_responses(
    client: InProcessClient, trainer: FakeTrainer
) -> None:
    from bentoml.exceptions import BentoMLException, ServiceUnavailable

    # BentoML's types are skipped: importing them all takes mypy minutes.
    class TooManyRequests(BentoMLException):  # type: ignore[misc]
        error_code: Any = 429

    class TimedOut(BentoMLException):  # type: ignore[misc]
        error_code: Any = 504

    for result, status in (
        ({"status": 404, "detail": "unknown model"}, 404),
        ({"status": 422, "detail": "none of the movies"}, 422),
        (TooManyRequests("Too many requests"), 429),
        (TimedOut("late"), 504),
        (ServiceUnavailable("gone"), 503),
        (BentoMLException("secret trace"), 503),
        (ConnectionRefusedError("/tmp/uds/secret.sock"), 503),
    ):
        trainer.result = result
        answer = client.post("/train", json=BATCH)
        assert answer.status_code == status
        assert answer.json().keys() == {"detail"}
        assert ("retry-after" in answer.headers) == (status in (429, 503))
        assert "secret" not in answer.text
