"""The data set comes from the chosen source, and never silently from another."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path

import pytest

from moovier.data import sources
from moovier.data.dvc_hash import directory_hash
from moovier.errors import DataError, DataUnavailable, HashMismatch, InvalidData
from moovier.settings import Settings
from tests.dvc_checkout import ROOT
from tests.unit.data.conftest import GroupLens, zipped


def with_(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update=changes)


@pytest.fixture
def stocked(tmp_path: Path, settings: Settings, folder: Path, grouplens: GroupLens) -> Settings:
    """Settings with the data set in the DVC remote and not in the checkout."""
    grouplens.serve(zipped(folder))
    remote = tmp_path / "remote"
    sources.fetch(with_(settings, dvc_remote=str(remote), grouplens_url=grouplens.url))
    delete_data(settings)
    shutil.rmtree(settings.home)
    return with_(settings, dvc_remote=str(remote))


def delete_data(settings: Settings) -> None:
    """Delete the data set from the checkout: its folder and DVC's cache."""
    shutil.rmtree(settings.project / "data" / sources.REAL, ignore_errors=True)
    shutil.rmtree(settings.project / ".dvc" / "cache", ignore_errors=True)


def files_with(content: bytes, folder: Path) -> list[Path]:
    """Return the files below ``folder`` that hold exactly ``content``."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if path.read_bytes() == content]


def nothing_stored(settings: Settings) -> bool:
    """Return whether the checkout has neither a data set nor remains of a download."""
    downloads = settings.path("downloads")
    return not (settings.project / "data" / sources.REAL).exists() and (
        not downloads.exists() or not list(downloads.iterdir())
    )


def test_data_comes_from_the_remote_and_then_from_the_workspace(
    stocked: Settings, folder: Path
) -> None:
    first = sources.fetch(stocked)
    assert (first.name, first.source, first.synthetic, first.note) == (
        "ml-latest-small",
        "remote",
        False,
        "",
    )
    assert first.hash == directory_hash(first.folder) == directory_hash(folder)
    assert sources.fetch(stocked).source == "cache"


def test_download_from_grouplens_is_kept_in_the_remote(
    settings: Settings, folder: Path, grouplens: GroupLens
) -> None:
    grouplens.serve(zipped(folder))
    online = with_(settings, grouplens_url=grouplens.url)
    progress: list[tuple[int, int | None]] = []
    reference = sources.fetch(online, lambda received, total: progress.append((received, total)))
    assert reference.source == "grouplens"
    assert directory_hash(reference.folder) == directory_hash(folder)
    assert progress[-1][0] == progress[-1][1]
    delete_data(settings)
    assert sources.fetch(settings).source == "remote"
    assert grouplens.requests == 1


def test_unusable_remote_does_not_spoil_a_download(
    settings: Settings, folder: Path, grouplens: GroupLens, tmp_path: Path
) -> None:
    grouplens.serve(zipped(folder))
    (tmp_path / "file").write_text("in the way")
    reference = sources.fetch(
        with_(settings, grouplens_url=grouplens.url, dvc_remote=str(tmp_path / "file" / "remote"))
    )
    assert reference.source == "grouplens"
    assert "not kept" in reference.note


def test_sample_replaces_an_unavailable_data_set_with_a_note(settings: Settings) -> None:
    started = time.monotonic()
    reference = sources.fetch(settings)
    assert time.monotonic() - started < 10
    assert (reference.name, reference.source, reference.synthetic) == ("sample", "sample", True)
    assert "SYNTHETIC" in reference.note
    assert settings.grouplens_url in reference.note
    assert sources.fetch(settings).hash == reference.hash == directory_hash(reference.folder)


def test_damaged_sample_is_generated_again(settings: Settings) -> None:
    reference = sources.fetch(with_(settings, data="sample"))
    (reference.folder / "ratings.csv").write_text("cut off")
    assert sources.fetch(with_(settings, data="sample")).hash == reference.hash
    assert directory_hash(reference.folder) == reference.hash


def test_sample_never_replaces_an_explicit_choice(settings: Settings) -> None:
    with pytest.raises(DataUnavailable, match=r"(?s)DVC remote.*GroupLens.*MOOVIER_DVC_REMOTE"):
        sources.fetch(with_(settings, data="ml-latest-small"))
    assert not settings.path("data").exists()


def test_sample_never_replaces_real_data_fetched_before(stocked: Settings) -> None:
    sources.fetch(stocked)
    delete_data(stocked)
    with pytest.raises(DataUnavailable):
        sources.fetch(with_(stocked, dvc_remote=None))
    assert sources.fetch(with_(stocked, data="sample")).synthetic


BAD_ANSWERS = {
    "cut off": "cannot be downloaded",
    "cut off before the end of the zip": "not a complete zip",
    "404": "404",
    "500": "500",
    "a proxy's page": "not a complete zip",
    "nothing": "not a complete zip",
    "hangs": "cannot be downloaded",
}


@pytest.mark.parametrize("fault", BAD_ANSWERS)
def test_failed_download_is_reported_and_leaves_nothing(
    settings: Settings, folder: Path, grouplens: GroupLens, fault: str
) -> None:
    body = zipped(folder)
    match fault:
        case "cut off":
            grouplens.serve(body[: len(body) // 2], content_length=len(body))
        case "cut off before the end of the zip":
            grouplens.serve(body[: len(body) // 2])
        case "404" | "500":
            grouplens.serve(b"sorry", status=int(fault))
        case "a proxy's page":
            grouplens.serve(b"<html>please log in</html>")
        case "nothing":
            grouplens.serve(b"")
        case "hangs":
            grouplens.hang()
    # Long enough for a busy machine where the server answers.
    timeout_s = 0.5 if fault == "hangs" else 30.0
    online = with_(
        settings, data="ml-latest-small", grouplens_url=grouplens.url, download_timeout_s=timeout_s
    )
    started = time.monotonic()
    with pytest.raises(DataUnavailable, match=BAD_ANSWERS[fault]):
        sources.fetch(online)
    assert time.monotonic() - started < 25
    assert grouplens.requests == 1
    assert nothing_stored(settings)


@pytest.mark.parametrize("auto", ["auto", "ml-latest-small"])
def test_download_with_another_hash_is_refused(
    settings: Settings, folder: Path, grouplens: GroupLens, auto: str
) -> None:
    ratings = folder / "ratings.csv"
    ratings.write_bytes(ratings.read_bytes().replace(b"4.5", b"0.5"))
    grouplens.serve(zipped(folder))
    with pytest.raises(HashMismatch, match=r"has the hash .* but the pointer names"):
        sources.fetch(with_(settings, data=auto, grouplens_url=grouplens.url))
    assert nothing_stored(settings)


def test_zip_of_another_size_is_not_unpacked(
    settings: Settings, folder: Path, grouplens: GroupLens
) -> None:
    (folder / "more.csv").write_text("0" * 100_000)
    grouplens.serve(zipped(folder))
    with pytest.raises(HashMismatch, match="does not unpack to"):
        sources.fetch(with_(settings, grouplens_url=grouplens.url))
    assert nothing_stored(settings)


@pytest.mark.parametrize("under", ["../outside", "/tmp", "ml-latest-small/..", "other", "."])
def test_zip_with_paths_outside_its_folder_writes_nothing_there(
    settings: Settings, folder: Path, grouplens: GroupLens, under: str
) -> None:
    grouplens.serve(zipped(folder, under))
    with pytest.raises(HashMismatch, match="outside ml-latest-small/"):
        sources.fetch(with_(settings, grouplens_url=grouplens.url))
    assert nothing_stored(settings)
    assert not settings.path("outside").exists()


@pytest.mark.parametrize("part", ["ratings.csv", "the list of files"])
def test_damaged_remote_is_reported_as_damaged(stocked: Settings, folder: Path, part: str) -> None:
    remote = Path(str(stocked.dvc_remote))
    if part == "ratings.csv":
        (damaged,) = files_with((folder / part).read_bytes(), remote)
        right, wrong = damaged.read_bytes(), damaged.read_bytes()[:50]
    else:
        (damaged,) = remote.rglob("*.dir")
        right = damaged.read_bytes()
        wrong = json.dumps(json.loads(right)[:1]).encode()
    damaged.chmod(0o644)
    damaged.write_bytes(wrong)
    with pytest.raises(HashMismatch, match=r"(?s)damaged.*Repair"):
        sources.fetch(stocked)
    assert nothing_stored(stocked)
    assert not files_with(wrong, stocked.project / ".dvc" / "cache")
    damaged.write_bytes(right)
    assert sources.fetch(stocked).hash == directory_hash(folder)


def test_damaged_cache_is_filled_again_from_the_remote(stocked: Settings, folder: Path) -> None:
    sources.fetch(stocked)
    shutil.rmtree(stocked.project / "data" / sources.REAL)
    content = (folder / "ratings.csv").read_bytes()
    (cached,) = files_with(content, stocked.project / ".dvc" / "cache")
    cached.chmod(0o644)
    cached.write_bytes(content[:50])
    assert sources.fetch(stocked).hash == directory_hash(folder)


def test_edited_workspace_is_restored_and_the_edits_are_kept(
    stocked: Settings, folder: Path
) -> None:
    reference = sources.fetch(stocked)
    (reference.folder / "ratings.csv").write_text("my own\n")
    assert sources.fetch(stocked).source == "remote"
    assert directory_hash(reference.folder) == directory_hash(folder)
    (replaced,) = stocked.path("replaced").iterdir()
    assert (replaced / "ratings.csv").read_text() == "my own\n"


def test_incomplete_workspace_is_completed(stocked: Settings, folder: Path) -> None:
    reference = sources.fetch(stocked)
    (reference.folder / "movies.csv").unlink()
    assert sources.fetch(stocked).hash == directory_hash(folder)
    assert directory_hash(reference.folder) == directory_hash(folder)


def test_fetch_waits_for_the_lock_of_another_process(stocked: Settings, folder: Path) -> None:
    """The wait is longer than the three seconds after which DVC itself gives up."""
    from dvc.repo import Repo, lock_repo

    with ThreadPoolExecutor(1) as pool:
        config = {"core": {"no_scm": True}}
        with Repo(str(stocked.project), config=config) as other, lock_repo(other):
            fetched = pool.submit(sources.fetch, stocked)
            with pytest.raises(FutureTimeout):
                fetched.result(timeout=5)
        assert fetched.result(timeout=60).hash == directory_hash(folder)


def _fetch(settings: Settings) -> str:
    return sources.fetch(settings).hash


def test_concurrent_processes_fetch_the_same_data(stocked: Settings, folder: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert set(pool.map(_fetch, [stocked] * 3)) == {directory_hash(folder)}


def test_folder_can_be_chosen(settings: Settings, folder: Path) -> None:
    reference = sources.fetch(with_(settings, data=str(folder)))
    assert (reference.name, reference.source, reference.synthetic) == ("mine", "directory", False)
    assert reference.hash == directory_hash(folder)


def test_unknown_name_is_refused(settings: Settings) -> None:
    with pytest.raises(DataUnavailable, match=r"unknown data set 'ml-lastest'.*sample"):
        sources.fetch(with_(settings, data="ml-lastest"))


def test_choice_lasts_until_the_next(settings: Settings, folder: Path) -> None:
    assert sources.use(settings, str(folder)) == str(folder)
    assert sources.fetch(settings).folder == folder
    assert sources.fetch(with_(settings, data="sample")).name == "sample"
    sources.use(settings, "sample")
    assert sources.chosen(settings) == "sample"
    sources.use(settings, "auto")
    assert sources.chosen(settings) == "auto"


def test_invalid_folder_is_not_recorded(settings: Settings, folder: Path) -> None:
    (folder / "ratings.csv").write_text("userId\n")
    with pytest.raises(InvalidData):
        sources.use(settings, str(folder))
    with pytest.raises(DataUnavailable):
        sources.use(settings, str(folder / "nowhere"))
    assert sources.chosen(settings) == "auto"


def test_unreadable_record_is_reported(settings: Settings) -> None:
    settings.home.mkdir()
    settings.path("data.json").write_text("{")
    with pytest.raises(DataError, match="delete it"):
        sources.fetch(settings)


def test_status_downloads_nothing(stocked: Settings) -> None:
    before = sources.status(stocked)
    assert (before.choice, before.ref, before.summary) == ("auto", None, None)
    assert nothing_stored(stocked)
    sources.fetch(stocked)
    after = sources.status(stocked)
    assert after.ref is not None
    assert after.summary is not None
    assert (after.ref.source, after.summary.ratings) == ("cache", 5)


def test_missing_checkout_is_reported(tmp_path: Path) -> None:
    outside = Settings(project=tmp_path, home=tmp_path / "home", data="ml-latest-small")
    with pytest.raises(DataUnavailable, match="MOOVIER_PROJECT"):
        sources.fetch(outside)


@pytest.mark.real_data
def test_real_zip_has_the_committed_hash(
    real_data: Path, settings: Settings, grouplens: GroupLens
) -> None:
    shutil.copy(ROOT / "data" / "ml-latest-small.dvc", settings.project / "data")
    grouplens.serve(zipped(real_data))
    assert sources.fetch(with_(settings, grouplens_url=grouplens.url)).source == "grouplens"
