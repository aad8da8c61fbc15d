"""The project's files of an installation without a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.errors import SettingsError
from moovier.project_files import default_project, write_project_files


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages" / "moovier" / "project"
    for name, text in {
        ".dvc/config": "[core]",
        "dags/moovier_ingest.py": "new",
        "data/ml-latest-small.dvc": "outs:",
        "web/dist/page/index-1.js": "code",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path / "home"


def test_current_folder_is_the_project_of_a_checkout(home: Path, shipped: Path) -> None:
    assert default_project(home, shipped.with_name("missing")) == Path()
    for folder in ("dags", ".dvc"):
        Path(folder).mkdir()
    assert default_project(home, shipped) == Path()


def test_installed_wheel_fills_a_project_in_the_home_once(home: Path, shipped: Path) -> None:
    project = default_project(home, shipped)
    assert project == home / "project"
    assert write_project_files(project, home, shipped, "1")
    assert (project / "web" / "dist" / "page" / "index-1.js").read_text() == "code"
    assert (project / ".dvc" / "config").read_text() == "[core]"
    assert not write_project_files(project, home, shipped, "1")


def test_upgrade_replaces_code_and_keeps_data_and_configuration(home: Path, shipped: Path) -> None:
    project = home / "project"
    write_project_files(project, home, shipped, "1")
    (project / "dags" / "withdrawn.py").touch()
    (project / "dags" / "moovier_ingest.py").write_text("old")
    (project / ".dvc" / "config").write_text("[mine]")
    (project / "data" / "ml-latest-small").mkdir()
    assert write_project_files(project, home, shipped, "2")
    assert [file.name for file in (project / "dags").iterdir()] == ["moovier_ingest.py"]
    assert (project / "dags" / "moovier_ingest.py").read_text() == "new"
    assert (project / ".dvc" / "config").read_text() == "[mine]"
    assert (project / "data" / "ml-latest-small").is_dir()


def test_interrupted_copy_is_repeated(home: Path, shipped: Path) -> None:
    project = home / "project"
    write_project_files(project, home, shipped, "1")
    (project / ".version").unlink()
    (project / "data" / "ml-latest-small.dvc").unlink()
    assert write_project_files(project, home, shipped, "1")
    assert (project / "data" / "ml-latest-small.dvc").is_file()


def test_other_folders_are_left_alone(home: Path, shipped: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    assert not write_project_files(checkout, home, shipped, "1")
    assert not write_project_files(home / "project", home, shipped.with_name("missing"), "1")
    assert not checkout.exists()
    assert not home.exists()


def test_folder_that_cannot_be_written_is_a_clear_error(home: Path, shipped: Path) -> None:
    home.write_text("a file")
    with pytest.raises(SettingsError, match="set MOOVIER_HOME to a folder that can be written"):
        write_project_files(home / "project", home, shipped, "1")
