from __future__ import annotations

from pathlib import Path

import pytest

from moovier.tmdb.cache import Cache


def test_texts_outlive_the_process(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "deep" / "tmdb.sqlite", ttl_s=60)
    cache.put({1: '{"id":1}', 2: ""})
    cache.put({1: '{"id":1,"title":"newer"}'})
    cache.close()
    again = Cache(tmp_path / "deep" / "tmdb.sqlite", ttl_s=60)
    assert again.get([1, 2, 3]) == {1: '{"id":1,"title":"newer"}', 2: ""}


def test_texts_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "tmdb.sqlite", ttl_s=60)
    now = 1_000_000.0
    monkeypatch.setattr("moovier.tmdb.cache.time.time", lambda: now)
    cache.put({1: "old"})
    now += 59
    cache.put({2: "new"})
    assert cache.get([1, 2]) == {1: "old", 2: "new"}
    now += 2
    assert cache.get([1, 2]) == {2: "new"}


def test_more_ids_than_fit_in_one_statement(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "tmdb.sqlite", ttl_s=60)
    texts = {id_: str(id_) for id_ in range(1, 1501)}
    cache.put(texts)
    assert cache.get(range(1, 2000)) == texts
    assert cache.get([]) == {}


@pytest.mark.parametrize(
    "content", [b"this is no database" * 100, b"SQLite format 3\0" + b"x" * 99]
)
def test_damaged_file_is_replaced_by_memory(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tmdb.sqlite").write_bytes(content)
    cache = Cache(tmp_path / "tmdb.sqlite", ttl_s=60)
    cache.put({1: "one"})
    assert cache.get([1]) == {1: "one"}


def test_file_damaged_while_open_is_not_an_error(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "tmdb.sqlite", ttl_s=60)
    cache.put({1: "one"})
    cache._db.execute("DROP TABLE details")
    cache.put({2: "two"})
    assert cache.get([1, 2]) == {}


def test_folder_in_place_of_the_file_is_replaced_by_memory(tmp_path: Path) -> None:
    (tmp_path / "tmdb.sqlite").mkdir()
    cache = Cache(tmp_path / "tmdb.sqlite", ttl_s=60)
    cache.put({1: "one"})
    assert cache.get([1]) == {1: "one"}
