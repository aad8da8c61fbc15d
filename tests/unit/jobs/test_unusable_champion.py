"""A retraining while the alias ``champion`` names no usable version."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.errors import DataUnavailable
from moovier.jobs import ingest, retrain
from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.fixtures import RANKING, toy_bundle, toy_movielens
from tests.registry_fixtures import register, register_by_hand, set_alias_by_hand


def test_retraining_knows_the_last_champion(settings: Settings, tmp_path: Path) -> None:
    registry = open_registry(settings)
    champion = register(settings, tmp_path, toy_bundle())
    registry.promote(champion, "the first")
    set_alias_by_hand(registry, "champion", register_by_hand(registry))
    # The tags of the last champion cannot be read either; its bundle has the same values.
    registry.set_tag(champion, "params", "{")
    config = {"families": [RANKING], "data": str(toy_movielens(tmp_path / "data"))}
    plan = retrain.prepare(config, key="second", settings=settings)
    assert plan is not None
    assert plan["trials"] == settings.trials
    assert plan["champion"]["id"] == f"popular-champion-{champion.number}"
    assert plan["champion"]["params"]["size"] == 1


def test_sample_does_not_replace_the_real_data_of_an_unusable_champion(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_registry(settings)
    champion = register(settings, tmp_path, toy_bundle())
    registry.promote(champion, "the first")
    registry.set_tag(champion, "synthetic", "false")
    set_alias_by_hand(registry, "champion", register_by_hand(registry))
    sample = {"name": "sample", "folder": "", "hash": "x", "synthetic": True, "source": "sample"}
    monkeypatch.setattr(ingest, "pull", lambda *_args, **_more: {**sample, "note": "offline"})
    with pytest.raises(DataUnavailable, match="trained on real ratings"):
        retrain.prepare({"families": [RANKING]}, key="second", settings=settings)
