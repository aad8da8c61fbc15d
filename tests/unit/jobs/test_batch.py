"""The lists of all users: whole or not at all, the same as those asked for one by one."""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from moovier.errors import BadRequest, ListsError, UnknownModel
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.store import FeedbackStore, NewRating
from moovier.jobs import batch
from moovier.jobs.batch_store import STAGING, SUCCESS, ListStore, new_key
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
    """Settings whose registry has one champion, by popularity."""
    version = register(settings, tmp_path / "models", toy_bundle(NAME))
    open_registry(settings).promote(version, "the only one")
    return settings


def said(settings: Settings) -> None:
    """User 7 rates something more and takes something back, 999 and 1000 are new, 11 deletes all,
    1001 deletes what nobody knows of."""
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        store.add(7, [NewRating(47, 4.0, 50)])
        store.delete(7, 1)
        store.add(999, [NewRating(2, 5.0, 50)])
        store.add(1000, [NewRating(6, 0.5, 50)])
        store.delete(11)
        store.delete(1001)


def written(folder: str | Path, files: Any = None) -> Lists:
    table = ds.dataset(str(folder), format="parquet", filesystem=files).to_table()
    lists: Lists = {}
    for row in table.sort_by([("user_id", "ascending"), ("rank", "ascending")]).to_pylist():
        own = lists.setdefault(row["user_id"], [])
        own.append((row["movie_id"], row["score"]))
        assert row["rank"] == len(own)
        assert row["model_version"] == 1
    return lists


def one_by_one(settings: Settings, users: list[int], top_k: int) -> Lists:
    """What `moovier recommend` says to each."""
    return {
        user: [(item["id"], item["score"]) for item in answer["items"]]
        for user in users
        for answer in recommend([user], top_k, settings=settings)["answers"]
    }


@pytest.mark.parametrize(("shards", "processes"), [(1, False), (3, False), (2, True)])
def test_lists_are_those_of_each_one_asked_alone(
    champion: Settings, shards: int, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if processes:
        # Three users are enough to be shared out.
        monkeypatch.setattr(batch, "_WORTH_PROCESSES", 1)
    said(champion)
    progress: list[str] = []
    config = batch.configured(top_k=2, shards=shards)
    told = batch.batch_all(config, progress.append, settings=champion)
    folder = champion.path("lists", SET)
    assert told["url"] == str(folder)
    found = written(folder)
    # Whoever only deleted something, and is nobody the model knows, has no list.
    assert set(found) == {7, 11, 13, 999, 1000}
    assert found == one_by_one(champion, sorted(found), 2)
    manifest = json.loads((folder / "_manifest.json").read_text())
    assert told == {**manifest, "url": told["url"]}
    assert (manifest["users"], manifest["rows"]) == (5, sum(map(len, found.values())))
    assert (manifest["model"], manifest["version"], manifest["top_k"]) == (NAME, 1, 2)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"part-{shard:05d}.parquet" for shard in range(shards)] + ["_manifest.json", SUCCESS]
    )
    assert [pq.read_metadata(folder / one["file"]).num_rows for one in manifest["parts"]] == [
        one["rows"] for one in manifest["parts"]
    ]
    assert list(champion.path("lists", STAGING).iterdir()) == []
    assert len(progress) == shards + 1


def test_every_step_can_be_done_again(champion: Settings) -> None:
    plan = batch.prepare({"top_k": 3, "shards": 2, "model": None}, settings=champion)
    json.dumps(plan)
    parts = [batch.write(plan, shard, settings=champion) for shard in (1, 0, 0, 1)]
    assert parts[0] == parts[3]
    first = batch.finish(plan, parts[:2], settings=champion)
    before = (champion.path("lists", SET, SUCCESS).stat().st_mtime_ns, written_at(champion))
    assert batch.finish(plan, parts[:2], settings=champion) == first
    assert (champion.path("lists", SET, SUCCESS).stat().st_mtime_ns, written_at(champion)) == before
    # Another run of the same version, with fewer shards and longer lists, takes its place whole.
    batch.batch_all(batch.configured(top_k=5, shards=1), settings=champion)
    found = written(champion.path("lists", SET))
    assert found == one_by_one(champion, [7, 11, 13], 5)
    assert not champion.path("lists", SET, "part-00001.parquet").exists()


def written_at(settings: Settings) -> list[int]:
    return [one.stat().st_mtime_ns for one in sorted(settings.path("lists", SET).glob("*.parquet"))]


def test_what_is_not_whole_is_not_published(champion: Settings) -> None:
    batch.batch_all(batch.configured(top_k=3, shards=1), settings=champion)
    before = written(champion.path("lists", SET))
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
    with pytest.raises(ListsError, match="another run's"):
        batch.finish(plan, parts, settings=champion)
    # A shard that died in its middle has left no part.
    with (
        pytest.raises(ZeroDivisionError),
        ListStore(str(champion.path("lists"))).writing("x", 0),
    ):
        raise ZeroDivisionError
    assert not champion.path("lists", STAGING, "x", "part-00000.parquet").exists()
    assert written(champion.path("lists", SET)) == before
    part.write_bytes(content)
    batch.finish(plan, parts, settings=champion)
    assert written(champion.path("lists", SET)) != before


def test_a_bucket_holds_the_same(
    champion: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(champion)
    (tmp_path / "s3" / "films").mkdir(parents=True)
    with s3_server(tmp_path / "s3") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        there = champion.model_copy(update={"lists": "s3://films/all/lists"})
        told = batch.batch_all(batch.configured(top_k=2, shards=1), settings=there)
        assert told["url"] == f"s3://films/all/lists/{SET}"
        # Another run takes its place: none of the first one's files is left beside it.
        plan = batch.prepare({"top_k": 3, "shards": 2}, settings=there)
        parts = [batch.write(plan, shard, settings=there) for shard in range(2)]
        assert batch.finish(plan, parts, settings=there) == batch.finish(
            plan, parts, settings=there
        )
        again = batch.batch_all(batch.configured(top_k=3, shards=1), settings=there)
        files = fsspec.filesystem("s3")
        files.invalidate_cache()
        names = [one.rpartition("/")[2] for one in files.ls(f"films/all/lists/{SET}", detail=False)]
        assert sorted(names) == [SUCCESS, "_manifest.json", "part-00000.parquet"]
        found = written(f"films/all/lists/{SET}", files)
        assert found == one_by_one(champion, sorted(found), 3)
        assert again["rows"] == sum(map(len, found.values()))
        assert not files.exists(f"films/all/lists/{STAGING}")
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_the_command_says_what_it_wrote(
    champion: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = importlib.import_module("moovier.cli.batch")
    monkeypatch.setattr(command, "load_settings", lambda: champion)
    command.batch(top_k=2, shards=1)
    assert f"3 users, 6 rows in {champion.path('lists', SET)}" in capsys.readouterr().out
    with pytest.raises(BadRequest, match="top_k"):
        command.batch(top_k=0)


def test_what_was_given_up_is_swept(champion: Settings) -> None:
    staging = champion.path("lists", STAGING)
    now = datetime.now(UTC)
    keys = [new_key(now - timedelta(days=days)) for days in (10, 1)]
    for key in keys:
        (staging / key).mkdir(parents=True)
        (staging / key / "part-00000.parquet").touch()
    batch.prepare({}, settings=champion)
    assert [one.name for one in staging.iterdir()] == keys[1:]


def test_what_makes_no_sense_is_refused(champion: Settings) -> None:
    for wrong in ({"top_k": 0}, {"top_k": 1001}, {"shards": 0}, {"shard": 1}):
        with pytest.raises(BadRequest):
            batch.prepare(wrong, settings=champion)
    with pytest.raises(UnknownModel, match="nope"):
        batch.prepare({"model": "nope"}, settings=champion)


def test_without_the_database_there_are_no_lists(champion: Settings) -> None:
    """They would hold what people have deleted."""
    away = f"postgresql://moovier:s3cret@127.0.0.1:{free_port()}/moovier"
    lost = champion.model_copy(update={"database_url": SecretStr(away)})
    plan = batch.prepare({}, settings=lost)
    with pytest.raises(FeedbackUnavailable):
        batch.write(plan, 0, settings=lost)
    assert not champion.path("lists", SET).exists()


def test_a_place_that_cannot_be_written_is_said(champion: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (str(tmp_path / "file" / "lists"), "nothing://user:s3cret@host/lists"):
        wrong = champion.model_copy(update={"lists": place})
        with pytest.raises(ListsError) as caught:
            batch.batch_all(batch.configured(), settings=wrong)
        assert "s3cret" not in str(caught.value)


def test_it_imports_nothing_heavy() -> None:
    script = (
        "import sys, moovier.cli, moovier.jobs.batch\n"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'pandas', 'optuna', 'airflow', 'bentoml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
