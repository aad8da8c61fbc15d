from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from moovier.errors import BadRequest, DataUnavailable, InvalidData, MoovierError, RegistryError
from moovier.jobs.evaluate import EvaluationReport, evaluate
from moovier.jobs.registration import open_registry, open_tracking, record_of
from moovier.settings import Settings
from tests.fixtures import toy_bundle, toy_model, toy_movielens
from tests.servers import free_port

NAME = "moovier_ease_1_trained_0"
RECIPE = {"size": 1, "lambda_": 7.5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data set with 20 ratings per user, enough for visitors and next visits."""
    return toy_movielens(tmp_path / "toy", users=120, movies=80)


@pytest.fixture
def offline(tmp_path: Path) -> Settings:
    """Return settings whose registry does not answer."""
    return Settings(
        home=tmp_path / "home", mlflow_tracking_uri=f"http://127.0.0.1:{free_port()}", seed=3
    )


@pytest.fixture
def registered(settings: Settings, tmp_path: Path) -> Settings:
    """Return settings whose registry has a champion, by EASE."""
    register(settings, tmp_path, "ease", RECIPE)
    return settings


def register(settings: Settings, tmp_path: Path, family: str, params: Mapping[str, object]) -> None:
    tracking = open_tracking(settings)
    run_id = tracking.start(NAME, retraining="k", part="fit")
    folder = toy_model(tmp_path / "model", NAME)
    card = toy_bundle(NAME).card.model_copy(update={"family": family, "params": params})
    version = tracking.register(folder, NAME, run_id=run_id, key="k", record=record_of(card))
    open_registry(settings).promote(version, "the only one")


def test_default_recipes_need_no_registry(folder: Path, offline: Settings) -> None:
    steps: list[str] = []
    report = evaluate(
        data=str(folder),
        families=["popular", "ease", "ease"],
        settings=offline,
        on_progress=steps.append,
    )
    assert (report.model, report.version, report.seed, report.split_seed) == (None, None, 3, 0)
    assert (report.data.users, report.data.ratings) == (120, 2400)
    # EASE learns the two groups of users, popularity does not; best first.
    assert [(model.name, model.kind) for model in report.models[:1]] == [("ease", "default")]
    assert {(model.name, model.kind) for model in report.models[1:]} == {
        ("popularity", "baseline"),
        ("popular, 30 days", "baseline"),
        ("trending, 30 days", "baseline"),
    }
    ease = report.models[0]
    assert ease.visitor is not None
    assert ease.visitor.ndcg.people == 24
    assert ease.next_visit is not None
    assert ease.order_audit is not None
    assert ease.by_time is not None
    assert ease.global_time is not None
    assert "ease: next visit" in steps
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_split_seed_changes_the_held_out_users(folder: Path, offline: Settings) -> None:
    def visitors(split_seed: int) -> float:
        report = evaluate(
            data=str(folder), families=["popular"], split_seed=split_seed, settings=offline
        )
        (popularity,) = [model for model in report.models if model.name == "popularity"]
        assert popularity.visitor is not None
        return popularity.visitor.ndcg.mean

    assert visitors(0) == visitors(0)
    assert visitors(0) != visitors(1)


@pytest.mark.parametrize("text", [NAME, "1", "champion"])
def test_recipe_of_a_registered_model_is_evaluated_beside_popularity(
    registered: Settings, folder: Path, text: str
) -> None:
    report = evaluate(text, data=str(folder), settings=registered)
    assert (report.model, report.version) == (NAME, 1)
    assert report.models[0].name == NAME
    names = {model.name for model in report.models[1:]}
    assert names == {"popularity", "popular, 30 days", "trending, 30 days"}
    assert report.models[0].params["lambda_"] == RECIPE["lambda_"]
    assert report.models[0].metrics["visitor_ndcg_at_10"] > 0


@pytest.mark.parametrize(
    ("family", "params", "reason"),
    [
        ("vae", {"size": 4}, "unknown family 'vae'"),
        ("ease", {"size": 1, "gone": 2}, "hyper-parameters of 'ease' have changed (gone)"),
    ],
)
def test_recipe_that_can_no_longer_be_trained_is_rejected(
    settings: Settings,
    tmp_path: Path,
    folder: Path,
    family: str,
    params: dict[str, object],
    reason: str,
) -> None:
    register(settings, tmp_path, family, params)
    with pytest.raises(RegistryError, match="can no longer be trained") as caught:
        evaluate("champion", data=str(folder), settings=settings)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"families": ["nope"]}, BadRequest),
        ({"model": "champion", "families": ["ease"]}, BadRequest),
        ({"data": "/no/such/folder", "families": ["popular"]}, DataUnavailable),
        ({"model": "champion"}, RegistryError),
    ],
)
def test_invalid_requests_are_rejected(
    offline: Settings, options: dict[str, object], error: type[MoovierError]
) -> None:
    with pytest.raises(error):
        evaluate(settings=offline, **options)  # type: ignore[arg-type]


def test_data_set_without_users_to_hold_out_is_rejected(offline: Settings, tmp_path: Path) -> None:
    folder = toy_movielens(tmp_path / "one", users=1, movies=6)
    with pytest.raises(InvalidData, match="no user can be held out"):
        evaluate(data=str(folder), families=["popular"], settings=offline)


def test_rating_family_has_stars(folder: Path, offline: Settings) -> None:
    report = evaluate(data=str(folder), families=["taste"], settings=offline)
    assert set(report.models[0].stars) == {"rmse", "mae"}
    assert report.models[0].order_audit is None
    assert json.loads(report.model_dump_json())["models"][0]["stars"]["rmse"] > 0
