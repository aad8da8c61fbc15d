from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from moovier.errors import BadRequest, UnknownModel
from moovier.feedback.store import FeedbackStore, NewRating
from moovier.jobs.recommend import recommend
from moovier.jobs.registration import open_registry, open_tracking
from moovier.settings import Settings
from tests.fixtures import MOVIE_IDS, toy_model
from tests.servers import free_port

NAME = "moovier_popular_1_trained_0"


@pytest.fixture
def champion(settings: Settings, tmp_path: Path) -> Settings:
    """Settings whose registry has one champion, by popularity."""
    tracking = open_tracking(settings)
    run_id = tracking.start(NAME, retraining="k", part="fit")
    version = tracking.register(
        toy_model(tmp_path / "model"), NAME, run_id=run_id, key="k", tags={}
    )
    open_registry(settings).promote(version, "the only one")
    return settings


def test_the_champion_answers_and_leaves_out_what_was_seen(champion: Settings) -> None:
    found = recommend([7, 999], 10, settings=champion)
    json.dumps(found)
    assert (found["model"], found["version"], found["synthetic"]) == (NAME, 1, True)
    known, unknown = found["answers"]
    # User 7 rated movies 1 and 2; of the rest, 47 is rated once and 6 and 32 never.
    assert [item["id"] for item in known["items"]] == [47, 6, 32]
    assert (known["source"], unknown["source"]) == ("model", "popular")
    assert {item["id"] for item in unknown["items"]} == set(MOVIE_IDS)


def test_what_was_said_since_counts(champion: Settings) -> None:
    with contextlib.closing(FeedbackStore.open(champion.database)) as store:
        store.add(7, [NewRating(47, 4.0, 50)])
        store.delete(7, 1)
        store.add(999, [NewRating(2, 5.0, 50)])
        store.delete(13)
    found = recommend([7, 11, 999, 13], 10, settings=champion)
    listed = {one["user"]: {item["id"] for item in one["items"]} for one in found["answers"]}
    # User 7 had rated 1 and 2, user 11 movie 2, user 13 movie 47.
    assert listed == {7: {1, 6, 32}, 11: {1, 6, 32, 47}, 999: {1, 6, 32, 47}, 13: set(MOVIE_IDS)}
    sources = {one["user"]: one["source"] for one in found["answers"]}
    assert sources == {7: "model", 11: "model", 999: "model", 13: "popular"}
    assert found["feedback"] is None


def test_without_a_database_lists_are_the_model_s(
    champion: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = recommend([7], 3, settings=champion)
    # Asking makes no database where there is none.
    assert not champion.path("moovier.db").exists()
    away = f"postgresql://moovier:s3cret@127.0.0.1:{free_port()}/moovier"
    lost = champion.model_copy(update={"database_url": SecretStr(away)})
    found = recommend([7], 3, settings=lost)
    assert found["answers"] == plain["answers"]
    assert found["feedback"] is not None
    assert "s3cret" not in found["feedback"]
    command = importlib.import_module("moovier.cli.recommend")
    monkeypatch.setattr(command, "load_settings", lambda: lost)
    command.recommend([7], top_k=3, as_json=True)
    said = capsys.readouterr()
    assert json.loads(said.out)["answers"] == json.loads(json.dumps(plain["answers"]))
    assert said.err.startswith("warning: without what was rated since")


def test_what_makes_no_sense_is_refused(champion: Settings) -> None:
    with pytest.raises(BadRequest, match="top_k"):
        recommend([7], 0, settings=champion)
    with pytest.raises(UnknownModel) as caught:
        recommend([7], 1, "../secret", settings=champion)
    assert caught.value.known == (NAME,)


def test_without_a_champion_it_says_so(settings: Settings) -> None:
    with pytest.raises(UnknownModel, match="champion"):
        recommend([7], 1, settings=settings)


def test_it_imports_nothing_heavy() -> None:
    script = (
        "import sys, moovier.cli, moovier.jobs.recommend as job\n"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'pandas', 'optuna', 'airflow', 'bentoml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
