"""A model is replaced by its extension only if no other model came meanwhile."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from moovier.serving.alias_follower import AliasFollower
from moovier.serving.bundle_loader import BundleLoader, LoadedModel
from moovier.serving.recommender import Recommender
from tests.fixtures import toy_bundle

OLD = LoadedModel(1, "toy", "1-run", Recommender(toy_bundle()))
NEW = replace(OLD, number=2, key="2-run")


def extended(model: LoadedModel) -> LoadedModel:
    return replace(model, name=f"{model.name} extended")


def test_newer_champion_is_kept_while_the_old_one_is_extended() -> None:
    follower = AliasFollower(cast("Any", None), lambda version: None)
    follower.model = OLD

    def extend_slowly(model: LoadedModel) -> LoadedModel:
        follower.model = NEW
        return extended(model)

    follower.extend(extend_slowly)
    assert follower.model is NEW
    follower.extend(extended)
    assert follower.model == extended(NEW)


def test_cached_models_are_extended_without_the_lock(tmp_path: Path) -> None:
    lock, models = threading.Lock(), {"a": OLD, "b": OLD}

    def extend_slowly(model: LoadedModel) -> LoadedModel:
        assert not lock.locked(), "requests would wait"
        models["b"] = NEW
        return extended(model)

    loader = BundleLoader(cast("Any", None), tmp_path)
    loader.extend = extend_slowly
    loader.extend_cached(models, lock)
    assert models == {"a": extended(OLD), "b": NEW}
