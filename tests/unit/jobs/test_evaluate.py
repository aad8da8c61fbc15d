from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from moovier.errors import BadRequest, DataUnavailable, InvalidData, MoovierError, RegistryError
from moovier.jobs.evaluate import EvaluationReport, evaluate
from moovier.jobs.registration import open_registry, open_tracking, tags_of
from moovier.settings import Settings
from tests.fixtures import toy_bundle, toy_model, toy_movielens
from tests.servers import free_port

NAME = "moovier_ease_1_trained_0"
RECIPE = {"size": 1, "lambda_": 7.5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """20 ratings per person: enough for visitors and for next visits."""
    return toy_movielens(tmp_path / "toy", users=120, movies=80)


@pytest.fixture
def offline(tmp_path: Path) -> Settings:
    """Settings whose registry cannot be reached."""
    return Settings(
        home=tmp_path / "home", mlflow_tracking_uri=f"http://127.0.0.1:{free_port()}", seed=3
    )


@pytest.fixture
def registered(settings: Settings, tmp_path: Path) -> Settings:
    """Settings whose registry has a champion, by EASE."""
    register(settings, tmp_path, "ease", RECIPE)
    return settings


def register(settings: Settings, tmp_path: Path, family: str, params: Mapping[str, object]) -> None:
    tracking = open_tracking(settings)
    run_id = tracking.start(NAME, retraining="k", part="fit")
    folder = toy_model(tmp_path / "model", NAME)
    card = toy_bundle(NAME).card.model_copy(update={"family": family, "params": params})
    version = tracking.register(folder, NAME, run_id=run_id, key="k", tags=tags_of(card, {}))
    open_registry(settings).promote(version, "the only one")


def test_default_recipes_need_no_registry(folder: Path, offline: Settings) -> None:
    steps: list[str] = []
    found = evaluate(
        data=str(folder),
        families=["popular", "ease", "ease"],
        settings=offline,
        on_progress=steps.append,
    )
    assert (found.model, found.version, found.seed, found.split_seed) == (None, None, 3, 0)
    assert (found.data.users, found.data.ratings) == (120, 2400)
    # EASE sees the two crowds, popularity does not; best first.
    assert [(one.name, one.kind) for one in found.models] == [
        ("ease", "default"),
        ("popularity", "baseline"),
    ]
    ease = found.models[0]
    assert ease.visitor is not None
    assert ease.visitor.ndcg.people == 24
    assert ease.next_visit is not None
    assert ease.order_audit is not None
    assert ease.by_time is not None
    assert ease.global_time is not None
    assert "ease: next visit" in steps
    assert EvaluationReport.model_validate_json(found.model_dump_json()) == found


def test_the_split_seed_holds_out_other_people(folder: Path, offline: Settings) -> None:
    def visitors(split_seed: int) -> float:
        found = evaluate(
            data=str(folder), families=["popular"], split_seed=split_seed, settings=offline
        )
        assert found.models[0].visitor is not None
        return found.models[0].visitor.ndcg.mean

    assert visitors(0) == visitors(0)
    assert visitors(0) != visitors(1)


@pytest.mark.parametrize("text", [NAME, "1", "champion"])
def test_a_registered_models_recipe_is_evaluated_beside_popularity(
    registered: Settings, folder: Path, text: str
) -> None:
    found = evaluate(text, data=str(folder), settings=registered)
    assert (found.model, found.version) == (NAME, 1)
    assert [one.name for one in found.models] == [NAME, "popularity"]
    assert found.models[0].params["lambda_"] == RECIPE["lambda_"]
    assert found.models[0].metrics["visitor_ndcg_at_10"] > 0


@pytest.mark.parametrize(
    ("family", "params", "reason"),
    [
        ("vae", {"size": 4}, "unknown family 'vae'"),
        ("ease", {"size": 1, "gone": 2}, "hyper-parameters of 'ease' have changed (gone)"),
    ],
)
def test_a_recipe_that_can_no_longer_be_trained_is_refused(
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
def test_bad_requests_are_refused(
    offline: Settings, options: dict[str, object], error: type[MoovierError]
) -> None:
    with pytest.raises(error):
        evaluate(settings=offline, **options)  # type: ignore[arg-type]


def test_a_data_set_in_which_nobody_can_be_held_out_is_refused(
    offline: Settings, tmp_path: Path
) -> None:
    folder = toy_movielens(tmp_path / "one", users=1, movies=6)
    with pytest.raises(InvalidData, match="nobody can be held out"):
        evaluate(data=str(folder), families=["popular"], settings=offline)


def test_a_rating_family_has_stars(folder: Path, offline: Settings) -> None:
    found = evaluate(data=str(folder), families=["taste"], settings=offline)
    assert set(found.models[0].stars) == {"rmse", "mae"}
    assert found.models[0].order_audit is None
    assert json.loads(found.model_dump_json())["models"][0]["stars"]["rmse"] > 0
