"""The data set comes from where it should, and never silently from elsewhere."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path

import pytest

from moovier.data import dvc_remote, sources
from moovier.data.dvc_hash import directory_hash
from moovier.errors import DataError, DataUnavailable, HashMismatch, InvalidData
from moovier.settings import Settings
from tests.dvc_checkout import ROOT
from tests.unit.data.conftest import GroupLens, zipped


def with_(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update=changes)


@pytest.fixture
def stocked(tmp_path: Path, settings: Settings, folder: Path, grouplens: GroupLens) -> Settings:
    """Settings whose DVC remote has the data set, while nothing of it is in the checkout."""
    grouplens.serves(zipped(folder))
    place = tmp_path / "remote"
    sources.fetch(with_(settings, dvc_remote=str(place), grouplens_url=grouplens.url))
    forget(settings)
    shutil.rmtree(settings.home)
    return with_(settings, dvc_remote=str(place))


def forget(settings: Settings) -> None:
    """Delete the data set from the checkout: its folder and DVC's cache."""
    shutil.rmtree(settings.project / "data" / sources.REAL, ignore_errors=True)
    shutil.rmtree(settings.project / ".dvc" / "cache", ignore_errors=True)


def objects(place: Path, wanted: bytes) -> list[Path]:
    """The files below ``place`` that hold exactly ``wanted``."""
    files = [path for path in place.rglob("*") if path.is_file()]
    return [path for path in files if path.read_bytes() == wanted]


def nothing_kept(settings: Settings) -> bool:
    """No data set in the checkout, nothing left of a download."""
    downloads = settings.path("downloads")
    return not (settings.project / "data" / sources.REAL).exists() and (
        not downloads.exists() or not list(downloads.iterdir())
    )


def test_from_the_remote_then_from_the_workspace(stocked: Settings, folder: Path) -> None:
    first = sources.fetch(stocked)
    assert (first.name, first.source, first.synthetic, first.note) == (
        "ml-latest-small",
        "remote",
        False,
        "",
    )
    assert first.hash == directory_hash(first.folder) == directory_hash(folder)
    assert sources.fetch(stocked).source == "cache"


def test_from_grouplens_and_then_kept_in_the_remote(
    settings: Settings, folder: Path, grouplens: GroupLens
) -> None:
    grouplens.serves(zipped(folder))
    online = with_(settings, grouplens_url=grouplens.url)
    seen: list[tuple[int, int | None]] = []
    found = sources.fetch(online, lambda arrived, total: seen.append((arrived, total)))
    assert found.source == "grouplens"
    assert directory_hash(found.folder) == directory_hash(folder)
    assert seen[-1][0] == seen[-1][1]
    forget(settings)
    assert sources.fetch(settings).source == "remote"
    assert grouplens.requests == 1


def test_a_remote_that_takes_nothing_does_not_spoil_a_download(
    settings: Settings, folder: Path, grouplens: GroupLens, tmp_path: Path
) -> None:
    grouplens.serves(zipped(folder))
    (tmp_path / "file").write_text("in the way")
    found = sources.fetch(
        with_(settings, grouplens_url=grouplens.url, dvc_remote=str(tmp_path / "file" / "remote"))
    )
    assert found.source == "grouplens"
    assert "not kept" in found.note


def test_without_any_source_the_sample_stands_in_and_says_so(settings: Settings) -> None:
    started = time.monotonic()
    found = sources.fetch(settings)
    assert time.monotonic() - started < 10
    assert (found.name, found.source, found.synthetic) == ("sample", "sample", True)
    assert "SYNTHETIC" in found.note
    assert settings.grouplens_url in found.note
    assert sources.fetch(settings).hash == found.hash == directory_hash(found.folder)


def test_a_damaged_sample_is_made_again(settings: Settings) -> None:
    found = sources.fetch(with_(settings, data="sample"))
    (found.folder / "ratings.csv").write_text("cut off")
    assert sources.fetch(with_(settings, data="sample")).hash == found.hash
    assert directory_hash(found.folder) == found.hash


def test_who_insists_on_the_real_set_gets_no_other(settings: Settings) -> None:
    with pytest.raises(DataUnavailable, match=r"(?s)DVC remote.*GroupLens.*MOOVIER_DVC_REMOTE"):
        sources.fetch(with_(settings, data="ml-latest-small"))
    assert not settings.path("data").exists()


def test_once_the_real_set_was_here_the_sample_never_takes_its_place(stocked: Settings) -> None:
    sources.fetch(stocked)
    forget(stocked)
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
def test_a_grouplens_that_misbehaves(
    settings: Settings, folder: Path, grouplens: GroupLens, fault: str
) -> None:
    body = zipped(folder)
    match fault:
        case "cut off":
            grouplens.serves(body[: len(body) // 2], promised=len(body))
        case "cut off before the end of the zip":
            grouplens.serves(body[: len(body) // 2])
        case "404" | "500":
            grouplens.serves(b"sorry", status=int(fault))
        case "a proxy's page":
            grouplens.serves(b"<html>please log in</html>")
        case "nothing":
            grouplens.serves(b"")
        case "hangs":
            grouplens.hangs()
    asked = with_(
        settings, data="ml-latest-small", grouplens_url=grouplens.url, download_timeout_s=0.5
    )
    started = time.monotonic()
    with pytest.raises(DataUnavailable, match=BAD_ANSWERS[fault]):
        sources.fetch(asked)
    assert time.monotonic() - started < 10
    assert grouplens.requests == 1
    assert nothing_kept(settings)


@pytest.mark.parametrize("auto", ["auto", "ml-latest-small"])
def test_other_bytes_than_pinned_are_refused(
    settings: Settings, folder: Path, grouplens: GroupLens, auto: str
) -> None:
    ratings = folder / "ratings.csv"
    ratings.write_bytes(ratings.read_bytes().replace(b"4.5", b"0.5"))
    grouplens.serves(zipped(folder))
    with pytest.raises(HashMismatch, match="other bytes"):
        sources.fetch(with_(settings, data=auto, grouplens_url=grouplens.url))
    assert nothing_kept(settings)


def test_a_zip_of_another_size_is_not_unpacked(
    settings: Settings, folder: Path, grouplens: GroupLens
) -> None:
    (folder / "more.csv").write_text("0" * 100_000)
    grouplens.serves(zipped(folder))
    with pytest.raises(HashMismatch, match="does not unpack to"):
        sources.fetch(with_(settings, grouplens_url=grouplens.url))
    assert nothing_kept(settings)


@pytest.mark.parametrize("under", ["../outside", "/tmp", "ml-latest-small/..", "other", "."])
def test_a_zip_that_points_elsewhere_writes_nothing_there(
    settings: Settings, folder: Path, grouplens: GroupLens, under: str
) -> None:
    grouplens.serves(zipped(folder, under))
    with pytest.raises(HashMismatch, match="outside ml-latest-small/"):
        sources.fetch(with_(settings, grouplens_url=grouplens.url))
    assert nothing_kept(settings)
    assert not settings.path("outside").exists()


@pytest.mark.parametrize("part", ["ratings.csv", "the list of files"])
def test_a_damaged_remote_is_told_from_an_empty_one(
    stocked: Settings, folder: Path, part: str
) -> None:
    place = Path(str(stocked.dvc_remote))
    if part == "ratings.csv":
        (damaged,) = objects(place, (folder / part).read_bytes())
        right, wrong = damaged.read_bytes(), damaged.read_bytes()[:50]
    else:
        (damaged,) = place.rglob("*.dir")
        right = damaged.read_bytes()
        wrong = json.dumps(json.loads(right)[:1]).encode()
    damaged.chmod(0o644)
    damaged.write_bytes(wrong)
    with pytest.raises(HashMismatch, match=r"(?s)damaged.*Repair"):
        sources.fetch(stocked)
    assert nothing_kept(stocked)
    assert not objects(stocked.project / ".dvc" / "cache", wrong)
    damaged.write_bytes(right)
    assert sources.fetch(stocked).hash == directory_hash(folder)


def test_a_damaged_cache_heals_from_the_remote(stocked: Settings, folder: Path) -> None:
    sources.fetch(stocked)
    shutil.rmtree(stocked.project / "data" / sources.REAL)
    wanted = (folder / "ratings.csv").read_bytes()
    (cached,) = objects(stocked.project / ".dvc" / "cache", wanted)
    cached.chmod(0o644)
    cached.write_bytes(wanted[:50])
    assert sources.fetch(stocked).hash == directory_hash(folder)


def test_an_edited_workspace_is_put_right_and_the_edits_are_kept_aside(
    stocked: Settings, folder: Path
) -> None:
    found = sources.fetch(stocked)
    (found.folder / "ratings.csv").write_text("my own\n")
    assert sources.fetch(stocked).source == "remote"
    assert directory_hash(found.folder) == directory_hash(folder)
    (aside,) = stocked.path("replaced").iterdir()
    assert (aside / "ratings.csv").read_text() == "my own\n"


def test_a_pull_that_was_killed_half_way_is_finished(stocked: Settings, folder: Path) -> None:
    found = sources.fetch(stocked)
    (found.folder / "movies.csv").unlink()
    assert sources.fetch(stocked).hash == directory_hash(folder)
    assert directory_hash(found.folder) == directory_hash(folder)


def test_a_lock_that_another_process_holds_is_waited_for(stocked: Settings, folder: Path) -> None:
    """Longer than the three seconds after which DVC itself gives up."""
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


def test_several_processes_fetch_at_once(stocked: Settings, folder: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert set(pool.map(_fetch, [stocked] * 3)) == {directory_hash(folder)}


def test_a_folder_of_ones_own(settings: Settings, folder: Path) -> None:
    found = sources.fetch(with_(settings, data=str(folder)))
    assert (found.name, found.source, found.synthetic) == ("mine", "directory", False)
    assert found.hash == directory_hash(folder)


def test_an_unknown_data_set(settings: Settings) -> None:
    with pytest.raises(DataUnavailable, match=r"no data set 'ml-lastest'.*sample"):
        sources.fetch(with_(settings, data="ml-lastest"))


def test_a_choice_lasts_until_the_next(settings: Settings, folder: Path) -> None:
    assert sources.use(settings, str(folder)) == str(folder)
    assert sources.fetch(settings).folder == folder
    assert sources.fetch(with_(settings, data="sample")).name == "sample"
    sources.use(settings, "sample")
    assert sources.chosen(settings) == "sample"
    sources.use(settings, "auto")
    assert sources.chosen(settings) == "auto"


def test_a_bad_folder_is_not_chosen(settings: Settings, folder: Path) -> None:
    (folder / "ratings.csv").write_text("userId\n")
    with pytest.raises(InvalidData):
        sources.use(settings, str(folder))
    with pytest.raises(DataUnavailable):
        sources.use(settings, str(folder / "nowhere"))
    assert sources.chosen(settings) == "auto"


def test_an_unreadable_choice_is_an_error(settings: Settings) -> None:
    settings.home.mkdir()
    settings.path("data.json").write_text("{")
    with pytest.raises(DataError, match="delete it"):
        sources.fetch(settings)


def test_status_downloads_nothing(stocked: Settings) -> None:
    before = sources.status(stocked)
    assert (before.choice, before.ref, before.summary) == ("auto", None, None)
    assert nothing_kept(stocked)
    sources.fetch(stocked)
    after = sources.status(stocked)
    assert after.ref is not None
    assert after.summary is not None
    assert (after.ref.source, after.summary.ratings) == ("cache", 5)


def test_what_a_summary_counts(settings: Settings, folder: Path) -> None:
    summary = sources.status(with_(settings, data=str(folder))).summary
    assert summary is not None
    assert (summary.users, summary.movies, summary.rated_movies) == (2, 4, 4)
    assert summary.sparsity == pytest.approx(1 - 5 / 8)
    assert summary.mean_stars == pytest.approx(3.4)
    assert {s: n for s, n in summary.histogram.items() if n} == {
        0.5: 1,
        3.0: 1,
        4.0: 1,
        4.5: 1,
        5.0: 1,
    }
    assert list(summary.histogram) == [step / 2 for step in range(1, 11)]
    assert summary.first.isoformat() == "2000-07-30T18:20:47+00:00"


def test_outside_a_checkout(tmp_path: Path) -> None:
    lost = Settings(project=tmp_path, home=tmp_path / "home", data="ml-latest-small")
    with pytest.raises(DataUnavailable, match="MOOVIER_PROJECT"):
        sources.fetch(lost)


@pytest.mark.parametrize("text", ["", "outs: []\n", "outs: 3", "outs:\n- md5: [\n"])
def test_a_pointer_that_is_none(settings: Settings, text: str) -> None:
    (settings.project / "data" / "ml-latest-small.dvc").write_text(text)
    with pytest.raises(DataError, match="not a DVC pointer"):
        sources.fetch(settings)


def test_the_committed_pointer() -> None:
    pointer = dvc_remote.read_pointer(ROOT, sources.REAL)
    assert (pointer.hash, pointer.size) == ("7a07225112ccf8cdc73da1f2d56610d0.dir", 3_303_135)


@pytest.mark.real_data
def test_the_real_zip_passes_the_committed_hash(
    real_data: Path, settings: Settings, grouplens: GroupLens
) -> None:
    shutil.copy(ROOT / "data" / "ml-latest-small.dvc", settings.project / "data")
    grouplens.serves(zipped(real_data))
    assert sources.fetch(with_(settings, grouplens_url=grouplens.url)).source == "grouplens"
