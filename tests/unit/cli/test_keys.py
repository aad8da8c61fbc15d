"""`moovier keys`: API keys are shown once, listed without the key, and revoked."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.cli.keys import Scope
from moovier.feedback.api_keys import SCOPES, KeyStore


def run(home: Path, *words: str) -> tuple[int, str]:
    environment = {"MOOVIER_HOME": str(home), "COLUMNS": "100"}
    result = CliRunner().invoke(app, ["keys", *words], env=environment)
    return result.exit_code, result.stdout


def moovier(home: Path, *words: str) -> str:
    code, output = run(home, *words)
    assert code == 0, output
    return output


def test_a_key_is_made_listed_and_revoked(tmp_path: Path) -> None:
    assert "no API keys yet" in moovier(tmp_path, "list")
    key = moovier(tmp_path, "make", "page", "--scope", "write", "--scope", "train").strip()
    listed = moovier(tmp_path, "list")
    assert "page" in listed
    assert "train, write" in listed
    assert key[4:12] not in listed
    database = f"sqlite:///{tmp_path / 'moovier.db'}"
    with contextlib.closing(KeyStore.open(database)) as keys:
        assert keys.scopes_of(key) == frozenset({"write", "train"})
        assert "revoked: page" in moovier(tmp_path, "revoke", "page")
        assert keys.scopes_of(key) is None


@pytest.mark.parametrize("words", [["page"], ["page", "--scope", "root"]])
def test_a_key_needs_a_known_scope(tmp_path: Path, words: list[str]) -> None:
    assert run(tmp_path, "make", *words)[0] == 2


def test_all_scopes_are_offered() -> None:
    assert {scope.value for scope in Scope} == SCOPES
