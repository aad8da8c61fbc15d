from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from moovier.errors import BadRequest, UnknownModel
from moovier.jobs.recommend import recommend
from moovier.jobs.registration import connect, track
from moovier.settings import Settings
from tests.toys import MOVIE_IDS, toy_model

NAME = "moovier_popular_1_trained_0"


@pytest.fixture
def champion(settings: Settings, tmp_path: Path) -> Settings:
    """Settings whose registry has one champion, by popularity."""
    tracking = track(settings)
    run_id = tracking.start(NAME, retraining="k", part="fit")
    version = tracking.register(
        toy_model(tmp_path / "model"), NAME, run_id=run_id, key="k", tags={}
    )
    connect(settings).promote(version, "the only one")
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
