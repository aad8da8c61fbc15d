"""The identity of a data set is what is read from it, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from moovier.data import sources
from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import SYNTHETIC_MARK
from moovier.errors import UnknownData
from moovier.jobs import ingest
from moovier.settings import Settings


def hash_of(folder: Path, settings: Settings) -> str:
    return sources.fetch(settings.model_copy(update={"data": str(folder)})).hash


@pytest.mark.parametrize(
    "name", [".DS_Store", "README.txt", "tags.csv", "ratings (copy).csv", "old/ratings.csv"]
)
def test_file_that_is_not_read_changes_no_identity(
    name: str, folder: Path, settings: Settings
) -> None:
    before = hash_of(folder, settings)
    pulled = ingest.pull(str(folder), settings=settings)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("userId,movieId\n")
    assert hash_of(folder, settings) == before == pulled["hash"]
    assert ingest.local_folder(pulled, settings) == folder


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv", "links.csv", SYNTHETIC_MARK])
def test_each_file_that_is_read_changes_the_identity(
    name: str, folder: Path, settings: Settings
) -> None:
    before = hash_of(folder, settings)
    with (folder / name).open("a") as file:
        file.write("\n")
    assert hash_of(folder, settings) != before


def test_identity_does_not_depend_on_the_folder_name(folder: Path, settings: Settings) -> None:
    copy = shutil.copytree(folder, folder.with_name("copy [old]"))
    assert hash_of(copy, settings) == hash_of(folder, settings)


def test_files_of_file_managers_do_not_damage_the_pulled_data_set(folder: Path) -> None:
    before = directory_hash(folder)
    for name in (".DS_Store", "Thumbs.db", "._ratings.csv"):
        (folder / name).write_bytes(b"\0")
    assert directory_hash(folder) == before
    (folder / "tags.csv").write_text("x\n")
    assert directory_hash(folder) != before


def test_file_instead_of_a_folder_is_described(folder: Path, settings: Settings) -> None:
    with pytest.raises(UnknownData, match="is one file of a data set: name its folder"):
        sources.use(settings, str(folder / "ratings.csv"))
    archive = shutil.make_archive(str(folder), "zip", folder)
    with pytest.raises(UnknownData, match="is a zip file: unpack it"):
        sources.use(settings, archive)
