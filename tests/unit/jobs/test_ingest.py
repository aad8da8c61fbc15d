from __future__ import annotations

import json
from pathlib import Path

import pytest

from moovier.errors import DataError, DataUnavailable, InvalidData
from moovier.jobs import ingest
from moovier.settings import Settings
from tests.fixtures import toy_movielens


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_pulled_data_set_is_validated_and_reported(settings: Settings, tmp_path: Path) -> None:
    folder = toy_movielens(tmp_path / "data")
    pulled = ingest.pull(str(folder), settings=settings)
    json.dumps(pulled)
    assert (pulled["folder"], pulled["synthetic"]) == (str(folder), False)
    report = ingest.validate(pulled, settings=settings)
    assert (report["ratings"], report["users"], report["movies"]) == (600, 60, 40)
    assert json.loads(Path(report["report"]).read_text()) == report


def test_invalid_rows_are_rejected_and_reported(settings: Settings, tmp_path: Path) -> None:
    folder = toy_movielens(tmp_path / "data")
    with (folder / "ratings.csv").open("a") as ratings:
        ratings.write("1,1,7.5,1000000\n")
    pulled = ingest.pull(str(folder), settings=settings)
    with pytest.raises(InvalidData):
        ingest.validate(pulled, settings=settings)
    (file,) = settings.path("ingest").iterdir()
    (problem,) = json.loads(file.read_text())["problems"]
    assert "row 602" in problem


def test_allowed_share_of_invalid_rows_is_set_aside(tmp_path: Path) -> None:
    folder = toy_movielens(tmp_path / "data")
    with (folder / "ratings.csv").open("a") as ratings:
        ratings.write("1,1,7.5,1000000\n")
    settings = Settings(home=tmp_path / "home", bad_rows_share=0.01)
    report = ingest.validate(ingest.pull(str(folder), settings=settings), settings=settings)
    assert report["ratings"] == 600
    (line,) = report["set_aside"]
    assert "row 602" in line


def test_missing_folder_is_reported(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        ingest.pull(str(tmp_path / "nowhere"), settings=settings)


@pytest.mark.parametrize(
    ("data", "source", "synthetic", "refused"),
    [
        (None, "sample", "false", True),
        ("auto", "sample", "false", True),
        ("sample", "sample", "false", False),
        (None, "sample", "true", False),
        (None, "remote", "false", False),
    ],
)
def test_sample_does_not_replace_the_ratings_of_a_real_champion(
    settings: Settings, data: str | None, source: str, synthetic: str, refused: bool
) -> None:
    pulled = ingest.Pulled(
        name="n", folder="f", hash="h", synthetic=source == "sample", source=source, note=""
    )
    if refused:
        with pytest.raises(DataUnavailable, match=r"trained on real ratings.*choose `sample`"):
            ingest.check_sample(pulled, {"synthetic": synthetic}, data, settings)
    else:
        ingest.check_sample(pulled, {"synthetic": synthetic}, data, settings)
