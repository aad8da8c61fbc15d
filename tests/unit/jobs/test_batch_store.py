"""Sets of lists in a folder or a bucket are complete or not there.

The bucket is fsspec's file system in memory: like S3, it is not local and is written by copies.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from moovier.errors import ListsError
from moovier.jobs.batch_store import MANIFEST, SCHEMA, STAGING, SUCCESS, BatchStore, new_key

KEY = "20261128T000000Z-aaaaaaaa"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture(params=["folder", "bucket"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "lists")
    return f"memory://{uuid.uuid4().hex}/lists"


@pytest.fixture
def store(url: str) -> BatchStore:
    return BatchStore(url + "/")


def write(store: BatchStore, shard: int, n_rows: int, key: str = KEY) -> None:
    row = {"user_id": 7, "rank": 1, "movie_id": 2, "score": 0.5, "model_version": 1}
    with store.writing(key, shard) as writer:
        writer.write_table(pa.Table.from_pylist([row] * n_rows, schema=SCHEMA))


def names(url: str, folder: str) -> list[str]:
    files, root = fsspec.core.url_to_fs(url)
    files.invalidate_cache()
    path = f"{root}/{folder}"
    found = files.ls(path, detail=False) if files.exists(path) else []
    return sorted(name.rstrip("/").rpartition("/")[2] for name in found)


def test_keys_start_with_the_time_and_differ() -> None:
    assert new_key(NOW).startswith("20261128T120000Z-")
    assert new_key(NOW) != new_key(NOW)


def test_a_part_has_its_rows_and_belongs_to_its_run(store: BatchStore) -> None:
    write(store, 3, n_rows=5)
    assert store.rows(KEY, 3) == 5
    write(store, 3, n_rows=2)
    assert store.rows(KEY, 3) == 2, "written again"
    with pytest.raises(ListsError, match="cannot be read"):
        store.rows(KEY, 4)


def test_a_part_of_another_run_is_refused(store: BatchStore, url: str) -> None:
    write(store, 0, n_rows=1, key="other")
    files, root = fsspec.core.url_to_fs(url)
    files.makedirs(f"{root}/{STAGING}/{KEY}", exist_ok=True)
    part = "part-00000.parquet"
    files.cp_file(f"{root}/{STAGING}/other/{part}", f"{root}/{STAGING}/{KEY}/{part}")
    with pytest.raises(ListsError, match=f"{part} belongs to another run"):
        store.rows(KEY, 0)


def test_a_failed_shard_leaves_no_part_in_a_folder(tmp_path: Path) -> None:
    store = BatchStore(str(tmp_path))
    with pytest.raises(ZeroDivisionError), store.writing(KEY, 0):
        raise ZeroDivisionError
    with pytest.raises(ListsError):
        store.rows(KEY, 0)


def publish(store: BatchStore, shards: list[int], key: str, **manifest: Any) -> None:
    for shard in shards:
        write(store, shard, n_rows=1, key=key)
    store.publish("set", key, shards, manifest)


def test_a_published_set_has_its_parts_and_its_manifest(store: BatchStore, url: str) -> None:
    assert store.manifest("set") is None
    publish(store, [0, 1], KEY, users=2)
    assert store.manifest("set") == {"users": 2}
    parts = ["part-00000.parquet", "part-00001.parquet"]
    assert names(url, "set") == sorted([*parts, MANIFEST, SUCCESS])
    assert names(url, f"{STAGING}/{KEY}") == []


def test_a_later_run_replaces_the_set_and_its_further_parts(store: BatchStore, url: str) -> None:
    publish(store, [0, 1], KEY, users=2)
    publish(store, [0], "20261129T000000Z-b", users=1)
    assert store.manifest("set") == {"users": 1}
    assert names(url, "set") == sorted(["part-00000.parquet", MANIFEST, SUCCESS])


def test_a_set_without_the_mark_of_success_does_not_exist(store: BatchStore, url: str) -> None:
    publish(store, [0], KEY, users=1)
    files, root = fsspec.core.url_to_fs(url)
    files.rm_file(f"{root}/set/{SUCCESS}")
    assert store.manifest("set") is None


def test_a_missing_part_prevents_the_publication(store: BatchStore) -> None:
    publish(store, [0], "20261127T000000Z-b", users=1)
    write(store, 0, n_rows=1)
    with pytest.raises(ListsError):
        store.publish("set", KEY, [0, 1], {"users": 2})


def test_an_incomplete_copy_to_a_bucket_is_not_taken_for_a_set() -> None:
    url = f"memory://{uuid.uuid4().hex}"
    store = BatchStore(url)
    publish(store, [0], "20261127T000000Z-b", users=1)
    write(store, 0, n_rows=1)
    with pytest.raises(ListsError):
        store.publish("set", KEY, [0, 1], {"users": 2})
    assert store.manifest("set") is None
    publish(store, [0, 1], KEY, users=2)
    assert store.manifest("set") == {"users": 2}


def test_parts_of_abandoned_runs_are_deleted(store: BatchStore, url: str) -> None:
    store.sweep(NOW)  # nothing there yet
    ages = [timedelta(days=10), timedelta(days=2, seconds=1), timedelta(days=2), timedelta(0)]
    keys = [new_key(NOW - age) for age in ages]
    for key in keys:
        write(store, 0, n_rows=1, key=key)
    store.sweep(NOW)
    left = [key for key in keys if names(url, f"{STAGING}/{key}")]
    assert left == keys[2:]


def test_a_store_that_cannot_be_opened_is_no_transient_problem_and_shows_no_secret() -> None:
    with pytest.raises(ListsError, match="at host/lists cannot be read") as caught:
        BatchStore("nothing://user:s3cret@host/lists?token=s3cret")
    assert not caught.value.is_transient
    assert "s3cret" not in str(caught.value)


def test_a_full_disk_is_transient_and_a_refused_login_is_not(
    store: BatchStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, transient in ((OSError("full"), True), (PermissionError("login"), False)):

        def fail(*_args: object, error: OSError = error) -> None:
            raise error

        monkeypatch.setattr(store._files, "exists", fail)
        with pytest.raises(ListsError) as caught:
            store.manifest("set")
        assert caught.value.is_transient == transient
        monkeypatch.undo()


def test_parts_are_compressed_tables_of_the_schema(tmp_path: Path) -> None:
    write(BatchStore(str(tmp_path)), 0, n_rows=3)
    table = pq.read_table(tmp_path / STAGING / KEY / "part-00000.parquet")
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == 3
