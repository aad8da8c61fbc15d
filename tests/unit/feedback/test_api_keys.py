from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moovier.errors import BadRequest
from moovier.feedback.api_keys import KeyStore


@pytest.fixture
def keys(url: str) -> Iterator[KeyStore]:
    with contextlib.closing(KeyStore.open(url)) as opened:
        yield opened


def test_key_has_its_scopes(keys: KeyStore) -> None:
    writing = keys.make("page", frozenset({"write"}))
    both = keys.make("partner", frozenset({"write", "train"}))
    assert keys.scopes_of(writing) == frozenset({"write"})
    assert keys.scopes_of(both) == frozenset({"write", "train"})
    assert writing.startswith("moo_")
    assert len(writing) == 4 + 43


@pytest.mark.parametrize(
    "key", ["", "moo_", "moo_" + "a" * 43, "a" * 47, "moo_" + "a" * 42 + "é", "moo_\0", "\ud800"]
)
def test_unknown_key_has_no_scopes(keys: KeyStore, key: str) -> None:
    keys.make("page", {"write"})
    assert keys.scopes_of(key) is None


def test_revoked_key_is_refused_at_once(keys: KeyStore, url: str) -> None:
    key, other = keys.make("page", {"write"}), keys.make("other", {"write"})
    other_process = KeyStore.open(url)
    assert other_process.scopes_of(key) == frozenset({"write"})
    keys.revoke("page")
    assert other_process.scopes_of(key) is None
    assert other_process.scopes_of(other) == frozenset({"write"})
    other_process.close()


def test_name_of_a_revoked_key_can_be_used_again(keys: KeyStore) -> None:
    old = keys.make("page", {"write"})
    with pytest.raises(BadRequest, match="already"):
        keys.make("page", {"train"})
    keys.revoke("page")
    new = keys.make("page", {"train"})
    assert keys.scopes_of(old) is None
    assert keys.scopes_of(new) == frozenset({"train"})
    # Both may have been created in the same second, so their order is open.
    assert sorted((key.name, key.revoked is None) for key in keys.list()) == [
        ("page", False),
        ("page", True),
    ]


def test_concurrent_keys_of_one_name_leave_one_key(keys: KeyStore) -> None:
    def create(_: int) -> str | None:
        try:
            return keys.make("page", {"write"})
        except BadRequest:
            return None

    with ThreadPoolExecutor(4) as threads:
        keys_or_none = list(threads.map(create, range(8)))
    assert sum(key is not None for key in keys_or_none) == 1


def test_revoking_an_unknown_name_lists_the_valid_keys(keys: KeyStore) -> None:
    with pytest.raises(BadRequest, match=r"no API key named 'page' \(there are none\)"):
        keys.revoke("page")
    keys.make("partner", {"write"})
    with pytest.raises(BadRequest, match="valid keys: partner"):
        keys.revoke("page")


@pytest.mark.parametrize("scopes", [frozenset(), {"root"}, {"write", "root"}])
def test_missing_or_unknown_scopes_are_refused(keys: KeyStore, scopes: frozenset[str]) -> None:
    with pytest.raises(BadRequest, match="train, write"):
        keys.make("page", scopes)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\0b", "x" * 101, "[red]"])
def test_invalid_name_is_refused(keys: KeyStore, name: str) -> None:
    with pytest.raises(BadRequest, match="name"):
        keys.make(name, {"write"})


def test_database_does_not_contain_the_key(sqlite_url: str, tmp_path: Path) -> None:
    keys = KeyStore.open(sqlite_url)
    key = keys.make("page", {"write"})
    assert key not in repr(keys.list())
    secret = key.removeprefix("moo_").encode()
    for file in (tmp_path / "home").iterdir():
        content = file.read_bytes()
        assert secret not in content
        assert secret[:8] not in content
    keys.close()
