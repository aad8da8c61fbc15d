"""The model store follows the aliases of champion and rating model."""

from __future__ import annotations

import errno
import uuid
from pathlib import Path

import pytest

from moovier.errors import RegistryError
from moovier.registry.client import Registry
from moovier.registry.tracking import Tracking
from moovier.serving.model_store import ModelStore
from tests.fixtures import toy_model
from tests.servers import Server
from tests.unit.serving.counting_registry import NEW, OLD, Counting, Publish, alter, own_name


def test_new_champion_is_loaded(
    model_store: ModelStore, registry: Registry, publish: Publish
) -> None:
    registry.promote(publish(OLD), "first")
    assert model_store.loaded(None) is None
    model_store.refresh()
    first = model_store.loaded(None)
    assert first is not None
    assert (first.name, first.number) == (OLD, 1)
    assert model_store.loaded("champion") is first

    registry.promote(publish(NEW), "better")
    assert model_store.loaded(None) is first
    model_store.refresh()
    assert model_store.default().name == NEW
    # A running request keeps its model.
    assert first.recommender.recommend([7], 1)[0].items[0].movie.id == 47

    registry.rollback("worse")
    model_store.refresh()
    assert model_store.default().name == OLD


def test_no_bundle_is_downloaded_twice(
    model_store: ModelStore, counting: Counting, registry: Registry, publish: Publish
) -> None:
    registry.promote(publish(OLD), "first")
    for _ in range(3):
        model_store.refresh()
    for text in (OLD, "1", "champion", OLD):
        assert model_store.get(text).number == 1
    assert counting.downloads == [1]


def test_champion_of_an_unknown_family_is_rejected(
    model_store: ModelStore,
    registry: Registry,
    tracking: Tracking,
    publish: Publish,
    tmp_path: Path,
) -> None:
    registry.promote(publish(OLD), "good")
    model_store.refresh()
    key = uuid.uuid4().hex
    run_id = tracking.start(NEW, retraining=key, part="train")
    folder = toy_model(tmp_path / "ghost", NEW, family="ghost")
    registry.promote(tracking.register(folder, NEW, run_id=run_id, key=key), "bad")
    model_store.refresh()
    assert model_store.default().name == OLD
    # The version is broken, not the registry.
    assert model_store.registry_error is None
    assert model_store.champion_rejected is not None
    assert (model_store.champion_rejected.name, model_store.champion_rejected.number) == (NEW, 2)
    assert "unknown family 'ghost'" in str(model_store.champion_rejected)
    assert model_store.names() == [NEW, OLD]
    registry.rollback("does not score")
    model_store.refresh()
    assert model_store.champion_rejected is None


def test_broken_champion_is_downloaded_once_until_the_alias_moves(
    model_store: ModelStore,
    counting: Counting,
    mlflow: Server,
    registry: Registry,
    publish: Publish,
) -> None:
    registry.promote(publish(OLD), "good")
    model_store.refresh()
    broken = publish(own_name())
    alter(mlflow, broken)
    registry.promote(broken, "bad")
    for _ in range(4):
        model_store.refresh()
    assert counting.downloads == [1, 2]
    assert model_store.default().name == OLD
    registry.rollback("altered")
    model_store.refresh()
    assert model_store.champion_rejected is None
    # A new promotion tries again.
    registry.promote(broken, "once more")
    for _ in range(2):
        model_store.refresh()
    assert counting.downloads == [1, 2, 2]
    assert model_store.champion_rejected is not None


def test_broken_stand_in_is_replaced_by_the_previous_version(
    model_store: ModelStore, counting: Counting, mlflow: Server, publish: Publish
) -> None:
    publish(OLD)
    alter(mlflow, publish(own_name()))
    for _ in range(3):
        assert model_store.default().number == 1
        model_store.refresh()
    assert counting.downloads == [2, 1]


def test_broken_rating_model_is_downloaded_once(
    model_store: ModelStore,
    counting: Counting,
    mlflow: Server,
    registry: Registry,
    publish: Publish,
) -> None:
    registry.promote(publish(OLD), "good")
    broken = publish(own_name())
    alter(mlflow, broken)
    registry.set_rating_model(broken)
    for _ in range(3):
        model_store.refresh()
    assert sorted(counting.downloads) == [1, 2]
    assert model_store.stars is None
    assert model_store.stars_rejected is not None
    registry.set_rating_model(publish(NEW))
    model_store.refresh()
    assert model_store.stars is not None
    assert model_store.stars_rejected is None


def test_full_disk_does_not_reject_the_version(
    model_store: ModelStore, registry: Registry, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(publish(OLD), "good")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/secret")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_fetch_bundle", full)
        model_store.refresh()
    assert model_store.champion_rejected is None
    assert model_store.registry_error is not None
    assert "No space left" in model_store.registry_error
    assert "/somewhere" not in model_store.registry_error
    assert not model_store.registry_unavailable
    model_store.refresh()
    assert model_store.default().name == OLD


def test_popular_movies_stand_in_before_the_first_champion(
    model_store: ModelStore, registry: Registry, publish: Publish
) -> None:
    with pytest.raises(RegistryError, match="no model has been trained"):
        model_store.default()
    version = publish(NEW)
    stand_in = model_store.default()
    assert (stand_in.name, stand_in.number) == ("popular", 1)
    assert [item.movie.id for item in stand_in.recommender.recommend([11], 2)[0].items] == [1, 47]
    registry.promote(version, "first")
    model_store.refresh()
    assert model_store.default().name == NEW
