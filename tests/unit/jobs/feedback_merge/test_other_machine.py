"""A data set that one machine merged is used on another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from moovier.data.dvc_hash import directory_hash
from moovier.errors import DataUnavailable
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.jobs import ingest
from moovier.settings import Settings
from tests.dvc_checkout import new_project
from tests.unit.jobs.feedback_merge.conftest import pull


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of another machine with the same DVC remote: its own home, checkout, database."""
    return settings.model_copy(
        update={"home": tmp_path / "other", "project": new_project(tmp_path / "other-project")}
    )


def hide_home(settings: Settings) -> None:
    """Hide the first machine's home, as another machine cannot reach it."""
    settings.home.rename(settings.home.with_name("far away"))


def test_data_merged_on_one_machine_is_validated_on_another(
    folder: Path, settings: Settings, elsewhere: Settings, store: FeedbackStore
) -> None:
    store.add(1, [NewRating(30, 4, 2000)])
    pulled = pull(folder, settings)
    hide_home(settings)
    report = ingest.validate(pulled, settings=elsewhere)
    assert (report["hash"], report["ratings"]) == (pulled["hash"], 6)
    assert Path(report["report"]).is_relative_to(elsewhere.home)
    fetched = ingest.local_folder(pulled, elsewhere)
    assert fetched.is_relative_to(elsewhere.home)
    assert directory_hash(fetched) == pulled["hash"]


def test_without_a_remote_another_machine_merges_the_same_data(
    folder: Path, settings: Settings, elsewhere: Settings, postgres_url: str, tmp_path: Path
) -> None:
    from pydantic import SecretStr

    file = tmp_path / "no folder"
    file.write_text("a remote below a file cannot be written")
    shared = {
        "database_url": SecretStr(postgres_url),
        "data": str(folder),
        "dvc_remote": str(file / "remote"),
    }
    settings, elsewhere = (machine.model_copy(update=shared) for machine in (settings, elsewhere))
    store = FeedbackStore.open(settings.database)
    store.add(1, [NewRating(30, 4, 2000)])
    pulled = pull(folder, settings)
    assert "not kept in the DVC remote" in pulled["note"]
    hide_home(settings)
    assert ingest.validate(pulled, settings=elsewhere)["ratings"] == 6
    store.add(2, [NewRating(20, 4, 2000)])
    shutil.rmtree(elsewhere.home)
    with pytest.raises(DataUnavailable, match="was pulled on another machine"):
        ingest.validate(pulled, settings=elsewhere)


def test_damaged_remote_is_refused(
    folder: Path, settings: Settings, elsewhere: Settings, store: FeedbackStore, tmp_path: Path
) -> None:
    store.add(1, [NewRating(30, 4, 2000)])
    pulled = pull(folder, settings)
    hide_home(settings)
    elsewhere = elsewhere.model_copy(update={"data": str(folder)})
    for file in (tmp_path / "remote").rglob("*"):
        if file.is_file() and not file.name.endswith(".dir"):
            file.chmod(0o644)
            file.write_text("other bytes")
    with pytest.raises(DataUnavailable, match="is damaged"):
        ingest.validate(pulled, settings=elsewhere)
    assert not list(elsewhere.path("data", "merged").iterdir())


def test_sample_is_generated_again_on_another_machine(
    settings: Settings, elsewhere: Settings
) -> None:
    pulled = ingest.pull("sample", settings=settings)
    hide_home(settings)
    assert ingest.validate(pulled, settings=elsewhere)["hash"] == pulled["hash"]


def test_folder_missing_on_another_machine_is_reported(
    folder: Path, settings: Settings, elsewhere: Settings
) -> None:
    pulled = pull(folder, settings)
    folder.rename(folder.with_name("gone"))
    with pytest.raises(DataUnavailable, match="give every worker access"):
        ingest.validate(pulled, settings=elsewhere)
