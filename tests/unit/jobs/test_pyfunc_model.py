"""A registered model works with MLflow's own functions, where Moovier is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from moovier.jobs.registration import write_model
from moovier.models import bundle
from moovier.serving.recommender import Recommender
from tests.fixtures import toy_bundle

_PREDICT = """
    import json, sys
    import mlflow, pandas

    model = mlflow.pyfunc.load_model(sys.argv[1])
    users = model.predict(pandas.DataFrame({"user_id": [7, 999]}), params={"top_k": 2})
    rated = [[{"movie_id": 1, "stars": 5}], []]
    ratings = model.predict(pandas.DataFrame({"ratings": rated}))
    try:
        model.predict(pandas.DataFrame({"person": [1]}))
    except Exception as error:
        refused = [str(error)]
    for rating in ({"movie_id": 1}, {"movie_id": 1, "stars": 9}):
        try:
            model.predict(pandas.DataFrame({"ratings": [[rating]]}))
        except Exception as error:
            refused.append(str(error))
    import moovier

    print(json.dumps({
        "users": users.to_dict("records"), "ratings": ratings.to_dict("records"),
        "refused": refused, "code": moovier.__file__,
        "example": len(model.predict(model.input_example)),
    }))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "model", toy_bundle(), None)


@pytest.fixture(scope="module")
def answers(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answers of the model in a process that imports no Moovier of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_PREDICT), str(saved)],
        env=environment,
        cwd=tmp_path_factory.mktemp("elsewhere"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_function_recommends_to_users_as_the_service_does(answers: dict[str, Any]) -> None:
    expected = Recommender(toy_bundle()).recommend([7, 999], 2)
    assert answers["users"] == [
        {
            "movie_ids": [item.movie.id for item in answer.items],
            "titles": [item.movie.title for item in answer.items],
            "scores": [item.score for item in answer.items],
        }
        for answer in expected
    ]


def test_function_recommends_to_anybody_by_ratings(answers: dict[str, Any]) -> None:
    rater, newcomer = answers["ratings"]
    assert 1 not in rater["movie_ids"]
    assert newcomer["movie_ids"][:2] == [2, 1]


def test_function_names_the_columns_that_it_takes(answers: dict[str, Any]) -> None:
    assert "'user_id' or 'ratings'" in answers["refused"][0]


def test_function_says_what_is_wrong_with_a_rating(answers: dict[str, Any]) -> None:
    assert "{'movie_id': 1} must be an object" in answers["refused"][1]
    assert "from 0.5 to 5, not 9.0" in answers["refused"][2]


def test_function_brings_its_code_and_an_example(saved: Path, answers: dict[str, Any]) -> None:
    assert Path(answers["code"]).is_relative_to(saved / "code")
    assert answers["example"] == 2


def test_saved_model_has_pinned_requirements_and_no_pickle(saved: Path) -> None:
    required = (saved / "requirements.txt").read_text().split()
    assert all("==" in line for line in required)
    assert any(line.startswith("mlflow==") for line in required)
    names = [path.name for path in saved.rglob("*") if path.is_file()]
    assert not [name for name in names if "pickle" in name or name.endswith(".pkl")]
    assert str(Path(__file__).parents[3]) not in (saved / "MLmodel").read_text()


def test_service_reads_the_same_bundle(saved: Path) -> None:
    assert bundle.load(saved / "bundle").card.name == toy_bundle().card.name


def test_keras_model_is_loaded_from_the_same_folder(tmp_path: Path) -> None:
    import keras
    import mlflow.keras

    rows = keras.Input((1,), name="users", dtype="int32")
    model = keras.Model([rows], keras.layers.Embedding(5, 2)(rows), name="toy")
    folder = write_model(tmp_path / "model", toy_bundle(), model)
    assert mlflow.keras.load_model(str(folder)).name == "toy"
    assert (folder / "data" / "model.keras").is_file()
    function = mlflow.pyfunc.load_model(str(folder))
    assert list(function.predict(function.input_example)) == ["movie_ids", "titles", "scores"]
