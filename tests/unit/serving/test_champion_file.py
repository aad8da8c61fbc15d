"""The models served last are loaded from the disk, each part by itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moovier.experiments.experiment import Experiment
from moovier.models import bundle
from moovier.serving import champion_file
from moovier.serving.bundle_loader import LoadedModel, load
from moovier.serving.experiment_routing import ActiveExperiment
from tests.fixtures import toy_bundle

ONE, TWO, THREE = (f"moovier_popular_{size}_trained_0" for size in (1, 2, 3))
PLAN = Experiment(id="autumn", mode="canary", share=0.5, started_at=1, salt="x")


def model(folder: Path, number: int, name: str) -> LoadedModel:
    place = folder / f"{number}-run"
    bundle.save(toy_bundle(name), place)
    return load(place, number, name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a champion, a rating model and a running experiment."""
    folder = tmp_path / "bundles"
    champion, stars, challenger = (
        model(folder, number, name) for number, name in ((1, ONE), (2, TWO), (3, THREE))
    )
    experiment = ActiveExperiment.of(PLAN, champion, challenger)
    champion_file.write(folder, [THREE, TWO, ONE], champion, stars, experiment)
    return folder


def test_everything_is_restored(folder: Path) -> None:
    restored = champion_file.restore(folder)
    assert restored.names == [THREE, TWO, ONE]
    assert restored.champion is not None
    assert restored.stars is not None
    assert restored.experiment is not None
    assert (restored.champion.number, restored.champion.name, restored.champion.key) == (
        1,
        ONE,
        "1-run",
    )
    assert restored.stars.number == 2
    assert restored.experiment.plan == PLAN
    assert restored.experiment.champion is restored.champion
    assert (restored.experiment.challenger.number, restored.experiment.key) == (3, PLAN.key(1, 3))


def test_nothing_is_restored_without_the_file(tmp_path: Path) -> None:
    assert champion_file.restore(tmp_path) == champion_file.Restored()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff"])
def test_a_damaged_file_is_logged_and_restores_nothing(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "champion.json").write_bytes(content)
    assert champion_file.restore(folder) == champion_file.Restored()
    assert "kept on disk" in caplog.text


@pytest.mark.parametrize(
    ("number", "missing", "logged"),
    [
        (1, {"champion", "experiment"}, "the champion"),
        (2, {"stars"}, "the rating model"),
        (3, {"experiment"}, "the experiment"),
    ],
)
def test_a_damaged_bundle_leaves_the_other_parts(
    folder: Path, number: int, missing: set[str], logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / f"{number}-run" / "scoring.npz").write_bytes(b"half")
    restored = champion_file.restore(folder)
    parts = ("champion", "stars", "experiment")
    assert {part for part in parts if getattr(restored, part) is None} == missing
    assert f"{logged} kept on disk cannot be used" in caplog.text


@pytest.mark.parametrize("key", ["names", "number", "folder", "stars", "trial"])
def test_a_part_of_another_form_leaves_the_others(folder: Path, key: str) -> None:
    file = folder / "champion.json"
    content: dict[str, Any] = json.loads(file.read_text())
    file.write_text(json.dumps({**content, key: 3.5 if key != "number" else "x"}))
    restored = champion_file.restore(folder)
    present = [restored.names, restored.champion, restored.stars, restored.experiment]
    assert any(part is not None for part in present)
    assert any(part is None for part in present)


def test_a_file_is_written_only_if_its_content_changes(folder: Path) -> None:
    restored, file = champion_file.restore(folder), folder / "champion.json"
    assert restored.champion is not None
    before = file.stat().st_mtime_ns, file.read_bytes()
    parts = (restored.champion, restored.stars, restored.experiment)
    champion_file.write(folder, restored.names, *parts)
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before
    champion_file.write(folder, None, restored.champion, None, None)
    assert file.read_bytes() != before[1]
    again = champion_file.restore(folder)
    assert (again.stars, again.experiment) == (None, None)
    newer = replace(restored.champion, number=7)
    champion_file.write(folder, None, newer, None, None)
    assert json.loads(file.read_text())["number"] == 7


def test_bundles_that_an_image_brings_are_copied_at_the_first_start(
    folder: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    champion_file.copy_first(folder, home)
    assert champion_file.restore(home).champion is not None
    # A service that has served a model keeps its own.
    shutil.rmtree(home / "1-run")
    champion_file.copy_first(folder, home)
    assert not (home / "1-run").exists()
