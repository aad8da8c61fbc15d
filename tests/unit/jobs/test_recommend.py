from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from moovier.cli import app
from moovier.data.catalogue import Catalogue
from moovier.errors import BadRequest, UnknownModel
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.jobs.recommend import recommend
from moovier.jobs.registration import open_registry, open_tracking
from moovier.settings import Settings
from tests.fixtures import MOVIE_IDS, toy_bundle, toy_model
from tests.registry_fixtures import register
from tests.servers import free_port

NAME = "moovier_popular_1_trained_0"


@pytest.fixture
def champion(settings: Settings, tmp_path: Path) -> Settings:
    """Return settings whose registry has one champion, by popularity."""
    tracking = open_tracking(settings)
    run_id = tracking.start(NAME, retraining="k", part="fit")
    version = tracking.register(toy_model(tmp_path / "model"), NAME, run_id=run_id, key="k")
    open_registry(settings).promote(version, "the only one")
    return settings


def test_champion_recommends_unrated_movies(champion: Settings) -> None:
    result = recommend([7, 999], 10, settings=champion)
    json.dumps(result)
    assert (result["model"], result["version"], result["synthetic"]) == (NAME, 1, True)
    known, unknown = result["answers"]
    # User 7 rated movies 1 and 2. Of the others, 47 has one rating, 6 and 32 have none.
    assert [item["id"] for item in known["items"]] == [47, 6, 32]
    assert (known["source"], unknown["source"]) == ("model", "popular")
    assert {item["id"] for item in unknown["items"]} == set(MOVIE_IDS)


def test_feedback_since_the_training_counts(champion: Settings) -> None:
    with contextlib.closing(FeedbackStore.open(champion.database)) as store:
        store.add(7, [NewRating(47, 4.0, 50)])
        store.delete(7, 1)
        store.add(999, [NewRating(2, 5.0, 50)])
        store.delete(13)
    result = recommend([7, 11, 999, 13], 10, settings=champion)
    listed = {
        answer["user"]: {item["id"] for item in answer["items"]} for answer in result["answers"]
    }
    # User 7 had rated 1 and 2, user 11 movie 2, user 13 movie 47.
    assert listed == {7: {1, 6, 32}, 11: {1, 6, 32, 47}, 999: {1, 6, 32, 47}, 13: set(MOVIE_IDS)}
    sources = {answer["user"]: answer["source"] for answer in result["answers"]}
    assert sources == {7: "model", 11: "model", 999: "model", 13: "popular"}
    assert result["feedback"] is None


def test_unavailable_database_gives_the_models_lists(
    champion: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = recommend([7], 3, settings=champion)
    # A recommendation creates no database.
    assert not champion.path("moovier.db").exists()
    away = f"postgresql://moovier:s3cret@127.0.0.1:{free_port()}/moovier"
    lost = champion.model_copy(update={"database_url": SecretStr(away)})
    result = recommend([7], 3, settings=lost)
    assert result["answers"] == expected["answers"]
    assert result["feedback"] is not None
    assert "s3cret" not in result["feedback"]
    command = importlib.import_module("moovier.cli.recommend")
    monkeypatch.setattr(command, "load_settings", lambda: lost)
    command.recommend(["7"], top_k=3, as_json=True)
    output = capsys.readouterr()
    assert json.loads(output.out)["answers"] == json.loads(json.dumps(expected["answers"]))
    assert output.err.startswith("warning: the lists ignore ratings since the training")


@pytest.mark.parametrize("option", ["--json", "--csv", None])
def test_command_spells_titles_as_the_web_page(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str | None
) -> None:
    model = toy_bundle(NAME)
    omen = dataclasses.replace(model.catalogue[4], title="Omen, The")
    titled = dataclasses.replace(model, catalogue=Catalogue.of([*list(model.catalogue)[:4], omen]))
    open_registry(settings).promote(register(settings, tmp_path, titled), "the only one")
    command = importlib.import_module("moovier.cli.recommend")
    monkeypatch.setattr(command, "load_settings", lambda: settings)
    csv_file = tmp_path / "lists.csv"
    options = {"--json": ["--json"], "--csv": ["--csv", str(csv_file)], None: []}[option]
    result = CliRunner().invoke(app, ["recommend", "--user", "7", *options])
    assert result.exit_code == 0, result.output
    output = csv_file.read_text() if option == "--csv" else result.output
    assert "The Omen" in output
    assert "Omen, The" not in output


def test_invalid_arguments_are_rejected(champion: Settings) -> None:
    with pytest.raises(BadRequest, match="top_k"):
        recommend([7], 0, settings=champion)
    with pytest.raises(UnknownModel) as caught:
        recommend([7], 1, "../secret", settings=champion)
    assert caught.value.known == (NAME,)


def test_missing_champion_is_reported(settings: Settings) -> None:
    with pytest.raises(UnknownModel, match="champion"):
        recommend([7], 1, settings=settings)


def test_job_imports_no_heavy_library() -> None:
    script = (
        "import sys, moovier.cli, moovier.jobs.recommend as job\n"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'pandas', 'optuna', 'airflow', 'bentoml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
