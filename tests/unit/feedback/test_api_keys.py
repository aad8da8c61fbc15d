from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.cli.keys import Scope
from moovier.errors import BadRequest
from moovier.feedback.api_keys import SCOPES, KeyStore


@pytest.fixture
def keys(url: str) -> Iterator[KeyStore]:
    with contextlib.closing(KeyStore.open(url)) as opened:
        yield opened


def test_a_key_allows_what_it_was_made_for(keys: KeyStore) -> None:
    writing = keys.make("page", frozenset({"write"}))
    both = keys.make("partner", frozenset({"write", "train"}))
    assert keys.scopes_of(writing) == frozenset({"write"})
    assert keys.scopes_of(both) == frozenset({"write", "train"})
    assert writing.startswith("moo_")
    assert len(writing) == 4 + 43


@pytest.mark.parametrize(
    "key", ["", "moo_", "moo_" + "a" * 43, "a" * 47, "moo_" + "a" * 42 + "é", "moo_\0", "\ud800"]
)
def test_an_unknown_key_allows_nothing(keys: KeyStore, key: str) -> None:
    keys.make("page", {"write"})
    assert keys.scopes_of(key) is None


def test_a_revoked_key_allows_nothing_at_once(keys: KeyStore, url: str) -> None:
    key, other = keys.make("page", {"write"}), keys.make("other", {"write"})
    elsewhere = KeyStore.open(url)
    assert elsewhere.scopes_of(key) == frozenset({"write"})
    keys.revoke("page")
    assert elsewhere.scopes_of(key) is None
    assert elsewhere.scopes_of(other) == frozenset({"write"})
    elsewhere.close()


def test_a_key_can_be_replaced_under_its_name(keys: KeyStore) -> None:
    old = keys.make("page", {"write"})
    with pytest.raises(BadRequest, match="already"):
        keys.make("page", {"train"})
    keys.revoke("page")
    new = keys.make("page", {"train"})
    assert keys.scopes_of(old) is None
    assert keys.scopes_of(new) == frozenset({"train"})
    assert [(key.name, key.revoked is None) for key in keys.list()] == [
        ("page", False),
        ("page", True),
    ] or [(key.name, key.revoked is None) for key in keys.list()] == [
        ("page", True),
        ("page", False),
    ]


def test_of_two_keys_made_at_once_under_one_name_one_is_refused(keys: KeyStore) -> None:
    def make(_: int) -> str | None:
        try:
            return keys.make("page", {"write"})
        except BadRequest:
            return None

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(make, range(8)))
    assert sum(key is not None for key in made) == 1


def test_what_cannot_be_revoked_is_said(keys: KeyStore) -> None:
    with pytest.raises(BadRequest, match="nor any other"):
        keys.revoke("page")
    keys.make("partner", {"write"})
    with pytest.raises(BadRequest, match="partner"):
        keys.revoke("page")


@pytest.mark.parametrize("scopes", [frozenset(), {"root"}, {"write", "root"}])
def test_scopes_have_to_be_known(keys: KeyStore, scopes: frozenset[str]) -> None:
    with pytest.raises(BadRequest, match="train, write"):
        keys.make("page", scopes)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\0b", "x" * 101, "[red]"])
def test_an_odd_name_is_refused(keys: KeyStore, name: str) -> None:
    with pytest.raises(BadRequest, match="name"):
        keys.make(name, {"write"})


def test_nothing_of_a_key_is_kept(sqlite_url: str, tmp_path: Path) -> None:
    keys = KeyStore.open(sqlite_url)
    key = keys.make("page", {"write"})
    assert key not in repr(keys.list())
    secret = key.removeprefix("moo_").encode()
    for file in (tmp_path / "home").iterdir():
        content = file.read_bytes()
        assert secret not in content
        assert secret[:8] not in content
    keys.close()


def test_the_command_line(tmp_path: Path) -> None:
    def moovier(*words: str) -> str:
        found = CliRunner().invoke(
            app, ["keys", *words], env={"MOOVIER_HOME": str(tmp_path), "COLUMNS": "100"}
        )
        assert found.exit_code == 0, found.output
        return found.stdout

    assert "no key yet" in moovier("list")
    key = moovier("make", "page", "--scope", "write", "--scope", "train").strip()
    listed = moovier("list")
    assert "page" in listed
    assert "train, write" in listed
    assert key[4:12] not in listed
    keys = KeyStore.open(f"sqlite:///{tmp_path / 'moovier.db'}")
    assert keys.scopes_of(key) == frozenset({"write", "train"})
    assert "page" in moovier("revoke", "page")
    assert keys.scopes_of(key) is None
    keys.close()


def test_the_command_line_wants_a_known_scope(tmp_path: Path) -> None:
    for words in (["page"], ["page", "--scope", "root"]):
        found = CliRunner().invoke(
            app, ["keys", "make", *words], env={"MOOVIER_HOME": str(tmp_path)}
        )
        assert found.exit_code == 2


def test_the_command_line_knows_all_scopes() -> None:
    assert {scope.value for scope in Scope} == SCOPES
