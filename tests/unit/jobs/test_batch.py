"""The lists of all users are published atomically and equal the lists of single users."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from moovier.errors import BadRequest, ListsError, UnknownModel
from moovier.feedback.database import Database
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.new_movies import NewMovie, NewMovieStore
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.jobs import batch
from moovier.jobs.batch_store import STAGING, SUCCESS
from moovier.jobs.recommend import recommend
from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.s3_server import s3_server
from tests.servers import free_port

NAME = "moovier_popular_1_trained_0"
SET = f"{NAME}-v1"
Lists = dict[int, list[tuple[int, float]]]


@pytest.fixture
def champion(settings: Settings, tmp_path: Path) -> Settings:
    """Return settings whose registry has one champion, by popularity."""
    version = register(settings, tmp_path / "models", toy_bundle(NAME))
    open_registry(settings).promote(version, "the only one")
    return settings


def give_feedback(settings: Settings) -> None:
    """Store feedback of known and new users.

    User 7 adds and deletes a rating, 999 and 1000 are new, 11 deletes all ratings, and the unknown
    user 1001 deletes all ratings.
    """
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        store.add(7, [NewRating(47, 4.0, 50)])
        store.delete(7, 1)
        store.add(999, [NewRating(2, 5.0, 50)])
        store.add(1000, [NewRating(6, 0.5, 50)])
        store.delete(11)
        store.delete(1001)


def read_lists(folder: str | Path, files: Any = None) -> Lists:
    table = ds.dataset(str(folder), format="parquet", filesystem=files).to_table()
    lists: Lists = {}
    for row in table.sort_by([("user_id", "ascending"), ("rank", "ascending")]).to_pylist():
        user_list = lists.setdefault(row["user_id"], [])
        user_list.append((row["movie_id"], row["score"]))
        assert row["rank"] == len(user_list)
        assert row["model_version"] == 1
    return lists


def recommend_each(settings: Settings, users: list[int], top_k: int) -> Lists:
    """Return the list of `moovier recommend` for each user."""
    return {
        user: [(item["id"], item["score"]) for item in answer["items"]]
        for user in users
        for answer in recommend([user], top_k, settings=settings)["answers"]
    }


def add_new_movie(settings: Settings) -> None:
    with contextlib.closing(Database.open(settings.database)) as database:
        NewMovieStore(database).put([NewMovie(900, "Movie 2, again", 1995, ("Drama",))])


@pytest.mark.parametrize("processes", [False, True])
def test_new_movies_have_their_share_of_the_places(
    champion: Settings, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if processes:
        monkeypatch.setattr(batch, "_MIN_USERS_FOR_PROCESSES", 1)
    add_new_movie(champion)
    shown: dict[float, Lists] = {}
    for share in (0.0, 1.0):
        settings = champion.model_copy(update={"new_movies_share": share})
        batch.batch_all(batch.configured(top_k=2, shards=2), settings=settings)
        shown[share] = read_lists(settings.path("lists", SET))
        assert shown[share] == recommend_each(settings, [7, 11, 13], 2)
    assert [shown[share][13][0][0] for share in (0.0, 1.0)] == [2, 900]


@pytest.mark.parametrize(("shards", "processes"), [(1, False), (3, False), (2, True)])
def test_lists_equal_those_of_single_users(
    champion: Settings, shards: int, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if processes:
        # Use processes even for three users.
        monkeypatch.setattr(batch, "_MIN_USERS_FOR_PROCESSES", 1)
    give_feedback(champion)
    progress: list[str] = []
    config = batch.configured(top_k=2, shards=shards)
    result = batch.batch_all(config, progress.append, settings=champion)
    folder = champion.path("lists", SET)
    assert result["url"] == str(folder)
    lists = read_lists(folder)
    # An unknown user who only deleted ratings has no list.
    assert set(lists) == {7, 11, 13, 999, 1000}
    assert lists == recommend_each(champion, sorted(lists), 2)
    manifest = json.loads((folder / "_manifest.json").read_text())
    assert result == {**manifest, "url": result["url"]}
    assert (manifest["users"], manifest["rows"]) == (5, sum(map(len, lists.values())))
    assert (manifest["model"], manifest["version"], manifest["top_k"]) == (NAME, 1, 2)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"part-{shard:05d}.parquet" for shard in range(shards)] + ["_manifest.json", SUCCESS]
    )
    assert [pq.read_metadata(folder / part["file"]).num_rows for part in manifest["parts"]] == [
        part["rows"] for part in manifest["parts"]
    ]
    assert list(champion.path("lists", STAGING).iterdir()) == []
    assert len(progress) == shards + 1


def test_every_stage_can_be_repeated(champion: Settings) -> None:
    abandoned = champion.path("lists", STAGING, "20010101T000000Z-aaaaaaaa")
    abandoned.mkdir(parents=True)
    plan = batch.prepare({"top_k": 3, "shards": 2, "model": None}, settings=champion)
    json.dumps(plan)
    assert not abandoned.exists()
    parts = [batch.write(plan, shard, settings=champion) for shard in (1, 0, 0, 1)]
    assert parts[0] == parts[3]
    first = batch.finish(plan, parts[:2], settings=champion)
    before = (champion.path("lists", SET, SUCCESS).stat().st_mtime_ns, part_times(champion))
    assert batch.finish(plan, parts[:2], settings=champion) == first
    assert (champion.path("lists", SET, SUCCESS).stat().st_mtime_ns, part_times(champion)) == before
    # Another run of the same version, with fewer shards and longer lists, replaces the set.
    batch.batch_all(batch.configured(top_k=5, shards=1), settings=champion)
    lists = read_lists(champion.path("lists", SET))
    assert lists == recommend_each(champion, [7, 11, 13], 5)
    assert not champion.path("lists", SET, "part-00001.parquet").exists()


def part_times(settings: Settings) -> list[int]:
    return [
        part.stat().st_mtime_ns for part in sorted(settings.path("lists", SET).glob("*.parquet"))
    ]


def test_incomplete_parts_are_not_published(champion: Settings) -> None:
    batch.batch_all(batch.configured(top_k=3, shards=1), settings=champion)
    before = read_lists(champion.path("lists", SET))
    plan = batch.prepare({"top_k": 5, "shards": 2}, settings=champion)
    parts = [batch.write(plan, shard, settings=champion) for shard in range(2)]
    staged = champion.path("lists", STAGING, plan["key"])
    part = staged / "part-00001.parquet"
    content = part.read_bytes()
    with pytest.raises(ListsError, match="1 of 2 parts"):
        batch.finish(plan, parts[:1], settings=champion)
    part.write_bytes(content[: len(content) // 2])
    with pytest.raises(ListsError):
        batch.finish(plan, parts, settings=champion)
    part.unlink()
    with pytest.raises(ListsError):
        batch.finish(plan, parts, settings=champion)
    other = batch.prepare({"top_k": 5, "shards": 2}, settings=champion)
    batch.write(other, 1, settings=champion)
    part.write_bytes((staged.parent / other["key"] / part.name).read_bytes())
    with pytest.raises(ListsError, match="another run"):
        batch.finish(plan, parts, settings=champion)
    assert read_lists(champion.path("lists", SET)) == before
    part.write_bytes(content)
    batch.finish(plan, parts, settings=champion)
    assert read_lists(champion.path("lists", SET)) != before


def test_bucket_has_the_same_lists_as_a_folder(
    champion: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_feedback(champion)
    (tmp_path / "s3" / "bucket").mkdir(parents=True)
    with s3_server(tmp_path / "s3") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        settings = champion.model_copy(update={"lists": "s3://bucket/all/lists"})
        result = batch.batch_all(batch.configured(top_k=2, shards=1), settings=settings)
        assert result["url"] == f"s3://bucket/all/lists/{SET}"
        # Another run replaces the set; no file of the first run is left.
        plan = batch.prepare({"top_k": 3, "shards": 2}, settings=settings)
        parts = [batch.write(plan, shard, settings=settings) for shard in range(2)]
        assert batch.finish(plan, parts, settings=settings) == batch.finish(
            plan, parts, settings=settings
        )
        result = batch.batch_all(batch.configured(top_k=3, shards=1), settings=settings)
        files = fsspec.filesystem("s3")
        files.invalidate_cache()
        paths = files.ls(f"bucket/all/lists/{SET}", detail=False)
        names = [path.rpartition("/")[2] for path in paths]
        assert sorted(names) == [SUCCESS, "_manifest.json", "part-00000.parquet"]
        lists = read_lists(f"bucket/all/lists/{SET}", files)
        assert lists == recommend_each(champion, sorted(lists), 3)
        assert result["rows"] == sum(map(len, lists.values()))
        assert not files.exists(f"bucket/all/lists/{STAGING}")
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_invalid_configuration_is_rejected(champion: Settings) -> None:
    for values in ({"top_k": 0}, {"top_k": 1001}, {"shards": 0}, {"shard": 1}):
        with pytest.raises(BadRequest):
            batch.prepare(values, settings=champion)
    with pytest.raises(UnknownModel, match="nope"):
        batch.prepare({"model": "nope"}, settings=champion)


def test_unavailable_database_prevents_lists(champion: Settings) -> None:
    """Lists without the feedback would contain deleted ratings."""
    away = f"postgresql://moovier:s3cret@127.0.0.1:{free_port()}/moovier"
    lost = champion.model_copy(update={"database_url": SecretStr(away)})
    plan = batch.prepare({}, settings=lost)
    with pytest.raises(FeedbackUnavailable):
        batch.write(plan, 0, settings=lost)
    assert not champion.path("lists", SET).exists()


def test_unwritable_store_is_reported_without_secrets(champion: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (str(tmp_path / "file" / "lists"), "nothing://user:s3cret@host/lists"):
        wrong = champion.model_copy(update={"lists": place})
        with pytest.raises(ListsError) as caught:
            batch.batch_all(batch.configured(), settings=wrong)
        assert "s3cret" not in str(caught.value)


def test_job_imports_no_heavy_library() -> None:
    script = (
        "import sys, moovier.cli, moovier.jobs.batch\n"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'pandas', 'optuna', 'airflow', 'bentoml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
